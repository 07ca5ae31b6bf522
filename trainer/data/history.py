"""History: a whole history through the stages of the monitor's engine, part by part, so that memory stays in bounds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sheetbreak.engine.admission import REST, Admitted, admit
from sheetbreak.engine.advance import advance
from sheetbreak.engine.features import FeatureFold, Features
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Scores
from sheetbreak.engine.smoothing import smooth
from sheetbreak.engine.state import Missing, Results, State
from sheetbreak.engine.windows import Windows, cold_memory, make_windows
from sheetbreak.rows import RowBatch, Schema, by_machine
from trainer.data.labels import Bools, Floats, Ints

ROWS_AT_ONCE = 4096
"""However a history is cut, the engine gives the same bits."""


def score_history(
    rows: RowBatch, artifact: Artifact, states: Mapping[str, State] | None = None, *, missing: Missing = "hold"
) -> tuple[dict[str, State], Results]:
    """What `advance` makes of all rows in their order: from a cold start, or from states that stay unchanged."""
    now = dict(states or {})
    parts = []
    for first in range(0, max(len(rows), 1), ROWS_AT_ONCE):
        after, results = advance(now, rows.take(slice(first, first + ROWS_AT_ONCE)), artifact, missing=missing)
        now |= after
        parts.append((first, results))
    return now, Results(
        outcome=[outcome for _, part in parts for outcome in part.outcome],
        score=np.concatenate([part.score for _, part in parts]),
        threshold=np.concatenate([part.threshold for _, part in parts]),
        rarity=np.concatenate([part.rarity for _, part in parts]),
        over=np.concatenate([part.over for _, part in parts]),
        contributions=np.concatenate([part.contributions for _, part in parts]),
        imputed={first + row: names for first, part in parts for row, names in part.imputed.items()},
        top={first + row: top for first, part in parts for row, top in part.top.items()},
        alerts=[(first + row, event) for first, part in parts for row, event in part.alerts],
        rejects=[(first + row, reject) for first, part in parts for row, reject in part.rejects],
        breaks=[(first + row, warned) for first, part in parts for row, warned in part.breaks],
    )


def admit_history(rows: RowBatch, schema: Schema, *, break_is_stop: bool) -> dict[str, Admitted]:
    """The engine's first stage over a whole history, from a cold start."""
    found = admit({}, by_machine(rows), rows, schema=schema, break_is_stop=break_is_stop)
    return {machine: one.without_doubts() for machine, one in found.items()}


def smooth_history(admitted: Mapping[str, Admitted], score: Floats, *, rows: int) -> Floats:
    """(n,) the scores of a history, NaN where a row has none, as the engine smooths them over so many rows.

    As in `parts_of` every stretch starts cold.
    """
    if rows == 1:
        return score
    found: list[float | None] = [None if one != one else one for one in score.tolist()]
    for number in range(max((len(one.stretches) for one in admitted.values()), default=0)):
        going = {machine: one.stretches[number] for machine, one in admitted.items() if number < len(one.stretches)}
        found, _ = smooth(going, found, dict.fromkeys(going, ()), rows=rows)
    return np.array(found, np.float64)


class Part(NamedTuple):
    """Some rows of every stretch of a history."""

    windows: Windows
    features: Features
    rows: Ints
    """(windows, window) the rows of each window, oldest first."""


def parts_of(
    admitted: Mapping[str, Admitted],
    rows: RowBatch,
    *,
    using: FeatureFold,
    length: int,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Iterator[Part]:
    """The engine's second stage over a whole history. length: rows of a window."""
    # Every stretch starts cold: a machine's first one as the history does, the others after a clock that was set back.
    stretches = [stretch for one in admitted.values() for stretch in one.stretches if stretch.places]
    memories = [cold_memory(using) for _ in stretches]
    order = np.array([place for stretch in stretches for place in stretch.places], np.intp)
    lengths = [len(stretch.places) for stretch in stretches]
    begins = np.cumsum([0, *lengths])[:-1].tolist()
    at_once = max(rows_at_once // max(len(stretches), 1), 1)
    for first in range(0, max(lengths, default=0), at_once):
        some = slice(first, first + at_once)
        going = [i for i, rows_of_it in enumerate(lengths) if rows_of_it > first]
        before = [(stretches[i].part(some), memories[i]) for i in going]
        windows, features, after = make_windows(before, rows.values, using=using, length=length)
        for i, memory in zip(going, after, strict=True):
            memories[i] = memory
        position = np.concatenate([np.arange(begins[i] + first, begins[i] + min(lengths[i], some.stop)) for i in going])
        yield Part(windows, features, order[position[windows.ends][:, None] + np.arange(1 - length, 1)])


def expect_history(rows: RowBatch, model: Artifact) -> Floats:
    """(rows, sensors) what the model makes of each sensor by the others, plant units; NaN where a row has no score."""
    manifest = model.manifest
    found = np.full(rows.values.shape, np.nan)
    admitted = admit_history(rows, manifest.schema, break_is_stop=manifest.break_is_stop)
    for windows, features, _ in parts_of(admitted, rows, using=model.features, length=manifest.window):
        if len(windows):
            scores = Scores(windows, reconstruct=model.reconstruct, scorer=model.scorer, normal=model.features.normal)
            found[scores.places] = scores.in_plant_units(features)[1]
    return found


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
    admitted = admit_history(rows, manifest.schema, break_is_stop=manifest.break_is_stop)
    runs = 0
    for machine in admitted.values():
        folded.stopped[[place for place, what, _ in machine.steps if what == REST]] = True
        for stretch in machine.stretches:
            folded.run[stretch.places] = runs + np.cumsum(np.array(stretch.since_restart) == 0)
            runs += len(stretch.places) + 1
    for windows, found, of_rows in parts_of(admitted, rows, using=model.features, length=1):
        places = windows.places
        folded.z[places], folded.centre[places], folded.spread[places] = found.z, found.centre, found.spread
        folded.warm[of_rows[:, 0]] = True
    return folded
