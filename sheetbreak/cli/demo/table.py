"""Table of the demo: breaks and warnings, beside the causes that the simulator wrote down."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from sheetbreak.engine.alerts import WARNED_ROWS
from sheetbreak.times import format_time, parse_time

PERIOD_US = 120_000_000
"""The simulator's sampling period."""
REACH_US = WARNED_ROWS * PERIOD_US
NO_CAUSE = "none"
_SHIFTS = 200


@dataclass(frozen=True, slots=True)
class Break:
    """One simulated break."""

    row: int
    cause: str
    sensors: frozenset[str]
    """Those that show the precursor; empty when there is none."""
    time_us: int = 0

    def at(self, time_us: int) -> "Break":
        """The same break with its time."""
        return replace(self, time_us=time_us)


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert from opening to end."""

    opened_us: int
    closed_us: int
    sensors: tuple[str, ...]
    """The top sensors of all its events."""

    def warns(self, time_us: int) -> bool:
        """Whether it was open within the 30 rows before a break at `time_us`."""
        return self.opened_us < time_us and self.closed_us >= time_us - REACH_US


def read_causes(path: Path) -> list[Break]:
    """The breaks of a simulated mill, from its causes file."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Break(int(line["row"]), line["cause"], frozenset(line["sensors"].split())) for line in csv.DictReader(file)
        ]


def episodes(events: Sequence[Mapping[str, Any]]) -> list[Episode]:
    """Alerts from their events; one still open counts as closed at its last event."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        grouped.setdefault(event["alert_id"], []).append(event)
    return [
        Episode(
            parse_time(found[0]["opened_at"]),
            parse_time(found[-1]["time"]),
            tuple(dict.fromkeys(top["sensor"] for event in found for top in event["top"])),
        )
        for found in grouped.values()
    ]


def demo_table(breaks: Sequence[Break], events: Sequence[Mapping[str, Any]], *, operating_days: float) -> str:
    """The demo's last word: a line a break, and the sums with what chance would give."""
    alerts = episodes(events)
    lines = [f"{'break at':<22}{'cause':<20}{'warned':>9}  named of the cause's sensors"]
    named = warned_with_cause = 0
    leads = []
    for b in breaks:
        warnings = [alert for alert in alerts if alert.warns(b.time_us)]
        hits = [s for s in dict.fromkeys(s for w in warnings for s in w.sensors) if s in b.sensors]
        if warnings:
            leads.append((b.time_us - warnings[-1].opened_us) / 60e6)  # the last one's: the others had gone quiet
            warned_with_cause += bool(b.sensors)
            named += bool(hits)
        lead = f"{leads[-1]:.0f} min" if warnings else "no"
        lines.append(f"{format_time(b.time_us):<22}{b.cause:<20}{lead:>9}  {' '.join(hits[:5]) or '-'}")
    false = sum(not any(a.warns(b.time_us) for b in breaks) for a in alerts)
    with_precursor = [b for b in breaks if b.sensors]
    lines += [
        "",
        f"{'breaks in the replayed period':<42}{len(breaks):>6}",
        f"{'  warned (alert open in the hour before)':<42}{len(leads):>6}   by chance {_chance(breaks, alerts):.1f}",
        f"{'  of those with a precursor':<42}{warned_with_cause:>6}   of {len(with_precursor)}",
        f"{'lead time, median (minutes)':<42}{f'{median(leads):.0f}' if leads else '-':>6}",
        f"{'false alarms a day of operation':<42}{false / operating_days:>6.1f}",
        f"{'warnings that name a sensor of the cause':<42}{named:>6}   of {warned_with_cause}",
    ]
    return "\n".join(lines)


def _chance(breaks: Sequence[Break], alerts: Sequence[Episode]) -> float:
    """Breaks warned on average when the same alerts are shifted around the period: what their mere number gives."""
    if not breaks or not alerts:
        return 0.0
    start = min(a.opened_us for a in alerts)
    span = max(*(a.closed_us for a in alerts), *(b.time_us for b in breaks)) - start + REACH_US
    warned = 0
    for k in range(1, _SHIFTS + 1):
        by = k * span // (_SHIFTS + 1)
        moved = [start + (b.time_us - start + by) % span for b in breaks]
        warned += sum(any(a.warns(time_us) for a in alerts) for time_us in moved)
    return warned / _SHIFTS
