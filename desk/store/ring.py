"""Ring of days: messages go in, in transactions with the place in the topics where reading goes on; old ones go out."""

import base64
import binascii
import contextlib
import hashlib
import logging
import queue
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from desk.messages import Alert, Arrived, DeadLetter, Score, TopSensor
from desk.store import schema
from sheetbreak.errors import DataError
from sheetbreak.times import parse_time
from sheetbreak.wire.actions import Action

DAY_US = 86_400_000_000
YEAR_US = 366 * DAY_US
_SCORES = 4_000_000
"""Of all machines together; some 400 MB."""
_DEAD_LETTERS = 1000
"""The newest are kept."""
_RECORD_BYTES = 4096
"""Of a dead letter's record; the topic has the rest."""
_TRIM_EVERY = 20_000
"""Messages between two searches for old ones."""
_AHEAD_US = DAY_US
"""A row further ahead of its machine's newest was stamped by a clock that was then set back."""
_IDLE_CONNECTIONS = 8

log = logging.getLogger(__name__)
Positions = Mapping[tuple[str, int], int]


class Store:
    """One SQLite file. `take` is for one thread, `reading` for any.

    path: None keeps it in a temporary folder, gone at the end. source: whose messages these are; a file that holds
    another source's is refused. Raises DataError where the file cannot be used.
    """

    def __init__(self, path: Path | None, *, source: str, days: int = 8) -> None:
        self._folder = None if path else Path(tempfile.mkdtemp(prefix="sheetbreak-desk-"))
        self.path = path or self._folder_of(self._folder) / "desk.sqlite"
        self._days_us = days * DAY_US
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._since_trim = 0
        try:
            self._db = self._connect()
            self._prepare(source)
            found = self._db.execute(_LAST_ROWS).fetchall()
            self._last = {machine: (state, time_us) for machine, state, time_us in found}
            """Each machine's row that came last: its state, and its time, which need not be the latest."""
        except sqlite3.Error as error:
            raise DataError(f"--store {self.path}: {error}; name another file, or delete this one") from error

    @staticmethod
    def _folder_of(folder: Path | None) -> Path:
        assert folder is not None
        return folder

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")  # a power cut may lose the last second: the topics have it
        return db

    def _prepare(self, source: str) -> None:
        found = self._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0]
        told = dict(self._db.execute("SELECT name, value FROM meta").fetchall()) if found else {}
        if found and told.get("format") == schema.FORMAT:
            if told.get("source") != source:
                raise DataError(
                    f"--store {self.path} holds what came from {told.get('source')}, not from {source}; name another "
                    "file, or delete this one"
                )
            return
        if found:  # of another version: read again
            for table in schema.TABLE_NAMES:
                self._db.execute(f"DROP TABLE IF EXISTS {table}")
        self._db.executescript(schema.TABLES)
        self._db.executemany("INSERT INTO meta VALUES (?, ?)", [("format", schema.FORMAT), ("source", source)])

    def positions(self) -> dict[tuple[str, int], int]:
        """Where reading goes on, by topic and partition."""
        with self.reading() as db:
            rows = db.execute("SELECT topic, partition, next FROM positions").fetchall()
        return {(topic, partition): following for topic, partition, following in rows}

    def take(self, arrived: Sequence[Arrived], positions: Positions | None = None) -> None:
        """Keep messages and where reading goes on, all or nothing."""
        with self._lock:
            last = dict(self._last)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._put(arrived, last)
                places = [(topic, number, following) for (topic, number), following in (positions or {}).items()]
                self._db.executemany(schema.POSITION, places)
                self._since_trim += len(arrived)
                if self._since_trim >= _TRIM_EVERY:
                    self._trim()
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._last = last

    def _put(self, arrived: Sequence[Arrived], last: dict[str, tuple[str, int]]) -> None:
        scores, breaks, grades = [], [], []
        for one in arrived:
            match one.message:
                case Score() as score:
                    time_us = parse_time(score.time)
                    scores.append(_score_row(score, time_us, one))
                    if score.state == "stopped" and last.get(score.machine, ("", 0))[0] != "stopped":
                        breaks.append((score.machine, time_us))
                    if score.grade is not None:
                        grades.append((score.machine, time_us, score.grade))
                    last[score.machine] = (score.state, time_us)
                case Alert() as alert:
                    fields = _alert_fields(alert, one.at_ms)
                    self._db.execute(schema.ALERT, fields)
                    self._db.execute(schema.EVENT, fields)
                case DeadLetter() as letter:
                    self._db.execute(schema.DEAD_LETTER, _letter_row(letter, one))
                case Action() as action:
                    self._db.execute(schema.ACTION, _action_row(action, one))
        self._db.executemany(schema.SCORE, scores)
        self._db.executemany(schema.BREAK, breaks)
        self._db.executemany(schema.GRADE, grades)

    def _trim(self) -> None:
        """Let go of what is older than the days that are kept."""
        self._since_trim = 0
        most = max(_SCORES // max(len(self._last), 1), 1)
        for machine, (_, time_us) in self._last.items():
            nth = self._db.execute(_NTH_NEWEST, (machine, most)).fetchone()
            first_us = max(time_us - self._days_us, nth[0] if nth else 0)
            kept = (machine, first_us, time_us + _AHEAD_US)
            self._db.execute("DELETE FROM scores WHERE machine = ? AND (time_us < ? OR time_us > ?)", kept)
            old = (machine, time_us - YEAR_US)
            self._db.execute("DELETE FROM breaks WHERE machine = ? AND time_us < ?", old)
            self._db.execute("DELETE FROM grades WHERE machine = ? AND time_us < ?", old)
            self._db.execute("DELETE FROM alerts WHERE machine = ? AND opened_us < ?", old)
            self._db.execute("DELETE FROM actions WHERE machine = ? AND time_us < ?", old)
        self._db.execute("DELETE FROM events WHERE alert_id NOT IN (SELECT alert_id FROM alerts)")
        self._db.execute(
            "DELETE FROM dead_letters WHERE rowid NOT IN "
            "(SELECT rowid FROM dead_letters ORDER BY at_ms DESC, digest LIMIT ?)",
            (_DEAD_LETTERS,),
        )

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for queries that see one state of the store."""
        try:
            db = self._idle.get_nowait()
        except queue.Empty:
            db = self._connect()
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA query_only=1")
        db.execute("BEGIN")
        try:
            yield db
        finally:
            db.execute("COMMIT")
            if self._idle.qsize() < _IDLE_CONNECTIONS:
                self._idle.put(db)
            else:
                db.close()

    def close(self) -> None:
        """Release the file; a temporary one is deleted."""
        while not self._idle.empty():
            self._idle.get_nowait().close()
        with self._lock:
            self._db.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


_NTH_NEWEST = "SELECT time_us FROM scores WHERE machine = ? ORDER BY time_us DESC LIMIT 1 OFFSET ?"
_LAST_ROWS = """
SELECT machine, state, time_us FROM (
    SELECT machine, state, time_us, row_number() OVER (PARTITION BY machine ORDER BY at_ms DESC, time_us DESC) AS place
    FROM scores
) WHERE place = 1
"""


def _score_row(score: Score, time_us: int, one: Arrived) -> tuple[object, ...]:
    numbers = (score.score, score.threshold, score.ratio, int(score.over))
    masked = msgspec.json.encode(score.masked).decode() if score.masked else None
    told = (one.at_ms, one.partition, masked, score.model, _encoded(score.top))
    return (score.machine, time_us, score.state, *numbers, *told)


def _alert_fields(alert: Alert, at_ms: int) -> dict[str, object]:
    time_us = parse_time(alert.time)
    return {
        "alert_id": alert.alert_id,
        "machine": alert.machine,
        "opened_us": parse_time(alert.opened_at),
        "time_us": time_us,
        "closed_us": time_us if alert.kind == "closed" else None,
        "kind": alert.kind,
        "severity": alert.severity,
        "critical": int(alert.severity == "critical"),
        "ratio": alert.ratio,
        "subject": alert.subject,
        "local_time": alert.local_time,
        "message": alert.message,
        "top": _encoded(alert.top),
        "odds": None if alert.odds is None else msgspec.json.encode(alert.odds).decode(),
        "shelved_us": parse_time(alert.shelved_until) if alert.shelved_until else None,
        "at_ms": at_ms,
    }


def _letter_row(letter: DeadLetter, one: Arrived) -> tuple[object, ...]:
    # Four base64 characters are three bytes; what is cut is cut at a whole group.
    cut = letter.record_base64[: _RECORD_BYTES // 3 * 4]
    try:
        record = base64.b64decode(cut, validate=True)
    except (binascii.Error, ValueError):
        record = cut.encode()
    truncated = letter.truncated or len(cut) < len(letter.record_base64)
    source = msgspec.json.encode(letter.source).decode()
    return (_digest(one.value), one.at_ms, letter.reason, letter.message, source, record, int(truncated))


def _action_row(action: Action, one: Arrived) -> tuple[object, ...]:
    return (
        _digest(one.value), action.machine, action.time_us, action.action, action.alert_id, action.sensor,
        action.until_us, action.verdict, action.cause, action.by, action.comment, one.at_ms,
    )  # fmt: skip


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()[:16]


def _encoded(top: Sequence[TopSensor]) -> str | None:
    return msgspec.json.encode(top).decode() if top else None
