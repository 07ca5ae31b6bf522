"""Cells far from the rest of their sensor: none of the spread that a variance begins with, some not learned from."""

import numpy as np

from trainer.data.inspection.sensors import HUGE, KNOWN_SENTINELS
from trainer.data.labels import Bools, Floats

FAR = 50.0
"""Widths of a sensor's middle nine tenths from its median: hardly a reading. -9999 is as far where 20 ± 50 is usual."""
ABSURD = 1e4
"""Widths from which on no reading is: the farthest of the published mill, where a sensor was off, are at 2,504."""
RESTS = 1e-12
"""A sensor that moves by less than this share of its size does not move: that is the rounding of its numbers."""
_SENTINELS = np.array(sorted(KNOWN_SENTINELS))


def far_cells(values: Floats, *, widths: float = FAR) -> Bools:
    """(rows, sensors) cells that are absurd among the others of their column; none of one that nearly always rests."""
    distance, width = _distances(values, usual=values)
    far: Bools = distance > widths * width
    return far


def no_readings(values: Floats, *, usual: Floats) -> Bools:
    """(rows, sensors) cells that say nothing of their sensor: absurd ones, and known sentinels that are far.

    usual: (n, sensors) rows that say what is far.
    """
    distance, width = _distances(values, usual=usual)
    none: Bools = distance > ABSURD * width
    named = (distance > FAR * width) & ~none
    none |= named & ((np.abs(values) >= HUGE) | np.isin(values, _SENTINELS)) if named.any() else False
    return none


def constant(values: Floats) -> Bools:
    """(sensors,) whether a column never changes, but for rounding."""
    least, most = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    still: Bools = most - least <= RESTS * np.maximum(np.abs(least), np.abs(most))
    return still


def _distances(values: Floats, *, usual: Floats) -> tuple[Floats, Floats]:
    """(rows, sensors) from the usual median, and (sensors,) the width of the usual middle nine tenths."""
    low, middle, high = np.nanpercentile(usual, [5, 50, 95], axis=0)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.abs(values - middle), np.where(high > low, high - low, np.inf)
