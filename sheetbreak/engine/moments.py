"""Moments behind streaming z: exponentially weighted mean and variance, of many machines side by side.

Finch, "Incremental calculation of weighted mean and variance" (2009), section 9, with every step clipped. This is the
one loop over rows: a row needs the mean that the row before it left. One machine does not need another, and for numpy
the rows of twenty machines are hardly more work than one machine's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

_STORED_BITS, _HALF_A_STEP = np.array(0xFFFFFFFFFF000000, np.uint64), np.array(0x0000000000800000, np.uint64)
"""Mean and variance keep 40 of their 64 bits (28 of the fraction: 4e-9): a machine's core state stays under 1 kB."""


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """How mean and variance follow the values."""

    alpha: float
    """Weight of the newest row."""
    clip_sd: float
    """A value counts as at most this many standard deviations away."""
    floor: Floats
    """(sensors,) the variance never counts as less where a value is held against it."""


class Standardised(NamedTuple):
    """n rows, each held against the mean and variance that the rows before it left."""

    moments: Floats
    """(2, machines, sensors) after the rows."""
    z: Floats
    """(n, sensors) (value - centre) / spread."""
    centre: Floats
    spread: Floats


def as_stored(values: Floats) -> Floats:
    """Rounded to the nearest number that a state can hold."""
    return ((values.view(np.uint64) + _HALF_A_STEP) & _STORED_BITS).view(np.float64)


def numbers(lengths: Ints) -> Ints:
    """Of rows one machine's after another's: each one's number among its machine's."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def standardise(
    moments: Floats, values: Floats, *, lengths: Sequence[int], learns: Bools, learning: Learning
) -> Standardised:
    """The z of n rows, one machine's after another's.

    moments: (2, machines, sensors) means and variances. values: (n, sensors). lengths: rows of each machine. learns:
    (n, sensors) False where mean and variance stay as they are. A number is the same whatever lies beside it.
    """
    as_they_are = len(lengths) == 1 or all(rows == 1 for rows in lengths)  # as small batches nearly always are
    if as_they_are:
        moments, z, sizes = moments.copy(), values.copy(), np.full(max(lengths, default=0), len(lengths), np.intp)
    else:
        machines, order, sizes = _in_rounds(np.asarray(lengths, np.intp))
        moments, z, learns = moments.take(machines, axis=1), values[order], learns[order]
    centre, spread = np.empty((2, *z.shape))
    begins = np.cumsum(sizes) - sizes
    all_learn = np.logical_and.reduceat(learns.all(axis=1), begins).tolist()
    beside, take = len(lengths), _side_by_side(moments, learning)
    for begin, size, all_of_them in zip(begins.tolist(), sizes.tolist(), all_learn, strict=True):
        if size != beside:
            beside, take = size, _side_by_side(moments[:, :size], learning)
        rows = slice(begin, begin + size)
        take(z[rows], centre[rows], spread[rows], None if all_of_them else learns[rows])
    if as_they_are:
        return Standardised(moments, z, centre, spread)
    back = np.argsort(order)
    return Standardised(moments[:, np.argsort(machines)], z[back], centre[back], spread[back])


def _in_rounds(lengths: Ints) -> tuple[Ints, Ints, Ints]:
    """The first rows of all machines, then the second ones, …: machines by length, order of the rows, rows of a round.

    The machines with the most rows come first, so that those of a round are the first so many.
    """
    machines = np.argsort(-lengths, kind="stable")
    number = numbers(lengths)
    order = np.lexsort((np.repeat(np.argsort(machines), lengths), number))
    return machines, order, np.bincount(number)


def _side_by_side(moments: Floats, learning: Learning) -> Callable[[Floats, Floats, Floats, Bools | None], None]:
    """What takes one row of each of several machines: turns it into z, says centre and spread, and updates `moments`.

    All that the arithmetic needs is made once, of full size: numpy takes three times as long where it has to repeat a
    number or a row. A function, and numpy's by local names: for one machine, looking them up in an object took a third
    as long as the arithmetic.
    """
    mean, variance = moments
    constants = _kept_constants if len(mean) <= _KEPT_MACHINES else _constants
    floor, highest, lowest, alpha, keep, half_a_step, stored_bits = constants(learning, len(mean))
    steps, after = np.empty((2, *moments.shape))
    step, square = steps
    variance_after = after[1]
    bits, bits_after = moments.view(np.uint64), after.view(np.uint64)
    maximum, minimum, add, subtract, multiply = np.maximum, np.minimum, np.add, np.subtract, np.multiply
    divide, square_root, bitwise_and = np.divide, np.sqrt, np.bitwise_and

    def take(z: Floats, centre: Floats, spread: Floats, learns: Bools | None) -> None:
        """z: the rows' values. learns: where not all cells do."""
        centre[...] = mean
        maximum(variance, floor, out=spread)
        square_root(spread, spread)
        subtract(z, mean, z)
        divide(z, spread, z)
        minimum(z, highest, out=step)
        maximum(step, lowest, out=step)
        multiply(step, spread, step)
        multiply(step, step, square)
        multiply(steps, alpha, steps)
        add(moments, steps, after)
        multiply(variance_after, keep, variance_after)
        add(bits_after, half_a_step, bits_after)
        if learns is None:
            bitwise_and(bits_after, stored_bits, bits)
        else:
            bitwise_and(bits_after, stored_bits, bits, where=learns)

    return take


def _constants(learning: Learning, machines: int) -> tuple[Any, ...]:
    """Of full size: floor, highest and lowest deviation, alpha and what it leaves, and the bits of `as_stored`."""
    one = machines, len(learning.floor)
    both = 2, *one
    return (
        np.broadcast_to(learning.floor, one).copy(),
        np.full(one, learning.clip_sd),
        np.full(one, -learning.clip_sd),
        np.full(both, learning.alpha),
        np.full(one, 1.0 - learning.alpha),
        np.full(both, _HALF_A_STEP),
        np.full(both, _STORED_BITS),
    )


_kept_constants = lru_cache(maxsize=32)(_constants)
_KEPT_MACHINES = 64
"""Of so many side by side they are kept, 9 MB at most: making them is a tenth of the features of a batch of one row."""
