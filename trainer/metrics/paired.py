"""Paired differences: how much better one scorer of some rows is than another, by resampling blocks of both at once.

The same blocks are drawn for both (see bootstrap.py), so what makes a week hard for either cancels out.
"""

from typing import NamedTuple

import numpy as np

from trainer.data.labels import Bools, Floats
from trainer.metrics.alarms import breaks_warned
from trainer.metrics.bootstrap import blocks_of, draw_blocks, interval
from trainer.metrics.row_metrics import weighted_metrics
from trainer.metrics.scored_rows import ScoredRows


class Gain(NamedTuple):
    """A difference and its 95 % interval."""

    value: float
    low: float
    high: float


def auc_gain(new: ScoredRows, old: ScoredRows) -> Gain | None:
    """The ROC AUC of `new` less that of `old`, over the rows that both score; None where a class is missing."""
    both = new.judged & old.judged
    return _gain(_aucs(new, both) - _aucs(old, both))


def auc_interval(rows: ScoredRows) -> Gain | None:
    """The ROC AUC itself; None where a class is missing."""
    return _gain(_aucs(rows, rows.judged))


def warned_gain(new: ScoredRows, old: ScoredRows) -> Gain | None:
    """The share of breaks that `new` warns of beyond chance, less that of `old`; None without breaks.

    As deployed: each with its own alerts, and with the chance that those alerts would have at other times.
    """
    block = blocks_of(new)
    draws = draw_blocks(int(block.max(initial=-1)) + 1).astype(np.float64)
    one, other = breaks_warned(new), breaks_warned(old)
    if not len(one.place):
        return None
    ahead = (one.warned - one.chance) - (other.warned - other.chance)
    of_block = block[one.place]
    with np.errstate(invalid="ignore"):
        return _gain((ahead @ draws[of_block]) / draws[of_block].sum(axis=0))


def _aucs(rows: ScoredRows, judged: Bools) -> Floats:
    """(1 + DRAWS,) of the rows as they are, then resampled; NaN where a class is missing."""
    block = blocks_of(rows)
    draws = draw_blocks(int(block.max(initial=-1)) + 1)
    weights = draws[block[judged]].T.astype(np.float64)
    return weighted_metrics(rows.will_break[judged], rows.score[judged], weights=weights)[0]


def _gain(draws: Floats) -> Gain | None:
    """draws: the figure as it is, then resampled."""
    found = interval(draws[1:])
    return None if found is None or np.isnan(draws[0]) else Gain(float(draws[0]), *found)
