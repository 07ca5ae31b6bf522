"""Result of a comparison: every scorer over the folds, and its difference from the first, draw by draw.

Seeds are averaged within a fold before anything else: a fold that is judged three times is still one stretch of rows
with its few breaks, so more seeds make no interval narrower than the data do. What seeds change stands beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from trainer.comparison.scorers import Scorer
from trainer.comparison.tasks import Outcome
from trainer.data.labels import Floats
from trainer.evaluation.folds import LATER
from trainer.metrics.alarms import judge_deployed
from trainer.metrics.bootstrap import interval
from trainer.metrics.evaluation import (
    Evaluation,
    Figures,
    Interval,
    Point,
    has_enough_breaks,
    mean_known,
    resample,
    summarise,
)
from trainer.metrics.hindsight import RecallCurve
from trainer.metrics.row_metrics import roc_auc
from trainer.metrics.scored_rows import joined

Outcomes = Mapping[tuple[str, int, int], Outcome]
"""By scorer's name, seed and fold."""


@dataclass(frozen=True, slots=True)
class RecallDifference:
    """Breaks warned of, as a share, less those of the first scorer."""

    horizon_rows: int
    false_alarms_per_day: int
    recall: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A scorer less the first, over the later folds: on the same rows, with the same resampled blocks."""

    roc_auc: float | None
    """On the rows that both score."""
    roc_auc_interval: Interval | None
    recall: list[RecallDifference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One scorer. Over several seeds metrics are means, within each fold; `deployed` counts the alerts of all seeds."""

    scorer: Scorer
    seeds: tuple[int, ...]
    folds: list[Evaluation]
    overall: Evaluation
    later: Evaluation
    """Over the later four folds, on which no choice was made."""
    seed_aucs: tuple[float | None, ...]
    """ROC AUC over the later folds, seed by seed."""
    seconds: float
    """For fitting and scoring, mean a fold and seed."""
    thresholds: list[list[str | None]]
    """The deployed policy by fold and seed; None for a baseline."""
    difference: Difference | None
    """None for the first scorer."""
    figures: list[Figures]
    """By fold, mean over seeds, for plots; not in the JSON."""

    @property
    def spread(self) -> float | None:
        """Standard deviation of `seed_aucs`; None with fewer than two."""
        known = [auc for auc in self.seed_aucs if auc is not None]
        return float(np.std(known, ddof=1)) if len(known) > 1 else None

    def as_json(self) -> dict[str, Any]:
        """Plain values; null where there is nothing to say, never NaN."""
        return {
            "name": self.scorer.name,
            "title": self.scorer.title,
            "family": self.scorer.recipe.family if self.scorer.recipe else None,
            "deployable": self.scorer.deployable,
            "settings": self.scorer.settings,
            "seeds": list(self.seeds),
            "seed_aucs": list(self.seed_aucs),
            "seconds": round(self.seconds, 3),
            "thresholds": self.thresholds,
            "folds": [found.as_json() for found in self.folds],
            "overall": self.overall.as_json(),
            "later": self.later.as_json(),
            "difference": asdict(self.difference) if self.difference else None,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """All scorers, in the order in which they were named."""

    scorers: list[Compared]

    @property
    def first(self) -> Compared:
        """The one that the others are compared with."""
        return self.scorers[0]


def compare_scorers(scorers: Sequence[Scorer], outcomes: Outcomes, *, seeds: int, folds: Sequence[int]) -> Comparison:
    """Every scorer over the folds; later ones are those of LATER. outcomes: of every scorer, seed and fold."""
    found: list[Compared] = []
    first = _outcomes_of(scorers[0], outcomes, seeds=seeds, folds=folds)
    for scorer in scorers:
        own = first if scorer is scorers[0] else _outcomes_of(scorer, outcomes, seeds=seeds, folds=folds)
        difference = None if scorer is scorers[0] else differ(_later(own), _later(first), folds=folds[LATER])
        found.append(_compared(scorer, own, difference))
    return Comparison(found)


def averaged(seeds: Sequence[Figures]) -> Figures:
    """One fold's figures under several seeds as those of one scorer: means, the resampled ones draw by draw."""
    if len(seeds) == 1:
        return seeds[0]
    aucs, precisions = ([getattr(one, name) for one in seeds] for name in ("roc_auc", "average_precision"))
    return Figures(
        rows=seeds[0].rows,
        roc_auc=_mean(aucs),
        average_precision=_mean(precisions),
        resampled_auc=mean_known([one.resampled_auc for one in seeds]),
        resampled_precision=mean_known([one.resampled_precision for one in seeds]),
        points={
            place: Point(
                recall=mean_known([one.points[place].recall for one in seeds]),
                chance=float(np.mean([one.points[place].chance for one in seeds])),
                threshold=None,
                time_in_alarm=float(np.mean([one.points[place].time_in_alarm for one in seeds])),
                leads=np.concatenate([one.points[place].leads for one in seeds]),
            )
            for place in seeds[0].points
        },
        curves={horizon: _mean_curve([one.curves[horizon] for one in seeds]) for horizon in seeds[0].curves},
    )


def differ(one: Sequence[Sequence[Figures]], other: Sequence[Sequence[Figures]], *, folds: Sequence[int]) -> Difference:
    """`one` less `other`, both by fold and seed; folds: their numbers, which the draws hang on.

    Where the two do not score the same rows (a longer window is silent for longer after a stop), ROC AUC is of the
    rows that both score. Breaks count all the same: one that a scorer was silent before, it did not warn of.
    """
    pairs = list(zip(one, other, folds, strict=True))
    mine = [_on_rows_of(own, them, number) for own, them, number in pairs]
    theirs = [_on_rows_of(them, own, number) for own, them, number in pairs]
    values = [a[0] - b[0] for a, b in zip(mine, theirs, strict=True) if a[0] is not None and b[0] is not None]
    draws = mean_known([a[1] for a in mine]) - mean_known([b[1] for b in theirs])
    both = [(averaged(a), averaged(b)) for a, b, _ in pairs]
    both = [(a, b) for a, b in both if a.points and b.points]  # none where there is no break or no score
    told = has_enough_breaks([seeds[0] for seeds in one])
    recall = []
    for place in both[0][0].points if both else ():
        gain = mean_known([a.points[place].recall - b.points[place].recall for a, b in both])
        recall.append(RecallDifference(*place, recall=float(gain[0]), interval=interval(gain[1:]) if told else None))
    return Difference(float(np.mean(values)) if values else None, interval(draws) if told else None, recall)


def _on_rows_of(seeds: Sequence[Figures], others: Sequence[Figures], number: int) -> tuple[float | None, Floats]:
    """ROC AUC and its draws, mean over seeds, on those of the rows that the others score, too."""
    scored = others[0].rows.scored
    found: list[tuple[float | None, Floats]] = []
    for figures in seeds:
        rows = figures.rows
        if (rows.scored & ~scored).any():
            rows = rows.with_score(np.where(scored, rows.score, np.nan))
            found.append((roc_auc(rows), resample(rows, number=number)[0]))
        else:
            found.append((figures.roc_auc, figures.resampled_auc))
    return _mean([auc for auc, _ in found]), mean_known([draws for _, draws in found])


def _outcomes_of(scorer: Scorer, outcomes: Outcomes, *, seeds: int, folds: Sequence[int]) -> list[list[Outcome]]:
    """By fold and seed."""
    return [[outcomes[scorer.name, seed, fold] for seed in scorer.seeds(seeds)] for fold in folds]


def _later(outcomes: Sequence[Sequence[Outcome]]) -> list[list[Figures]]:
    return [[outcome.figures for outcome in seeds] for seeds in outcomes[LATER]]


def _compared(scorer: Scorer, outcomes: Sequence[Sequence[Outcome]], difference: Difference | None) -> Compared:
    by_fold = [[outcome.figures for outcome in seeds] for seeds in outcomes]
    later_by_seed = zip(*by_fold[LATER], strict=True)
    return Compared(
        scorer=scorer,
        seeds=tuple(range(len(outcomes[0]))),
        folds=[evaluated(scorer, [seeds]) for seeds in by_fold],
        overall=evaluated(scorer, by_fold),
        later=evaluated(scorer, by_fold[LATER]),
        seed_aucs=tuple(_mean([figures.roc_auc for figures in folds]) for folds in later_by_seed),
        seconds=float(np.mean([outcome.seconds for seeds in outcomes for outcome in seeds])),
        thresholds=[[outcome.threshold for outcome in seeds] for seeds in outcomes],
        difference=difference,
        figures=[averaged(seeds) for seeds in by_fold],
    )


def evaluated(scorer: Scorer, folds: Sequence[Sequence[Figures]]) -> Evaluation:
    """Several folds with several seeds each; what was deployed is counted over all of them."""
    found = summarise([averaged(seeds) for seeds in folds], deployed=False)
    if not scorer.deployable:
        return found
    every = joined([figures.rows for seeds in zip(*folds, strict=True) for figures in seeds])
    return replace(found, deployed=judge_deployed(every))


def _mean_curve(curves: Sequence[RecallCurve]) -> RecallCurve:
    return RecallCurve(**{f.name: mean_known([getattr(one, f.name) for one in curves]) for f in fields(RecallCurve)})


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
