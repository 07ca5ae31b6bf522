"""Cells far from the rest of their sensor: none of the spread that a variance begins with, some not learned from."""

from collections.abc import Iterator, Sequence

import numpy as np

from trainer.data.inspection.sensors import find_sentinels, is_sentinel
from trainer.data.labels import Bools, Floats, Ints

FAR = 50.0
"""Widths of a sensor's middle nine tenths from its median: hardly a reading. -9999 is as far where 20 ± 50 is usual."""
ABSURD = 1e4
"""Widths from which on no reading is: the farthest of the published mill, where a sensor was off, are at 2,504."""
APART = 5.0
"""Widths at which the default preset clips: many such cells blind a model."""
RESTS = 1e-12
"""A sensor that moves by less than this share of its size does not move: that is the rounding of its numbers."""


MANY = 0.003
"""Of the rows: so many far cells, where the default preset clips them, blind a model for their sensor."""
_TOGETHER = 0.05
"""Of a drop-out's cells, at most so many follow one another; in the published mill, where parts were off, 38 % do."""
_ALONE = 0.9
"""Of an outage's cells, at least so many stand in rows where every other sensor reads as usual: the machine went on. In
the published mill at most 60 % do: where a part is off, sensors beside this one are off, too."""
_SELDOM = 0.1
"""Of the rows, at most so many hold an outage; a number that comes more often is a state: a dye that is not dosed."""


def far_cells(values: Floats) -> Bools:
    """(rows, sensors) cells that are absurd among the others of their column; none of one that nearly always rests."""
    return cells_apart(values, FAR)[0]


def cells_apart(values: Floats, *widths: float) -> list[Bools]:
    """For each distance, (rows, sensors) cells that are farther than so many widths of their column's middle."""
    distance, width = _distances(values, usual=values)
    return [distance > so_many * width for so_many in widths]


def no_readings(values: Floats, *, usual: Sequence[Ints]) -> Bools:
    """(rows, sensors) cells that say nothing of their sensor: absurd ones, known sentinels that are far, drop-outs
    and outages.

    usual: rows that say what is far, in order of time, of each machine by itself.
    """
    distance, width = _distances(values, usual=values[np.concatenate(usual)])
    none: Bools = distance > ABSURD * width
    named = (distance > FAR * width) & ~none
    none[named] = is_sentinel(values[named])
    single, lasting = drop_outs(values, usual=usual)
    return none | single | lasting


def drop_outs(values: Floats, *, usual: Sequence[Ints]) -> tuple[Bools, Bools]:
    """(rows, sensors) each, cells of one number that comes again and again, far from the sensor's others: in single
    rows, and in stretches while all other sensors read as usual.

    No states of the machine but readings that failed, whatever stands for them. usual: as for `no_readings`.
    """
    single, lasting = np.zeros((2, *values.shape), np.bool_)
    rows = np.concatenate(usual)
    for i, hit in _numbers_apart(values, rows):
        count = int(hit[rows].sum())
        together = sum(int((hit[own][1:] & hit[own][:-1]).sum()) for own in usual)
        if together <= _TOGETHER * count:
            single[:, i] |= hit
        elif count <= _SELDOM * len(rows) and all(_is_over(hit[own]) for own in usual):
            lasting[:, i] |= hit
    if lasting.any():
        known = ~np.isnan(values[rows]).all(axis=0)
        lasting[:, known] &= _alone(values[:, known], lasting[:, known], usual=rows, sound=~single[:, known])
    return single, lasting


def numbers_apart(values: Floats) -> Bools:
    """(rows, sensors) cells of one number that comes again and again, far from all others of its sensor: readings that
    failed, or a state of the machine.
    """
    found = np.zeros(values.shape, np.bool_)
    for i, hit in _numbers_apart(values, np.arange(len(values))):
        found[:, i] |= hit
    return found


def _numbers_apart(values: Floats, rows: Ints) -> Iterator[tuple[int, Bools]]:
    """Each sensor with such a number in `rows`, and which of all rows hold it."""
    for i in np.flatnonzero(~np.isnan(values[rows]).all(axis=0)).tolist():
        for odd in find_sentinels(values[rows, i]):
            if odd.count >= MANY * len(rows):
                yield i, values[:, i] == odd.value


def _is_over(hit: Bools) -> bool:
    """Whether as many rows follow the last of these as there are: what lasts to the end may be a level that stepped."""
    return bool(np.argmax(hit[::-1]) >= hit.sum())


def _alone(values: Floats, cells: Bools, *, usual: Ints, sound: Bools) -> Bools:
    """(sensors,) whether nearly all of a sensor's `cells` in `usual` rows stand where no other sensor is far from its
    own middle. sound: cells by which others are judged.
    """
    distance, width = _distances(values, usual=np.where(cells | ~sound, np.nan, values)[usual])
    far = (distance > APART * width) & sound
    others = far.sum(axis=1, keepdims=True) - far
    alone = (cells & (others == 0))[usual].sum(axis=0)
    found: Bools = alone >= _ALONE * cells[usual].sum(axis=0)
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
