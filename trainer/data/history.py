"""A whole history through the monitor's engine, batch by batch, so that memory stays in bounds."""

from collections.abc import Mapping

import numpy as np

from sheetbreak.artifact import Artifact
from sheetbreak.engine.advance import Results, State, advance
from sheetbreak.rows import RowBatch

ROWS_AT_ONCE = 4096
"""However a history is cut, the engine gives the same bits."""


def score_history(
    rows: RowBatch, artifact: Artifact, states: Mapping[str, State] | None = None
) -> tuple[dict[str, State], Results]:
    """What `advance` makes of all rows in their order: from a cold start, or from states that stay unchanged."""
    now = dict(states or {})
    parts = []
    for first in range(0, max(len(rows), 1), ROWS_AT_ONCE):
        after, results = advance(now, rows.take(slice(first, first + ROWS_AT_ONCE)), artifact)
        now |= after
        parts.append((first, results))
    return now, Results(
        outcome=[outcome for _, part in parts for outcome in part.outcome],
        score=np.concatenate([part.score for _, part in parts]),
        threshold=np.concatenate([part.threshold for _, part in parts]),
        over=np.concatenate([part.over for _, part in parts]),
        contributions=np.concatenate([part.contributions for _, part in parts]),
        imputed={first + row: names for first, part in parts for row, names in part.imputed.items()},
        top={first + row: top for first, part in parts for row, top in part.top.items()},
        alerts=[(first + row, event) for first, part in parts for row, event in part.alerts],
        rejects=[(first + row, reject) for first, part in parts for row, reject in part.rejects],
        breaks=[(first + row, warned) for first, part in parts for row, warned in part.breaks],
    )
