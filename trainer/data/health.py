"""Health of the data, in numpy alone: gaps, missing, unchanged and interpolated values, drifting levels.

A historian that interpolates, a sensor that hangs or a level that wanders for weeks decides more about a model than
the model does. All of it is read off the rows as they were given; labels only say where runs begin and end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sheetbreak.rows import BROKEN, RowBatch, Schema
from trainer.data.labels import Bools, Floats, Ints

STUCK_ROWS = 30
"""Rows in a row with one value from which on a sensor counts as unchanged: an hour at 120 s."""
LINE_ROWS = 5
"""Rows in a row that lie on one straight line, moving, from which on they count as interpolated."""
PARTS = 20
"""Stretches of the history, equal in rows, whose levels are compared."""
_DECIMALS = 9
"""Files hold decimals; finer than this is arithmetic."""
_NEARLY_ALL = 0.9
"""Of the steps: the others may have been written with more decimals, as small numbers are."""
_OFF = 0.02
"""Of a unit: what a step may be off from a multiple of it, by a second rounding."""
_MOVING = 3
"""Resolutions that a step must take to count as moving along a line, or else rounding alone would draw lines."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Times without rows, longer than a stop."""

    end_us: Ints
    """(gaps,) when rows came again; ascending."""
    minutes: Floats
    """(gaps,)"""
    after_break: Bools
    """(gaps,) the last row before was a break."""


def find_gaps(rows: RowBatch, schema: Schema) -> Gaps:
    """Every gap of every machine that is longer than schema.stop_gap_s."""
    _, order, same = _by_machine(rows.machines)
    steps = np.diff(rows.times_us[order])
    after = np.flatnonzero(same & (steps > schema.stop_gap_s * 1e6))
    after = after[np.argsort(rows.times_us[order[after + 1]], kind="stable")]
    return Gaps(
        end_us=rows.times_us[order[after + 1]],
        minutes=steps[after] / 60e6,
        after_break=rows.broken[order[after]] == BROKEN,
    )


def missing_share(values: Floats) -> Floats:
    """(sensors,) share of the rows without a value."""
    share: Floats = np.isnan(values).mean(axis=0) if len(values) else np.zeros(values.shape[1])
    return share


def unchanged_share(values: Floats, run: Ints) -> Floats:
    """(sensors,) share of the rows that belong to STUCK_ROWS or more with the same value, in one run of the machine."""
    order = np.argsort(run, kind="stable")
    values, same_run = values[order], np.diff(run[order]) == 0
    share = np.zeros(values.shape[1])
    for sensor in range(values.shape[1]):
        same = same_run & (np.diff(values[:, sensor]) == 0)
        share[sensor] = _in_stretches(same, least=STUCK_ROWS - 1).sum() / max(len(values), 1)
    return share


def straight_share(values: Floats, run: Ints) -> Floats:
    """(sensors,) of the rows at which the sensor moves, the share on exact straight lines of LINE_ROWS rows or more.

    A measured value does not run along a line to its last digit; a historian's interpolation does.
    """
    order = np.argsort(run, kind="stable")
    values, same_run = values[order], np.diff(run[order]) == 0
    share = np.zeros(values.shape[1])
    for sensor in range(values.shape[1]):
        one = values[:, sensor]
        step = np.where(same_run, np.diff(one), np.nan)
        unit = resolution(step)
        moving = np.abs(step) > _MOVING * unit
        bend = np.abs(np.diff(step)) <= 2.1 * unit  # three rounded values of a line bend by two units at most
        straight = bend & moving[1:] & moving[:-1]
        on_line = np.zeros(len(one), np.bool_)
        on_line[1:-1] = _stretches_of(straight, least=LINE_ROWS - 2)
        on_line[2:] |= on_line[1:-1]
        on_line[:-1] |= on_line[1:]
        moves = np.zeros(len(one), np.bool_)
        moves[1:] |= moving
        moves[:-1] |= moving
        share[sensor] = (on_line & moves).sum() / max(moves.sum(), 1)
    return share


