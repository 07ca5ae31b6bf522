"""Cells far from the rest of their sensor: none of the spread that a variance begins with, some not learned from."""

import numpy as np

from trainer.data.inspection.sensors import is_sentinel
from trainer.data.labels import Bools, Floats

FAR = 50.0
"""Widths of a sensor's middle nine tenths from its median: hardly a reading. -9999 is as far where 20 ± 50 is usual."""
ABSURD = 1e4
"""Widths from which on no reading is: the farthest of the published mill, where a sensor was off, are at 2,504."""
RESTS = 1e-12
"""A sensor that moves by less than this share of its size does not move: that is the rounding of its numbers."""


def far_cells(values: Floats) -> Bools:
    """(rows, sensors) cells that are absurd among the others of their column; none of one that nearly always rests."""
    return cells_apart(values, FAR)[0]


def cells_apart(values: Floats, *widths: float) -> list[Bools]:
    """For each distance, (rows, sensors) cells that are farther than so many widths of their column's middle."""
    distance, width = _distances(values, usual=values)
    return [distance > so_many * width for so_many in widths]


def no_readings(values: Floats, *, usual: Floats) -> Bools:
    """(rows, sensors) cells that say nothing of their sensor: absurd ones, and known sentinels that are far.

    usual: (n, sensors) rows that say what is far.
    """
    distance, width = _distances(values, usual=usual)
    none: Bools = distance > ABSURD * width
    named = (distance > FAR * width) & ~none
    none[named] = is_sentinel(values[named])
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
