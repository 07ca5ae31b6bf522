"""The pure core: `advance` takes machines' states and their next rows, and returns their next states and what to say.

It knows no Kafka, file, clock or metric. Backtest, replay and live monitor all call it, so the score of a row is the
same in all three, and the same bits however the rows are batched.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sheetbreak.engine.admission import BROKE, FOLD, REST, Arrivals, Clock, take
from sheetbreak.engine.alerts import WARNED_ROWS, Judged
from sheetbreak.engine.decision import Judging
from sheetbreak.engine.features import MAX_MISSING_SHARE
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Scored
from sheetbreak.engine.state import (
    DEAD_LETTER,
    RESTARTING,
    SCORED,
    STOPPED,
    WARMING_UP,
    Missing,
    Results,
    State,
    cold_memory,
    cold_state,
)
from sheetbreak.engine.thresholds import Trailing
from sheetbreak.engine.windows import Memory, fold
from sheetbreak.rows import RowBatch, by_machine


def advance(
    states: Mapping[str, State], rows: RowBatch, model: Artifact, *, missing: Missing = "hold"
) -> tuple[dict[str, State], Results]:
    """Take rows in the order they came; returns the new states of the machines seen, and every row's outcome.

    `states` is not changed: on failure the caller still holds it and may call again. Whatever stands in for a missing
    value, mean and variance learn nothing from it.
    """
    n = len(rows)
    contributions = np.full((n, len(model.manifest.schema.sensors)), np.nan)
    results = Results([DEAD_LETTER] * n, np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.bool_), contributions)
    batch = _Batch(rows, arrivals_of(rows), model, results, results.threshold.tolist())
    walks = [_Walk(machine, states.get(machine), places, batch) for machine, places in by_machine(rows).items()]
    if not walks:
        return {}, results
    scored = _score(walks, batch, estimates=missing == "model")
    after = {walk.machine: walk.judge(scored) for walk in walks}
    results.threshold[:] = batch.levels
    for listed in (results.alerts, results.rejects, results.breaks):
        listed.sort(key=_by_place)  # stable: a row that closes one alert and opens another keeps that order
    return after, results


def arrivals_of(rows: RowBatch) -> Arrivals:
    """What of `rows` decides whether they are taken."""
    sparse = np.isnan(rows.values).mean(axis=1) > MAX_MISSING_SHARE
    return Arrivals(rows.times_us.tolist(), rows.broken.tolist(), sparse.tolist())


def _by_place(entry: tuple[int, object]) -> int:
    return entry[0]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the walks of one batch share."""

    rows: RowBatch
    arrivals: Arrivals
    model: Artifact
    results: Results
    levels: list[float]
    """By place: the level that the row's score was held against; NaN before, and where it has none."""


def _score(walks: "list[_Walk]", batch: _Batch, *, estimates: bool) -> Scored:
    """Fold and score the rows of all machines together. estimates: whether the model estimates missing values."""
    model, results, manifest = batch.model, batch.results, batch.model.manifest
    stretches = [(walk, stretch) for walk in walks for stretch in walk.taken.stretches]
    folded = fold(
        [(stretch, cold_memory(model) if stretch.cold else walk.memory) for walk, stretch in stretches],
        batch.rows.values,
        using=model.features,
        window=manifest.window,
        estimates=estimates,
    )
    for (walk, _), memory in zip(stretches, folded.after, strict=True):
        walk.memory = memory
    for place in folded.places:
        results.outcome[place] = WARMING_UP
    sensors = manifest.schema.sensors
    for row, gone in folded.features.imputed.items():
        results.imputed[folded.places[row]] = tuple(sensors[sensor] for sensor in gone)
    scored = Scored(folded, model)
    for place, row in zip(scored.places, folded.scorable.tolist(), strict=True):
        restarting = folded.since_restart[row] < manifest.policy.restart_rows
        results.outcome[place] = RESTARTING if restarting else SCORED
    results.score[scored.places], results.contributions[scored.places] = scored.scores, scored.contributions
    return scored


