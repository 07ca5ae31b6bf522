"""Alarms of scores that are known: what a monitor would have raised with another threshold or alert policy.

The engine's own last stage over the rows of a history, without the model.
"""

from dataclasses import dataclass

import numpy as np

from sheetbreak.engine.admission import admit
from sheetbreak.engine.alerts import IDLE, AlertEvent, AlertPolicy
from sheetbreak.engine.decision import Cause, Levels, Rules, hold_levels, raise_alerts
from sheetbreak.engine.scoring import TopSensor
from sheetbreak.engine.thresholds import Threshold, Trailing
from sheetbreak.rows import RowBatch, Schema, by_machine
from trainer.data.labels import Bools, Floats

_UNNAMED = Cause((TopSensor("", 1.0, 0.0, 0.0),))
"""Which sensor leads decides when an open alert is updated, not when one opens or closes."""


@dataclass(slots=True)
class Alarms:
    """What a monitor would have raised."""

    over: Bools
    """(n,) the score was over the level."""
    alerts: list[tuple[int, AlertEvent]]
    """Events and their places in the history, machine after machine; they name no sensor or model."""

    @property
    def opened(self) -> list[int]:
        """Where alerts opened."""
        return [place for place, event in self.alerts if event.kind == "opened"]

    @property
    def closed(self) -> list[int]:
        """Where alerts closed."""
        return [place for place, event in self.alerts if event.kind == "closed"]


class ScoredHistory:
    """Rows from a machine's cold start on, and the score that a model gave each of them (NaN: none)."""

    def __init__(
        self, rows: RowBatch, score: Floats, *, schema: Schema, break_is_stop: bool, keep_levels: bool = False
    ) -> None:
        """keep_levels: for another policy with the same threshold; 8 bytes a row and threshold."""
        self._rows, self._foretells, self._break_is_stop = rows, schema.lead_rows > 0, break_is_stop
        self._admitted = admit({}, by_machine(rows), rows, schema=schema, break_is_stop=break_is_stop)
        self._scores = [None if one != one else one for one in score.tolist()]
        self._kept: dict[str, dict[str, Levels]] | None = {} if keep_levels else None

    def raised(self, threshold: Threshold, policy: AlertPolicy) -> Alarms:
        """What `advance` would raise with this threshold and this policy."""
        rules = Rules(threshold, policy, self._break_is_stop and self._foretells, self._foretells, "")
        found = Alarms(np.zeros(len(self._rows), np.bool_), [])
        for machine, levels in self._levels(threshold, policy.restart_rows).items():
            steps = self._admitted[machine].steps
            found.over[[steps[i][0] for i in levels.over]] = True
            found.alerts += raise_alerts(
                machine, steps, self._scores, self._rows, levels=levels, rules=rules, alert=IDLE, explain=_unnamed
            ).alerts
        return found

    def _levels(self, threshold: Threshold, restart_rows: int) -> dict[str, Levels]:
        """By machine: what its scores are held against."""
        key = str((threshold, restart_rows))
        if self._kept is not None and key in self._kept:
            return self._kept[key]
        found = {
            machine: hold_levels(
                one.steps,
                self._scores,
                self._rows.grades,
                threshold=threshold,
                restart_rows=restart_rows,
                trailing=Trailing(threshold.trailing_rows),
                grade=None,
            )
            for machine, one in self._admitted.items()
        }
        if self._kept is not None:
            self._kept[key] = found
        return found


def _unnamed(_place: int, *, named: bool) -> Cause:
    return _UNNAMED if named else Cause()
