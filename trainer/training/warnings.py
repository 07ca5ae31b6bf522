"""Warnings on held-out rows: how often they came true, whether critical ones are surer, what a threshold promised."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from scipy.stats import binomtest

from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.decision import Decided
from sheetbreak.engine.odds import REMEMBERED, Odds
from sheetbreak.engine.thresholds import JUDGED_ROWS, Threshold
from trainer.data.labels import Ints
from trainer.training.alarm_replay import ScoredHistory
from trainer.training.threshold_policies import Evidence

CONFIDENCE = 0.95
_A_DAY = "false alarms a day"


@dataclass(frozen=True, slots=True)
class Severities:
    """Warnings of one severity: how many, and how many of them a break followed within JUDGED_ROWS rows."""

    of: int = 0
    hits: int = 0

    @property
    def share(self) -> float | None:
        """None without a warning."""
        return self.hits / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class Warnings:
    """What held-out rows show of a model's warnings."""

    odds: Odds
    """Where a machine begins that was never seen."""
    critical: Severities
    """Warnings that were critical at some time before they closed..."""
    usual: Severities
    """...and the others."""
    policy: AlertPolicy
    """Under which no warning is critical."""

    @property
    def critical_is_surer(self) -> bool:
        """Whether the interval of what critical ones hit lies above what the others hit.

        Clopper and Pearson, "The use of confidence or fiducial limits" (1934): the exact interval of a share.
        """
        if not self.critical.of or self.usual.share is None:
            return False
        interval = binomtest(self.critical.hits, self.critical.of).proportion_ci(CONFIDENCE, method="exact")
        return bool(interval.low > self.usual.share)

    @property
    def words(self) -> str:
        """Why warnings are critical, or are not, for the summary of a training."""
        if not self.critical.of + self.usual.of:
            return "no warning on held-out rows: all are warnings"
        shares = (
            f"a break followed {self.critical.hits} of {self.critical.of} critical warnings on held-out rows "
            f"and {self.usual.hits} of the {self.usual.of} others"
        )
        return f"{shares}: critical ones are surer" if self.critical_is_surer else f"{shares}: all are warnings"


@dataclass(frozen=True, slots=True)
class Promise:
    """What a threshold was chosen for, and what it gave on held-out rows."""

    unit: str
    """Of both figures."""
    promised: float | None
    """None where the policy promises nothing."""
    held_out: float | None
    warnings: str
    """Why warnings are critical, or are not."""

    @property
    def promised_per_day(self) -> float | None:
        """False alarms a day; None where the policy promises something else, or nothing."""
        return self.promised if self.unit == _A_DAY else None

    @property
    def words(self) -> str:
        """For the summary of a training."""
        held = "none" if self.held_out is None else f"{self.held_out:.3g}"
        asked = "" if self.promised is None else f", {self.promised:.3g} promised"
        return f"{held} {self.unit} on held-out rows{asked}"


def judge_warnings(history: ScoredHistory, threshold: Threshold, policy: AlertPolicy) -> Warnings:
    """What becomes of the warnings that this threshold and policy raise on a history of held-out scores."""
    decided = history.decided(threshold, policy)
    found = {True: [0, 0], False: [0, 0]}
    for machine, one in decided.items():
        for critical, hit in _outcomes(one, np.array(history.scored_places(machine), np.int64)):
            found[critical][0] += 1
            found[critical][1] += hit
    never = replace(policy, critical_ratio=None)
    odds = _joined([one.odds for one in decided.values()])
    return Warnings(odds, Severities(*found[True]), Severities(*found[False]), never)


def promised(threshold: Threshold, evidence: Evidence, warnings: Warnings) -> Promise:
    """What the policy promised beside what held-out rows gave: a share of normal rows, or false alarms a day."""
    name, _, parameter = threshold.policy.removesuffix("/grade").partition(":")
    if name == "quantile":
        normal = evidence.scores[~evidence.will_break]
        over = float(np.mean(normal > threshold.level)) if len(normal) else None
        return Promise("of normal rows over the level", 1 - float(parameter), over, warnings.words)
    asked = float(parameter) if name in ("rate", "budget") else None
    return Promise(_A_DAY, asked, evidence.false_alarms_per_day(threshold), warnings.words)


def _outcomes(one: Decided, scored: Ints) -> list[tuple[bool, bool]]:
    """Of each warning: whether it was ever critical, and whether a break followed its opening."""
    critical = {event.alert_id: False for _, event in one.alerts}
    opened = dict[str, int]()
    for place, event in one.alerts:
        critical[event.alert_id] |= event.severity == "critical"
        if event.kind == "opened":
            opened[event.alert_id] = place
    breaks = np.array([place for place, _ in one.breaks], np.int64)
    found = []
    for alert, place in opened.items():
        coming = breaks[breaks > place]
        hit = len(coming) > 0 and int(((scored > place) & (scored < coming[0])).sum()) < JUDGED_ROWS
        found.append((critical[alert], hit))
    return found


def _joined(machines: Sequence[Odds]) -> Odds:
    """The odds of all machines together, the last warnings of each."""
    turns = zip_longest(*(reversed(one.outcomes) for one in machines))
    last = [hit for turn in turns for hit in turn if hit is not None][:REMEMBERED]
    return Odds(tuple(reversed(last)), sum(one.scored for one in machines), sum(one.ahead for one in machines))
