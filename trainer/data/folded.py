"""A history folded as the monitor folds it, with what turns its features back into plant units."""

from dataclasses import dataclass

import numpy as np

from sheetbreak.artifact import Artifact
from sheetbreak.engine.admission import Clock, take
from sheetbreak.engine.advance import arrivals_of, by_machine
from sheetbreak.engine.features import LARGEST
from sheetbreak.rows import RowBatch
from trainer.data.labels import Bools, Floats, Ints


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
