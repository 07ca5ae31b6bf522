"""Alerts as Alertmanager's API takes them: what a person on call needs to know, and a link."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

from desk.clock import PlantClock
from desk.messages import TopSensor
from desk.store.alarms import Alarm
from sheetbreak.times import EPOCH

NAME = "SheetbreakAlert"
_HELD_MS = 30 * 86_400_000
"""Alertmanager resolves what has no end after five minutes without a word; only the monitor's word ends an alert."""


def as_posted(
    alarm: Alarm, *, clock: PlantClock, origin: str, now_ms: int, opened_ms: int, closed_ms: int | None
) -> dict[str, Any]:
    """One alert; its labels never change, so that it stays the same.

    opened_ms, closed_ms: when that was told, on the wall clock, which Alertmanager goes by.
    """
    ends_ms = now_ms + _HELD_MS if closed_ms is None else min(closed_ms, now_ms)
    link = f"{origin}/alarm?id={quote(alarm.alert_id, safe='')}" if origin else ""
    annotations = {
        "summary": alarm.message,
        "sensors": "; ".join(_reading(one) for one in alarm.top),
        "severity": "critical" if alarm.critical else "warning",
        "plant_time": f"{clock.date_and_time(alarm.opened_us)} {clock.name}",
        "odds": "" if alarm.odds is None else alarm.odds.words,
        "link": link,
        "runbook_url": f"{origin}/runbook#sheetbreakbreakwarning" if origin else "",
        "ended": alarm.events[-1].message if alarm.events and closed_ms is not None else "",
    }
    alert: dict[str, Any] = {
        "labels": {
            "alertname": NAME,
            "audience": "operators",
            "machine": alarm.machine,
            "alert_id": alarm.alert_id,
            "subject": alarm.subject,
        },
        "annotations": {name: text for name, text in annotations.items() if text},
        "startsAt": _wall(min(opened_ms, ends_ms)),
        "endsAt": _wall(ends_ms),
    }
    return alert | ({"generatorURL": link} if link else {})


def _wall(at_ms: int) -> str:
    return (EPOCH + timedelta(milliseconds=at_ms)).isoformat()


def _reading(top: TopSensor) -> str:
    return f"{top.sensor} reads {_value(top.observed, top.unit)}, expected {_value(top.expected, top.unit)}"


def _value(value: float | None, unit: str) -> str:
    return "nothing" if value is None else f"{value:.4g} {unit}".rstrip()
