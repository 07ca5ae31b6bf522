"""Alarms as the pages show them: an alert's life, what operators answered to it, and what followed."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

import msgspec

from desk.messages import Odds, TopSensor
from sheetbreak.engine.alerts import WARNED_ROWS

_PERIODS = 31
_DEFAULT_PERIOD_US = 120_000_000
_tops = msgspec.json.Decoder(tuple[TopSensor, ...])
_odds = msgspec.json.Decoder(Odds)


@dataclass(frozen=True, slots=True)
class Said:
    """One action of an operator."""

    machine: str
    time_us: int
    action: str
    by: str
    alert_id: str | None
    sensor: str | None
    until_us: int | None
    verdict: str | None
    cause: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """One message of an alert."""

    time_us: int
    kind: str
    severity: str
    ratio: float | None
    message: str


@dataclass(slots=True)
class Alarm:
    """An alert from its opening on."""

    alert_id: str
    machine: str
    opened_us: int
    last_us: int
    closed_us: int | None
    critical: bool
    peak: float | None
    subject: str
    message: str = ""
    top: tuple[TopSensor, ...] = ()
    odds: Odds | None = None
    events: list[Event] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    shelved_until_us: int | None = None
    """While the machine is shelved and the alarm open."""
    break_us: int | None = None
    """The break that it foretold."""

    @property
    def acknowledged(self) -> Said | None:
        """The first acknowledgement."""
        return next((one for one in self.said if one.action == "acknowledge"), None)

    @property
    def verdict(self) -> Said | None:
        """What was said last of whether it was true."""
        return next((one for one in reversed(self.said) if one.action == "verdict"), None)

    @property
    def cause(self) -> str | None:
        """What was said last of the cause."""
        return next((one.cause for one in reversed(self.said) if one.cause), None)

    @property
    def is_open(self) -> bool:
        """No end was told."""
        return self.closed_us is None

    @property
    def status(self) -> str:
        """In the words of ISA-18.2."""
        if self.is_open and self.shelved_until_us is not None:
            return "shelved"
        if self.is_open:
            return "acknowledged" if self.acknowledged else "unacknowledged"
        return "returned to normal" if self.acknowledged else "returned, unacknowledged"

    @property
    def lead_us(self) -> int | None:
        """From its opening to the break."""
        return None if self.break_us is None else self.break_us - self.opened_us


def list_alarms(
    db: sqlite3.Connection,
    *,
    machine: str | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
    open_only: bool = False,
    limit: int = 100,
) -> list[Alarm]:
    """The newest first; times are those of opening, `until_us` exclusive."""
    where, values = ["1"], []
    for condition, value in (("machine = ?", machine), ("opened_us >= ?", since_us), ("opened_us < ?", until_us)):
        if value is not None:
            where.append(condition)
            values.append(value)
    if open_only:
        where.append("closed_us IS NULL")
    query = f"SELECT * FROM alerts WHERE {' AND '.join(where)} ORDER BY opened_us DESC, alert_id LIMIT ?"  # noqa: S608
    return _whole(db, db.execute(query, (*values, limit)).fetchall())


def find_alarm(db: sqlite3.Connection, alert_id: str) -> Alarm | None:
    """One alarm by its id."""
    found = _whole(db, db.execute("SELECT * FROM alerts WHERE alert_id = ?", (alert_id,)).fetchall())
    return found[0] if found else None


def _whole(db: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> list[Alarm]:
    alarms = [
        Alarm(
            row["alert_id"], row["machine"], row["opened_us"], row["last_us"], row["closed_us"], bool(row["critical"]),
            row["peak"], row["subject"] or "sheet",
        )
        for row in rows
    ]  # fmt: skip
    machines = {one.machine for one in alarms}
    shelves = {name: shelf(db, name) for name in machines}
    periods = {name: period_us(db, name) for name in machines}
    for alarm in alarms:
        _add_events(db, alarm)
        alarm.said = said_of(db, alarm)
        alarm.shelved_until_us = shelves[alarm.machine] if alarm.is_open else None
        horizon_us = alarm.opened_us + WARNED_ROWS * periods[alarm.machine]
        alarm.break_us = db.execute(
            "SELECT min(time_us) FROM breaks WHERE machine = ? AND time_us BETWEEN ? AND ?",
            (alarm.machine, alarm.opened_us, max(horizon_us, alarm.closed_us or 0)),
        ).fetchone()[0]
    return alarms


def _add_events(db: sqlite3.Connection, alarm: Alarm) -> None:
    rows = db.execute(
        "SELECT * FROM events WHERE alert_id = ? ORDER BY time_us, kind = 'closed'", (alarm.alert_id,)
    ).fetchall()
    alarm.events = [Event(r["time_us"], r["kind"], r["severity"], r["ratio"], r["message"]) for r in rows]
    told = [row for row in rows if row["kind"] != "closed"] or rows
    if told:
        alarm.message = told[-1]["message"]
        alarm.top = _tops.decode(told[-1]["top"]) if told[-1]["top"] else ()
        alarm.odds = _odds.decode(told[0]["odds"]) if told[0]["odds"] else None


def said_of(db: sqlite3.Connection, alarm: Alarm) -> list[Said]:
    """What operators said of one alarm, in order: by its id, or of whichever was open then."""
    rows = db.execute(
        "SELECT * FROM actions WHERE alert_id = :id OR (alert_id IS NULL AND action NOT IN ('verdict', 'cause') AND "
        "machine = :machine AND time_us BETWEEN :opened AND :closed) ORDER BY rowid",
        {
            "id": alarm.alert_id,
            "machine": alarm.machine,
            "opened": alarm.opened_us,
            "closed": 1 << 62 if alarm.closed_us is None else alarm.closed_us,
        },
    ).fetchall()
    return [_said(row) for row in rows]


def list_said(db: sqlite3.Connection, *, since_us: int, until_us: int, machine: str | None = None) -> list[Said]:
    """Actions in order of time."""
    rows = db.execute(
        "SELECT * FROM actions WHERE time_us >= ? AND time_us < ? AND (? IS NULL OR machine = ?) ORDER BY rowid",
        (since_us, until_us, machine, machine),
    ).fetchall()
    return [_said(row) for row in rows]


def _said(row: sqlite3.Row) -> Said:
    return Said(
        row["machine"], row["time_us"], row["action"], row["by"], row["alert_id"], row["sensor"], row["until_us"],
        row["verdict"], row["cause"], row["comment"],
    )  # fmt: skip


def shelf(db: sqlite3.Connection, machine: str) -> int | None:
    """Until when a machine is shelved, on its rows' clock; None: it is not."""
    row = db.execute(
        "SELECT action, until_us FROM actions WHERE machine = ? AND action IN ('shelve', 'unshelve') "
        "ORDER BY rowid DESC LIMIT 1",
        (machine,),
    ).fetchone()
    if row is None or row["action"] == "unshelve" or row["until_us"] is None:
        return None
    until_us: int = row["until_us"]
    return until_us if until_us > _now_us(db, machine) else None