class _Walk:
    """One machine's rows on their way through a batch: taken, (folded and scored with all others,) judged."""

    def __init__(self, machine: str, state: State | None, places: list[int], batch: _Batch) -> None:
        self.machine, self._batch = machine, batch
        model, results = batch.model, batch.results
        self._state = was = cold_state(model) if state is None else _under(model, state)
        self.memory = Memory(was.features, was.recent)
        """Of the rows before, and once they are folded of these."""
        self.taken = take(
            machine,
            Clock(was.last_us, was.since_restart, was.was_broken, was.late, was.late_us),
            places,
            batch.arrivals,
            schema=model.manifest.schema,
            break_is_stop=model.manifest.break_is_stop,
        )
        results.rejects += self.taken.rejects
        for place in self.taken.resting:
            results.outcome[place] = STOPPED

    def judge(self, scored: Scored) -> State:
        """Hold each score against the threshold and fold the alert; the machine's state after the batch."""
        batch, was = self._batch, self._state
        manifest, grades, outcome, levels = batch.model.manifest, batch.rows.grades, batch.results.outcome, batch.levels
        scores = scored.score
        judging = Judging(
            manifest.threshold, manifest.policy, trailing=was.trailing.copy(), alert=was.alert, grade=was.grade
        )
        for stretch in self.taken.stretches:
            if stretch.cold:
                judging.begin_cold()
            for place, what in stretch.steps:
                if what not in (FOLD, REST):
                    self._end_run(place, what, judging)
                    continue
                judging.take(grades[place])
                score = scores.get(place)
                if score is None:
                    judging.pass_by()
                    continue
                counts = outcome[place] == SCORED
                level, over = judging.hold(score, counts=counts)
                levels[place] = level
                if over or not judging.idle:
                    self._weigh(place, scored, judging, threshold=level, over=over, may_open=counts)
        features, recent = self.memory
        clock, version = self.taken.clock, batch.model.version
        return State(features, judging.trailing, recent, judging.alert, version, *clock, judging.grade)

    def _weigh(
        self, place: int, scored: Scored, judging: Judging, *, threshold: float, over: bool, may_open: bool
    ) -> None:
        """What comes of a row that is over, or of one while an alert is open, was open lately, or is about to be."""
        results = self._batch.results
        results.over[place] = over
        if over or judging.alert.open is not None:
            results.top[place] = scored.top(place)
        event = judging.weigh(self._judged(place, scored, threshold=threshold, over=over), may_open=may_open)
        if event:
            results.alerts.append((place, event))

    def _end_run(self, place: int, why: str, judging: Judging) -> None:
        """A run ended before the row at `place`: a break counts as warned or not, an alert closes."""
        manifest = self._batch.model.manifest
        if why == BROKE:
            self._batch.results.breaks.append((place, judging.alert.since_open < WARNED_ROWS))
            if not (manifest.break_is_stop and manifest.schema.lead_rows):
                return
        time_us = self._batch.arrivals.times_us[place]
        event = judging.stop(self.machine, time_us=time_us, model=manifest.version, why=why)
        if event:
            self._batch.results.alerts.append((place, event))

    def _judged(self, place: int, scored: Scored, *, threshold: float, over: bool) -> Judged:
        model, results = self._batch.model, self._batch.results
        return Judged(
            machine=self.machine,
            time_us=self._batch.arrivals.times_us[place],
            score=scored.score[place],
            threshold=threshold,
            over=over,
            top=results.top.get(place, ()),
            model=model.version,
            imputed=results.imputed.get(place, ()),
            masked=scored.masked(place),
            grade=self._batch.rows.grades[place],
            foretells=model.manifest.schema.lead_rows > 0,
        )


def _under(model: Artifact, state: State) -> State:
    """The state as `model` takes it over: raw statistics stay, scores of another model do not compare."""
    if state.model == model.version:
        return state
    return replace(state, trailing=Trailing(model.manifest.threshold.trailing_rows), model=model.version)
