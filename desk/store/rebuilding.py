"""Rebuilding of the board from the store, after a restart: what a fold of all messages would have made."""

import sqlite3

import msgspec

from desk.board import BUCKET_US, LANE_US, ROW_STATES, SEVERITY, Board, Machine, OpenAlert, RowState, offset_s
from desk.messages import Odds, TopSensor
from desk.store.ring import Store

_PAUSES = 50
"""Rows whose pauses say how often one comes."""
_LAST = """
SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY machine ORDER BY at_ms DESC, time_us DESC) AS place FROM scores
) WHERE place = 1
"""
_OTHER = "SELECT max(time_us) FROM scores WHERE machine = ? AND time_us <= ? AND state NOT IN ({})"
_NEXT = "SELECT min(time_us) FROM scores WHERE machine = ? AND time_us > ?"
_LANE = """
SELECT time_us / ?, max(CASE state WHEN 'stopped' THEN 4 WHEN 'warming-up' THEN 3 WHEN 'restarting' THEN 2 ELSE 1 END)
FROM scores WHERE machine = ? AND time_us BETWEEN ? AND ? GROUP BY 1
"""
_OPEN = """
SELECT alerts.*, e.message, e.top, e.odds, e.ratio, e.severity FROM alerts JOIN events e USING (alert_id)
WHERE closed_us IS NULL AND e.time_us = (SELECT max(time_us) FROM events WHERE alert_id = alerts.alert_id)
"""
_BY_RANK: dict[int, RowState] = {rank: state for state, rank in SEVERITY.items()}
_tops = msgspec.json.Decoder(tuple[TopSensor, ...])
_odds = msgspec.json.Decoder(Odds)


def rebuild(store: Store, board: Board) -> None:
    """Put onto the board what the store has."""
    with store.reading() as db:
        machines = {row["machine"]: _machine(db, row) for row in db.execute(_LAST).fetchall()}
        for row in db.execute("SELECT machine, max(closed_us), max(at_ms) FROM alerts GROUP BY machine").fetchall():
            machine = machines.setdefault(row[0], Machine(row[0]))
            machine.closed_us = row[1] or 0
            machine.heard_ms = max(machine.heard_ms, row[2])
        for row in db.execute(_OPEN).fetchall():
            machine = machines[row["machine"]]
            if row["opened_us"] > machine.cold_us:
                machine.alerts[row["alert_id"]] = _open_alert(row)
        told = db.execute(
            "SELECT local_time FROM alerts WHERE local_time NOT NULL ORDER BY at_ms DESC LIMIT 1"
        ).fetchone()
    board.put(machines.values(), utc_offset_s=offset_s(told[0]) if told else None)


def _machine(db: sqlite3.Connection, row: sqlite3.Row) -> Machine:
    name, row_us, state = row["machine"], row["time_us"], ROW_STATES[row["state"]]
    same = [word for word, meant in ROW_STATES.items() if meant == state]
    marks = ",".join("?" * len(same))
    other = db.execute(_OTHER.format(marks), (name, row_us, *same)).fetchone()[0]
    changed = db.execute(_NEXT, (name, -(1 << 62) if other is None else other)).fetchone()[0]
    cold = db.execute(
        "SELECT max(time_us) FROM scores WHERE machine = ? AND time_us <= ? AND state = 'warming-up'", (name, row_us)
    ).fetchone()[0]
    machine = Machine(
        name,
        partition=row["partition"],
        row_state=state,
        row_us=row_us,
        changed_us=changed,
        cold_us=-1 if cold is None else cold,
        ratio=row["ratio"],
        score=row["score"],
        threshold=row["threshold"],
        masked=tuple(msgspec.json.decode(row["masked"])) if row["masked"] else (),
        model=row["model"],
        heard_ms=row["at_ms"],
        lane=_lane(db, name, row_us),
    )
    recent = "SELECT at_ms FROM scores WHERE machine = ? AND time_us <= ? ORDER BY time_us DESC LIMIT ?"
    for (at_ms,) in reversed(db.execute(recent, (name, row_us, _PAUSES)).fetchall()):
        machine.pauses.note(at_ms)
    return machine


def _lane(db: sqlite3.Connection, name: str, row_us: int) -> dict[int, RowState]:
    first = row_us // BUCKET_US - LANE_US // BUCKET_US
    found = db.execute(_LANE, (BUCKET_US, name, first * BUCKET_US, row_us)).fetchall()
    return {bucket: _BY_RANK[rank] for bucket, rank in found}


def _open_alert(row: sqlite3.Row) -> OpenAlert:
    return OpenAlert(
        row["alert_id"],
        row["opened_us"],
        row["severity"] == "critical",
        row["message"],
        _tops.decode(row["top"]) if row["top"] else (),
        row["subject"] or "sheet",
        _odds.decode(row["odds"]) if row["odds"] else None,
        row["ratio"],
    )
