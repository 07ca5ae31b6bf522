"""Advance: the four stages of the engine, from machines' states and their next rows to new states and every outcome.

Pure: it knows no Kafka, file, clock or metric. Backtest, replay and live monitor all call it, so the score of a row is
the same in all three, and the same bits however the rows are batched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sheetbreak.engine.admission import BACK, BROKE, COLD, KEEP, ON, REST, RUN, SET_BACK, Admitted, Past, Stretch, admit
from sheetbreak.engine.alerts import Cause
from sheetbreak.engine.decision import Decided, Explain, Rules, decide, joined
from sheetbreak.engine.features import Features
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Scores, TopSensor
from sheetbreak.engine.smoothing import RecentScores, smooth
from sheetbreak.engine.state import (
    DEAD_LETTER,
    NO_ORDERS,
    RESTARTING,
    SCORED,
    STOPPED,
    WARMING_UP,
    Floats,
    Missing,
    Results,
    State,
    cold_state,
    masked_cells,
)
from sheetbreak.engine.thresholds import Trailing, begin_steering
from sheetbreak.engine.windows import Memory, Windows, make_windows
from sheetbreak.rows import RowBatch, by_machine


class Expectation(NamedTuple):
    """Sensors as they were and as the model makes them of the others: (rows, sensors) each, plant units; NaN in rows
    without a score.
    """

    observed: Floats
    """What stood in for a missing value, where one was missing."""
    expected: Floats


def advance(
    states: Mapping[str, State], rows: RowBatch, model: Artifact, *, missing: Missing = "hold"
) -> tuple[dict[str, State], Results]:
    """Take rows in the order they came; returns the new states of the machines seen, and every row's outcome.

    `states` is not changed: on failure the caller still holds it and may call again. Whatever stands in for a missing
    value, mean and variance learn nothing from it.
    """
    return _advance(states, rows, model, missing=missing, expectation=None)


def advance_explained(
    states: Mapping[str, State], rows: RowBatch, model: Artifact, *, missing: Missing = "hold"
) -> tuple[dict[str, State], Results, Expectation]:
    """`advance`, and what the model made of every scored row's sensors."""
    shape = len(rows), len(model.manifest.schema.sensors)
    expectation = Expectation(np.full(shape, np.nan), np.full(shape, np.nan))
    return *_advance(states, rows, model, missing=missing, expectation=expectation), expectation


def _advance(
    states: Mapping[str, State], rows: RowBatch, model: Artifact, *, missing: Missing, expectation: Expectation | None
) -> tuple[dict[str, State], Results]:
    """expectation: filled in, where it is asked for."""
    manifest, rules = model.manifest, rules_of(model)
    sensors, places = manifest.schema.sensors, by_machine(rows)
    score, contributions = np.full(len(rows), np.nan), np.full((len(rows), len(sensors)), np.nan)
    now = {machine: _under(model, states.get(machine)) for machine in places}
    before, pasts, new = dict(now), {machine: state.past for machine, state in now.items()}, _never_seen(now)
    masked = masked_cells(now, places, rows, sensors)
    admitted = admit(pasts, places, rows, schema=manifest.schema, break_is_stop=manifest.break_is_stop, masked=masked)
    decided: dict[str, list[Decided]] = {machine: [] for machine in places}
    known: Sequence[float | None] = [None] * len(rows)
    imputed: dict[int, tuple[str, ...]] = {}
    drifted: dict[int, tuple[str, ...]] = {}
    top: dict[int, Sequence[TopSensor]] = {}
    labels: list[int] = rows.broken.tolist()
    for number in range(max((len(one.stretches) for one in admitted.values()), default=0)):
        stretches = {machine: one.stretches[number] for machine, one in admitted.items() if number < len(one.stretches)}
        for machine, stretch in stretches.items():
            now[machine] = _beginning(model, now[machine], stretch)
        windows, features, memories = _windows(now, stretches, rows, model, estimates=missing == "model", masked=masked)
        scores = Scores(windows, reconstruct=model.reconstruct, scorer=model.scorer, normal=model.features.normal)
        recent = {machine: now[machine].recent_scores for machine in stretches}
        smoothed, recent = smooth(stretches, scores.by_place(len(rows)), recent, rows=manifest.smooth_rows)
        score[scores.places] = [smoothed[place] for place in scores.places]
        contributions[scores.places] = scores.contributions
        if expectation is not None:
            expectation.observed[scores.places], expectation.expected[scores.places] = scores.in_plant_units(features)
        known = [was if now is None else now for was, now in zip(known, smoothed, strict=True)] if number else smoothed
        explained = _Explained(windows, features, scores, sensors)
        imputed |= explained.imputed
        drifted |= explained.drifted
        named: list[int] = []
        for machine, stretch in stretches.items():
            was = now[machine]
            one = decide(
                machine,
                stretch.steps,
                known,
                rows,
                rules=rules,
                trailing=was.trailing,
                alert=was.alert,
                grade=was.grade,
                steering=was.steering,
                odds=was.odds,
                raised=was.raised,
                labels=labels,
                explain=Explain(explained.cause, explained.leading),
            )
            decided[machine].append(one)
            named += one.named
            past = admitted[machine].past if stretch is admitted[machine].stretches[-1] else None
            now[machine] = _after(was, memories[machine], one, recent[machine], past)
        if named:
            top |= explained.top(named)
    whole = {machine: reduce(joined, parts) for machine, parts in decided.items()}
    results = put_together(
        admitted,
        whole,
        known=known,
        score=score,
        contributions=contributions,
        imputed=imputed,
        top=top,
        rules=rules,
    )
    cold = [one.steps[0][0] for machine, one in admitted.items() if machine in new and one.steps]
    results.cold_starts += [(place, "new") for place in cold]
    results.cold_starts.sort(key=_by_place)
    results.drifted = drifted
    for machine, one in whole.items():
        changes = (admitted[machine].steps[step][0] for step in one.levels.changes)
        results.grades |= {place: grade for place in changes if (grade := rows.grades[place]) is not None}
    results.alerts = [(place, before[event.machine].orders.told(event)) for place, event in results.alerts]
    if masked is not None:
        found = {place: np.flatnonzero(masked[place]).tolist() for place in np.flatnonzero(masked.any(axis=1)).tolist()}
        results.masked = {place: tuple(sensors[sensor] for sensor in out) for place, out in found.items()}
    return now, results


