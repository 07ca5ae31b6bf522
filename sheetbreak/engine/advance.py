"""Advance: the four stages of the engine, from machines' states and their next rows to new states and every outcome.

Pure: it knows no Kafka, file, clock or metric. Backtest, replay and live monitor all call it, so the score of a row is
the same in all three, and the same bits however the rows are batched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sheetbreak.engine.admission import REST, RUN, Admitted, admit
from sheetbreak.engine.decision import Cause, Decided, Rules, decide
from sheetbreak.engine.features import Features
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Scores
from sheetbreak.engine.state import (
    DEAD_LETTER,
    RESTARTING,
    SCORED,
    STOPPED,
    WARMING_UP,
    Floats,
    Missing,
    Results,
    State,
    cold_state,
)
from sheetbreak.engine.thresholds import Trailing, begin_steering
from sheetbreak.engine.windows import Memory, Windows, cold_memory, make_windows
from sheetbreak.rows import RowBatch, by_machine


def advance(
    states: Mapping[str, State], rows: RowBatch, model: Artifact, *, missing: Missing = "hold"
) -> tuple[dict[str, State], Results]:
    """Take rows in the order they came; returns the new states of the machines seen, and every row's outcome.

    `states` is not changed: on failure the caller still holds it and may call again. Whatever stands in for a missing
    value, mean and variance learn nothing from it.
    """
    manifest = model.manifest
    schema, places = manifest.schema, by_machine(rows)
    score, contributions = np.full(len(rows), np.nan), np.full((len(rows), len(schema.sensors)), np.nan)
    if not places:
        return {}, put_together(
            {}, {}, known=[], score=score, contributions=contributions, imputed={}, rules=rules_of(model)
        )
    before = {machine: _under(model, states.get(machine)) for machine in places}
    clocks = {machine: was.clock for machine, was in before.items()}
    admitted = admit(clocks, places, rows, schema=schema, break_is_stop=manifest.break_is_stop)
    windows, features, memories = _windows(before, admitted, rows, model, estimates=missing == "model")
    scores = Scores(windows, reconstruct=model.reconstruct, scorer=model.scorer, normal=model.features.normal)
    score[scores.places], contributions[scores.places] = scores.scores, scores.contributions
    known, rules = scores.by_place(len(rows)), rules_of(model)
    labels: list[int] = rows.broken.tolist()
    explained = _Explained(windows, features, scores, schema.sensors)
    decided = {
        machine: decide(
            machine,
            admitted[machine].steps,
            known,
            rows,
            rules=rules,
            trailing=was.trailing,
            alert=was.alert,
            grade=was.grade,
            steering=was.steering,
            odds=was.odds,
            labels=labels,
            explain=explained,
        )
        for machine, was in before.items()
    }
    after = {
        machine: State(
            model.version,
            admitted[machine].clock,
            memories[machine],
            one.levels.trailing,
            one.alert,
            one.levels.grade,
            one.levels.steering,
            one.odds,
        )
        for machine, one in decided.items()
    }
    imputed = explained.imputed
    return after, put_together(
        admitted, decided, known=known, score=score, contributions=contributions, imputed=imputed, rules=rules
    )


def put_together(
    admitted: Mapping[str, Admitted],
    decided: Mapping[str, Decided],
    *,
    known: Sequence[float | None],
    score: Floats,
    contributions: Floats,
    imputed: dict[int, tuple[str, ...]],
    rules: Rules,
) -> Results:
    """What became of every row: the one place where results are written.

    known: each row's score, None where it has none. score, contributions: (rows,) and (rows, sensors), there NaN.
    imputed: a row's missing sensors, by place.
    """
    n, restart_rows = len(score), rules.policy.restart_rows
    outcome, threshold, rarity = [DEAD_LETTER] * n, [np.nan] * n, [np.nan] * n
    results = Results(outcome, score, np.empty(0), np.empty(0), np.zeros(n, np.bool_), contributions, imputed)
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
        for step in one.levels.over:
            results.over[steps[step][0]] = True
        results.top.update(one.top)
        results.alerts += one.alerts
        results.rejects += admitted[machine].rejects
        results.breaks += one.breaks
    results.threshold, results.rarity = np.array(threshold, np.float64), np.array(rarity, np.float64)
    for listed in (results.alerts, results.rejects, results.breaks):
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
    memory, threshold = Memory(*model.features.taken_over(*state.memory)), model.manifest.threshold
    trailing, steering = Trailing(threshold.trailing_rows), begin_steering(threshold)
    odds = model.manifest.odds
    return replace(state, memory=memory, trailing=trailing, steering=steering, odds=odds, model=model.version)


def _windows(
    before: Mapping[str, State], admitted: Mapping[str, Admitted], rows: RowBatch, model: Artifact, *, estimates: bool
) -> tuple[Windows, Features, dict[str, Memory]]:
    """The second stage over all machines' stretches, and each machine's memory after its last one."""
    stretches = [(machine, stretch) for machine, one in admitted.items() for stretch in one.stretches]
    windows, features, after = make_windows(
        [(one, cold_memory(model.features) if one.cold else before[machine].memory) for machine, one in stretches],
        rows.values,
        using=model.features,
        length=model.manifest.window,
        estimates=estimates,
    )
    return windows, features, {machine: memory for (machine, _), memory in zip(stretches, after, strict=True)}


class _Explained:
    """What is said of a batch's rows beside their scores."""

    def __init__(self, windows: Windows, features: Features, scores: Scores, sensors: Sequence[str]) -> None:
        self._features, self._scores, self._sensors = features, scores, sensors
        self._ends = windows.ends
        self._number = {place: number for number, place in enumerate(scores.places)}
        self.imputed = {windows.places[row]: self._names(gone) for row, gone in features.imputed.items()}
        """By place, a row's missing sensors."""

    def __call__(self, place: int, /, *, named: bool) -> Cause:
        number = self._number[place]
        top = self._scores.top(number, self._features, self._sensors) if named else ()
        masked = self._features.masked.get(int(self._ends[number]), ())
        return Cause(top, self.imputed.get(place, ()), self._names(masked))

    def _names(self, sensors: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._sensors[sensor] for sensor in sensors)
