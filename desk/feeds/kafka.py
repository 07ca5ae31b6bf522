"""Kafka feed: the topics of a monitor and of the operators, followed."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from desk.feeds.status import Status, Take
from desk.messages import Arrived
from sheetbreak.errors import DataError, SheetbreakError
from sheetbreak.streams.kafka.admin.watching import MonitorsWatch
from sheetbreak.streams.kafka.options import Address, parse_address
from sheetbreak.streams.kafka.reading import Follower
from sheetbreak.wire.topics import ACTIONS, ALERTS, DEAD_LETTERS, ROWS, SCORES

_POLL_S = 0.2
_BEHIND_EVERY_S = 1.0
_WATCH_EVERY_S, _STANDS_S = 5.0, 15.0
_ALL_BUT = 500
"""So few messages left are not a backlog any more: they come while we read."""
_DAY_MS = 86_400_000
_AGAIN_S = 2.0

log = logging.getLogger(__name__)


class KafkaFeed:
    """Follows scores, alerts, dead letters and actions of `kafka://host:9092`.

    Raises DataError for an address that is none, or where the brokers refuse us or have no such topics; a broker that
    is away is waited for.
    """

    def __init__(
        self,
        source: str,
        *,
        prefix: str,
        group: str,
        days: int,
        positions: Mapping[tuple[str, int], int],
        now_ms: Callable[[], int],
    ) -> None:
        self._address = _servers(source)
        self._topics = tuple(prefix + name for name in (SCORES, ALERTS, ACTIONS, DEAD_LETTERS))
        self._group, self._rows = group, prefix + ROWS
        self._watch: MonitorsWatch | None = None
        self._answered, self._moved_at = -1, 0.0
        self._now_ms = now_ms
        self._since_ms = {prefix + SCORES: now_ms() - days * _DAY_MS}
        self._positions = dict(positions)
        self.status = Status(str(self._address))
        self._follower = self._open(first=True)

    def _open(self, *, first: bool = False) -> Follower | None:
        try:
            follower = Follower(self._address, topics=self._topics, since_ms=self._since_ms, positions=self._positions)
        except SheetbreakError as error:
            if first and isinstance(error, DataError):
                raise
            self._tell_away(error)
            return None
        self.status.answers, self.status.live = True, False
        self.status.missing = follower.missing
        return follower

    def _tell_away(self, error: SheetbreakError) -> None:
        if self.status.answers or self.status.reason != str(error):
            log.warning("event=source-away reason=%r", str(error))
        self.status.answers, self.status.live, self.status.reason = False, False, str(error)

    def run(self, take: Take, stop: threading.Event) -> None:
        """Read until told to stop."""
        while not stop.is_set():
            if self._follower is None:
                self._follower = self._open()
            if self._follower is None:
                stop.wait(_AGAIN_S)
                continue
            try:
                self._read(self._follower, take, stop)
            except SheetbreakError as error:
                self._tell_away(error)
                self._stop_watching()
                self._follower.close()
                self._follower = None
                stop.wait(_AGAIN_S)
        if self._follower is not None:
            self._follower.close()
        self._stop_watching()

    def _look_at_monitors(self) -> None:
        """Whether they are there; where that cannot be asked (no right to), it is not known."""
        try:
            self._watch = self._watch or MonitorsWatch(self._address, group=self._group, topic=self._rows)
            seen = self._watch.look()
            self.status.monitor_waits = seen.members > 0 and seen.waiting == 0
            if seen.waiting == 0 or seen.answered != self._answered:
                self._answered, self._moved_at = seen.answered, time.monotonic()
            self.status.monitor_stands = time.monotonic() - self._moved_at > _STANDS_S
        except SheetbreakError as error:
            if self.status.monitor_waits or self._watch is None:
                log.warning("event=monitors-not-seen group=%s reason=%r", self._group, str(error))
            self.status.monitor_waits = self.status.monitor_stands = False
            self._answered = -1
            self._stop_watching()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _read(self, follower: Follower, take: Take, stop: threading.Event) -> None:
        looked_at = asked_at = 0.0
        while not stop.is_set():
            records = follower.poll(_POLL_S)
            if time.monotonic() - looked_at > _BEHIND_EVERY_S:
                looked_at = time.monotonic()
                self.status.behind, self.status.missing = follower.behind(), follower.missing
                self.status.live = self.status.live or self.status.behind <= _ALL_BUT
            if time.monotonic() - asked_at > _WATCH_EVERY_S:
                asked_at = time.monotonic()
                self._look_at_monitors()
            if records:
                arrived = [
                    Arrived(message, one.timestamp_ms or self._now_ms(), one.value, one.partition)
                    for one in records
                    if (message := self.status.read(one.value)) is not None
                ]
                self._positions = follower.positions()
                take(arrived, self._positions, live=self.status.live)


def _servers(source: str) -> Address:
    """The brokers alone: which topics are read is known."""
    address = parse_address(source, needs_topic=False)
    if address.topic:
        raise DataError(f"{source}: the desk reads several topics; expected kafka://{','.join(address.servers)} alone")
    return address
