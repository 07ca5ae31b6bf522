"""Hot reload: between batches, whole or not at all."""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sheetbreak.artifact import use
from sheetbreak.artifact.promotion import JOURNAL, record
from sheetbreak.streams.protocol import Batch
from tests.support.models.mill import SENSORS, mill_rows, save_model
from tests.support.programs.monitor_rig import Monitor, outputs_of, topic_of


def later(days: int) -> dt.datetime:
    return dt.datetime(2026, 6, days, tzinfo=dt.UTC)


def at_row(monitor: Monitor, row: int, action: object) -> None:
    """Have `action` done once, when the batch that starts at `row` has been polled."""
    done: list[int] = []

    def watch(_batch: Batch) -> None:
        monitor.clock.now += 2  # the link is looked at once a second
        if monitor.topic.positions[0] == row and not done:
            done.append(row)
            assert callable(action)
            action()

    monitor.at_poll = watch


def test_a_new_current_model_scores_from_the_next_batch_on(tmp_path: Path) -> None:
    first = save_model(tmp_path)
    monitor = Monitor(topic_of(mill_rows(150)), tmp_path)
    made: list[str] = []
    at_row(monitor, 50, lambda: made.append(save_model(tmp_path, level=9.0, now=later(1)).version))
    monitor.run()
    versions = [answer["model"] for answer in outputs_of(monitor.topic, "scores")]
    assert versions == [first.version] * 75 + made * 75
    scored = [answer for answer in outputs_of(monitor.topic, "scores")[75:100] if answer["score"]]
    assert {answer["threshold"] for answer in scored} == {9.0}, "the fixed level serves again after a reload"
    assert monitor.sample("sheetbreak_model_reloads_total", result="ok") == 1
    assert monitor.sample("sheetbreak_model_info", version=made[0], family="pca") == 1
    assert monitor.sample("sheetbreak_model_info", version=first.version, family="pca") is None


def test_rolling_back_is_a_reload_too(tmp_path: Path) -> None:
    first = save_model(tmp_path)
    second = save_model(tmp_path, level=9.0, now=later(1))
    monitor = Monitor(topic_of(mill_rows(100)), tmp_path)
    at_row(monitor, 25, lambda: use(tmp_path, first.version))
    monitor.run()
    versions = [answer["model"] for answer in outputs_of(monitor.topic, "scores")]
    assert versions == [second.version] * 50 + [first.version] * 50


def spoil(models: Path, version: str) -> None:
    graph = models / version / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])


def refused_models(models: Path, kind: str) -> None:
    if kind == "other schema":
        save_model(models, sensors=[*SENSORS, "x99"], now=later(1))
    elif kind == "altered":
        spoil(models, save_model(models, level=9.0, now=later(1)).version)
    else:
        (models / "current").unlink()


