"""Alarm performance: how much the alarms ask of the shift, against the bounds of EEMUA 191 and ISA-18.2.

The bounds are for one operator and all alarms of his console; ours are a part of them.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from desk.pages.page import Page, Params, whole
from desk.service import Desk
from desk.store.alarms import Alarm, list_alarms, period_us, shelf
from desk.store.breaks import list_breaks
from sheetbreak.engine.alerts import WARNED_ROWS

_DAY_US, _TEN_MINUTES_US = 86_400_000_000, 600_000_000
_MOST = 20_000
FLOOD, CHATTER = 10, 3
"""More than so many alarms in ten minutes are a flood; so many of one machine within WARNED_ROWS rows are chatter."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table."""

    what: str
    here: str
    bound: str
    met: bool | None
    """None: there is no bound."""


def performance_page(desk: Desk, params: Params) -> Page:
    """Over the last `days` of the newest row."""
    days = whole(params, "days", default=30, most=366)
    standings = desk.board.standings(desk.now_ms())
    now_us = max((one.row_us for one in standings), default=0)
    since_us = now_us - days * _DAY_US
    with desk.store.reading() as db:
        alarms = list_alarms(db, since_us=since_us, limit=_MOST)
        first_us = _first_us(db, since_us, now_us)
        periods = {one.machine: period_us(db, one.machine) for one in standings}
        shelved = {one.machine: until for one in standings if (until := shelf(db, one.machine)) is not None}
        breaks = list_breaks(db, since_us=since_us, limit=_MOST)
    seen_days = max((now_us - first_us) / _DAY_US, 1e-9)
    verdicts = Counter(one.verdict.verdict for one in alarms if one.verdict is not None)
    standing = [one for one in alarms if one.is_open and now_us - one.opened_us > _DAY_US]
    judged = verdicts["true"] + verdicts["false"]
    return Page(
        "performance.html",
        title="alarm performance",
        fill={
            "days": days,
            "seen_days": seen_days,
            "alarms": len(alarms),
            "measures": _measures(
                alarms, first_us, now_us, periods=periods, shelved=len(shelved), standing=len(standing)
            ),
            "actors": Counter(one.machine for one in alarms).most_common(10),
            "sensors": Counter(one.top[0].sensor for one in alarms if one.top).most_common(10),
            "standing": standing,
            "shelved": shelved,
            "verdicts": verdicts,
            "precision": verdicts["true"] / judged if judged else None,
            "judged": judged,
            "breaks": len(breaks),
            "warned": Counter(one.warned for one in breaks),
        },
    )


def _first_us(db: sqlite3.Connection, since_us: int, now_us: int) -> int:
    """Where what is looked at begins: there may be fewer days than were asked for."""
    found = [
        db.execute(f"SELECT min({column}) FROM {table} WHERE {column} >= ?", (since_us,)).fetchone()[0]  # noqa: S608
        for table, column in (("scores", "time_us"), ("alerts", "opened_us"))
    ]
    return min((one for one in found if one is not None), default=now_us)


def _measures(
    alarms: Sequence[Alarm], first_us: int, now_us: int, *, periods: dict[str, int], shelved: int, standing: int
) -> list[Measure]:
    days = max((now_us - first_us) / _DAY_US, 1.0)
    per_day = len(alarms) / days
    daily = Counter((one.opened_us - first_us) // _DAY_US for one in alarms)
    windows = Counter(one.opened_us // _TEN_MINUTES_US for one in alarms)
    every = max((now_us - first_us) // _TEN_MINUTES_US, 1)
    flooded = sum(count > FLOOD for count in windows.values())
    chatter = chattering(alarms, periods)
    most = Counter(one.machine for one in alarms).most_common(1)
    share = most[0][1] / len(alarms) if alarms else 0.0
    busiest, peak = max(daily.values(), default=0), max(windows.values(), default=0)
    return [
        Measure("alarms a day, on average", f"{per_day:.1f}", "at most 144 (300 can just be managed)", per_day <= 144),
        Measure("alarms on the busiest day", f"{busiest}", "at most 300", busiest <= 300),
        Measure(
            "alarms in 10 minutes, on average", f"{len(alarms) / every:.3f}", "at most 1", len(alarms) / every <= 1
        ),
        Measure("alarms in the busiest 10 minutes", f"{peak}", f"at most {FLOOD}", peak <= FLOOD),
        Measure("time in flood", f"{flooded / every:.2%}", "below 1 %", flooded / every < 0.01),
        Measure("chattering machines", ", ".join(chatter) or "none", "none", not chatter),
        Measure("standing alarms, open for more than a day", f"{standing}", "fewer than 5", standing < 5),
        Measure("shelved machines", f"{shelved}", "each with an end: they have one", None),
        Measure("share of the machine with most alarms", f"{share:.0%}", "", None),
    ]


def chattering(alarms: Sequence[Alarm], periods: dict[str, int]) -> list[str]:
    """Machines with CHATTER alarms opened within WARNED_ROWS rows."""
    opened: dict[str, list[int]] = defaultdict(list)
    for one in alarms:
        opened[one.machine].append(one.opened_us)
    found = []
    for machine, times in opened.items():
        times.sort()
        near_us = WARNED_ROWS * periods.get(machine, 120_000_000)
        spans = (later - first for first, later in zip(times, times[CHATTER - 1 :], strict=False))
        if any(span <= near_us for span in spans):
            found.append(machine)
    return sorted(found)
