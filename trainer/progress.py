"""Progress of a training: a bar with loss and remaining time on a terminal, a line now and then elsewhere."""

import math
import time
from collections.abc import Callable
from typing import TextIO

BAR_CELLS = 24
LINE_EVERY_S = 10.0
"""Elsewhere than on a terminal: a log of a long training stays readable, a short one says two lines."""


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
            filled = round(BAR_CELLS * done / self._epochs)
            bar = "█" * filled + "░" * (BAR_CELLS - filled)
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


def _duration(seconds: float) -> str:
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"
