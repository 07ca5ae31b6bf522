"""Progress of a replay on a terminal."""

from collections.abc import Callable
from typing import TextIO

from sheetbreak.times import format_time

EVERY_S = 0.2


class Progress:
    """One line, rewritten several times a second; nothing is written when `out` is None."""

    def __init__(self, out: TextIO | None, *, total: int | None, clock: Callable[[], float]) -> None:
        """total: records in all; None when there is no end."""
        self._out, self._total, self._clock = out, total, clock
        self._next, self._sent = clock(), 0

    def sent(self, records: int, *, time_us: int) -> None:
        """Say that so many more records are out, the last of them with this time."""
        self._sent += records
        if self._out is None or self._clock() < self._next:
            return
        self._next = self._clock() + EVERY_S
        share = "" if self._total is None else f" of {self._total:,} ({self._sent / self._total:.0%})"
        self._out.write(f"\r\x1b[Kreplay: {self._sent:,}{share} records, now at {format_time(time_us)}")
        self._out.flush()

    def close(self) -> None:
        """Take the line away."""
        if self._out is not None:
            self._out.write("\r\x1b[K")
            self._out.flush()
