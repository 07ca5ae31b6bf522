"""What a machine does, in the contract's words, and a machine that nobody would be warned of."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sheetbreak.streams.protocol import Batch
from sheetbreak.wire.rows import encode_row
from tests.support.models.mill import SENSORS, START_US, WARM_UP_ROWS, mill_rows, mill_values, save_model
from tests.support.programs.monitor_rig import Monitor, outputs_of, topic_of

STATES = ("quiet", "warning", "warming_up", "stopped", "no_rows")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_model(folder)
    return folder


def rows_at(minutes: Sequence[float], *, broken: bool | None = None) -> list[bytes]:
    values = mill_values(len(minutes))
    return [
        encode_row(
            "pm1", START_US + int(at * 60e6), values=dict(zip(SENSORS, row.tolist(), strict=True)), broken=broken
        )
        for at, row in zip(minutes, values, strict=True)
    ]


def state_of(monitor: Monitor, machine: str = "pm1") -> list[str]:
    return [s for s in STATES if monitor.sample("sheetbreak_machine_state", machine=machine, state=s) is not None]


def after(rows: Sequence[bytes], models: Path, then: Callable[[Monitor], None] | None = None) -> Monitor:
    monitor = Monitor(topic_of(rows), models).run()
    if then is not None:
        then(monitor)
    return monitor


def test_a_machine_has_one_series_and_it_says_what_it_does(models: Path) -> None:
    assert state_of(after(mill_rows(WARM_UP_ROWS - 1), models)) == ["warming_up"]
    assert state_of(after(mill_rows(150, breaks=(149,)), models)) == ["stopped"]
    rows = mill_rows(200)
    seen = set()
    monitor = Monitor(topic_of(rows), models, max_records=1)

    def look(_batch: Batch) -> None:
        states = state_of(monitor)
        assert len(states) <= 1
        if monitor.sample("sheetbreak_alert_open", machine="pm1"):
            assert states == ["warning"]
        seen.update(states)

    monitor.at_poll = look
    monitor.run()
    assert seen == {"warming_up", "quiet", "warning"}


def test_silence_is_told_after_five_periods_and_ends_with_a_row(models: Path) -> None:
    topic = topic_of(mill_rows(150), ended=False)
    monitor = Monitor(topic, models)
    seen: list[list[str]] = []

    def wait(batch: Batch) -> None:
        if topic.positions[0] == 100 and not seen:
            seen.append(state_of(monitor))
            monitor.clock.now += 5 * 120 + 1
            seen.append(state_of(monitor))
        topic.ended = True

    monitor.at_poll = wait
    monitor.run()
    assert seen[0] != ["no_rows"]
    assert seen[1] == ["no_rows"]
    assert state_of(monitor) in (["quiet"], ["warning"])


def test_a_machine_known_from_its_state_alone_has_a_state_too(models: Path) -> None:
    topic = topic_of(mill_rows(100))
    Monitor(topic, models).run()
    again = Monitor(topic, models).run()
    assert state_of(again) in (["quiet"], ["warning"])
    again.clock.now += 601
    assert state_of(again) == ["no_rows"]


ONE_IN_FIFTEEN_LOST = [2.0 * i for i in range(1000) if i % 15]
ONE_IN_FOUR_LOST = [2.0 * i for i in range(200) if i % 4]
EVERY_FOUR_MINUTES = [4.0 * i for i in range(200)]


@pytest.mark.parametrize(
    "minutes", [ONE_IN_FIFTEEN_LOST, EVERY_FOUR_MINUTES], ids=["one in 15 lost", "every 4 minutes"]
)
def test_a_feed_of_which_no_row_can_warn_is_told_once_and_shown(
    models: Path, minutes: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    monitor = after(rows_at(minutes), models)
    states = {answer["state"] for answer in outputs_of(monitor.topic, "scores")}
    assert "scored" not in states - {"warming-up"} or minutes is ONE_IN_FIFTEEN_LOST
    assert monitor.sample("sheetbreak_machine_blind", machine="pm1") == 1
    told = [record.message for record in caplog.records if "event=blind" in record.message]
    assert len(told) == 1
    assert "stop-gap-s=180" in told[0]


def test_a_feed_whose_labels_show_that_the_machine_ran_on_where_rows_are_lost_is_not_blind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_model(tmp_path, lost_rows_s=660.0)
    monitor = after(rows_at(ONE_IN_FOUR_LOST, broken=False), tmp_path)
    assert monitor.sample("sheetbreak_stops_total", machine="pm1", why="lost-rows") == 49
    assert monitor.sample("sheetbreak_machine_blind", machine="pm1") == 0
    assert "event=blind" not in caplog.text


def test_a_machine_that_stops_now_and_then_is_not_blind(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    minutes = [2.0 * i + 60 * (i // 40) for i in range(400)]
    monitor = after(rows_at(minutes), models)
    assert monitor.sample("sheetbreak_machine_blind", machine="pm1") == 0
    assert "event=blind" not in caplog.text


def test_sight_that_comes_back_ends_it_and_its_next_loss_is_told_again(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = [4.0 * i for i in range(60)]
    second = [first[-1] + 2.0 * (i + 1) for i in range(60)]
    third = [second[-1] + 4.0 * (i + 1) for i in range(60)]
    sighted = after(rows_at([*first, *second]), models)
    assert sighted.sample("sheetbreak_machine_blind", machine="pm1") == 0
    caplog.clear()
    again = after(rows_at([*first, *second, *third]), models)
    assert again.sample("sheetbreak_machine_blind", machine="pm1") == 1
    assert caplog.text.count("event=blind") == 2
