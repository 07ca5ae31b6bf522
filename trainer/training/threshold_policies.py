"""Threshold policies: each one function from what a training has seen to the level that alarms.

A policy followed by /grade gives every grade with rows enough a level of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from sheetbreak.bounds import Finite, InnerShare, NotNegative, Positive, Share, parse_bounded, wanted
from sheetbreak.engine.thresholds import Rate, Threshold
from sheetbreak.errors import DataError
from trainer.data.labels import Bools, Floats
from trainer.metrics.scored_rows import SECONDS_PER_DAY, a_day_counts

TRAILING_BUDGET = 5.0
"""False alarms a day for which `trailing` alone chooses its quantile..."""
_BUDGET_ROWS = 720
"""...or in so many rows, a mill's day, where rows come so fast or so slowly that a day says nothing."""
TRIED = 1.0 - np.geomspace(0.0005, 0.1, 30)
"""Quantiles that a search for a number of false alarms tries, from the top. Not below .9: an alarm that never
ends is one false alarm only, and would meet any budget."""
GRADE_ROWS = 500
"""Rows, held out or of validation, that a grade needs for a level of its own: above the .99 quantile lie five."""
_PER_GRADE = "/grade"
_ALIKE = 1000.0
"""A grade whose level is so many times another's is no grade but a fault in the data, and keeps the common level."""
_TAIL_FROM = 0.95
"""Scores above this quantile are the tail to which `evt` fits a generalised Pareto distribution..."""
_TAIL_ROWS = 30
"""...if they are at least so many; else the tail begins lower."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a policy may look at; scores are those of the deployed graph."""

    fit_scores: Floats
    """Break-free training rows, held out: scored by a model that was not fitted on them."""
    scores: Floats
    """Validation rows, break rows left out."""
    will_break: Bools
    """Their labels."""
    false_alarms_per_day: Callable[[Threshold], float]
    """Alerts that a threshold opens on the validation rows without a break after them, by operating day."""
    past_false_alarms_per_day: Callable[[Threshold], float]
    """The same on all rows before the test rows that the model was not fitted on."""
    settled_share: Callable[[Threshold], float]
    """Where the wheel of a steered threshold stands after the validation rows."""
    period_s: float = 120.0
    by_grade: "Mapping[str, Evidence]" = field(default_factory=dict)
    """The same of each grade's rows alone."""


class Policy(NamedTuple):
    """One way to choose a threshold."""

    choose: Callable[[Evidence, float], Threshold]
    default: float | Callable[[Evidence], float]
    """The parameter where the user names none."""
    bounds: Any
    """Bounded type of the parameter."""
    meaning: str
    """Of the parameter, with an example."""
    of_grade: Callable[[Evidence, float], Threshold] | None = None
    """What makes one grade's level comparable to another's, where that is not `choose`."""
    looks_at_fit: bool = False
    """Whether a grade's level is of training rows, else of validation rows."""


def parse_policy(text: str) -> Callable[[Evidence], Threshold]:
    """The chooser that "quantile:.99", "trailing" or "trailing/grade" names.

    Raises DataError for an unknown policy or a parameter out of range. The chooser raises DataError where the
    rows do not hold what the policy needs.
    """
    name, colon, written = text.removesuffix(_PER_GRADE).partition(":")
    if name not in POLICIES:
        raise DataError(f'--threshold "{text}": the policies are {", ".join(POLICIES)}')
    policy = POLICIES[name]
    try:
        parameter = parse_bounded(policy.bounds, written) if colon else None
    except ValueError as error:
        raise DataError(
            f'--threshold "{text}": after the colon stands {wanted(policy.bounds)}, {policy.meaning}'
        ) from error

    def choose(evidence: Evidence) -> Threshold:
        if not len(evidence.scores) or not len(evidence.fit_scores):
            raise DataError(
                f"--threshold {text}: no validation row was scored; give more rows or a larger second part in --split"
            )
        found = parameter
        if found is None:
            found = policy.default(evidence) if callable(policy.default) else policy.default
        chosen = policy.choose(evidence, found)
        return _per_grade(policy, evidence, chosen, found) if is_per_grade(text) else chosen

    return choose


