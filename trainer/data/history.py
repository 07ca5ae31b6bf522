"""A whole history through the monitor's engine, batch by batch, so that memory stays in bounds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sheetbreak.engine.admission import Clock, take
from sheetbreak.engine.advance import advance, arrivals_of
from sheetbreak.engine.features import LARGEST
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import Results, State
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
    arrivals, runs = arrivals_of(rows), 0
    for machine, own in by_machine(rows).items():
        taken = take(machine, Clock(), own, arrivals, schema=manifest.schema, break_is_stop=manifest.break_is_stop)
        folded.stopped[taken.resting] = True
        for stretch in taken.stretches:  # one unless a clock was set back: a history starts cold
            state = model.features.cold()
            hold = [since < model.features.params.hold_rows for since in stretch.since_restart]
            values = np.clip(rows.values[stretch.rows], -LARGEST, LARGEST)
            _, found = model.features.fold([state], values, lengths=[len(values)], hold=hold)
            folded.z[stretch.rows], folded.centre[stretch.rows] = found.z, found.centre
            folded.spread[stretch.rows] = found.spread
            folded.run[stretch.rows] = runs + np.cumsum(np.array(stretch.since_restart) == 0)
            folded.warm[stretch.rows] = np.arange(len(stretch.rows)) >= model.features.warm_up_rows
            runs += len(stretch.rows) + 1
    return folded
