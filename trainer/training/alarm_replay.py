"""Alarms of scores that are known: what a monitor would raise with any threshold and alert policy.

The engine's own last stage over the rows of a history, without the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sheetbreak.engine.admission import RUN, Admitted
from sheetbreak.engine.advance import put_together
from sheetbreak.engine.alerts import IDLE, AlertEvent, AlertPolicy, Cause, Warned
from sheetbreak.engine.decision import Decided, Explain, Rules, decide, raise_alerts
from sheetbreak.engine.odds import UNKNOWN_ODDS
from sheetbreak.engine.scores import TopSensor
from sheetbreak.engine.state import Results
from sheetbreak.engine.thresholds import Levels, Threshold, Trailing, begin_steering, hold_levels
from sheetbreak.rows import RowBatch, Schema
from trainer.data.labels import Bools, Floats

_NO_CAUSE = Cause((TopSensor("", 1.0, 0.0, 0.0),))
_UNNAMED = Explain(lambda _: _NO_CAUSE, lambda _: "")
"""Which sensor leads decides when an open alert is updated, not when one opens or closes."""


@dataclass(slots=True)
class Alarms:
    """What a monitor would have raised."""

    score: Floats
    """(n,) as given."""
    over: Bools
    """(n,) the score was over the level."""
    alerts: list[tuple[int, AlertEvent]]
    """Events and their places in the history, machine after machine; they name no sensor or model."""
    breaks: list[tuple[int, Warned]]
    """Places at which a break begins, and whether it was warned of, machine after machine."""

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
        self,
        rows: RowBatch,
        score: Floats,
        *,
        admitted: Mapping[str, Admitted],
        schema: Schema,
        break_is_stop: bool,
        keep_levels: bool = False,
    ) -> None:
        """keep_levels: for another policy with the same threshold; 8 bytes a row and threshold."""
        self.rows, self.score, self.schema = rows, score, schema
        self.admitted, self.break_is_stop = admitted, break_is_stop
        self._labels: list[int] = rows.broken.tolist()
        self._known = [None if one != one else one for one in score.tolist()]
        self._kept: dict[str, dict[str, Levels]] | None = {} if keep_levels else None

    def before(self, end: int) -> "ScoredHistory":
        """The rows up to that one, itself not among them."""
        admitted = {machine: one.before(end) for machine, one in self.admitted.items()}
        return ScoredHistory(
            self.rows.take(slice(end)),
            self.score[:end],
            admitted=admitted,
            schema=self.schema,
            break_is_stop=self.break_is_stop,
        )

    def with_score(self, score: Floats) -> "ScoredHistory":
        """The same rows with other scores."""
        return ScoredHistory(
            self.rows, score, admitted=self.admitted, schema=self.schema, break_is_stop=self.break_is_stop
        )

    def alarms(self, threshold: Threshold, policy: AlertPolicy) -> Alarms:
        """What `advance` would raise with this threshold and this policy."""
        found = Alarms(self.score, np.zeros(len(self.rows), np.bool_), [], [])
        for machine, one in self._decided(self._rules(threshold, policy)).items():
            steps = self.admitted[machine].steps
            found.over[[steps[i][0] for i in one.levels.over]] = True
            found.alerts += one.alerts
            found.breaks += one.breaks
        return found

    def results(self, threshold: Threshold, policy: AlertPolicy, *, contributions: Floats) -> Results:
        """What `advance` would make of the rows, but that nothing tells which sensors were missing or led to an alert.

        contributions: (rows, sensors) each sensor's part in the score.
        """
        rules = self._rules(threshold, policy)
        return put_together(
            self.admitted,
            self._decided(rules),
            known=self._known,
            score=self.score,
            contributions=contributions,
            imputed={},
            top={},
            rules=rules,
        )

    def _rules(self, threshold: Threshold, policy: AlertPolicy) -> Rules:
        foretells = self.schema.lead_rows > 0
        return Rules(threshold, policy, self.break_is_stop and foretells, foretells, version="")

    def scored_places(self, machine: str) -> list[int]:
        """The places of a machine's rows that have a score, in order."""
        steps = self.admitted[machine].steps
        return [place for place, what, _ in steps if what == RUN and self._known[place] is not None]

    def decided(self, threshold: Threshold, policy: AlertPolicy) -> dict[str, Decided]:
        """By machine: both halves of the engine's last stage, odds and all."""
        return {
            machine: decide(
                machine,
                one.steps,
                self._known,
                self.rows,
                labels=self._labels,
                rules=self._rules(threshold, policy),
                trailing=Trailing(threshold.trailing_rows),
                alert=IDLE,
                grade=None,
                steering=begin_steering(threshold),
                odds=UNKNOWN_ODDS,
                explain=_UNNAMED,
            )
            for machine, one in self.admitted.items()
        }

    def _decided(self, rules: Rules) -> dict[str, Decided]:
        """The same without odds, and where the level is not steered from levels that may be known already."""
        if rules.threshold.rate:
            return self.decided(rules.threshold, rules.policy)
        return {
            machine: raise_alerts(
                machine,
                self.admitted[machine].steps,
                self._known,
                self.rows,
                levels=levels,
                rules=rules,
                alert=IDLE,
                since_break=0,
                explain=_UNNAMED,
            )
            for machine, levels in self._levels(rules.threshold, rules.policy.restart_rows).items()
        }

    def _levels(self, threshold: Threshold, restart_rows: int) -> dict[str, Levels]:
        """By machine: what its scores are held against."""
        key = str((threshold, restart_rows))
        if self._kept is not None and key in self._kept:
            return self._kept[key]
        found = {
            machine: hold_levels(
                one.steps,
                self._known,
                self.rows.grades,
                threshold=threshold,
                restart_rows=restart_rows,
                trailing=Trailing(threshold.trailing_rows),
                grade=None,
                steering=None,
                labels=(),
            )
            for machine, one in self.admitted.items()
        }
        if self._kept is not None:
            self._kept[key] = found
        return found
