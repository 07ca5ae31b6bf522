"""Notifier: keeps Alertmanager at what the store says is open, from one desk of several.

Told anew every minute, since Alertmanager forgets alerts when it is restarted, though not whom it has told of which: an
alert posted again, by this desk or by its successor, is the same alert and causes no second message. An alert resolves
by the monitor's `closed` alone: a monitor, a desk or a broker that is silent resolves nothing.
"""

import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from desk.notify.messages import as_posted
from desk.service import Desk
from desk.store.alarms import find_alarm, shelf
from sheetbreak.errors import DataError, StreamError

AGAIN_S = 60.0
_LOOK_S = 1.0
_TIMEOUT_S = 10.0
_CLOSED_FOR_MS = 3_600_000
"""An end is told for so long, in case this desk's predecessor could not."""
_MOST = 1000
_WANTED = """
SELECT alert_id, machine, first_ms, at_ms FROM alerts WHERE closed_us IS NULL OR at_ms > :since_ms
ORDER BY opened_us DESC LIMIT :most
"""

log = logging.getLogger(__name__)


class Notifier:
    """Posts to one Alertmanager. holds: whether this desk is the one that does; it may raise StreamError.

    Raises DataError for an address that is none.
    """

    def __init__(self, url: str, desk: Desk, *, holds: Callable[[], bool], again_s: float = AGAIN_S) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DataError(f"--alertmanager {url}: expected http://host:9093")
        self._url = url.rstrip("/") + "/api/v2/alerts"
        self._desk, self._holds, self._again_s = desk, holds, again_s
        self._announced: set[str] = set()
        self._held_since_ms: int | None = None
        """When this desk became the one, by the clock of the messages."""
        self._last: list[Any] = []
        desk.status.notifies = False

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        waited_s = self._again_s
        while not stop.wait(_LOOK_S):
            waited_s += _LOOK_S
            try:
                if not self._desk.status.live or not self._holds():
                    waited_s, self._held_since_ms, self._desk.status.notifies = self._again_s, None, False
                    continue
                if self._held_since_ms is None:
                    self._held_since_ms = self._desk.now_ms()
                alerts = self.alerts()
                told = [(one["labels"], one["annotations"]) for one in alerts]
                if told != self._last or waited_s >= self._again_s:
                    self._post(alerts)
                    self._last, waited_s = told, 0.0
                self._desk.status.notify_problem, self._desk.status.notifies = "", True
            except StreamError as error:
                log.warning("event=notifier-not-elected reason=%r", str(error))
            except (urllib.error.URLError, OSError, ValueError) as error:
                self._tell(f"{self._url} does not take alerts: {error}")

    def alerts(self) -> list[dict[str, Any]]:
        """What is open and not shelved, and what has ended lately."""
        desk, now_ms = self._desk, self._desk.now_ms()
        with desk.store.reading() as db:
            rows = db.execute(_WANTED, {"since_ms": now_ms - _CLOSED_FOR_MS, "most": _MOST}).fetchall()
            found = [(alarm, row) for row in rows if (alarm := find_alarm(db, row["alert_id"])) is not None]
            shelved = {name for name in {row["machine"] for row in rows} if shelf(db, name) is not None}
        posted = []
        for alarm, row in found:
            if alarm.machine in shelved and alarm.alert_id not in self._announced:
                continue
            # Alertmanager tells of none that it first hears of as ended. Opened and closed since the last look: open at
            # first, and its end comes with the next. What opened before this desk was the one, another has told.
            unheard = alarm.alert_id not in self._announced
            sudden = unheard and self._held_since_ms is not None and row["first_ms"] >= self._held_since_ms
            closed_ms = None if alarm.is_open or sudden else row["at_ms"]
            self._announced.add(alarm.alert_id)
            posted.append(
                as_posted(
                    alarm, clock=desk.clock, origin=desk.public_origin, now_ms=now_ms, opened_ms=row["first_ms"],
                    closed_ms=closed_ms,
                )
            )  # fmt: skip
        self._announced &= {alarm.alert_id for alarm, _ in found}
        return posted

    def _post(self, alerts: list[dict[str, Any]]) -> None:
        body = json.dumps(alerts).encode()
        request = urllib.request.Request(  # noqa: S310 - http or https: looked at above
            self._url, data=body, headers={"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310
            log.info("event=alertmanager-told alerts=%d", len(alerts))

    def _tell(self, problem: str) -> None:
        self._desk.status.notifies = False
        if self._desk.status.notify_problem != problem:
            log.error("event=alertmanager-away reason=%r", problem)
        self._desk.status.notify_problem = problem
