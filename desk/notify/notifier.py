"""Notifier: keeps Alertmanager at what the store says is open, from one desk of several.

Told anew every minute, since Alertmanager forgets alerts when it is restarted, though not whom it has told of which: an
alert posted again, by this desk or by its successor, is the same alert and causes no second message. An alert resolves
by the monitor's `closed` alone: a monitor, a desk or a broker that is silent resolves nothing; and no sooner than
Alertmanager is sure to have told of it (openings.py). A shelved machine has a silence, which is there before its
alerts are.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from desk.notify.alertmanager import Alertmanager
from desk.notify.messages import as_posted
from desk.notify.openings import TELLS_WITHIN_S, Openings
from desk.notify.silences import Shelf, keep_silences, shelves
from desk.service import Desk
from desk.store.alarms import find_alarm
from sheetbreak.errors import StreamError

AGAIN_S = 60.0
_LOOK_S = 1.0
_SOON_S = 5.0
"""As often while an alert has ended and Alertmanager is not known to have told of it."""
_CLOSED_FOR_MS = 3_600_000
"""An end is told for so long, in case this desk's predecessor could not."""
_MOST = 1000
_WANTED = """
SELECT alert_id, machine, first_ms, at_ms FROM alerts WHERE closed_us IS NULL OR at_ms > :since_ms
ORDER BY opened_us DESC LIMIT :most
"""

log = logging.getLogger(__name__)


class Mark(Protocol):
    """Up to which message alerts were handed over, kept where the next desk finds it. ms since 1970, by messages."""

    def read(self) -> int | None:
        """None: by nobody yet. Raises StreamError."""

    def write(self, at_ms: int) -> None:
        """Keep it, soon."""


class Notifier:
    """Posts to one Alertmanager. holds: whether this desk is the one that does; it may raise StreamError.

    mark: None where there is no other desk. Raises DataError for an address that is none.
    """

    def __init__(
        self,
        url: str,
        desk: Desk,
        *,
        holds: Callable[[], bool],
        mark: Mark | None = None,
        again_s: float = AGAIN_S,
        tells_within_s: float = TELLS_WITHIN_S,
    ) -> None:
        self._alertmanager = Alertmanager(url)
        self._desk, self._holds, self._mark, self._again_s = desk, holds, mark, again_s
        self._openings: Openings | None = None
        """None: this desk is not the one."""
        self._tells_within_s = tells_within_s
        self._silenced: frozenset[Shelf] = frozenset()
        """The shelves that Alertmanager knows of."""
        self._problem = ""
        """With the silences: alerts of machines that are not shelved are told all the same."""
        self._last: tuple[Any, ...] = ()
        desk.status.notifies = False

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        waited_s = self._again_s
        while not stop.wait(_LOOK_S):
            waited_s += _LOOK_S
            try:
                if not self._desk.status.live or not self._holds():
                    waited_s, self._openings, self._desk.status.notifies = self._again_s, None, False
                    continue
                if self._openings is None:
                    self._openings = Openings(self._handed_over(), tells_within_s=self._tells_within_s)
                self._silence(anew=waited_s >= self._again_s)
                handed = self._wanted(self._openings)
                told = tuple((one.posted["labels"], one.posted["annotations"]) for one in handed)
                soon = any(one.end_waits for one in handed)
                if told != self._last or waited_s >= (min(_SOON_S, self._again_s) if soon else self._again_s):
                    self._hand_over(handed, self._openings)
                    self._last, waited_s = told, 0.0
                self._desk.status.notify_problem, self._desk.status.notifies = self._problem, True
            except StreamError as error:
                log.warning("event=notifier-not-elected reason=%r", str(error))
            except (OSError, ValueError, LookupError) as error:  # an answer that is none of Alertmanager's, too
                self._tell(f"{self._alertmanager.url} does not take alerts: {error}")

    def _wanted(self, openings: Openings) -> list["_Handed"]:
        """What is open, and what has ended lately; of a shelved machine nothing before Alertmanager knows of that."""
        desk, now_ms = self._desk, self._desk.now_ms()
        with desk.store.reading() as db:
            rows = db.execute(_WANTED, {"since_ms": now_ms - _CLOSED_FOR_MS, "most": _MOST}).fetchall()
            found = [(alarm, row) for row in rows if (alarm := find_alarm(db, row["alert_id"])) is not None]
            known = {one.machine for one in self._silenced}
            shelved = {one.machine for one in shelves(db, now_ms=now_ms)} - known
        handed = []
        for alarm, row in found:
            if alarm.machine in shelved and not openings.is_taken(alarm.alert_id):
                continue
            end_waits = not alarm.is_open and not openings.is_told(alarm.alert_id, row["first_ms"])
            posted = as_posted(
                alarm, clock=desk.clock, origin=desk.public_origin, now_ms=now_ms, opened_ms=row["first_ms"],
                closed_ms=None if alarm.is_open or end_waits else row["at_ms"],
            )  # fmt: skip
            handed.append(_Handed(alarm.alert_id, row["first_ms"], posted, end_waits))
        return handed

    def _hand_over(self, handed: Sequence["_Handed"], openings: Openings) -> None:
        try:
            self._alertmanager.post_alerts([one.posted for one in handed])
        except (OSError, ValueError):
            openings.failed()
            raise
        log.info("event=alertmanager-told alerts=%d", len(handed))
        told_ms = openings.took([(one.alert_id, one.first_ms) for one in handed], at_s=time.monotonic())
        if told_ms is not None and self._mark is not None:
            self._mark.write(told_ms)

    def _handed_over(self) -> int:
        """Up to which message alerts are handed over, as this desk becomes the one. Raises StreamError."""
        known = self._mark.read() if self._mark is not None else None
        if known is None:
            known = self._desk.now_ms() - 1  # what opened before the first desk came is nobody's
            if self._mark is not None:
                self._mark.write(known)
        return known

    def _silence(self, *, anew: bool) -> None:
        """Bring Alertmanager's silences to the shelves, where those changed; anew: in any case."""
        now_ms = self._desk.now_ms()
        with self._desk.store.reading() as db:
            wanted = frozenset(shelves(db, now_ms=now_ms))
        if anew or {one.identity for one in wanted} != {one.identity for one in self._silenced}:
            try:
                keep_silences(self._alertmanager, wanted, now_ms=now_ms)
            except (OSError, ValueError, LookupError) as error:
                problem = f"{self._alertmanager.url} takes no silences: {error}"
                if problem != self._problem:
                    log.error("event=silences-refused reason=%r", problem)
                self._problem = problem
            else:
                self._silenced, self._problem = wanted, ""

    def _tell(self, problem: str) -> None:
        self._desk.status.notifies = False
        if self._desk.status.notify_problem != problem:
            log.error("event=alertmanager-away reason=%r", problem)
        self._desk.status.notify_problem = problem


class _Handed(NamedTuple):
    """An alert as it is handed over."""

    alert_id: str
    first_ms: int
    posted: dict[str, Any]
    end_waits: bool
    """It has ended, and is handed over as open all the same."""
