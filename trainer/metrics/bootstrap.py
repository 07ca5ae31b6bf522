"""Block bootstrap: how far a figure would move with another month of the same machine.

Neighbouring rows say nearly the same, so blocks of 4 hours are drawn with replacement, not rows: rows taken
as independent would make every interval far too narrow (Künsch, "The jackknife and the bootstrap for general
stationary observations", Annals of Statistics 17, 1989). Rows that come more seldom than a
mill's lie in blocks of 30, rows that come faster in a tenth of all at most: one block of 4 hours would hold them all.
"""

import numpy as np

from trainer.data.labels import Floats, Ints
from trainer.metrics.events import HORIZONS
from trainer.metrics.scored_rows import ScoredRows

BLOCK_S = 4 * 3600.0
_FEWEST_BLOCKS = 10
_LEAST_ROWS, _MOST_ROWS = HORIZONS[-1], 120
"""Rows of a block: at least so many, if there are ten of them; at most so many, unless there would be more than ten."""
DRAWS = 500
_SEED = 0


def blocks_of(rows: ScoredRows) -> Ints:
    """(n,) block number of every row, ascending from 0; the last block may be shorter."""
    tenth = len(rows) // _FEWEST_BLOCKS
    least, most = max(min(_LEAST_ROWS, tenth), 1), max(_MOST_ROWS, tenth)
    return np.arange(len(rows)) // min(max(round(BLOCK_S / rows.period_s), least), most)


def draw_blocks(count: int, *, part: int = 0) -> Ints:
    """(count, 1 + DRAWS) how often each block counts: once in column 0, then as drawn.

    The draws depend on `count` and `part` alone: two scorers of the same rows can be compared draw by draw.
    """
    rng = np.random.default_rng([_SEED, part])
    share = np.full(max(count, 1), 1.0 / max(count, 1))
    drawn = rng.multinomial(count, share, size=DRAWS)[:, :count]
    return np.vstack([np.ones((1, count), np.int64), drawn]).T


def interval(values: Floats) -> tuple[float, float] | None:
    """The middle 95 % of the resampled figures; None where half of the draws or more have none (NaN)."""
    known = values[~np.isnan(values)]
    if len(known) <= len(values) / 2:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
