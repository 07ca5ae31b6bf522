"""Scores judged again: what a monitor would have raised with another threshold or alert policy, without the model.

The steps of the engine without the model, over scores that are known: some microseconds a row, so that a choice can
try many thresholds over a whole history.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from sheetbreak.alerts import IDLE, AlertPolicy, Judged
from sheetbreak.engine import arrivals_of, by_machine
from sheetbreak.judging import Judging
from sheetbreak.rows import RowBatch, Schema
from sheetbreak.scoring import TopSensor
from sheetbreak.taking import BROKE, FOLD, REST, Clock, take
from sheetbreak.thresholds import Threshold, Trailing
from trainer.labels import Bools, Floats

_Steps = list[tuple[int, str, int, bool]]
"""(row, what, rows since the last stop, whether the machine is cold from here on), in order."""
_TOP = (TopSensor("", 1.0, 0.0, 0.0),)
"""Which sensor leads decides when an open alert is updated, not when one opens or closes."""


@dataclass(slots=True)
class Alarms:
    """Places of the events in the history."""

    opened: list[int]
    closed: list[int]
    over: Bools
    """(n,) the score was over the level."""


class ScoredHistory:
    """Rows from a machine's cold start on, and the score that a model gave each of them (NaN: none)."""

    def __init__(self, rows: RowBatch, score: Floats, *, schema: Schema, break_is_stop: bool) -> None:
        self._grades, self._score, self._times = rows.grades, score.tolist(), rows.times_us.tolist()
        self._scored = (~np.isnan(score)).tolist()
        self._break_ends_run = break_is_stop and schema.lead_rows > 0
        arrivals, self._machines = arrivals_of(rows), list[_Steps]()
        for machine, places in by_machine(rows).items():
            taken = take(machine, Clock(), places, arrivals, schema=schema, break_is_stop=break_is_stop)
            steps: _Steps = []
            for stretch in taken.stretches:
                since = dict(zip(stretch.rows, stretch.since_restart, strict=True))
                for i, (place, what) in enumerate(stretch.steps):
                    steps.append((place, what, since.get(place, 0), stretch.cold and not i))
            self._machines.append(steps)

    def judge(self, threshold: Threshold, policy: AlertPolicy) -> Alarms:
        """What `advance` would raise with this threshold and this policy."""
        found = Alarms([], [], np.zeros(len(self._score), np.bool_))
        for steps in self._machines:
            self._judge_machine(steps, threshold, policy, found)
        return found

    def _judge_machine(self, steps: _Steps, threshold: Threshold, policy: AlertPolicy, found: Alarms) -> None:
        judging = Judging(threshold, policy, trailing=Trailing(threshold.trailing_rows), alert=IDLE, grade=None)
        for place, what, since_restart, cold in steps:
            if cold:
                judging.begin_cold()
            event = None
            if what not in (FOLD, REST):
                if what != BROKE or self._break_ends_run:
                    event = judging.stop("", time_us=self._times[place], model="", why=what)
            else:
                judging.take(self._grades[place])
                if self._scored[place]:
                    describe = partial(self._judged, place)
                    counts = since_restart >= policy.restart_rows
                    _, found.over[place], event = judging.judge(self._score[place], counts=counts, describe=describe)
                else:
                    judging.pass_by()
            if event and event.kind != "updated":
                (found.opened if event.kind == "opened" else found.closed).append(place)

    def _judged(self, place: int, level: float) -> Judged:
        score = self._score[place]
        return Judged("", self._times[place], score, level, over=score > level, top=_TOP, model="")
