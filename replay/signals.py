"""Signals: SIGINT and SIGTERM end a replay between two blocks, so that a reader never gets half a record."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Stopped(Exception):
    """Raised where a replay that was asked to stop may do so."""


class Stop:
    """Whether we were asked to stop, and by what."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def check(self) -> None:
        """Raise Stopped if we were asked to stop."""
        if self.signal is not None:
            raise Stopped


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """A Stop that SIGINT and SIGTERM set; the second of them ends the process as if we were not here."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _frame: FrameType | None) -> None:
        stop.signal = number
        _restore(before)

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        _restore(before)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
