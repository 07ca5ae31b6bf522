"""The pure core: `advance` takes machines' states and their next rows, and returns their next states and what to say.

It knows no Kafka, file, clock or metric. Backtest, replay and live monitor all call it, so the score of a row is the
same in all three, and the same bits however the rows are batched.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sheetbreak.alerts import WARNED_ROWS, AlertEvent, AlertState, Judged, judge, stop
from sheetbreak.artifact import Artifact
from sheetbreak.errors import RowError
from sheetbreak.features import MAX_MISSING_SHARE, Features, FeatureState
from sheetbreak.rows import BROKEN, RowBatch, format_time
from sheetbreak.scoring import TopSensor, top_sensors
from sheetbreak.thresholds import Trailing, level_now

Floats = npt.NDArray[np.float64]

SCORED, RESTARTING, WARMING_UP, STOPPED, DEAD_LETTER = "scored", "restarting", "warming_up", "stopped", "dead_letter"
_NEVER = 1 << 30
CLOCK_SET_BACK_ROWS = 5
"""So many late rows in a row, ascending among themselves, mean that the machine's clock was set back."""


@dataclass(frozen=True, slots=True)
class State:
    """One machine between two rows; a value, never changed in place."""

    features: FeatureState
    trailing: Trailing
    recent: npt.NDArray[np.float32]
    """(rows since the last stop, at most window - 1; sensors) features of the last rows, unscaled."""
    alert: AlertState
    model: str
    """The version whose scores `trailing` holds; under another one it starts anew."""
    last_us: int | None = None
    """Time of the last row taken."""
    since_restart: int = _NEVER
    """Rows since the last stop; large when there was none."""
    was_broken: bool = False
    late: int = 0
    """Late rows in a row, ascending among themselves, and the time of the last of them."""
    late_us: int = 0


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


def advance(states: Mapping[str, State], rows: RowBatch, model: Artifact) -> tuple[dict[str, State], Results]:
    """Take rows in the order they came; returns the new states of the machines seen, and every row's outcome.

    `states` is not changed: on failure the caller still holds it and may call again.
    """
    n, sensors = len(rows), len(model.manifest.schema.sensors)
    nothing = np.full(n, np.nan)
    results = Results([DEAD_LETTER] * n, nothing, nothing.copy(), np.zeros(n, np.bool_), np.full((n, sensors), np.nan))
    batch = _Batch(
        rows,
        model,
        results,
        times_us=rows.times_us.tolist(),
        labels=rows.broken.tolist(),
        sparse=(np.isnan(rows.values).mean(axis=1) > MAX_MISSING_SHARE).tolist(),
    )
    by_machine: dict[str, list[int]] = {}
    for place, machine in enumerate(rows.machines):
        by_machine.setdefault(machine, []).append(place)
    walks = [_Walk(machine, states.get(machine), batch) for machine in by_machine]
    for walk, places in zip(walks, by_machine.values(), strict=True):
        walk.take(places)
        walk.fold()
    _score(walks, model, results)
    after = {walk.machine: walk.judge() for walk in walks}
    for listed in (results.alerts, results.rejects, results.breaks):
        listed.sort(key=_by_place)  # stable: a row that closes one alert and opens another keeps that order
    return after, results


def _by_place(entry: tuple[int, object]) -> int:
    return entry[0]