def resolution(steps: Floats) -> float:
    """The unit of the last decimal that steps from value to value are made of: .01 from 3.14 by way of 2.7 to 2.72.

    Of the steps and not of the values: a column that was centred after it was rounded shows more decimals than it has.
    """
    known = steps[~np.isnan(steps) & (steps != 0)]
    for decimals in range(_DECIMALS):
        unit = 10.0**-decimals
        whole = np.round(known, decimals)
        if ((np.abs(known - whole) <= _OFF * unit) & (whole != 0)).sum() >= _NEARLY_ALL * len(known):
            return float(unit)
    return float(10.0**-_DECIMALS)


def level_drift(rows: RowBatch, normal: Bools) -> tuple[Floats, Ints]:
    """(PARTS, sensors) how far the level of each part lies from the first part's, and (PARTS,) when each part begins.

    In units of the sensor's usual spread within a part, over the `normal` rows; of several machines the one that moved
    most. NaN where a part has no value.
    """
    ordered = np.sort(rows.times_us)
    begins = ordered[np.arange(PARTS) * len(ordered) // PARTS]
    part = np.searchsorted(begins, rows.times_us, side="right") - 1
    number, _, _ = _by_machine(rows.machines)
    found = np.full((PARTS, rows.values.shape[1]), np.nan)
    for machine in range(int(number.max(initial=-1)) + 1):
        levels, spreads = np.full_like(found, np.nan), np.full_like(found, np.nan)
        for which in range(PARTS):
            own = rows.values[normal & (number == machine) & (part == which)]
            levels[which], spreads[which] = _level_and_spread(own)
        moved = _in_spreads(levels, spreads)
        more = np.isnan(found) | (np.abs(moved) > np.abs(found))
        found = np.where(more, moved, found)
    return found, begins


def _in_spreads(levels: Floats, spreads: Floats) -> Floats:
    """(parts, sensors) levels against the first one known, in the middle spread of the parts; 0: nothing moves."""
    found = np.full_like(levels, np.nan)
    for sensor in range(levels.shape[1]):
        known = np.flatnonzero(~np.isnan(levels[:, sensor]))
        if len(known):
            own = spreads[known, sensor]
            # Where a sensor mostly stands still, the parts in which it moves say what it moves by.
            unit = float(np.median(own[own > 0])) if (own > 0).any() else float(np.std(levels[known, sensor]))
            found[known, sensor] = (levels[known, sensor] - levels[known[0], sensor]) / (unit or 1.0)
    return found


def _level_and_spread(values: Floats) -> tuple[Floats, Floats]:
    """(sensors,) median, and the quartiles' distance as a standard deviation; NaN without a value."""
    found = np.full((3, values.shape[1]), np.nan)
    some = ~np.isnan(values).all(axis=0) if len(values) else np.zeros(values.shape[1], np.bool_)
    if some.any():
        found[:, some] = np.nanpercentile(values[:, some], [25, 50, 75], axis=0)
    return found[1], (found[2] - found[0]) / 1.349


def _by_machine(machines: Sequence[str]) -> tuple[Ints, Ints, Bools]:
    """(n,) each row's machine by number; the rows machine after machine; (n-1,) whether two neighbours are of one."""
    names = {name: number for number, name in enumerate(dict.fromkeys(machines))}
    number = np.array([names[name] for name in machines], np.int64)
    order = np.argsort(number, kind="stable")
    return number, order, np.diff(number[order]) == 0


def _stretches_of(flags: Bools, *, least: int) -> Bools:
    """(n,) the flags that stand at least so many in a row."""
    edge = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    kept = np.zeros(len(flags) + 1, np.int64)
    long = edge[1::2] - edge[::2] >= least
    kept[edge[::2][long]] += 1
    kept[edge[1::2][long]] -= 1
    return np.cumsum(kept)[: len(flags)] > 0


def _in_stretches(links: Bools, *, least: int) -> Bools:
    """(n,) rows that at least so many `links` (n-1,) in a row tie together."""
    tied = _stretches_of(links, least=least)
    rows = np.zeros(len(links) + 1, np.bool_)
    rows[1:] |= tied
    rows[:-1] |= tied
    return rows
