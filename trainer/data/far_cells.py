"""Cells far from the rest of their sensor: none of the spread that a variance begins with, some not learned from."""

from collections.abc import Sequence

import numpy as np

from trainer.data.inspection.sensors import find_sentinels, is_sentinel
from trainer.data.labels import Bools, Floats, Ints

FAR = 50.0
"""Widths of a sensor's middle nine tenths from its median: hardly a reading. -9999 is as far where 20 ± 50 is usual."""
ABSURD = 1e4
"""Widths from which on no reading is: the farthest of the published mill, where a sensor was off, are at 2,504."""
RESTS = 1e-12
"""A sensor that moves by less than this share of its size does not move: that is the rounding of its numbers."""


MANY = 0.003
"""Of the rows: so many far cells, where the default preset clips them, blind a model for their sensor."""
_TOGETHER = 0.05
"""Of a drop-out's cells, at most so many follow one another; in the published mill, where parts were off, 38 % do."""


def far_cells(values: Floats) -> Bools:
    """(rows, sensors) cells that are absurd among the others of their column; none of one that nearly always rests."""
    return cells_apart(values, FAR)[0]


def cells_apart(values: Floats, *widths: float) -> list[Bools]:
    """For each distance, (rows, sensors) cells that are farther than so many widths of their column's middle."""
    distance, width = _distances(values, usual=values)
    return [distance > so_many * width for so_many in widths]


def no_readings(values: Floats, *, usual: Sequence[Ints]) -> Bools:
    """(rows, sensors) cells that say nothing of their sensor: absurd ones, known sentinels that are far, drop-outs.

    usual: rows that say what is far, in order of time, of each machine by itself.
    """
    distance, width = _distances(values, usual=values[np.concatenate(usual)])
    none: Bools = distance > ABSURD * width
    named = (distance > FAR * width) & ~none
    none[named] = is_sentinel(values[named])
    return none | drop_outs(values, usual=usual)


def drop_outs(values: Floats, *, usual: Sequence[Ints]) -> Bools:
    """(rows, sensors) cells of one number that comes again and again, in single rows and far from the sensor's others:
    no state of the machine but a reading that failed, whatever stands for it. usual: as for `no_readings`.
    """
    found = np.zeros(values.shape, np.bool_)
    rows = np.concatenate(usual)
    for i in np.flatnonzero(~np.isnan(values[rows]).all(axis=0)).tolist():
        for odd in find_sentinels(values[rows, i]):
            hit = values[:, i] == odd.value
            together = sum(int((hit[own][1:] & hit[own][:-1]).sum()) for own in usual)
            if odd.count >= MANY * len(rows) and together <= _TOGETHER * odd.count:
                found[:, i] |= hit
    return found


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
