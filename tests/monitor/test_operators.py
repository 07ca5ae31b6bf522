"""Operators' actions in the monitor: what each changes, until when, and that a crash loses and repeats none."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from monitor.operators import waiting_in
from sheetbreak.streams.memory import CommitPoint, MemoryTopic
from sheetbreak.wire.actions import encode_action, make_action
from tests.support.models.mill import PERIOD_US, SENSORS, START_US, mill_rows, save_model
from tests.support.programs.monitor_process import ALL, messages, run
from tests.support.programs.monitor_rig import Crash, CrashAt, Monitor, outputs_of, topic_of, with_cell

ROWS = 300
STUCK = range(120, 240)
"""Rows in which x3 is broken."""


def time_of(row: float) -> int:
    return START_US + round(row * PERIOD_US)


def act(action: str, *, row: float = 0, machine: str = "pm1", until: float | None = None, **fields: Any) -> bytes:
    until_us = None if until is None else time_of(until)
    return encode_action(make_action(machine, action, time_us=time_of(row), by="Aino", until_us=until_us, **fields))


def rows_with_x3_stuck() -> list[bytes]:
    rows = mill_rows(ROWS)
    return [with_cell(row, "x3", 40.0 + i % 2) if i in STUCK else row for i, row in enumerate(rows)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("operators") / "models"
    save_model(models, trailing_rows=1000)  # a fixed level: 1.5
    return models


def monitored(models: Path, *parts: tuple[Sequence[bytes], Sequence[bytes]]) -> tuple[MemoryTopic, Monitor]:
    """A monitor over actions and then rows, and then more of both."""
    topic = topic_of([])
    for actions, rows in parts:
        topic.say(actions)
        topic.feed(rows)
        monitor = Monitor(topic, models).run()
    return topic, monitor


def warned_by(topic: MemoryTopic, sensor: str) -> list[dict[str, Any]]:
    alerts = outputs_of(topic, "alerts")
    return [alert for alert in alerts if alert["kind"] == "opened" and alert["top"][0]["sensor"] == sensor]


def test_a_sensor_out_of_service_opens_no_alert_until_it_is_back(models: Path) -> None:
    rows = rows_with_x3_stuck()
    topic, _ = monitored(models, ([], rows))
    assert warned_by(topic, "x3")

    masked, monitor = monitored(models, ([act("mask", sensor="x3")], rows[:200]))
    assert not warned_by(masked, "x3")
    scores = outputs_of(masked, "scores")
    assert {tuple(score["masked"]) for score in scores} == {("x3",)}
    assert monitor.sample("sheetbreak_sensors_masked", machine="pm1") == 1
    assert not any(top["sensor"] == "x3" for score in scores for top in score.get("top", []) if top["share"])

    masked.say([act("unmask", sensor="x3")])
    masked.feed(rows[200:])
    monitor = Monitor(masked, models).run()
    assert warned_by(masked, "x3")[0]["time"] >= "1999-05-01T06:40:00Z"
    assert not any("masked" in score for score in outputs_of(masked, "scores")[200:])
    assert monitor.sample("sheetbreak_sensors_masked", machine="pm1") == 0


def test_a_mask_ends_by_the_rows_own_time(models: Path) -> None:
    topic, _ = monitored(models, ([act("mask", sensor="x3", until=200)], rows_with_x3_stuck()))
    scores = outputs_of(topic, "scores")
    assert [("masked" in score) for score in scores] == [i < 200 for i in range(ROWS)]
    assert warned_by(topic, "x3")[0]["time"] >= scores[200]["time"]


def test_what_a_masked_sensor_reads_changes_no_bit(models: Path) -> None:
    rows, mask = mill_rows(ROWS), [act("mask", sensor="x3")]
    plain = monitored(models, (mask, rows))[0].outputs
    wild = [with_cell(row, "x3", [None, 1e300, "Bad", -7][i % 4]) for i, row in enumerate(rows)]
    assert monitored(models, (mask, wild))[0].outputs == plain


def test_an_acknowledged_alert_says_so_to_its_end_and_the_next_does_not(models: Path) -> None:
    rows = rows_with_x3_stuck()
    topic, _ = monitored(models, ([], rows[:125]))
    opened = outputs_of(topic, "alerts")[-1]
    assert opened["kind"] != "closed"
    topic.say(
        [act("acknowledge", row=125, alert_id="another"), act("acknowledge", row=125, alert_id=opened["alert_id"])]
    )
    topic.feed(rows[125:])
    monitor = Monitor(topic, models).run()
    alerts = outputs_of(topic, "alerts")
    mine = [alert for alert in alerts if alert["alert_id"] == opened["alert_id"]]
    before, after = mine[: mine.index(opened) + 1], mine[mine.index(opened) + 1 :]
    assert [alert["kind"] for alert in after][-1] == "closed"
    assert {json.dumps(alert["acknowledged"]) for alert in after} == {'{"by": "Aino", "time": "1999-05-01T04:10:00Z"}'}
    assert not any("acknowledged" in alert for alert in alerts if alert not in after)
    assert before
    assert monitor.sample("sheetbreak_alert_acknowledged", machine="pm1") == 0


def test_a_shelved_machines_alerts_are_published_and_say_until_when(models: Path) -> None:
    rows = rows_with_x3_stuck()
    topic, monitor = monitored(models, ([act("shelve", until=130)], rows[:125]))
    assert monitor.sample("sheetbreak_alert_shelved", machine="pm1") == 1
    assert monitor.sample("sheetbreak_alert_open", machine="pm1") == 1
    topic.feed(rows[125:])
    monitor = Monitor(topic, models).run()
    until = "1999-05-01T04:20:00Z"
    alerts = outputs_of(topic, "alerts")
    assert {alert.get("shelved_until") for alert in alerts if alert["time"] < until} == {until}
    assert {alert.get("shelved_until") for alert in alerts if alert["time"] >= until} == {None}
    assert monitor.sample("sheetbreak_alert_shelved", machine="pm1") == 0
    plain = monitored(models, ([], rows))[0]
    assert [alert | {"shelved_until": 0} for alert in alerts] == [
        alert | {"shelved_until": 0} for alert in outputs_of(plain, "alerts")
    ]


def test_an_action_that_is_over_by_the_rows_own_time_is_told(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    monitored(models, ([], mill_rows(60)), ([act("shelve", until=30), act("mask", sensor="x3")], []))
    events = [record.getMessage() for record in caplog.records if "event=action" in record.getMessage()]
    over, done = events
    assert over.startswith("event=action-over machine=pm1 action=shelve by='Aino' ")
    assert "it ends at 1999-05-01T01:00:00Z, and the machine's rows are at 1999-05-01T01:58:00Z" in over
    assert done == "event=action machine=pm1 action=mask by='Aino'"


def test_an_acknowledgement_of_no_open_alert_is_told(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rows = rows_with_x3_stuck()
    early, named, heard = act("acknowledge"), act("acknowledge", alert_id="a1"), act("acknowledge")
    monitored(models, ([early, named], rows[:125]), ([heard], rows[125:130]))
    events = [record.getMessage() for record in caplog.records if "event=action" in record.getMessage()]
    assert events == [
        "event=action-idle machine=pm1 action=acknowledge by='Aino' note='no alert is open'",
        "event=action-idle machine=pm1 action=acknowledge by='Aino' note='alert a1 is not open'",
        "event=action machine=pm1 action=acknowledge by='Aino'",
    ]


def test_every_refused_action_is_told_with_its_reason(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    monitored(models, ([act("mask", sensor="x99"), act("unmask", sensor="x98")], mill_rows(60)))
    told = [record.getMessage() for record in caplog.records if "event=action-refused" in record.getMessage()]
    assert ["machine=pm1" in line for line in told] == [True] * 2
    assert "the model knows no sensor 'x99'; it has x1, x2" in told[0]
    assert "'x98'" in told[1]


def test_unshelving_ends_a_shelf_and_verdicts_and_causes_are_counted(models: Path) -> None:
    said = [
        act("shelve", until=900),
        act("unshelve"),
        act("verdict", alert_id="a1", verdict="false"),
        act("verdict", alert_id="a2", verdict="true"),
        act("cause", cause="hole in the felt"),
    ]
    topic, monitor = monitored(models, (said, rows_with_x3_stuck()))
    assert topic.outputs == monitored(models, ([], rows_with_x3_stuck()))[0].outputs
    assert monitor.sample("sheetbreak_alert_shelved", machine="pm1") == 0
    assert monitor.sample("sheetbreak_verdicts_total", machine="pm1", verdict="false") == 1
    assert monitor.sample("sheetbreak_actions_total", machine="pm1", action="cause") == 1


def test_a_verdict_counts_in_the_odds_of_the_next_alert_for_what_followed(models: Path) -> None:
    rows = rows_with_x3_stuck()
    unjudged, plainly = monitored(models, ([], rows))
    plain = outputs_of(unjudged, "alerts")
    ids = [alert["alert_id"] for alert in plain if alert["kind"] == "opened"]
    assert len(ids) > 1
    early = next(i for i, row in enumerate(outputs_of(unjudged, "scores")) if row["over"]) + 1
    topic = topic_of(rows[:early])
    Monitor(topic, models).run()
    said = [act("verdict", row=early, alert_id=ids[0], verdict=word) for word in ("false", "true")]
    topic.say([*said, act("verdict", row=early, alert_id="of another model", verdict="false")])
    topic.feed(rows[early:])
    monitor = Monitor(topic, models).run()  # after a restart: what was judged came from the kept state
    alerts = outputs_of(topic, "alerts")
    assert [alert | {"odds": 0, "message": 0} for alert in alerts] == [
        alert | {"odds": 0, "message": 0} for alert in plain
    ]
    second = next(alert for alert in alerts if alert["alert_id"] == ids[1])
    assert second["odds"]["judged"] == 1
    assert "judged by operators" in second["message"]
    assert "judged" not in json.dumps(plain)
    assert monitor.sample("sheetbreak_verdict_precision_ratio", machine="pm1") == 1
    assert plainly.sample("sheetbreak_verdict_precision_ratio", machine="pm1") is None
    right = [one.sample("sheetbreak_warnings_true_ratio", machine="pm1") or 0.0 for one in (monitor, plainly)]
    assert right[0] > right[1]


def test_a_bad_action_is_a_dead_letter_and_the_rows_go_on(models: Path) -> None:
    bad = [b"{", b'{"machine":"pm1"}', act("mask", sensor="x99"), *(act("mask", sensor=name) for name in SENSORS)]
    topic, monitor = monitored(models, (bad, mill_rows(40)))
    letters = outputs_of(topic, "dead-letters")
    reasons = [letter["reason"] for letter in letters]
    assert reasons == ["not-json", "not-an-action", "not-an-action", *["not-an-action"] * (len(SENSORS) - 3)]
    assert "knows no sensor 'x99'; it has x1, x2" in letters[2]["message"]
    assert "more than half of the 6 sensors" in letters[3]["message"]
    assert len(outputs_of(topic, "scores")) == 40
    assert monitor.sample("sheetbreak_actions_total", machine="pm1", action="refused") == 5
    assert monitor.sample("sheetbreak_rows_total", machine="pm1", outcome="dead_letter") == 0


def test_a_machine_may_be_ordered_before_its_first_row(models: Path) -> None:
    topic, monitor = monitored(models, ([act("mask", sensor="x3", machine="pm2")], []))
    assert monitor.sample("sheetbreak_machine_state", machine="pm2", state="warming_up") == 1
    topic.feed(mill_rows(30, machine="pm2"))
    monitor = Monitor(topic, models).run()
    assert {tuple(score["masked"]) for score in outputs_of(topic, "scores")} == {("x3",)}
    assert monitor.sample("sheetbreak_cold_starts_total", machine="pm2", why="new") == 1


def test_a_crash_at_any_commit_loses_and_repeats_no_action(models: Path) -> None:
    said = [act("mask", sensor="x3", until=200), b"{", act("shelve", until=130)]

    def fresh() -> MemoryTopic:
        topic = topic_of(rows_with_x3_stuck()[:150])
        topic.say(said)
        return topic

    whole = fresh()
    Monitor(whole, models).run()
    points: tuple[CommitPoint, ...] = ("before", "during", "after")
    for commit in range(6):
        for point in points:
            topic = fresh()
            with pytest.raises(Crash):
                Monitor(topic, models, at_commit=CrashAt(commit, point)).run()
            Monitor(topic, models).run()
            assert topic.outputs == whole.outputs, (commit, point)
            assert topic.kept == whole.kept


@pytest.fixture
def mill(tmp_path: Path) -> Path:
    save_model(tmp_path / "models", trailing_rows=1000)
    (tmp_path / "rows.ndjson").write_bytes(b"\n".join(rows_with_x3_stuck()) + b"\n")
    return tmp_path


def write(path: Path, *actions: bytes, encoding: str = "utf-8") -> None:
    path.write_bytes("".join(action.decode() + "\r\n" for action in actions).encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_action_of_a_file_is_done_when_a_row_reaches_its_time(mill: Path, encoding: str) -> None:
    """Whatever their order in the file, and whatever shell wrote it."""
    actions = act("unmask", row=180.5, sensor="x3"), b"nonsense", act("mask", row=50, sensor="x3")
    write(mill / "actions.ndjson", *actions, act("mask", row=900, sensor="x1"), encoding=encoding)
    done = run("rows.ndjson", "--actions", "actions.ndjson", "--emit", ALL)
    assert done.returncode == 0
    said = messages(done.stdout)
    scores = [one for one in said if one["topic"] == "scores"]
    assert [("masked" in score) for score in scores] == [50 <= i < 181 for i in range(ROWS)]
    letters = [one for one in said if one["topic"] == "dead-letters"]
    assert [letter["source"] for letter in letters] == [{"file": "actions.ndjson", "line": 2}]
    assert b"event=actions-waiting count=1" in done.stderr


def test_rows_and_actions_that_come_later_go_on_where_the_state_stands(mill: Path) -> None:
    rows = (mill / "rows.ndjson").read_bytes().splitlines(keepends=True)
    actions = [act("mask", row=50, sensor="x3"), act("shelve", row=60, until=250), act("unmask", row=220, sensor="x3")]
    write(mill / "all.ndjson", *actions)
    expected = run("rows.ndjson", "--actions", "all.ndjson", "--emit", ALL).stdout
    found = b""
    for first, last, known in ((0, 55, 1), (55, 58, 3), (58, 221, 3), (221, ROWS, 3)):
        with (mill / "grown.ndjson").open("ab") as grown:
            grown.writelines(rows[first:last])
        write(mill / "some.ndjson", *actions[:known])
        found += run("grown.ndjson", "--actions", "some.ndjson", "--emit", ALL, "--state", "state").stdout
    assert found == expected
    assert expected.count(b'"shelved_until"') > 0


def test_actions_beside_a_topic_and_a_folder_of_them_are_refused(mill: Path) -> None:
    done = run("kafka://localhost:1/sensor-rows", "--actions", "actions.ndjson")
    assert (done.returncode, b"on Kafka the topic operator-actions" in done.stderr) == (2, True)
    done = run("rows.ndjson", "--actions", str(mill))
    assert (done.returncode, b"is a directory; name a file" in done.stderr) == (2, True)


def test_a_waiting_action_whose_record_cannot_be_read_is_told_and_the_others_are_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Somebody else's record in the state: a monitor that could not start again would help nobody."""
    key, good = b"\0action\0", act("mask", sensor="x3")
    found = waiting_in({key + b"1": good, key + b"x": good, key + b"2": b"{", key + b"3": b"\xff"}, partition=0)
    assert [one.record.offset for one in found["pm1"]] == [1]
    assert ["event=action-dropped partition=0" in record.message for record in caplog.records] == [True] * 3
