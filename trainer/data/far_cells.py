"""Cells far from the rest of their sensor: left out of the spread that a machine's variance begins with."""

import numpy as np

from trainer.data.labels import Bools, Floats

FAR = 50.0
"""Widths of a sensor's middle nine tenths from its median: hardly a reading. -9999 is as far where 20 ± 50 is usual."""
RESTS = 1e-12
"""A sensor that moves by less than this share of its size does not move: that is the rounding of its numbers."""


def far_cells(values: Floats) -> Bools:
    """(rows, sensors) cells that are absurd among the others of their column; none of one that nearly always rests."""
    low, middle, high = np.nanpercentile(values, [5, 50, 95], axis=0)
    width = np.where(high > low, high - low, np.inf)
    with np.errstate(invalid="ignore", over="ignore"):
        far: Bools = np.abs(values - middle) > FAR * width
    return far


def constant(values: Floats) -> Bools:
    """(sensors,) whether a column never changes, but for rounding."""
    least, most = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    still: Bools = most - least <= RESTS * np.maximum(np.abs(least), np.abs(most))
    return still
