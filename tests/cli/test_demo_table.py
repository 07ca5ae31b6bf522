"""The demo's last word: what counts as warned, false and named, on alerts made by hand."""

from typing import Any

from sheetbreak.cli.demo.table import PERIOD_US, Break, demo_table, episodes
from sheetbreak.times import format_time

HOUR_ROWS = 30


def event(kind: str, row: int, *, opened: int, sensors: str = "") -> dict[str, Any]:
    return {
        "alert_id": f"a{opened}",
        "kind": kind,
        "time": format_time(row * PERIOD_US),
        "opened_at": format_time(opened * PERIOD_US),
        "top": [{"sensor": s} for s in sensors.split()],
    }


def alert(opened: int, closed: int, sensors: str = "x1") -> list[dict[str, Any]]:
    return [event("opened", opened, opened=opened, sensors=sensors), event("closed", closed, opened=opened)]


def break_at(row: int, sensors: str = "x1 x2") -> Break:
    return Break(row, "a-cause", frozenset(sensors.split()), row * PERIOD_US)


def figure(table: str, name: str) -> str:
    return next(line for line in table.splitlines() if name in line)[42:]


def test_an_alert_open_within_the_hour_before_a_break_has_warned_of_it() -> None:
    events = alert(60, 100 - HOUR_ROWS)
    table = demo_table([break_at(100)], events, operating_days=1)
    assert figure(table, "warned (alert open").split()[0] == "1"
    assert figure(table, "false alarms").split() == ["0.0"]


def test_an_alert_that_ended_more_than_an_hour_before_is_a_false_alarm() -> None:
    events = alert(60, 100 - HOUR_ROWS - 1)
    table = demo_table([break_at(100)], events, operating_days=2)
    assert figure(table, "warned (alert open").split()[0] == "0"
    assert figure(table, "false alarms").split() == ["0.5"]
    assert figure(table, "lead time").split() == ["-"]


def test_an_alert_that_opens_at_the_break_has_warned_of_nothing() -> None:
    table = demo_table([break_at(100)], alert(100, 110), operating_days=1)
    assert figure(table, "warned (alert open").split()[0] == "0"


def test_the_lead_is_that_of_the_last_warning_and_all_warnings_name_sensors() -> None:
    events = alert(80, 85, "x9 x2") + alert(95, 100, "x1")
    table = demo_table([break_at(100)], events, operating_days=1)
    assert "10 min  x2 x1" in table
    assert figure(table, "warnings that name").split() == ["1", "of", "1"]


def test_a_break_without_a_precursor_is_not_held_against_the_naming() -> None:
    table = demo_table([break_at(100, ""), break_at(300)], alert(95, 100, "x7"), operating_days=1)
    assert figure(table, "with a precursor").split() == ["0", "of", "1"]
    assert figure(table, "warnings that name").split() == ["0", "of", "0"]


def test_alarms_that_never_end_warn_by_chance_as_much_as_in_fact() -> None:
    breaks = [break_at(row) for row in (100, 400, 700)]
    table = demo_table(breaks, alert(1, 720), operating_days=1)
    assert figure(table, "warned (alert open").split() == ["3", "by", "chance", "3.0"]


def test_no_alert_and_no_break_make_a_table_too() -> None:
    assert figure(demo_table([], [], operating_days=1), "breaks in").split() == ["0"]


def test_an_alert_still_open_lasts_to_its_last_event() -> None:
    updated = [event("opened", 10, opened=10, sensors="x1"), event("updated", 30, opened=10, sensors="x4 x1")]
    (episode,) = episodes(updated)
    assert (episode.opened_us, episode.closed_us) == (10 * PERIOD_US, 30 * PERIOD_US)
    assert episode.sensors == ("x1", "x4")
