"""Series of a machine for plots: as many points as the plot has room for, the highest of each stretch."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from desk.messages import TopSensor

_TOP_ROWS = 3000
_tops = msgspec.json.Decoder(tuple[TopSensor, ...])


class Point(NamedTuple):
    """The highest score of a stretch of time, and the level there."""

    time_us: int
    score: float
    level: float | None


class Reading(NamedTuple):
    """What a sensor showed, and what was expected."""

    time_us: int
    observed: float
    expected: float


@dataclass(frozen=True, slots=True)
class SensorSeries:
    """A sensor among the leading ones."""

    sensor: str
    unit: str
    readings: tuple[Reading, ...]


def score_points(db: sqlite3.Connection, machine: str, start_us: int, end_us: int, *, most: int) -> list[Point]:
    """In order of time; stretches without a score are absent."""
    step = max((end_us - start_us) // most, 1)
    rows = db.execute(
        "SELECT max(time_us), max(score), avg(threshold) FROM scores WHERE machine = ? AND time_us BETWEEN ? AND ? "
        "AND score NOT NULL GROUP BY time_us / ? ORDER BY 1",
        (machine, start_us, end_us, step),
    ).fetchall()
    return [Point(*row) for row in rows]


def list_grades(db: sqlite3.Connection, machine: str, *, limit: int) -> list[tuple[int, str]]:
    """From when on a machine has made each grade, the newest first; the first grade that it made is not told."""
    rows = db.execute(
        "SELECT time_us, grade FROM grades WHERE machine = ? ORDER BY time_us DESC LIMIT ?", (machine, limit)
    ).fetchall()
    return [(time_us, grade) for time_us, grade in rows]


def leading_sensors(
    db: sqlite3.Connection, machine: str, start_us: int, end_us: int, *, most: int
) -> list[SensorSeries]:
    """Those with the largest shares in the scores over the level; the monitor names sensors only there."""
    rows = db.execute(
        "SELECT time_us, top FROM scores WHERE machine = ? AND time_us BETWEEN ? AND ? AND top NOT NULL "
        "ORDER BY time_us DESC LIMIT ?",
        (machine, start_us, end_us, _TOP_ROWS),
    ).fetchall()
    shares: dict[str, float] = defaultdict(float)
    readings: dict[str, list[Reading]] = defaultdict(list)
    units: dict[str, str] = {}
    for time_us, text in reversed(rows):
        for top in _tops.decode(text):
            if top.observed is None or top.expected is None:
                continue
            shares[top.sensor] += top.share
            readings[top.sensor].append(Reading(time_us, top.observed, top.expected))
            units[top.sensor] = top.unit
    leading = sorted(shares, key=lambda name: (-shares[name], name))[:most]
    return [SensorSeries(name, units[name], tuple(readings[name])) for name in leading]
