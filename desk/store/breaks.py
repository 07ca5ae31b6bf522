"""Breaks as the pages show them: when, whether an alarm warned of it, how long before, and what caused it."""

import sqlite3
from dataclasses import dataclass

from desk.store.alarms import period_us
from sheetbreak.engine.admission import BROKE
from sheetbreak.engine.alerts import WARNED_ROWS, AlertState, Warned


@dataclass(frozen=True, slots=True)
class Break:
    """One break of the sheet; `warned` in the words of the monitor's own count."""

    machine: str
    time_us: int
    warned: Warned
    alert_id: str | None
    lead_us: int | None
    cause: str | None


def list_breaks(
    db: sqlite3.Connection,
    *,
    machine: str | None = None,
    since_us: int = 0,
    until_us: int = 1 << 62,
    limit: int = 200,
) -> list[Break]:
    """The newest first."""
    rows = db.execute(
        "SELECT machine, time_us FROM breaks WHERE (? IS NULL OR machine = ?) AND time_us >= ? AND time_us < ? "
        "ORDER BY time_us DESC, machine LIMIT ?",
        (machine, machine, since_us, until_us, limit),
    ).fetchall()
    periods = {name: period_us(db, name) for name in {row["machine"] for row in rows}}
    return [_judged(db, row["machine"], row["time_us"], periods[row["machine"]]) for row in rows]


def _judged(db: sqlite3.Connection, machine: str, time_us: int, one_period_us: int) -> Break:
    alert = db.execute(
        "SELECT alert_id, opened_us, closed_us FROM alerts WHERE machine = ? AND opened_us < ? "
        "ORDER BY opened_us DESC LIMIT 1",
        (machine, time_us),
    ).fetchone()
    state, since_stop = AlertState(), WARNED_ROWS
    if alert is not None:
        closed_us = time_us if alert["closed_us"] is None else min(alert["closed_us"], time_us)
        state = AlertState(
            since_opened=round((time_us - alert["opened_us"]) / one_period_us) - 1,
            since_open=round((time_us - closed_us) / one_period_us),
        )
        since_stop = 0 if _stopped_between(db, machine, alert, time_us) else WARNED_ROWS
    scored = 0 if _is_unscored(db, machine, time_us) else WARNED_ROWS
    warned = state.warned(since_stop=since_stop, scored=scored)
    told = alert if warned in ("yes", "covered") else None
    return Break(
        machine,
        time_us,
        warned,
        told["alert_id"] if told is not None else None,
        time_us - told["opened_us"] if told is not None else None,
        _cause(db, machine, time_us, told["alert_id"] if told is not None else None),
    )


def _stopped_between(db: sqlite3.Connection, machine: str, alert: sqlite3.Row, time_us: int) -> bool:
    """Whether a break or a gap lies between an alarm's opening and a break: then it warned of what came before."""
    found = db.execute(
        "SELECT EXISTS (SELECT 1 FROM breaks WHERE machine = :machine AND time_us > :opened AND time_us < :broke) OR "
        "EXISTS (SELECT 1 FROM scores WHERE machine = :machine AND time_us > :opened AND time_us < :broke AND "
        "(state IN ('stopped', 'warming-up') OR state = 'restarting' AND NOT EXISTS "
        "(SELECT 1 FROM scores WHERE machine = :machine AND time_us = :opened AND state = 'restarting'))) OR "
        "EXISTS (SELECT 1 FROM events WHERE alert_id = :alert AND kind = 'closed' AND ratio IS NULL AND "
        "(time_us < :broke OR message NOT LIKE :broken))",
        {
            "machine": machine,
            "alert": alert["alert_id"],
            "opened": alert["opened_us"],
            "broke": time_us,
            "broken": f"%: {BROKE}, %",
        },
    ).fetchone()[0]
    return bool(found)


def _is_unscored(db: sqlite3.Connection, machine: str, time_us: int) -> bool:
    """Whether the row before had no score: then none since the break before had one, so that no alarm could come."""
    row = db.execute(
        "SELECT state FROM scores WHERE machine = ? AND time_us < ? ORDER BY time_us DESC LIMIT 1", (machine, time_us)
    ).fetchone()
    return row is None or row["state"] in ("warming-up", "stopped")


def _cause(db: sqlite3.Connection, machine: str, time_us: int, alert_id: str | None) -> str | None:
    """What was said last: of its alarm, or of the machine after this break and before the next one."""
    following = db.execute(
        "SELECT min(time_us) FROM breaks WHERE machine = ? AND time_us > ?", (machine, time_us)
    ).fetchone()[0]
    row = db.execute(
        "SELECT cause FROM actions WHERE cause NOT NULL AND (alert_id = ? OR (alert_id IS NULL AND machine = ? AND "
        "time_us >= ? AND time_us < ?)) ORDER BY rowid DESC LIMIT 1",
        (alert_id, machine, time_us, 1 << 62 if following is None else following),
    ).fetchone()
    return row["cause"] if row is not None else None