def put_together(
    admitted: Mapping[str, Admitted],
    decided: Mapping[str, Decided],
    *,
    known: Sequence[float | None],
    score: Floats,
    contributions: Floats,
    imputed: dict[int, tuple[str, ...]],
    top: dict[int, Sequence[TopSensor]],
    rules: Rules,
) -> Results:
    """What became of every row: the one place where results are written.

    known: each row's score, None where it has none. score, contributions: (rows,) and (rows, sensors), there NaN.
    imputed, top: a row's missing sensors and its leading ones, by place.
    """
    n, restart_rows = len(score), rules.policy.restart_rows
    outcome, threshold, rarity = [DEAD_LETTER] * n, [np.nan] * n, [np.nan] * n
    results = Results(outcome, score, np.empty(0), np.empty(0), np.zeros(n, np.bool_), contributions, imputed, top)
    for found in admitted.values():
        results.rejects += found.rejects
        results.stops += found.gaps
    for machine, one in decided.items():
        steps = admitted[machine].steps
        for (place, what, since_restart), level, rare in zip(steps, one.levels.level, one.levels.rarity, strict=True):
            if what == RUN:
                threshold[place], rarity[place] = level, rare
                if known[place] is None:
                    outcome[place] = WARMING_UP
                else:
                    outcome[place] = RESTARTING if since_restart < restart_rows else SCORED
            elif what == REST:
                outcome[place] = STOPPED
            elif what == SET_BACK:
                results.stops.append((place, "clock"))
                results.cold_starts.append((place, "clock"))
            elif what == BROKE and rules.break_ends_run:
                results.stops.append((place, "break"))
        for step in one.levels.over:
            results.over[steps[step][0]] = True
        results.alerts += one.alerts
        results.breaks += one.breaks
    results.threshold, results.rarity = np.array(threshold, np.float64), np.array(rarity, np.float64)
    for listed in (results.alerts, results.rejects, results.breaks, results.stops):
        listed.sort(key=_by_place)  # stable: a row that closes one alert and opens another keeps that order
    return results


def rules_of(model: Artifact) -> Rules:
    """What the model's scores are decided by."""
    manifest = model.manifest
    foretells = manifest.schema.lead_rows > 0
    return Rules(manifest.threshold, manifest.policy, manifest.break_is_stop and foretells, foretells, model.version)


def _by_place(entry: tuple[int, object]) -> int:
    return entry[0]


