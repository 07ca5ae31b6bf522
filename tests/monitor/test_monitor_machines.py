"""Machines that come and go: ever new names leave nothing behind, and one long silent goes on as if it had not been."""

from pathlib import Path
from typing import Any

import pytest

from monitor.machines import SILENT_DAYS
from monitor.metrics.metrics import NAMED_UNSCORED
from sheetbreak.streams.protocol import Batch
from tests.support.models.mill import mill_rows, save_model
from tests.support.programs.monitor_rig import Monitor, outputs_of, topic_of

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_model(folder)
    return folder


def serial_numbers(count: int) -> list[bytes]:
    """A feed that names its coils, not its machine: each row of a new one."""
    (row,) = mill_rows(1, machine="coil-XXXXXX")
    return [row.replace(b"XXXXXX", b"%06d" % i) for i in range(count)]


def machines_kept(monitor: Monitor) -> set[bytes]:
    return {key.split(b"\0")[0] for parts in monitor.topic.kept for key in parts}


def series(monitor: Monitor) -> int:
    return sum(len(list(family.samples)) for family in monitor.registry.collect())


def test_ever_new_names_are_forgotten_in_memory_metrics_and_state_and_told_once(
    models: Path, caplog: pytest.LogCaptureFixture
):
    few, many = (Monitor(topic_of(serial_numbers(n)), models, max_machines=50).run() for n in (400, 4000))
    assert [answer["state"] for answer in outputs_of(many.topic, "scores")] == ["warming-up"] * 4000
    for monitor in (few, many):
        assert len(machines_kept(monitor)) <= 50 + monitor.max_records, "those of the last batch go with the next"
    assert series(many) == series(few)
    assert many.sample("sheetbreak_rows_total", machine="coil-003999", outcome="warming_up") == 1
    told = [record.message for record in caplog.records if "too-many-machines" in record.message]
    assert len(told) == 2, "once by each monitor"
    assert "limit=50" in told[0]
    assert "--max-machines" in told[0]


def test_a_machine_among_ever_new_names_is_scored_as_if_it_were_alone(models: Path):
    rows, names = mill_rows(150), serial_numbers(150 * 20)
    mixed = [value for i, row in enumerate(rows) for value in (*names[20 * i : 20 * i + 20], row)]
    alone = Monitor(topic_of(rows), models).run().topic.outputs
    among = Monitor(topic_of(mixed), models, max_machines=50).run().topic.outputs
    assert [output for output in among if output.key == b"pm1"] == alone


def test_a_forgotten_name_that_comes_again_starts_cold_and_its_state_is_whole(models: Path):
    rows = mill_rows(60)
    topic = topic_of([*rows[:10], *serial_numbers(100), *rows[10:]])
    first = Monitor(topic, models, max_machines=20).run()
    states = [answer["state"] for answer in outputs_of(first.topic, "scores") if answer["machine"] == "pm1"]
    assert states[:30] == ["warming-up"] * 30, "20 of them once more"
    assert "scored" in states
    restored = Monitor(topic, models).run()
    assert restored.sample("sheetbreak_alert_open", machine="pm1") is not None


def test_names_beyond_a_thousand_have_series_only_once_they_are_scored(models: Path):
    monitor = Monitor(topic_of([*serial_numbers(3 * NAMED_UNSCORED), *mill_rows(60)]), models, max_records=500).run()
    assert monitor.sample("sheetbreak_rows_total", machine="coil-002999", outcome="warming_up") is None
    unnamed = monitor.sample("sheetbreak_rows_total", machine="", outcome="warming_up")
    assert unnamed == 2 * NAMED_UNSCORED + 20, "also pm1's own before it was scored"
    assert monitor.sample("sheetbreak_score_ratio", machine="pm1") is not None
    assert sum(sample.value for sample in _rows_total(monitor)) == 3 * NAMED_UNSCORED + 60


def _rows_total(monitor: Monitor) -> list[Any]:
    families = {family.name: family for family in monitor.registry.collect()}
    return [sample for sample in families["sheetbreak_rows"].samples if sample.name == "sheetbreak_rows_total"]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_machine_silent_for_weeks_leaves_memory_and_goes_on_to_the_bit(models: Path, *, restarted: bool):
    rows, others = mill_rows(200, breaks=(90,)), mill_rows(200, machine="pm2", seed=8)
    feed = [*rows[:120], *others, *rows[120:]]
    expected = Monitor(topic_of(feed), models).run().topic.outputs
    topic = topic_of(feed, ended=False)
    monitor = Monitor(topic, models)
    seen: dict[str, list[object]] = {"open": [], "asleep": []}

    def pass_the_time(_batch: Batch) -> None:
        at = topic.positions[0]
        if at in (150, 225):
            monitor.clock.now += (SILENT_DAYS * 0.6) * DAY_S
        elif at == 300:
            seen["open"].append(monitor.sample("sheetbreak_alert_open", machine="pm1"))
            seen["asleep"].append(sorted(monitor.loop._machines.states_of(0, [])))
            if restarted:
                monitor.signals.stopping = True
        topic.ended = True

    monitor.at_poll = pass_the_time
    monitor.run()
    if restarted:
        Monitor(topic, models).run()
    assert seen["open"][0] is None, "its series are gone, so no rule fires for it"
    assert seen["asleep"][0] == ["pm2"]
    assert topic.outputs == expected