@pytest.mark.parametrize("kind", ["other schema", "altered", "no current"])
def test_an_unfit_model_is_refused_once_and_the_old_one_goes_on(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    save_model(tmp_path)
    expected = Monitor(topic_of(mill_rows(150)), tmp_path).run().topic.outputs
    monitor = Monitor(topic_of(mill_rows(150)), tmp_path)
    at_row(monitor, 25, lambda: refused_models(tmp_path, kind))
    monitor.run()
    assert monitor.topic.outputs == expected
    assert monitor.sample("sheetbreak_model_reloads_total", result="refused") == 1
    assert monitor.sample("sheetbreak_model_reloads_total", result="ok") == 0
    assert caplog.text.count("event=model-refused") == 1


def test_a_signal_tries_a_refused_model_again(tmp_path: Path) -> None:
    save_model(tmp_path)
    monitor = Monitor(topic_of(mill_rows(150)), tmp_path)
    second = save_model(tmp_path, level=9.0, now=later(1))
    graph = tmp_path / second.version / "model.onnx"
    whole = graph.read_bytes()
    spoil(tmp_path, second.version)

    def repaired() -> None:
        graph.write_bytes(whole)
        monitor.signals.reload = True

    at_row(monitor, 50, repaired)
    monitor.run()
    assert monitor.sample("sheetbreak_model_reloads_total", result="refused") == 1
    assert monitor.sample("sheetbreak_model_reloads_total", result="ok") == 1
    assert monitor.watch.model.version == second.version


def test_a_signal_reloads_before_the_next_look_at_the_link(tmp_path: Path) -> None:
    save_model(tmp_path)
    monitor = Monitor(topic_of(mill_rows(10)), tmp_path)
    second = save_model(tmp_path, level=9.0, now=later(1))
    monitor.signals.reload = True
    monitor.run()
    assert {answer["model"] for answer in outputs_of(monitor.topic, "scores")} == {second.version}


def test_a_model_seen_while_it_is_being_copied_is_taken_up_once_it_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`cp -r` of a directory of models makes the link before the files, and the files bit by bit."""
    elsewhere, models = tmp_path / "elsewhere", tmp_path / "models"
    save_model(models)
    version = save_model(elsewhere, level=9.0, now=later(1)).version
    names = [str(path.relative_to(elsewhere / version)) for path in (elsewhere / version).rglob("*") if path.is_file()]
    monitor = Monitor(topic_of(mill_rows(150)), models, max_records=5)
    (models / "link").symlink_to(version)
    pieces = [(name, half) for name in sorted(names, reverse=True) for half in (False, True)]

    def copy_on(_batch: Batch) -> None:
        monitor.clock.now += 2
        if monitor.topic.positions[0] == 10:
            (models / "link").rename(models / "current")
        elif monitor.topic.positions[0] > 10 and pieces:
            name, whole = pieces.pop(0)
            content = (elsewhere / version / name).read_bytes()
            (models / version).mkdir(exist_ok=True)
            (models / version / name).write_bytes(content if whole else content[: len(content) // 2])

    monitor.at_poll = copy_on
    monitor.run()
    assert monitor.watch.model.version == version
    assert monitor.sample("sheetbreak_model_reloads_total", result="ok") == 1
    assert caplog.text.count("event=model-refused") <= 2, "told as it changes, not at every look"


def test_a_model_that_could_not_be_read_is_tried_again(tmp_path: Path) -> None:
    """A share that is away and back: nothing of the artifact's own look need change."""
    save_model(tmp_path)
    monitor = Monitor(topic_of(mill_rows(150)), tmp_path, max_records=5)
    second = save_model(tmp_path, level=9.0, now=later(1))
    graph, away = tmp_path / second.version / "model.onnx", tmp_path / "away.onnx"
    graph.rename(away)
    graph.symlink_to(tmp_path / "not-mounted" / "model.onnx")

    def mount(_batch: Batch) -> None:
        monitor.clock.now += 2
        if monitor.topic.positions[0] == 100:
            (tmp_path / "not-mounted").mkdir(exist_ok=True)
            if away.exists():
                away.rename(tmp_path / "not-mounted" / "model.onnx")

    monitor.at_poll = mount
    monitor.run()
    assert monitor.sample("sheetbreak_model_reloads_total", result="refused") == 1
    assert monitor.watch.model.version == second.version


def test_a_candidate_that_was_refused_its_place_is_told_where_the_current_model_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = save_model(tmp_path)
    caplog.set_level("INFO")
    monitor = Monitor(topic_of(mill_rows(100)), tmp_path)

    def decided() -> None:
        record(tmp_path, "v2", decision="candidate", by="if-better", current=first.version, why="worse: AUC .48")

    at_row(monitor, 25, decided)
    monitor.run()
    assert caplog.text.count("event=model-decision version=v2 decision=candidate by='if-better'") == 1
    assert "why='worse: AUC .48'" in caplog.text
    assert monitor.sample("sheetbreak_promotion_info", version="v2", decision="candidate", by="if-better") == 1
    assert monitor.watch.model.version == first.version


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.write_bytes(
            b'{"time":"","version":"v","decision":"d","by":"b","gate":{"a":' + b"[" * 100_000
        ),
    ],
    ids=["a pipe", "endless", "nested without end"],
)
def test_a_journal_that_cannot_be_read_holds_up_no_row(tmp_path: Path, make: Callable[[Path], object]) -> None:
    save_model(tmp_path)
    expected = Monitor(topic_of(mill_rows(150)), tmp_path).run().topic.outputs
    monitor = Monitor(topic_of(mill_rows(150)), tmp_path)
    at_row(monitor, 25, lambda: make(tmp_path / JOURNAL))
    assert monitor.run().topic.outputs == expected
