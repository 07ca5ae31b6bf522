"""Evaluation on held-out rows: what a score ranks, what it warns of, what chance would, how sure that is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trainer.data.labels import Floats
from trainer.metrics.alarms import Deployed, judge_deployed
from trainer.metrics.bootstrap import blocks_of, draw_blocks, interval
from trainer.metrics.events import HORIZONS, Timeline, timeline
from trainer.metrics.hindsight import (
    BUDGETS,
    EventCurve,
    RecallCurve,
    candidate_thresholds,
    chance_curve,
    event_curve,
    recall_curve,
)
from trainer.metrics.row_metrics import average_precision, roc_auc, weighted_metrics
from trainer.metrics.scored_rows import ScoredRows, joined

Interval = tuple[float, float]
FEWEST_BREAKS = 5
"""With fewer there is no interval of areas or hindsight: blocks drawn anew hold the same one or two breaks."""


@dataclass(frozen=True, slots=True)
class Recall:
    """The best that a threshold set with hindsight gives at a rate of false alarms; mean over stretches of rows."""

    horizon_rows: int
    false_alarms_per_day: int
    recall: float
    """Breaks warned 1…horizon_rows rows ahead, as a share of all breaks of a stretch."""
    chance: float
    """The same for the scores shifted against the breaks, mean over shifts."""
    interval: Interval | None
    """95 %, from resampled blocks of 4 hours; None under FEWEST_BREAKS."""
    threshold: float | None
    """None where no threshold warns of any break, and over several stretches, each of which has its own."""
    time_in_alarm: float
    """Share of the operating time."""
    median_lead_minutes: float | None
    """Over the breaks warned: from the first alert row within the horizon to the break."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every metric of one stretch of rows, or of several: then metrics are means, counts are sums over them."""

    rows: int
    """Judged rows: scored, break rows left out."""
    positives: int
    breaks: int
    operating_days: float
    roc_auc: float | None
    """None, as below, where a class is missing."""
    roc_auc_interval: Interval | None
    """95 %, as below; None under FEWEST_BREAKS."""
    average_precision: float | None
    average_precision_interval: Interval | None
    recall: list[Recall]
    """Per horizon and rate; empty where there is no break, or the rows are no stretch of time."""
    deployed: Deployed | None
    """What the threshold and alert policy gave; None for a scorer without."""

    def as_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers; null where there is nothing to say, never NaN."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one stretch of rows gives, kept so that several can be averaged draw by draw."""

    rows: ScoredRows
    roc_auc: float | None
    average_precision: float | None
    resampled_auc: Floats
    """(DRAWS,) of rows resampled in blocks; NaN where a class is missing."""
    resampled_precision: Floats
    """(DRAWS,)"""
    points: "dict[tuple[int, int], Point]"
    """By horizon and rate; empty where there is no break or no score."""
    curves: dict[int, RecallCurve]
    """By horizon; empty as `points`."""


@dataclass(frozen=True, slots=True)
class Point:
    """A horizon and rate in one stretch of rows."""

    recall: Floats
    """(1 + DRAWS,) of the rows as they are, then resampled; NaN where a draw has no break."""
    chance: float
    threshold: float | None
    time_in_alarm: float
    leads: Floats
    """Minutes, of the breaks warned."""


def evaluate(parts: Sequence[ScoredRows], *, deployed: bool = True, events: bool = True) -> Evaluation:
    """Judge one or several stretches of rows; see `measure` and `summarise`."""
    measured = [measure(part, number=number, events=events) for number, part in enumerate(parts)]
    return summarise(measured, deployed=deployed and events)


def measure(rows: ScoredRows, *, number: int = 0, events: bool = True) -> Figures:
    """The figures of one stretch of rows.

    number: of the stretch among several; each has draws of its own. events: False for rows picked at random, whose
    neighbours are missing.
    """
    auc, precision = resample(rows, number=number)
    block = blocks_of(rows)
    draws = draw_blocks(int(block.max(initial=-1)) + 1, part=number)
    points: dict[tuple[int, int], Point] = {}
    curves: dict[int, RecallCurve] = {}
    thresholds, when = candidate_thresholds(rows.score), timeline(rows)
    if events and len(thresholds) and len(when.break_row):
        found = event_curve(rows, thresholds, block=block, draws=draws)
        by_chance = chance_curve(rows, thresholds)
        for horizon in HORIZONS:
            curves[horizon] = recall_curve(found, by_chance, horizon)
            for per_day in BUDGETS:
                points[horizon, per_day] = _point(rows, when, found, by_chance, horizon=horizon, per_day=per_day)
    return Figures(rows, roc_auc(rows), average_precision(rows), auc, precision, points, curves)