def is_per_grade(text: str) -> bool:
    """Whether the policy wants levels by grade."""
    return text.endswith(_PER_GRADE)


def _per_grade(policy: Policy, evidence: Evidence, chosen: Threshold, parameter: float) -> Threshold:
    """The chosen threshold with a level for each grade that has rows enough; the others keep the common one."""
    level_of = policy.of_grade or policy.choose
    if chosen.rate and chosen.quantile is not None:  # what makes levels comparable is a quantile, not the rate
        parameter = chosen.quantile
    levels, common = {}, level_of(evidence, parameter).level
    for grade, part in sorted(evidence.by_grade.items()):
        if len(part.fit_scores if policy.looks_at_fit else part.scores) < GRADE_ROWS:
            continue
        try:
            own = level_of(part, parameter).level
        except DataError:  # pr-curve has nothing to go by where no break was on that grade
            continue
        if 0 < common < own * _ALIKE and own < common * _ALIKE:
            levels[grade] = own if policy.of_grade is None else chosen.level * (own / common)
    return replace(chosen, policy=chosen.policy + _PER_GRADE, grade_levels=levels)


def pr_curve(evidence: Evidence, beta: float) -> Threshold:
    """The level with the best F-beta on the precision-recall curve of the validation rows.

    van Rijsbergen, "Information Retrieval" (1979): F = (1 + β²) P R / (β² P + R).
    """
    from sklearn.metrics import precision_recall_curve  # half a second that `whatif` need not wait for

    labels = evidence.will_break
    if labels.all() or not labels.any():
        what = "is followed by a break" if not labels.any() else "is break-free"
        raise DataError(
            f"--threshold pr-curve: none of the {len(labels)} validation rows {what}; choose a policy that needs "
            "no labels (trailing, quantile:.99), or a --split with both kinds of rows in its second part"
        )
    precision, recall, levels = precision_recall_curve(labels, evidence.scores)
    precision, recall = precision[:-1], recall[:-1]  # the last point belongs to no level
    f_beta = (1 + beta**2) * precision * recall / np.maximum(beta**2 * precision + recall, 1e-300)
    # The curve's levels count as alarms themselves, the monitor alarms above its level.
    level = np.nextafter(levels[int(np.argmax(f_beta))], -np.inf)
    return Threshold(float(level), f"pr-curve:{beta:g}")


def mean_std(evidence: Evidence, k: float) -> Threshold:
    """Mean plus k standard deviations of the held-out scores of break-free training rows."""
    level = evidence.fit_scores.mean() + k * evidence.fit_scores.std()
    return Threshold(float(level), f"mean-std:{k:g}")


def quantile(evidence: Evidence, q: float) -> Threshold:
    """The q-quantile of the held-out scores of break-free training rows."""
    return Threshold(float(np.quantile(evidence.fit_scores, q)), f"quantile:{q:g}")


def budget(evidence: Evidence, per_day: float) -> Threshold:
    """The lowest level that gives at most `per_day` false alarms an operating day on the validation rows."""
    levels = [float(np.quantile(evidence.scores, q)) for q in TRIED]
    tried = [Threshold(level, f"budget:{per_day:g}") for level in (float(evidence.scores.max()), *levels)]
    return tried[_last_within(evidence.false_alarms_per_day, tried, per_day)]


def evt(evidence: Evidence, q: float) -> Threshold:
    """The q-quantile of break-free validation scores, extrapolated by peaks over a threshold.

    Excesses over a high level are fitted with a generalised Pareto distribution: Pickands (1975); Coles, "An
    Introduction to Statistical Modeling of Extreme Values" (2001), section 4.3.
    """
    from scipy.stats import genpareto  # a second that `whatif` need not wait for

    scores = evidence.scores[~evidence.will_break]
    if len(scores) < 2 * _TAIL_ROWS:
        raise DataError(
            f"--threshold evt: {len(scores)} break-free validation rows, {2 * _TAIL_ROWS} are needed; give more rows, "
            "a larger second part in --split, or choose quantile:.99"
        )
    tail_from = min(_TAIL_FROM, 1 - _TAIL_ROWS / len(scores))
    start = float(np.quantile(scores, tail_from))
    excesses = scores[scores > start] - start
    if q <= tail_from or not len(excesses):
        return Threshold(float(np.quantile(scores, q)), f"evt:{q:g}")
    shape, _, scale = genpareto.fit(excesses, floc=0.0)
    beyond = (1 - q) * len(scores) / len(excesses)
    level = start + float(genpareto.isf(min(beyond, 1.0), shape, scale=scale))
    return Threshold(level, f"evt:{q:g}")