def _under(model: Artifact, state: State | None) -> State:
    """The state as `model` takes it over: raw statistics stay, scores of another model do not compare."""
    if state is None:
        return cold_state(model)
    if state.model == model.version:
        return state
    return replace(
        state,
        model=model.version,
        memory=Memory(*model.features.taken_over(*state.memory)),
        trailing=Trailing(model.manifest.threshold.trailing_rows),
        steering=begin_steering(model.manifest.threshold),
        odds=model.manifest.odds,
        recent_scores=(),
        raised=(),
    )


def _never_seen(states: Mapping[str, State]) -> set[str]:
    return {machine for machine, state in states.items() if state.clock.last_us is None}


def _beginning(model: Artifact, state: State, stretch: Stretch) -> State:
    """The state that a stretch goes on from: the one before it, a cold one, or the one that was set aside.

    What is set aside is all but the alert: what was said of it cannot be taken back.
    """
    if stretch.begins == ON:
        return state
    before = replace(state, clock=stretch.before, prints=b"", aside=None, aside_rows=0, orders=NO_ORDERS, raised=())
    if stretch.begins == KEEP:
        return replace(state, aside=before)
    said: dict[str, Any] = {name: getattr(state, name) for name in ("alert", "odds", "orders", "raised")}
    if stretch.begins == BACK:
        assert state.aside is not None
        return replace(_under(model, state.aside), **said)
    aside = before if stretch.begins == COLD else state.aside
    return replace(cold_state(model), aside=aside, **said)


def _after(was: State, memory: Memory, decided: Decided, recent: RecentScores, past: Past | None) -> State:
    """The state after a stretch. past: what admission remembers after the machine's last one; None: more follow."""
    levels, alert, orders = decided.levels, decided.alert, was.orders
    clock, prints, aside, aside_rows = was.clock, b"", was.aside, 0
    if past is not None:
        clock, prints, aside = past.clock, past.prints, aside if past.aside is not None else None
        aside_rows = past.aside_rows if aside else 0
        if aside is None and clock.last_us is not None:  # else its clock is in doubt: it ends nothing yet
            orders = orders.holding(clock.last_us, alert.open.alert_id if alert.open else None)
    return State(
        was.model, clock, memory, levels.trailing, alert, levels.grade, levels.steering, decided.odds, prints, aside,
        aside_rows, orders, recent, decided.raised,
    )  # fmt: skip


def _windows(
    now: Mapping[str, State],
    stretches: Mapping[str, Stretch],
    rows: RowBatch,
    model: Artifact,
    *,
    estimates: bool,
    masked: npt.NDArray[np.bool_] | None,
) -> tuple[Windows, Features, dict[str, Memory]]:
    """The second stage over a stretch of each machine, and the machines' memories after it."""
    windows, features, after = make_windows(
        [(stretch, now[machine].memory) for machine, stretch in stretches.items()],
        rows.values,
        using=model.features,
        length=model.manifest.window,
        estimates=estimates,
        masked=masked,
    )
    return windows, features, dict(zip(stretches, after, strict=True))


class _Explained:
    """What is said of a batch's rows beside their scores."""

    def __init__(self, windows: Windows, features: Features, scores: Scores, sensors: Sequence[str]) -> None:
        self._features, self._scores, self._sensors = features, scores, sensors
        self._ends = windows.ends
        self._number = {place: number for number, place in enumerate(scores.places)}
        places = windows.places
        self.imputed = {places[row]: self._names(gone) for row, gone in features.imputed.items()}
        """By place, a row's missing sensors."""
        self.drifted = {
            places[row]: self._names(far) for row, far in features.drifted.items() if places[row] in self._number
        }
        """By place, a scored row's sensors that stand far from where training had them."""

    def cause(self, place: int) -> Cause:
        """Of a scored row."""
        number = self._number[place]
        [top] = self._scores.top([number], self._features, self._sensors)
        masked = self._features.masked.get(int(self._ends[number]), ())
        return Cause(top, self.imputed.get(place, ()), self._names(masked))

    def leading(self, place: int) -> str:
        """Of a scored row, the first sensor of its cause."""
        return self._sensors[self._scores.leading(self._number[place])]

    def top(self, places: Sequence[int]) -> dict[int, Sequence[TopSensor]]:
        """Of scored rows, the sensors that lead in each one's score; all at once, which takes a tenth as long a row."""
        numbers = [self._number[place] for place in places]
        return dict(zip(places, self._scores.top(numbers, self._features, self._sensors), strict=True))

    def _names(self, sensors: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._sensors[sensor] for sensor in sensors)