def shelved_machines(db: sqlite3.Connection) -> list[tuple[Said, int | None]]:
    """The last word on each machine that is shelved, and the time of its newest row."""
    rows = db.execute(
        "SELECT * FROM actions WHERE rowid IN (SELECT max(rowid) FROM actions WHERE action IN ('shelve', 'unshelve') "
        "GROUP BY machine) AND action = 'shelve' AND until_us NOT NULL ORDER BY machine"
    ).fetchall()
    found = [(_said(row), _now_us(db, row["machine"])) for row in rows]
    return [(said, now_us or None) for said, now_us in found if said.until_us is not None and said.until_us > now_us]


def masks(db: sqlite3.Connection, machine: str) -> dict[str, Said]:
    """The sensors that are out of service, by the action that took them out."""
    rows = db.execute(
        "SELECT * FROM actions WHERE machine = ? AND action IN ('mask', 'unmask') ORDER BY rowid",
        (machine,),
    ).fetchall()
    last = {row["sensor"]: _said(row) for row in rows}
    now_us = _now_us(db, machine)
    return {
        sensor: said
        for sensor, said in sorted(last.items())
        if said.action == "mask" and (said.until_us is None or said.until_us > now_us)
    }


def _now_us(db: sqlite3.Connection, machine: str) -> int:
    """The rows' clock."""
    row = db.execute("SELECT max(time_us) FROM scores WHERE machine = ?", (machine,)).fetchone()
    return row[0] or 0


def period_us(db: sqlite3.Connection, machine: str) -> int:
    """From a row to the next, as the last ones have it."""
    rows = db.execute(
        "SELECT time_us FROM scores WHERE machine = ? ORDER BY time_us DESC LIMIT ?", (machine, _PERIODS)
    ).fetchall()
    pauses = [later[0] - earlier[0] for later, earlier in pairwise(rows)]
    return round(median(pauses)) if pauses else _DEFAULT_PERIOD_US
