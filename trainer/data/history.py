"""A whole history through the monitor's engine, batch by batch, so that memory stays in bounds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sheetbreak.engine.admission import REST, admit
from sheetbreak.engine.advance import advance
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import Results, State
from sheetbreak.engine.windows import cold_memory, make_windows
from sheetbreak.rows import RowBatch, by_machine
from trainer.data.labels import Bools, Floats, Ints

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


@dataclass(frozen=True, slots=True)
class Folded:
    """One entry a row of a history, in its order; NaN and -1 where a row was refused or the sheet was broken."""

    z: Floats
    """(rows, sensors) features as the monitor has them, unscaled: the last value held where one is missing."""
    centre: Floats
    spread: Floats
    """(rows, sensors) value = centre + z * spread, plant units."""
    run: Ints
    """(rows,) the run of its machine: consecutive rows without a stop."""
    warm: Bools
    """(rows,) past the machine's warm-up."""
    stopped: Bools
    """(rows,) of a broken sheet."""


def fold_history(rows: RowBatch, model: Artifact) -> Folded:
    """What the engine computes of each row before it asks the model, machine by machine."""
    manifest = model.manifest
    z, centre, spread = np.full((3, *rows.values.shape), np.nan)
    folded = Folded(z, centre, spread, np.full(len(rows), -1), *np.zeros((2, len(rows)), np.bool_))
    admitted = admit({}, by_machine(rows), rows, schema=manifest.schema, break_is_stop=manifest.break_is_stop)
    using, runs = model.features, 0
    for machine in admitted.values():
        folded.stopped[[place for place, what, _ in machine.steps if what == REST]] = True
        for stretch in machine.stretches:  # one unless a clock was set back: a history starts cold
            places = stretch.places
            before = [(stretch, cold_memory(using))]
            windows, found, _ = make_windows(before, rows.values, using=using, length=1)
            folded.z[places], folded.centre[places], folded.spread[places] = found.z, found.centre, found.spread
            folded.run[places] = runs + np.cumsum(np.array(stretch.since_restart) == 0)
            folded.warm[[places[row] for row in windows.ends.tolist()]] = True
            runs += len(places) + 1
    return folded
