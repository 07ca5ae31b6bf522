"""Alarms: the list in order of time, and one alarm with all that was told, answered, and what followed."""

from desk.pages.page import NotThere, Page, Params, whole
from desk.service import Desk
from desk.store.alarms import Alarm, find_alarm, list_alarms, shelf

_SHOWN = 50
STATUSES = ("all", "open", "unacknowledged", "shelved", "unjudged")
_ASKED = 2000
"""Alarms that are looked through for those of a status."""


def alarms_page(desk: Desk, params: Params) -> Page:
    """The newest first, of one machine or one status where that is asked for."""
    machine = params.get("machine") or None
    status = params.get("status", "all")
    status = status if status in STATUSES else "all"
    before = params.get("before", "")
    before_us = int(before) if before.isascii() and before.isdigit() and len(before) < 18 else None
    with desk.store.reading() as db:
        if status == "all":
            found = list_alarms(db, machine=machine, until_us=before_us, limit=_SHOWN + 1)
        else:
            every = list_alarms(
                db, machine=machine, until_us=before_us, open_only=status in ("open", "shelved"), limit=_ASKED
            )
            found = [one for one in every if _is(one, status)]
    names = [one.machine for one in desk.board.standings(desk.now_ms())]
    shown = found[:_SHOWN]
    return Page(
        "alarms.html",
        title="alarms",
        fill={
            "alarms": shown,
            "machine": machine or "",
            "machines": sorted(names),
            "status_word": status,
            "statuses": STATUSES,
            "older_us": shown[-1].opened_us if len(found) > _SHOWN else None,
        },
    )


def _is(alarm: Alarm, status: str) -> bool:
    match status:
        case "open":
            return alarm.is_open
        case "unacknowledged":
            return alarm.acknowledged is None
        case "shelved":
            return alarm.status == "shelved"
        case _:
            return alarm.verdict is None


def alarm_page(desk: Desk, params: Params) -> Page:
    """One alarm. Raises NotThere."""
    with desk.store.reading() as db:
        alarm = find_alarm(db, params.get("id", ""))
        if alarm is None:
            raise NotThere(f"no alarm {params.get('id', '')!r} has come")
        shelved_until_us = shelf(db, alarm.machine)
    return Page(
        "alarm.html",
        title=f"{alarm.machine}: {alarm.status}",
        fill={
            "alarm": alarm,
            "shelved_until_us": shelved_until_us,
            "standing": desk.board.standing(alarm.machine, desk.now_ms()),
            "ask_name": whole(params, "ask", default=0, most=1),
        },
    )
