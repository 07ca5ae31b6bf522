"""Overview: a tile a machine and a swim lane of them all: is the sheet safe, and if not, where, since when, and why."""

import sqlite3
from dataclasses import dataclass

from desk.board import LANE_US, Standing
from desk.messages import TopSensor
from desk.pages.page import Page, Params
from desk.plots.lanes import Lane, draw_lanes, runs_of
from desk.service import Desk
from desk.store.alarms import Alarm, find_alarm, shelf

_LEADING = 3


@dataclass(frozen=True, slots=True)
class Tile:
    """One machine."""

    standing: Standing
    alarm: Alarm | None
    leading: tuple[TopSensor, ...]
    shelved_until_us: int | None
    lasting_us: int


def overview_page(desk: Desk, _params: Params) -> Page:
    """All machines, the most urgent first."""
    standings = desk.board.standings(desk.now_ms())
    with desk.store.reading() as db:
        ends = [one.row_us for one in standings if one.row_us and one.state not in ("no rows", "not watched")]
        end_us = max(ends or [one.row_us for one in standings], default=0)
        tiles = [_tile(db, one, end_us) for one in standings]
        lanes = _lanes(db, sorted(standings, key=lambda one: one.machine), end_us) if end_us else []
    counts: dict[str, int] = {}
    for one in standings:
        counts[one.state] = counts.get(one.state, 0) + 1
    warning = counts.get("WARNING", 0)
    held = sum(one.held == "WARNING" for one in standings)
    return Page(
        "overview.html",
        title=f"{warning} WARNING" if warning else "overview",
        fill={
            "tiles": tiles,
            "counts": counts,
            "warning": warning,
            "held": held,
            "watched": sum(one.state not in ("no rows", "not watched") for one in standings),
            "end_us": end_us,
            "wide": draw_lanes(lanes, end_us, clock=desk.clock, width=1216) if lanes else "",
            "narrow": draw_lanes(lanes, end_us, clock=desk.clock, width=366) if lanes else "",
        },
    )


def _tile(db: sqlite3.Connection, standing: Standing, end_us: int) -> Tile:
    open_alert = standing.alert
    alarm = find_alarm(db, open_alert.alert_id) if open_alert is not None else None
    top = open_alert.top[:_LEADING] if open_alert is not None else ()
    lasting_us = max(max(standing.row_us, end_us) - standing.since_us, 0)
    return Tile(standing, alarm, top, shelf(db, standing.machine), lasting_us)


def _lanes(db: sqlite3.Connection, standings: list[Standing], end_us: int) -> list[Lane]:
    rows = db.execute(
        "SELECT machine, opened_us, closed_us, critical FROM alerts WHERE closed_us IS NULL OR closed_us >= ?",
        (end_us - LANE_US,),
    ).fetchall()
    warnings: dict[str, list[tuple[int, int, bool]]] = {}
    row_us = {one.machine: one.row_us for one in standings}
    for machine, opened_us, closed_us, critical in rows:
        until_us = row_us.get(machine, opened_us) if closed_us is None else closed_us
        warnings.setdefault(machine, []).append((opened_us, until_us, bool(critical)))
    return [Lane(one.machine, runs_of(one.lane), tuple(warnings.get(one.machine, ()))) for one in standings]