def resample(rows: ScoredRows, *, number: int = 0) -> tuple[Floats, Floats]:
    """(DRAWS,) ROC AUC and average precision of the judged rows, resampled in blocks; NaN where a class is missing."""
    block, judged = blocks_of(rows), rows.judged
    draws = draw_blocks(int(block.max(initial=-1)) + 1, part=number)
    weights = draws[block[judged], 1:].T.astype(np.float64)
    return weighted_metrics(rows.will_break[judged], rows.score[judged], weights=weights)


def summarise(measured: Sequence[Figures], *, deployed: bool = True) -> Evaluation:
    """The evaluation of one or several stretches of rows.

    Metrics are averaged over the stretches, never pooled over drifting ones: each has its own oracle threshold. What
    was deployed (where `deployed` says that the rows tell) is counted over all of them.
    """
    rows = joined([one.rows for one in measured])
    told = has_enough_breaks(measured)
    return Evaluation(
        rows=int(rows.judged.sum()),
        positives=int(rows.will_break[rows.judged].sum()),
        breaks=int(rows.break_starts.sum()),
        operating_days=rows.days,
        roc_auc=_mean([one.roc_auc for one in measured]),
        roc_auc_interval=interval(mean_known([one.resampled_auc for one in measured])) if told else None,
        average_precision=_mean([one.average_precision for one in measured]),
        average_precision_interval=interval(mean_known([one.resampled_precision for one in measured]))
        if told
        else None,
        recall=[
            _recall(point, [one.points[point] for one in measured if one.points], told=told)
            for point in next((one.points for one in measured if one.points), {})
        ],
        deployed=judge_deployed(rows) if deployed else None,
    )


def has_enough_breaks(measured: Sequence[Figures]) -> bool:
    """Whether stretches of rows have so many breaks that blocks drawn anew say how far their figures may be off."""
    rows = joined([one.rows for one in measured])
    return rows.lead_rows == 0 or int(rows.break_starts.sum()) >= FEWEST_BREAKS


def mean_known(values: Sequence[Floats]) -> Floats:
    """Mean of several arrays of one shape, entry by entry over those that are not NaN; NaN where all are."""
    stacked = np.stack(values)
    known = ~np.isnan(stacked)
    total, count = np.where(known, stacked, 0.0).sum(axis=0), known.sum(axis=0)
    mean: Floats = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


def _point(
    rows: ScoredRows, when: Timeline, found: EventCurve, by_chance: EventCurve, *, horizon: int, per_day: int
) -> Point:
    place = int(found.best(horizon, per_day)[0])
    threshold = float(found.thresholds[place]) if place >= 0 else None
    alerts = np.flatnonzero(rows.score >= threshold) if threshold is not None else np.empty(0, np.int64)
    leads = when.lead_rows(alerts, horizon)
    return Point(
        recall=found.recall(horizon, per_day),
        chance=float(by_chance.recall(horizon, per_day).mean()),
        threshold=threshold,
        time_in_alarm=float(found.alarm_rows[place, 0] / found.rows[0]) if place >= 0 else 0.0,
        leads=leads[leads >= 0].astype(np.float64) * (rows.period_s / 60),
    )


def _recall(point: tuple[int, int], found: Sequence[Point], *, told: bool) -> Recall:
    recall, leads = mean_known([one.recall for one in found]), np.concatenate([one.leads for one in found])
    return Recall(
        horizon_rows=point[0],
        false_alarms_per_day=point[1],
        recall=float(recall[0]),
        chance=float(np.mean([one.chance for one in found])),
        interval=interval(recall[1:]) if told else None,
        threshold=found[0].threshold if len(found) == 1 else None,
        time_in_alarm=float(np.mean([one.time_in_alarm for one in found])),
        median_lead_minutes=float(np.median(leads)) if len(leads) else None,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
