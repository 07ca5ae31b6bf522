"""Shift report: alarms, breaks, causes, actions and masks of one shift, to be printed or handed over."""

from datetime import timedelta
from typing import Any

from desk.pages.page import Page, Params, whole
from desk.service import Desk
from desk.store.alarms import list_alarms, list_said, masks
from desk.store.breaks import list_breaks
from desk.store.ring import YEAR_US
from sheetbreak.times import EARLIEST_US, LATEST_US, to_us

HOUR_US = 3_600_000_000
_FIRST_HOUR, _HOURS = 6, 8
"""Shifts begin at 6, 14 and 22 o'clock unless a link says otherwise."""
_MOST = 1000


def shift_page(desk: Desk, params: Params) -> Page:
    """The shift that `start` names, a local time; else the one of the newest row."""
    hours = whole(params, "hours", default=_HOURS, most=24 * 7)
    standings = desk.board.standings(desk.now_ms())
    newest_us = max((one.row_us for one in standings), default=desk.now_ms() * 1000)
    try:
        start_us = desk.clock.read(params["start"])
        if not EARLIEST_US + YEAR_US < start_us < LATEST_US - YEAR_US:
            raise ValueError("no shift is so long ago, or so far ahead")
    except (KeyError, ValueError, OverflowError):
        start_us = shift_start(desk, newest_us)
    end_us = start_us + hours * HOUR_US
    with desk.store.reading() as db:
        alarms = list_alarms(db, since_us=start_us, until_us=end_us, limit=_MOST)[::-1]
        breaks = list_breaks(db, since_us=start_us, until_us=end_us, limit=_MOST)[::-1]
        said = list_said(db, since_us=start_us, until_us=end_us)
        masked = {one.machine: found for one in standings if (found := masks(db, one.machine))}
        rows = db.execute(
            "SELECT machine, count(*) AS every, sum(state = 'scored') AS scored, sum(state = 'stopped') AS stopped, "
            "sum(state = 'warming-up') AS warming, max(ratio) AS peak FROM scores "
            "WHERE time_us >= ? AND time_us < ? GROUP BY machine ORDER BY machine",
            (start_us, end_us),
        ).fetchall()
    machines: list[dict[str, Any]] = [
        {
            **dict(row),
            "alarms": sum(one.machine == row["machine"] for one in alarms),
            "breaks": sum(one.machine == row["machine"] for one in breaks),
        }
        for row in rows
    ]
    return Page(
        "shift.html",
        title=f"shift of {desk.clock.date_and_time(start_us)}",
        fill={
            "start_us": start_us,
            "end_us": end_us,
            "hours": hours,
            "earlier": _link(desk, start_us - hours * HOUR_US),
            "later": _link(desk, end_us) if end_us <= newest_us else None,
            "goes_on": end_us > newest_us,
            "alarms": alarms,
            "breaks": breaks,
            "said": said,
            "masked": masked,
            "machines": machines,
        },
    )


def shift_start(desk: Desk, time_us: int) -> int:
    """When the shift began that a time is in."""
    local = desk.clock.local(time_us)
    since = (local.hour - _FIRST_HOUR) % _HOURS
    start = local.replace(minute=0, second=0, microsecond=0) - timedelta(hours=since)
    return to_us(start)


def _link(desk: Desk, time_us: int) -> str:
    return f"{desk.clock.local(time_us):%Y-%m-%dT%H:%M}"
