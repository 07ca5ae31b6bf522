"""Service: what all pages share, and the one place where messages come in and actions go out."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from desk.board import Board
from desk.clock import PlantClock
from desk.feeds import Status
from desk.messages import Arrived, DeadLetter
from desk.store import Store
from sheetbreak.streams.protocol import ActionSink
from sheetbreak.wire.actions import Action

_AGAIN_S = 2.0

log = logging.getLogger(__name__)


class Desk:
    """One desk. `take` is called by the feed's thread, the rest by the pages.

    sink: None where actions have no way out; the pages then say how to give them one.
    """

    def __init__(
        self,
        store: Store,
        board: Board,
        *,
        status: Status,
        clock: PlantClock,
        sink: ActionSink | None,
        now_ms: Callable[[], int],
        public_origin: str = "",
    ) -> None:
        self.store, self.board, self.status, self.clock, self.now_ms = store, board, status, clock, now_ms
        self.public_origin = public_origin
        board.monitor_waits = lambda: status.answers and status.monitor_waits
        board.monitor_stands = lambda: status.answers and status.monitor_stands
        self.changed: Callable[[Iterable[str]], None] = lambda _machines: None
        self.stop = threading.Event()
        self._sink, self._sending = sink, threading.Lock()

    @property
    def can_act(self) -> bool:
        """Whether actions have a way out."""
        return self._sink is not None

    def take(self, arrived: Sequence[Arrived], positions: Mapping[tuple[str, int], int], *, live: bool) -> None:
        """Keep messages, then show them. A disk that is full is waited for: nothing is passed over."""
        while not self.stop.is_set():
            try:
                self.store.take(arrived, positions)
                break
            except sqlite3.OperationalError as error:
                self.status.answers, self.status.reason = (
                    False,
                    f"the store {self.store.path} cannot be written: {error}",
                )
                log.error("event=store-not-written reason=%r", str(error))
                self.stop.wait(_AGAIN_S)
                self.status.answers = True
        self.board.take(arrived, now_ms=self.now_ms() if live else None)
        self.changed({one.message.machine for one in arrived if not isinstance(one.message, DeadLetter)})

    def act(self, action: Action) -> None:
        """Send an operator's action; when it returns, the topic or the file has it. Raises SheetbreakError."""
        assert self._sink is not None
        with self._sending:
            self._sink.send(action)
        log.info(
            "event=action machine=%r action=%s by=%r alert=%s sensor=%r", action.machine, action.action, action.by,
            action.alert_id or "", action.sensor or "",
        )  # fmt: skip

    def close(self) -> None:
        """Release what is held."""
        if self._sink is not None:
            self._sink.close()
        self.store.close()
