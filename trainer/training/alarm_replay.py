"""Scores judged again: what a monitor would have raised with another threshold or alert policy, without the model.

The engine's own levels and its own fold of alerts over scores that are known. Levels do not depend on the alert policy.
While a machine is idle only a row over its level or another grade can change that, so the rows between are skipped.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sheetbreak.engine.admission import BROKE, FOLD, REST, Clock, take
from sheetbreak.engine.advance import arrivals_of
from sheetbreak.engine.alerts import IDLE, AlertEvent, AlertPolicy, Judged, change_grade, judge, pass_by, stop
from sheetbreak.engine.scoring import TopSensor
from sheetbreak.engine.thresholds import Threshold, Trailing, comparable, level_now
from sheetbreak.rows import RowBatch, Schema, by_machine
from trainer.data.labels import Bools, Floats

_TOP = (TopSensor("", 1.0, 0.0, 0.0),)
"""Which sensor leads decides when an open alert is updated, not when one opens or closes."""


@dataclass(slots=True)
class Alarms:
    """What a monitor would have raised."""

    over: Bools
    """(n,) the score was over the level."""
    alerts: list[tuple[int, AlertEvent]]
    """Events and their places in the history, machine after machine; they name no machine, sensor or model."""

    @property
    def opened(self) -> list[int]:
        """Where alerts opened."""
        return [place for place, event in self.alerts if event.kind == "opened"]

    @property
    def closed(self) -> list[int]:
        """Where alerts closed."""
        return [place for place, event in self.alerts if event.kind == "closed"]


@dataclass(frozen=True, slots=True)
class _Step:
    place: int
    what: str
    grade: str | None
    """The last one known."""
    changed: bool
    """It is another one than at the machine's row before."""
    since_restart: int = 0
    score: float | None = None
    cold: bool = False
    """The machine is cold from here on."""


@dataclass(slots=True)
class _Machine:
    """One machine's steps, and what was made of them."""

    steps: list[_Step]
    changes: list[int]
    """The steps at which the grade changed."""
    levels: "dict[str, tuple[array[float], array[int]]]" = field(default_factory=dict)
    """By threshold and restart_rows: each step's level, and the steps that are over it."""


class ScoredHistory:
    """Rows from a machine's cold start on, and the score that a model gave each of them (NaN: none)."""

    def __init__(
        self, rows: RowBatch, score: Floats, *, schema: Schema, break_is_stop: bool, keep_levels: bool = False
    ) -> None:
        """keep_levels: for another policy with the same threshold; 16 bytes a row and threshold."""
        self._times, self._keep = rows.times_us.tolist(), keep_levels
        self._break_ends_run = break_is_stop and schema.lead_rows > 0
        arrivals = arrivals_of(rows)
        known = [None if np.isnan(one) else float(one) for one in score]
        self._machines: list[_Machine] = []
        for machine, places in by_machine(rows).items():
            taken = take(machine, Clock(), places, arrivals, schema=schema, break_is_stop=break_is_stop)
            steps = list[_Step]()
            grade: str | None = None
            for stretch in taken.stretches:
                grade = None if stretch.cold else grade
                since = dict(zip(stretch.rows, stretch.since_restart, strict=True))
                for i, (place, what) in enumerate(stretch.steps):
                    named = rows.grades[place] if what in (FOLD, REST) else None
                    before, grade = grade, grade if named is None else named
                    steps.append(
                        _Step(
                            place,
                            what,
                            grade,
                            changed=before is not None and grade != before,
                            since_restart=since.get(place, 0),
                            score=known[place] if what == FOLD else None,
                            cold=stretch.cold and not i,
                        )
                    )
            self._machines.append(_Machine(steps, [i for i, step in enumerate(steps) if step.changed]))

    def judge(self, threshold: Threshold, policy: AlertPolicy) -> Alarms:
        """What `advance` would raise with this threshold and this policy."""
        found = Alarms(np.zeros(len(self._times), np.bool_), [])
        for machine in self._machines:
            key = threshold, policy.restart_rows
            levels, over = machine.levels.get(str(key)) or _levels(machine, *key)
            if self._keep:
                machine.levels[str(key)] = levels, over
            found.over[[machine.steps[i].place for i in over]] = True
            self._fold(machine, levels, over, policy, found)
        return found

    def _fold(
        self, machine: _Machine, levels: "array[float]", over: "array[int]", policy: AlertPolicy, found: Alarms
    ) -> None:
        steps, alert, i = machine.steps, IDLE, 0
        wakes: Sequence[int] = sorted({*over, *machine.changes}) if policy.grade_change_rows else over
        while i < len(steps):
            if alert == IDLE:
                next_wake = bisect_left(wakes, i)
                if next_wake == len(wakes):
                    return
                i = wakes[next_wake]
            step, event = steps[i], None
            if step.what not in (FOLD, REST):
                if step.what != BROKE or self._break_ends_run:
                    time_us = self._times[step.place]
                    alert, event = stop(policy, alert, "", time_us=time_us, model="", why=step.what)
            else:
                if step.changed:
                    alert = change_grade(policy, alert)
                if step.score is None:
                    alert = pass_by(alert)
                else:
                    row = Judged(
                        "",
                        self._times[step.place],
                        step.score,
                        levels[i],
                        over=step.score > levels[i],
                        top=_TOP,
                        model="",
                    )
                    alert, event = judge(policy, alert, row, may_open=step.since_restart >= policy.restart_rows)
            if event:
                found.alerts.append((step.place, event))
            i += 1


def _levels(machine: _Machine, threshold: Threshold, restart_rows: int) -> "tuple[array[float], array[int]]":
    """Each step's level (0 where there is no score), and the steps that are over theirs."""
    trailing, levels, over = Trailing(threshold.trailing_rows), array("d", bytes(8 * len(machine.steps))), array("q")
    for i, step in enumerate(machine.steps):
        if step.cold:
            trailing = Trailing(threshold.trailing_rows)
        if step.score is None:
            continue
        levels[i] = level_now(threshold, trailing, step.grade)
        if step.score > levels[i]:
            over.append(i)
        if step.since_restart >= restart_rows:
            trailing.add(comparable(threshold, step.score, step.grade))
    return levels, over
