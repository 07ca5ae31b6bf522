"""Progress of long work: a bar with remaining time on a terminal, a line now and then elsewhere."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

BAR_CELLS = 24
LINE_EVERY_S = 10.0
"""Elsewhere than on a terminal: a log of a long training stays readable, a short one says two lines."""


@contextmanager
def loading(what: str, out: TextIO) -> Iterator[None]:
    """Says that a library is being loaded, which takes seconds; a terminal forgets it when it is there."""
    live = out.isatty()
    out.write(f"loading {what} …" + ("" if live else "\n"))
    out.flush()
    try:
        yield
    finally:
        if live:
            out.write("\r\x1b[K")
            out.flush()


class Progress:
    """Tells people how a training of `epochs` epochs goes; writes nothing to standard output."""

    def __init__(
        self,
        out: TextIO,
        *,
        epochs: int,
        label: str = "training",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._epochs, self._label, self._clock = out, epochs, label, clock
        self._live = out.isatty()
        self._start = self._last_line = clock()

    def epoch_done(self, done: int, *, loss: float, validation_loss: float) -> None:
        """Say that `done` epochs are done, counted from 1."""
        now = self._clock()
        remaining = (now - self._start) / done * (self._epochs - done)
        figures = f"loss {loss:.4f}, validation {validation_loss:.4f}"
        if self._live:
            bar = _bar(done / self._epochs)
            left = "" if done == self._epochs else f", {_duration(remaining)} left"
            self._out.write(f"\r\x1b[K{self._label} {bar} {done}/{self._epochs}  {figures}{left}")
        elif done == self._epochs or now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            left = f"in {_duration(now - self._start)}" if done == self._epochs else f"{_duration(remaining)} left"
            self._out.write(f"{self._label}: epoch {done}/{self._epochs}, {figures}, {left}\n")
        self._out.flush()

    def close(self) -> None:
        """End the bar's line, also where the training was interrupted."""
        if self._live:
            self._out.write("\n")
            self._out.flush()


class TaskProgress:
    """Tells people how a number of tasks goes; writes nothing to standard output."""

    def __init__(
        self, out: TextIO, *, label: str, tasks: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """tasks: None where the time is given and not their number."""
        self._out, self._label, self._tasks, self._clock = out, label, tasks, clock
        self._live, self._wrote = out.isatty(), False
        self._start = self._last_line = clock()
        self._done, self._left_s, self._told_at, self._says = 0, math.nan, self._start, ""

    def tell(self, done: int, *, left_s: float, says: str = "") -> None:
        """`done` tasks are finished and the rest takes left_s seconds; NaN: not known yet."""
        now = self._clock()
        self._done, self._left_s, self._told_at, self._says = done, left_s, now, says
        if self._live:
            self.tick()
        elif done == self._tasks or now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            self._out.write(f"{self._label}: {self._words(now)}\n")
            self._out.flush()

    def tick(self) -> None:
        """Time has passed: the bar counts down, so that a long task does not look like a halt."""
        if self._live:
            bar = f"{_bar(self._done / max(self._tasks, 1))} " if self._tasks is not None else ""
            self._out.write(f"\r\x1b[K{self._label} {bar}{self._words(self._clock())}")
            self._out.flush()
            self._wrote = True

    def close(self) -> None:
        """End the bar's line, also where the work was interrupted."""
        if self._wrote:
            self._wrote = False
            self._out.write("\n")
            self._out.flush()

    def _words(self, now: float) -> str:
        count = f"{self._done}" if self._tasks is None else f"{self._done}/{self._tasks}"
        if self._done == self._tasks:
            left = f"in {_duration(now - self._start)}"
        elif math.isnan(self._left_s):
            left = ""
        else:
            left = f"{_duration(max(self._left_s - (now - self._told_at), 1.0))} left"
        return ", ".join(part for part in (count, self._says, left) if part)


def _bar(share: float) -> str:
    filled = round(BAR_CELLS * share)
    return "█" * filled + "░" * (BAR_CELLS - filled)


def _duration(seconds: float) -> str:
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"
