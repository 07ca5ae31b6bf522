"""Axes: where the marks of a time or of a value stand, and what is written beside them."""

import math
from datetime import timedelta

from desk.clock import PlantClock
from sheetbreak.times import to_us

_MINUTE_US = 60_000_000
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)
"""Minutes from a mark to the next."""


def time_marks(start_us: int, end_us: int, *, clock: PlantClock, most: int) -> list[tuple[int, str]]:
    """At whole hours or minutes of the plant's clock, none at the right edge: where, and what is written."""
    span = max(end_us - start_us, 1)
    step = next((one for one in _STEPS if span / (one * _MINUTE_US) <= most), _STEPS[-1])
    first = clock.local(start_us)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    marks: list[tuple[int, str]] = []
    moment = midnight + timedelta(minutes=((first - midnight) // timedelta(minutes=step) + 1) * step)
    while (at := to_us(moment)) <= end_us - span // 40 and len(marks) <= most:
        daily = step >= 1440 or (moment.hour == moment.minute == 0)
        marks.append((at, f"{moment:%d %b}" if daily else f"{moment:%H:%M}"))
        moment += timedelta(minutes=step)
    return marks


def value_marks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Round numbers between two values."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    raw = span / most
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= raw)
    first = math.ceil(low / step)
    return [step * k for k in range(first, math.floor(high / step) + 1)]
