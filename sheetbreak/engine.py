"""The pure core: `advance` takes machines' states and their next rows, and returns their next states and what to say.

It knows no Kafka, file, clock or metric. Backtest, replay and live monitor all call it, so the score of a row is the
same in all three, and the same bits however the rows are batched.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from sheetbreak.alerts import WARNED_ROWS, AlertEvent, AlertState, Judged
from sheetbreak.artifact import Artifact, Float32s
from sheetbreak.errors import RowError
from sheetbreak.estimate import Bools, estimate
from sheetbreak.features import LARGEST, MAX_MISSING_SHARE, Features, FeatureState
from sheetbreak.judging import Judging
from sheetbreak.rows import RowBatch
from sheetbreak.scoring import TopSensor, top_sensors
from sheetbreak.taking import BROKE, FOLD, NEVER, REST, Arrivals, Clock, take
from sheetbreak.thresholds import Trailing

Floats = npt.NDArray[np.float64]
Missing = Literal["hold", "model"]
"""What stands in for a missing value when its row is scored: the last one, or what the model makes of the others."""

SCORED, RESTARTING, WARMING_UP, STOPPED, DEAD_LETTER = "scored", "restarting", "warming_up", "stopped", "dead_letter"


@dataclass(frozen=True, slots=True)
class State:
    """One machine between two rows; a value, never changed in place."""

    features: FeatureState
    trailing: Trailing
    recent: npt.NDArray[np.float32]
    """(rows since the last stop, at most window - 1; sensors) features of the last rows, unscaled; NaN where one
    was missing and the model is to estimate it."""
    alert: AlertState
    model: str
    """The version whose scores `trailing` holds; under another one it starts anew."""
    last_us: int | None = None
    """Time of the last row taken."""
    since_restart: int = NEVER
    """Rows since the last stop; large when there was none."""
    was_broken: bool = False
    late: int = 0
    """Late rows in a row, ascending among themselves, and the time of the last of them."""
    late_us: int = 0
    grade: str | None = None
    """The last one known; a feed may name it at its changes alone."""


@dataclass(slots=True)
class Results:
    """What became of a batch's rows; arrays and lists have one entry a row, dictionaries where there is something."""

    outcome: list[str]
    score: Floats
    """NaN where the row was not scored, as in `threshold`."""
    threshold: Floats
    over: npt.NDArray[np.bool_]
    contributions: Floats
    """(rows, sensors) each sensor's part in the score; NaN where the row was not scored."""
    imputed: dict[int, tuple[str, ...]] = field(default_factory=dict)
    top: dict[int, list[TopSensor]] = field(default_factory=dict)
    """For rows over the threshold, and those at which an alert is open."""
    alerts: list[tuple[int, AlertEvent]] = field(default_factory=list)
    rejects: list[tuple[int, RowError]] = field(default_factory=list)
    breaks: list[tuple[int, bool]] = field(default_factory=list)
    """Rows at which a break starts, and whether an alert was open within the 30 rows before."""


def cold_state(model: Artifact) -> State:
    """The state of a machine never seen."""
    sensors = len(model.manifest.schema.sensors)
    return State(
        features=model.features.cold(),
        trailing=Trailing(model.manifest.threshold.trailing_rows),
        recent=np.empty((0, sensors), np.float32),
        alert=AlertState(),
        model=model.version,
    )


def advance(
    states: Mapping[str, State], rows: RowBatch, model: Artifact, *, missing: Missing = "hold"
) -> tuple[dict[str, State], Results]:
    """Take rows in the order they came; returns the new states of the machines seen, and every row's outcome.

    `states` is not changed: on failure the caller still holds it and may call again. Whatever stands in for a missing
    value, mean and variance learn nothing from it.
    """
    n, sensors = len(rows), len(model.manifest.schema.sensors)
    nothing = np.full(n, np.nan)
    results = Results([DEAD_LETTER] * n, nothing, nothing.copy(), np.zeros(n, np.bool_), np.full((n, sensors), np.nan))
    batch = _Batch(rows, arrivals_of(rows), model, results, estimates=missing == "model")
    walks = [_Walk(machine, states.get(machine), places, batch) for machine, places in by_machine(rows).items()]
    # Gathered once for all machines: where each of 500 rows is another machine's, 500 times costs more than the model.
    values = np.clip(rows.values[[place for walk in walks for place in walk.rows]], -LARGEST, LARGEST)
    first = 0
    for walk in walks:
        walk.fold(values[first : first + len(walk.rows)])
        first += len(walk.rows)
    scored = _score(walks, model, results)
    after = {walk.machine: walk.judge(scored) for walk in walks}
    for listed in (results.alerts, results.rejects, results.breaks):
        listed.sort(key=_by_place)  # stable: a row that closes one alert and opens another keeps that order
    return after, results