def trailing(evidence: Evidence, q: float) -> Threshold:
    """The q-quantile of the machine's own last scores; until there are enough, that of the validation rows."""
    return Threshold(float(np.quantile(evidence.scores, q)), f"trailing:{q:g}", quantile=q)


def trailing_past(evidence: Evidence, q: float) -> Threshold:
    """`trailing`; it differs in how it chooses its quantile where none is given."""
    return replace(trailing(evidence, q), policy=f"trailing-past:{q:g}")


def rate(evidence: Evidence, per_day: float) -> Threshold:
    """A level that is steered to `per_day` false alarms an operating day, from where the validation rows left it."""
    counts = a_day_counts(evidence.period_s)
    begun = Rate(per_day, SECONDS_PER_DAY / evidence.period_s if counts else _BUDGET_ROWS)
    first = _steered(evidence, begun)
    return _steered(evidence, replace(begun, share=evidence.settled_share(first)))


def _steered(evidence: Evidence, wanted: Rate) -> Threshold:
    quantile = 1 - wanted.share
    level = float(np.quantile(evidence.scores, quantile))
    return Threshold(level, f"rate:{wanted.per_day:g}", quantile=quantile, rate=wanted)


def trailing_quantile_for_budget(evidence: Evidence) -> float:
    """The lowest trailing quantile that gives at most TRAILING_BUDGET false alarms a day on validation rows."""
    return _quantile_within_budget(evidence, evidence.false_alarms_per_day)


def trailing_quantile_on_the_past(evidence: Evidence) -> float:
    """The same on held-out rows of the first part and validation rows together.

    A few days of validation rows say little of a rate a day: docs/detection.md has what either way gave.
    """
    return _quantile_within_budget(evidence, evidence.past_false_alarms_per_day)


def _quantile_within_budget(evidence: Evidence, false_alarms_per_day: Callable[[Threshold], float]) -> float:
    counts = a_day_counts(evidence.period_s)
    per_day = TRAILING_BUDGET if counts else TRAILING_BUDGET * SECONDS_PER_DAY / evidence.period_s / _BUDGET_ROWS
    tried = [trailing(evidence, round(float(q), 4)) for q in TRIED]
    chosen = tried[_last_within(false_alarms_per_day, tried, per_day)]
    assert chosen.quantile is not None
    return chosen.quantile


POLICIES: dict[str, Policy] = {
    "rate": Policy(rate, TRAILING_BUDGET, Positive, "false alarms a day: rate:5", of_grade=quantile, looks_at_fit=True),
    "pr-curve": Policy(pr_curve, 1.0, Positive, "the beta of F-beta: pr-curve:1"),
    "mean-std": Policy(mean_std, 3.0, Finite, "standard deviations: mean-std:3", looks_at_fit=True),
    "quantile": Policy(quantile, 0.99, Share, "a quantile: quantile:.99", looks_at_fit=True),
    "budget": Policy(budget, 5.0, NotNegative, "false alarms a day: budget:5"),
    "evt": Policy(evt, 0.999, InnerShare, "a quantile: evt:.999"),
    "trailing": Policy(
        trailing,
        trailing_quantile_for_budget,
        InnerShare,
        "a quantile: trailing:.98",
        of_grade=quantile,
        looks_at_fit=True,
    ),
    "trailing-past": Policy(
        trailing_past,
        trailing_quantile_on_the_past,
        InnerShare,
        "a quantile: trailing-past:.98",
        of_grade=quantile,
        looks_at_fit=True,
    ),
}


def _last_within(false_alarms_per_day: Callable[[Threshold], float], tried: list[Threshold], per_day: float) -> int:
    """The last threshold before the first that exceeds the budget, in the order given; at least the first
    one.
    """
    for i, threshold in enumerate(tried):
        if false_alarms_per_day(threshold) > per_day:
            return max(i - 1, 0)
    return len(tried) - 1
