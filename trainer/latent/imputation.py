"""Imputation of a history's missing cells by a model, in plant units, and by the last value where it cannot."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import estimate
from sheetbreak.rows import RowBatch
from trainer.data.history import Folded, fold_history
from trainer.data.labels import Bools, Floats, Ints

_WINDOWS_AT_ONCE = 1024

Texts = npt.NDArray[np.str_]
MODEL, MEASURED = "model", ""
STOPPED, REFUSED, WARMING_UP, SHORT_RUN = "sheet broken", "too many missing", "warming up", "run shorter than a window"
"""Why the last value stands in a row and not the model's."""


@dataclass(frozen=True, slots=True)
class Imputed:
    """A history without holes."""

    values: Floats
    """(rows, sensors) plant units."""
    missing: Bools
    """(rows, sensors) the cells that were filled."""
    by: Texts
    """(rows,) what filled them: MODEL, or why it is the last value; MEASURED where nothing was missing."""


def impute(rows: RowBatch, model: Artifact) -> Imputed:
    """Fill the missing cells of a history.

    Each row is looked at in the window of its run in which it stands nearest the middle, so a model of more than one
    row looks ahead as well as back. All missing cells of a window are estimated at once.
    """
    missing = np.isnan(rows.values)
    folded = fold_history(rows, model)
    values = hold_last(rows, np.asarray(model.manifest.features.fallback))
    holed = missing.any(axis=1)
    by = np.where(holed, _why_not(folded), MEASURED)
    able, windows, place = windows_around(folded, np.flatnonzero(holed & folded.warm), model.manifest.window)
    by[able] = MODEL
    start = np.where(missing, model.features.normal, folded.z)
    for first in range(0, len(able), _WINDOWS_AT_ONCE):
        some = slice(first, first + _WINDOWS_AT_ONCE)
        filled, _ = estimate(
            model.scorer.scale(start[windows[some]]),
            missing[windows[some]],
            model.reconstruct,
            limits=model.scorer.limits,
        )
        own = model.scorer.unscale(filled[np.arange(len(filled)), place[some]])
        row = able[some]
        estimated = folded.centre[row] + own * folded.spread[row]
        values[row] = np.where(missing[row], estimated, values[row])
    return Imputed(values, missing, by)


def hold_last(rows: RowBatch, fallback: Floats) -> Floats:
    """(rows, sensors) values with the machine's last one where one is missing; before there is one, `fallback`."""
    values, machines = rows.values.copy(), np.array(rows.machines)
    for machine in np.unique(machines):
        own = np.flatnonzero(machines == machine)
        known = ~np.isnan(values[own])
        last = np.maximum.accumulate(np.where(known, np.arange(len(own))[:, None], -1))
        held = np.take_along_axis(values[own], np.maximum(last, 0), axis=0)
        values[own] = np.where(last < 0, fallback, held)
    return values


def windows_around(folded: Folded, wanted: Ints, window: int) -> tuple[Ints, Ints, Ints]:
    """Of the rows `wanted` those in a run of `window` rows or more; the rows (n, window) of a window about each, and
    each one's place in its window (n,).
    """
    order = np.argsort(folded.run, kind="stable")
    position = np.argsort(order)[wanted]
    run = folded.run[wanted]
    start, end = (np.searchsorted(folded.run[order], run, side=side) for side in ("left", "right"))
    able = (run >= 0) & (end - start >= window)
    first = np.clip(position - window // 2, start, np.maximum(end - window, start))[able]
    return wanted[able], order[first[:, None] + np.arange(window)], position[able] - first


def _why_not(folded: Folded) -> Texts:
    """(rows,) why the model cannot fill a row, were it one that it cannot."""
    taken = np.where(folded.warm, SHORT_RUN, WARMING_UP)
    left_out = np.where(folded.stopped, STOPPED, REFUSED)
    return np.where(folded.run < 0, left_out, taken)