def _score(walks: "list[_Walk]", model: Artifact, results: Results) -> None:
    """Run the model once over the windows of all machines."""
    windows = [window for walk in walks for window in walk.windows]
    if not windows:
        return
    scaled = model.scorer.scale(np.stack(windows))
    rebuilt = model.reconstruct(scaled)
    contributions = model.scorer.contributions(scaled, rebuilt)
    places = [place for walk in walks for place in walk.scorable]
    results.score[places] = model.scorer.scores(contributions)
    results.contributions[places] = contributions
    first = 0
    for walk in walks:
        walk.rebuilt = dict(zip(walk.scorable, rebuilt[first : first + len(walk.windows), -1], strict=True))
        first += len(walk.windows)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the walks of one batch share."""

    rows: RowBatch
    model: Artifact
    results: Results
    times_us: list[int]
    labels: list[int]
    sparse: list[bool]
    """Rows in which too many sensors are missing."""


@dataclass(slots=True)
class _Stretch:
    """Consecutive rows of one machine that are folded together: from the state before, or from a cold start."""

    cold: bool
    steps: list[tuple[int, str]] = field(default_factory=list)
    """(row, what) in order; what is "" for a row to fold, else a stop and why ("the sheet broke")."""
    since_restart: list[int] = field(default_factory=list)
    """Per row to fold."""

    @property
    def rows(self) -> list[int]:
        return [place for place, why in self.steps if not why]


_BROKE = "the sheet broke"


class _Walk:
    """One machine's rows on their way through a batch: taken, folded into features, (scored,) judged."""

    def __init__(self, machine: str, state: State | None, batch: _Batch) -> None:
        self.machine, self.windows, self.scorable = machine, list[Floats](), list[int]()
        self.rebuilt: dict[int, npt.NDArray[np.float32]] = {}
        self._rows, self._model, self._results, self._batch = batch.rows, batch.model, batch.results, batch
        self._state = cold_state(batch.model) if state is None else _under(batch.model, state)
        self._stretches = [_Stretch(cold=False)]
        self._features: dict[int, tuple[Features, int]] = {}

    def take(self, places: list[int]) -> None:
        """Decide of each row whether it is taken, refused or a stop, by its time and label."""
        manifest, state, results, batch = self._model.manifest, self._state, self._results, self._batch
        gap_us = round(manifest.schema.stop_gap_s * 1e6)
        skips_broken = manifest.schema.lead_rows > 0
        last, since, was_broken = state.last_us, state.since_restart, state.was_broken
        late, late_us = state.late, state.late_us
        stretch = self._stretches[0]
        for place in places:
            time_us = batch.times_us[place]
            if last is not None and time_us <= last:
                if time_us < last:
                    late, late_us = (late + 1 if late and time_us > late_us else 1), time_us
                if time_us == last or late < CLOCK_SET_BACK_ROWS:
                    results.rejects.append((place, _not_later(self.machine, time_us, last)))
                    continue
                stretch = _Stretch(cold=True, steps=[(place, "the clock was set back")])
                self._stretches.append(stretch)
                last, since, was_broken = None, _NEVER, False
            if batch.sparse[place]:
                results.rejects.append((place, _too_sparse(self.machine)))
                continue
            if last is not None and time_us - last > gap_us:
                stretch.steps.append((place, "the machine stopped"))
                since = 0
            last, late, broken = time_us, 0, batch.labels[place] == BROKEN
            if broken and not was_broken:
                stretch.steps.append((place, _BROKE))
            was_broken = broken
            if broken and skips_broken:
                results.outcome[place] = STOPPED
                since = 0 if manifest.break_is_stop else since
                continue
            stretch.steps.append((place, ""))
            stretch.since_restart.append(since)
            since = min(since + 1, _NEVER)
        self._clock = last, since, was_broken, late, late_us

    def fold(self) -> None:
        """Features of the rows taken, and the windows that the model can score."""
        model, results = self._model, self._results
        sensors, reach = model.manifest.schema.sensors, model.manifest.window - 1
        features, recent = self._state.features, self._state.recent[-reach:] if reach else self._state.recent[:0]
        for stretch in self._stretches:
            if stretch.cold:
                features, recent = model.features.cold(), recent[:0]
            unscored = model.features.warm_up_rows - features.rows
            rows, since = stretch.rows, stretch.since_restart
            hold = [s < model.features.params.hold_rows for s in since]
            features, found = model.features.fold(features, self._rows.values[rows], hold=hold)
            for i, place in enumerate(rows):
                self._features[place] = (found, i)
                window = found.z[i : i + 1]
                if reach:
                    # float32 as stored, so that a window has the same bits whether or not a snapshot cut it in two
                    recent = np.concatenate([recent[:0] if since[i] == 0 else recent, window.astype(np.float32)])
                    window, recent = recent[-reach - 1 :].astype(np.float64), recent[-reach:]
                if i < unscored or len(window) <= reach:
                    results.outcome[place] = WARMING_UP
                    continue
                results.outcome[place] = RESTARTING if since[i] < model.manifest.policy.restart_rows else SCORED
                self.windows.append(window)
                self.scorable.append(place)
            for i, missing in found.imputed.items():
                results.imputed[rows[i]] = tuple(sensors[j] for j in missing)
        self._folded = features, recent

    def judge(self) -> State:
        """Hold each score against the threshold and fold the alert; the machine's state after the batch."""
        manifest, version, results = self._model.manifest, self._model.version, self._results
        threshold, policy = manifest.threshold, manifest.policy
        trailing, alert = self._state.trailing.copy(), self._state.alert
        for stretch in self._stretches:
            if stretch.cold:
                trailing = Trailing(threshold.trailing_rows)
            for place, why in stretch.steps:
                event: AlertEvent | None
                if why:
                    if why is _BROKE:
                        results.breaks.append((place, alert.since_open <= WARNED_ROWS))
                        if not manifest.break_is_stop:
                            continue
                    time_us = int(self._rows.times_us[place])
                    alert, event = stop(alert, self.machine, time_us=time_us, model=version, why=why)
                    if event:
                        results.alerts.append((place, event))
                    continue
                if place not in self.rebuilt:
                    continue
                score, level = float(results.score[place]), level_now(threshold, trailing)
                over, counts = score > level, results.outcome[place] == SCORED
                results.threshold[place], results.over[place] = level, over
                if counts:
                    trailing.add(score)
                if not over and alert == _IDLE:
                    continue
                judged = self._judged(
                    place, score=score, threshold=level, over=over, with_top=over or alert.open is not None
                )
                alert, event = judge(policy, alert, judged, may_open=counts)
                if event:
                    results.alerts.append((place, event))
        features, recent = self._folded
        return State(features, trailing, recent, alert, version, *self._clock)

    def _judged(self, place: int, *, score: float, threshold: float, over: bool, with_top: bool) -> Judged:
        model, results = self._model, self._results
        sensors = model.manifest.schema.sensors
        features, i = self._features[place]
        if with_top:
            z = model.scorer.unscale(self.rebuilt[place])
            results.top[place] = top_sensors(
                sensors,
                results.contributions[place],
                observed=features.observed[i],
                expected=features.centre[i] + z * features.spread[i],
            )
        return Judged(
            machine=self.machine,
            time_us=int(self._rows.times_us[place]),
            score=score,
            threshold=threshold,
            over=over,
            top=results.top.get(place, ()),
            model=model.version,
            imputed=results.imputed.get(place, ()),
            masked=tuple(sensors[j] for j in features.masked.get(i, ())),
            grade=self._rows.grades[place],
        )


_IDLE = AlertState()


def _under(model: Artifact, state: State) -> State:
    """The state as `model` takes it over: raw statistics stay, scores of another model do not compare."""
    if state.model == model.version:
        return state
    return replace(state, trailing=Trailing(model.manifest.threshold.trailing_rows), model=model.version)


def _not_later(machine: str, time_us: int, last_us: int) -> RowError:
    reason = "repeated" if time_us == last_us else "late"
    message = (
        f"{machine}: {reason} row: {format_time(time_us)} is not later than the machine's last row, "
        f"{format_time(last_us)}; send each machine's rows once and in order"
    )
    return RowError(message, reason=reason, machine=machine)


def _too_sparse(machine: str) -> RowError:
    return RowError(
        f"{machine}: more than a fifth of the sensors is missing; a score would say more about the gaps than the sheet",
        reason="too-many-missing",
        machine=machine,
    )
