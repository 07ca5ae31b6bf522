"""Where machines' states come from and go to: partitions that move, histories, restarts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.main import warm_up
from sheetbreak.artifact import load
from sheetbreak.streams.memory import MemoryTopic
from sheetbreak.streams.protocol import Batch, Output
from tests.support.models.mill import mill_csv, mill_rows, save_model
from tests.support.programs.monitor_rig import Crash, CrashAt, Monitor, message, outputs_of, topic_of


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_model(folder)
    return folder


def partitions() -> tuple[list[bytes], list[bytes]]:
    return mill_rows(100, breaks=(70,)), mill_rows(100, machine="pm2", seed=8)


def by_machine(topic: MemoryTopic) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for output in topic.outputs:
        found.setdefault(output.key, []).append(output.value)
    return found


def test_a_partition_that_moves_takes_its_state_along_and_leaves_no_series(models: Path) -> None:
    expected = by_machine(Monitor(topic_of(*partitions()), models).run().topic)
    topic = topic_of(*partitions())
    first = Monitor(topic, models, max_records=20)
    second = Monitor(topic, models, partitions=[1])

    def hand_over(_batch: Batch) -> None:
        if topic.positions[1] >= 40 and not second.streams:
            assert first.sample("sheetbreak_threshold", machine="pm2") is not None
            second.run()

    first.at_poll = hand_over
    held_back = topic.records[0][40:]  # so that pm2's turn comes early
    del topic.records[0][40:]
    first.run()
    topic.records[0] += held_back
    Monitor(topic, models).run()
    assert by_machine(topic) == expected
    assert second.sample("sheetbreak_rows_total", machine="pm2", outcome="scored")
    for name in ("sheetbreak_threshold", "sheetbreak_alert_open", "sheetbreak_last_row_timestamp_seconds"):
        assert first.sample(name, machine="pm2") is None
    assert first.sample("sheetbreak_alert_open", machine="pm1") is not None


def test_a_partition_given_away_between_batches_leaves_no_series(models: Path) -> None:
    topic = topic_of(*partitions())
    expected = by_machine(Monitor(topic_of(*partitions()), models).run().topic)
    first = Monitor(topic, models, max_records=60)
    second = Monitor(topic, models, partitions=[1], max_records=20)

    def hand_over(point: str) -> None:
        if point == "after" and topic.positions[1] == 80:
            assert first.sample("sheetbreak_alert_open", machine="pm2") is not None
            second.run()

    first.at_commit = hand_over
    first.run()
    assert by_machine(topic) == expected
    assert first.sample("sheetbreak_alert_open", machine="pm2") is None
    assert first.sample("sheetbreak_rows_total", machine="pm2", outcome="scored") is None


def test_machines_warmed_up_by_a_history_go_on_as_if_it_had_been_streamed(models: Path, tmp_path: Path) -> None:
    whole = Monitor(topic_of(mill_rows(160)), models).run().topic
    history = warm_up(mill_csv(tmp_path / "history.csv", 160), load(models))
    assert history.keys() == {"pm1"}
    cut = tmp_path / "cut.csv"
    cut.write_text("\n".join((tmp_path / "history.csv").read_text().splitlines()[:101]) + "\n")
    history = warm_up(cut, load(models))
    topic = topic_of(mill_rows(160, first=100))
    with pytest.raises(Crash):  # what the history gave must survive, though nobody committed it yet
        Monitor(topic, models, history=history, at_commit=CrashAt(0, "after"), max_records=5).run()
    Monitor(topic, models).run()
    assert [a["score"] for a in outputs_of(topic, "scores")] == [a["score"] for a in outputs_of(whole, "scores")[100:]]


def test_a_restored_state_counts_more_than_a_history(models: Path, tmp_path: Path) -> None:
    expected = Monitor(topic_of(mill_rows(120)), models).run().topic.outputs
    topic = topic_of(mill_rows(120))
    with pytest.raises(Crash):
        Monitor(topic, models, at_commit=CrashAt(2, "after")).run()
    other = warm_up(mill_csv(tmp_path / "history.csv", 60, seed=99), load(models))
    Monitor(topic, models, history=other).run()
    assert topic.outputs == expected


def test_rows_that_the_history_had_are_answered_by_dead_letters(models: Path, tmp_path: Path) -> None:
    history = warm_up(mill_csv(tmp_path / "history.csv", 100), load(models))
    topic = Monitor(topic_of(mill_rows(104, first=97)), models, history=history).run().topic
    assert [letter["reason"] for letter in outputs_of(topic, "dead-letters")] == ["late", "late", "repeated"]
    assert len(outputs_of(topic, "scores")) == 4


def test_topics_that_are_not_published_are_not_made(models: Path) -> None:
    topic = Monitor(topic_of(mill_rows(100)), models, emit=frozenset({"alerts"})).run().topic
    assert {output.topic for output in topic.outputs} == {"alerts"}


def test_an_open_alert_is_known_after_a_restart_before_any_row(models: Path) -> None:
    values = mill_rows(100)
    opened_at = next(
        place
        for place, answer in enumerate(_answers_with_alerts(models, values))
        if any(message(output)["kind"] == "opened" for output in answer)
    )
    topic = topic_of(values[: opened_at + 1])
    Monitor(topic, models).run()
    again = Monitor(topic, models).run()
    assert again.sample("sheetbreak_alert_open", machine="pm1") == 1
    assert again.sample("sheetbreak_last_row_timestamp_seconds", machine="pm1") is not None


def _answers_with_alerts(models: Path, values: list[bytes]) -> Iterator[list[Output]]:
    outputs = Monitor(topic_of(values), models).run().topic.outputs
    answer: list[Output] = []
    for output in [*outputs[1:], None]:
        if output is None or output.topic != "alerts":
            yield answer
            answer = []
        else:
            answer.append(output)
