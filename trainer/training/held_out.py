"""Held-out scores: what rows of the first part of a split score under a model that was not fitted on them.

A net rebuilds the rows that it has seen better than any other, so a level taken from them promises too much. The last
fifth of the first part, in order of time, is scored by a model fitted on what comes before. Where that is too little,
the part is cut into blocks of time, and each is scored by a model fitted on the others. The model that is deployed is
fitted on all of it.
"""

from collections.abc import Callable, Iterator

import numpy as np

from sheetbreak.engine.scores import Reconstruct, Scaler, ScoreParams, Scorer
from sheetbreak.rows import RowBatch
from trainer.data.inputs import Inputs
from trainer.data.labels import Floats, Ints
from trainer.data.windows import Windows

HELD_SHARE = 0.2
"""Of the first part, its last rows in time."""
MIN_HELD = 240
"""Scores that a level can be taken from: as many as a trailing window needs. With fewer the blocks serve."""
BLOCKS = 3
_WINDOWS_AT_ONCE = 4096


def score_held_out(
    fit_on: Callable[[Ints], Reconstruct],
    rows: RowBatch,
    inputs: Inputs,
    *,
    part: Ints,
    ends: Ints,
    scaler: Scaler,
    params: ScoreParams,
    every_row: bool = False,
) -> Floats:
    """(rows,) scores of rows of the first part, NaN where a row was not held out or has none.

    fit_on: fits a model on the windows that end at the rows named. part: all rows of the first part; ends: those of
    them that the deployed model is fitted on. every_row: hold out all of them in turn, however many there are, since
    levels of grades need rows of each. No window shares a row with one that its model was fitted on.
    """
    found = np.full(len(rows), np.nan)
    windows = inputs.index[np.isin(inputs.scored, ends)]
    for held in _blocks(rows.times_us[part], part, rows.times_us[ends], every_row=every_row):
        others = windows[~np.isin(windows[:, -1], held)]
        others = others[~np.isin(others, held).any(axis=1)]
        if not len(others):
            continue
        apart = inputs.index[np.isin(inputs.scored, held) & ~np.isin(inputs.index, others).any(axis=1), -1]
        found[apart] = _score(fit_on(others[:, -1]), Scorer(scaler, params), inputs.windows(apart, scaler))
    return found


def score_as_learned(
    reconstruct: Reconstruct, inputs: Inputs, learned: Inputs, *, part: Ints, scaler: Scaler, params: ScoreParams
) -> tuple[Ints, Floats]:
    """(rows,) those of a part whose windows hold a cell that no model learns from, and their scores without such cells.

    learned: the inputs without these cells.
    """
    spoiled = ((learned.features != inputs.features) & ~np.isnan(inputs.features)).any(axis=1)
    index = inputs.index[np.isin(inputs.scored, part) & spoiled[inputs.index].any(axis=1)]
    return index[:, -1], _score(reconstruct, Scorer(scaler, params), learned.windows(index[:, -1], scaler))


def _score(reconstruct: Reconstruct, scorer: Scorer, windows: Windows) -> Floats:
    """(windows,) their scores."""
    found = np.empty(len(windows))
    for first in range(0, len(windows), _WINDOWS_AT_ONCE):
        some = slice(first, first + _WINDOWS_AT_ONCE)
        scaled = windows.gather(some)
        found[some] = scorer.scores(scorer.contributions(scaled, reconstruct(scaled)))
    return found


def _blocks(times: Ints, part: Ints, fitted_times: Ints, *, every_row: bool) -> Iterator[Ints]:
    """The rows that are held out together; fitted_times: of the rows that the deployed model is fitted on."""
    ordered = np.sort(fitted_times)
    first = int(len(ordered) * (1 - HELD_SHARE))
    if len(ordered) - first >= MIN_HELD and not every_row:
        yield part[times >= ordered[first]]
        return
    edges = [ordered[len(ordered) * i // BLOCKS] for i in range(1, BLOCKS)]
    block = np.searchsorted(edges, times, side="right")
    for number in range(BLOCKS):
        yield part[block == number]