def arrivals_of(rows: RowBatch) -> Arrivals:
    """What of `rows` decides whether they are taken."""
    sparse = np.isnan(rows.values).mean(axis=1) > MAX_MISSING_SHARE
    return Arrivals(rows.times_us.tolist(), rows.broken.tolist(), sparse.tolist())


def by_machine(rows: RowBatch) -> dict[str, list[int]]:
    """The places of each machine's rows, in the order they came."""
    places: dict[str, list[int]] = {}
    for place, machine in enumerate(rows.machines):
        places.setdefault(machine, []).append(place)
    return places


def _by_place(entry: tuple[int, object]) -> int:
    return entry[0]


def _score(walks: "list[_Walk]", model: Artifact, results: Results) -> dict[int, tuple[float, Float32s]]:
    """Run the model once over the windows of all machines; by row its score and its reconstruction, scaled."""
    windows = [window for walk in walks for window in walk.windows]
    if not windows:
        return {}
    scaled = model.scorer.scale(np.stack(windows))
    rebuilt = model.reconstruct(scaled)
    places = [place for walk in walks for place in walk.scorable]
    unseen = {place: cells for walk in walks for place, cells in walk.unseen.items()}
    if unseen:
        holed = [k for k, place in enumerate(places) if place in unseen]
        cells = np.stack([unseen[places[k]] for k in holed])
        scaled[holed], rebuilt[holed] = estimate(scaled[holed], cells, model.reconstruct, limits=model.scorer.limits)
    contributions = model.scorer.contributions(scaled, rebuilt)
    if unseen:  # estimates have no error of their own: the score is the mean over what was seen
        contributions[holed] *= (cells[0].size / (~cells).sum(axis=(1, 2)))[:, None]
    scores = model.scorer.scores(contributions)
    results.score[places], results.contributions[places] = scores, contributions
    return dict(zip(places, zip(scores.tolist(), rebuilt[:, -1], strict=True), strict=True))


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the walks of one batch share."""

    rows: RowBatch
    arrivals: Arrivals
    model: Artifact
    results: Results
    estimates: bool
    """Whether the model estimates missing values."""


class _Walk:
    """One machine's rows on their way through a batch: taken, folded into features, (scored,) judged."""

    def __init__(self, machine: str, state: State | None, places: list[int], batch: _Batch) -> None:
        self.machine, self.windows, self.scorable = machine, list[Floats](), list[int]()
        self._batch, self._model, self._results = batch, batch.model, batch.results
        self._state = cold_state(batch.model) if state is None else _under(batch.model, state)
        self._features: dict[int, tuple[Features, int]] = {}
        self.unseen: dict[int, Bools] = {}
        """Row -> (window, sensors) the cells of its window that the model is to estimate."""
        manifest, was = batch.model.manifest, self._state
        self._taken = take(
            machine,
            Clock(was.last_us, was.since_restart, was.was_broken, was.late, was.late_us),
            places,
            batch.arrivals,
            schema=manifest.schema,
            break_is_stop=manifest.break_is_stop,
        )
        batch.results.rejects += self._taken.rejects
        for place in self._taken.resting:
            batch.results.outcome[place] = STOPPED
        self.rows = [place for stretch in self._taken.stretches for place in stretch.rows]
        """Those to fold, in order."""

    def fold(self, values: Floats) -> None:
        """Features of the rows taken, whose values these are, and the windows that the model can score."""
        model, results = self._model, self._results
        sensors, reach = model.manifest.schema.sensors, model.manifest.window - 1
        features, recent = self._state.features, self._state.recent[-reach:] if reach else self._state.recent[:0]
        estimates = self._batch.estimates
        if reach and not estimates:  # kept by a monitor that estimated
            recent = np.where(np.isnan(recent), model.features.normal, recent).astype(np.float32)
        for stretch in self._taken.stretches:
            if stretch.cold:
                features, recent = model.features.cold(), recent[:0]
            unscored = model.features.warm_up_rows - features.rows
            rows, since = stretch.rows, stretch.since_restart
            hold = [s < model.features.params.hold_rows for s in since]
            features, found = model.features.fold(features, values[: len(rows)], hold=hold)
            values = values[len(rows) :]
            for i, place in enumerate(rows):
                self._features[place] = (found, i)
                window = found.z[i : i + 1]
                if estimates and i in found.imputed:
                    window = window.copy()
                    window[0, found.imputed[i]] = np.nan
                if reach:
                    # float32 as stored, so that a window has the same bits whether or not a snapshot cut it in two
                    recent = np.concatenate([recent[:0] if since[i] == 0 else recent, window.astype(np.float32)])
                    window, recent = recent[-reach - 1 :].astype(np.float64), recent[-reach:]
                if i < unscored or len(window) <= reach:
                    results.outcome[place] = WARMING_UP
                    continue
                results.outcome[place] = RESTARTING if since[i] < model.manifest.policy.restart_rows else SCORED
                if estimates and (reach or i in found.imputed):
                    window = self._without_holes(place, window)
                self.windows.append(window)
                self.scorable.append(place)
            for i, missing in found.imputed.items():
                results.imputed[rows[i]] = tuple(sensors[j] for j in missing)
        self._folded = features, recent

    def _without_holes(self, place: int, window: Floats) -> Floats:
        """The window with what is normal in its holes, for the estimate to start from; notes where they are."""
        cells = np.isnan(window)
        if cells.any():
            self.unseen[place] = cells
        return np.where(cells, self._model.features.normal, window)

    def judge(self, scored: Mapping[int, tuple[float, Float32s]]) -> State:
        """Hold each score against the threshold and fold the alert; the machine's state after the batch."""
        manifest, grades, was = self._model.manifest, self._batch.rows.grades, self._state
        judging = Judging(
            manifest.threshold, manifest.policy, trailing=was.trailing.copy(), alert=was.alert, grade=was.grade
        )
        for stretch in self._taken.stretches:
            if stretch.cold:
                judging.begin_cold()
            for place, what in stretch.steps:
                if what not in (FOLD, REST):
                    self._end_run(place, what, judging)
                    continue
                judging.take(grades[place])
                if place in scored:
                    self._judge_row(place, *scored[place], judging)
                else:
                    judging.pass_by()
        features, recent = self._folded
        clock, version = self._taken.clock, self._model.version
        return State(features, judging.trailing, recent, judging.alert, version, *clock, judging.grade)

    def _judge_row(self, place: int, score: float, rebuilt: Float32s, judging: Judging) -> None:
        results = self._results

        def describe(level: float) -> Judged:
            over = score > level
            if over or judging.alert.open is not None:
                results.top[place] = self._top(place, rebuilt)
            return self._judged(place, score=score, threshold=level, over=over)

        counts = results.outcome[place] == SCORED
        results.threshold[place], results.over[place], event = judging.judge(score, counts=counts, describe=describe)
        if event:
            results.alerts.append((place, event))

    def _end_run(self, place: int, why: str, judging: Judging) -> None:
        """A run ended before the row at `place`: a break counts as warned or not, an alert closes."""
        manifest = self._model.manifest
        if why == BROKE:
            self._results.breaks.append((place, judging.alert.since_open < WARNED_ROWS))
            if not (manifest.break_is_stop and manifest.schema.lead_rows):
                return
        time_us = self._batch.arrivals.times_us[place]
        event = judging.stop(self.machine, time_us=time_us, model=manifest.version, why=why)
        if event:
            self._results.alerts.append((place, event))

    def _top(self, place: int, rebuilt: Float32s) -> list[TopSensor]:
        features, i = self._features[place]
        expected = features.centre[i] + self._model.scorer.unscale(rebuilt) * features.spread[i]
        observed = features.observed[i]
        if place in self.unseen:
            observed = np.where(self.unseen[place][-1], expected, observed)
        return top_sensors(
            self._model.manifest.schema.sensors,
            self._results.contributions[place],
            observed=observed,
            expected=expected,
        )

    def _judged(self, place: int, *, score: float, threshold: float, over: bool) -> Judged:
        model, results = self._model, self._results
        features, i = self._features[place]
        return Judged(
            machine=self.machine,
            time_us=self._batch.arrivals.times_us[place],
            score=score,
            threshold=threshold,
            over=over,
            top=results.top.get(place, ()),
            model=model.version,
            imputed=results.imputed.get(place, ()),
            masked=tuple(model.manifest.schema.sensors[j] for j in features.masked.get(i, ())),
            grade=self._batch.rows.grades[place],
            foretells=model.manifest.schema.lead_rows > 0,
        )


def _under(model: Artifact, state: State) -> State:
    """The state as `model` takes it over: raw statistics stay, scores of another model do not compare."""
    if state.model == model.version:
        return state
    return replace(state, trailing=Trailing(model.manifest.threshold.trailing_rows), model=model.version)
