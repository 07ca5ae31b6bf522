"""Pacing: rows go out when they are due, by their own times and the speed."""

import math
import re
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError

BLOCK_ROWS = 500
"""At most at once: a reader sees the first rows of a fast replay before the last ones are encoded."""


def parse_speed(text: str) -> float:
    """`1x`, `3600x`, `3600` or `max` (infinity). Raises DataError."""
    if text == "max":
        return math.inf
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)x?", text, re.ASCII)
    if found is None or not 0 < float(found[1]) < math.inf:
        raise DataError(f"--speed {text!r}: expected 1x, 3600x (an hour a second) or max")
    return float(found[1])


def paced(
    moments_us: npt.NDArray[np.int64],
    *,
    origin_us: int,
    started_s: float,
    speed: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    most: int = BLOCK_ROWS,
) -> Iterator[slice]:
    """Blocks of at most `most` rows, each as soon as its first row is due, with all that are due by then.

    moments_us: (n,) ascending. A row is due (moment - origin) / speed after `started_s`, which `clock` counts
    too; so a reader that was slow, or a broker that was away, is caught up with, and nothing adds up.
    """
    due_s = started_s + (moments_us - origin_us) / 1e6 / speed
    first = 0
    while first < len(due_s):
        while (wait_s := float(due_s[first]) - clock()) > 0:
            sleep(wait_s)
        due = int(np.searchsorted(due_s, clock(), side="right"))
        last = min(max(due, first + 1), first + most)
        yield slice(first, last)
        first = last
