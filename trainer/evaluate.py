"""Evaluation on held-out rows: what a score ranks, what it warns of, what chance would, how sure that is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trainer.bootstrap import blocks_of, draw_blocks, interval
from trainer.deployed import Deployed, judge_deployed
from trainer.events import HORIZONS, Timeline, timeline
from trainer.labels import Floats
from trainer.oracle import BUDGETS, EventCurve, candidate_thresholds, chance_curve, event_curve
from trainer.row_metrics import average_precision, roc_auc, weighted_metrics
from trainer.scored_rows import ScoredRows, joined

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Recall:
    """The best that a threshold set with hindsight gives at a rate of false alarms."""

    horizon_rows: int
    false_alarms_per_day: int
    recall: float
    """Breaks warned 1…horizon_rows rows ahead, as a share of all breaks."""
    chance: float | None
    """The same for the scores shifted against the breaks, mean over shifts."""
    interval: Interval | None
    """95 %, from resampled blocks of 4 hours."""
    threshold: float | None
    """None where no threshold warns of any break."""
    time_in_alarm: float
    """Share of the operating time."""
    median_lead_minutes: float | None
    """Over the breaks warned: from the first alert row within the horizon to the break."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every metric of one stretch of rows, or of several: then row metrics are means over the stretches."""

    rows: int
    """Judged rows: scored, break rows left out."""
    positives: int
    breaks: int
    operating_days: float
    roc_auc: float | None
    """None, as below, where a class is missing."""
    roc_auc_interval: Interval | None
    average_precision: float | None
    average_precision_interval: Interval | None
    recall: list[Recall]
    """Per horizon and rate; empty where there is no break, or the rows are no stretch of time."""
    deployed: Deployed | None
    """What the threshold and alert policy gave; None for a scorer without."""

    def as_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers; null where there is nothing to say, never NaN."""
        return asdict(self)


def evaluate(parts: Sequence[ScoredRows], *, deployed: bool = True, events: bool = True) -> Evaluation:
    """Judge one or several stretches of rows.

    Row metrics are averaged over the parts, never pooled over drifting ones; events are counted over all
    parts as one stretch. deployed: whether the rows say what a threshold gave. events: False for rows picked
    at random, whose neighbours are missing.
    """
    aucs, precisions = resampled_row_metrics(parts)
    rows = joined(parts)
    return Evaluation(
        rows=sum(int(part.judged.sum()) for part in parts),
        positives=sum(int(part.will_break[part.judged].sum()) for part in parts),
        breaks=int(rows.break_starts.sum()),
        operating_days=rows.days,
        roc_auc=_mean([roc_auc(part) for part in parts]),
        roc_auc_interval=interval(aucs),
        average_precision=_mean([average_precision(part) for part in parts]),
        average_precision_interval=interval(precisions),
        recall=recalls(rows) if events else [],
        deployed=judge_deployed(rows) if deployed and events else None,
    )


def resampled_row_metrics(parts: Sequence[ScoredRows]) -> tuple[Floats, Floats]:
    """(DRAWS,) ROC AUC and average precision of rows resampled in blocks, mean over the parts.

    NaN where a draw leaves no part both classes.
    """
    found = []
    for number, part in enumerate(parts):
        block, judged = blocks_of(part), part.judged
        draws = draw_blocks(int(block.max(initial=-1)) + 1, part=number)[:, 1:]
        weights = draws[block[judged]].T.astype(np.float64)
        found.append(weighted_metrics(part.will_break[judged], part.score[judged], weights=weights))
    auc, precision = (_mean_known(np.stack(values)) for values in zip(*found, strict=True))
    return auc, precision


def recalls(rows: ScoredRows) -> list[Recall]:
    """Recall at every horizon and rate; empty where there is no break or no score."""
    thresholds = candidate_thresholds(rows.score)
    when = timeline(rows)
    if not len(thresholds) or not len(when.break_row):
        return []
    block = blocks_of(rows)
    found = event_curve(rows, thresholds, block=block, draws=draw_blocks(int(block[-1]) + 1))
    by_chance = chance_curve(rows, thresholds)
    return [
        _recall(rows, when, found, by_chance, horizon=horizon, per_day=per_day)
        for horizon in HORIZONS
        for per_day in BUDGETS
    ]


def _recall(
    rows: ScoredRows, when: Timeline, found: EventCurve, by_chance: EventCurve, *, horizon: int, per_day: int
) -> Recall:
    recall = found.recall(horizon, per_day)
    place = int(found.best(horizon, per_day)[0])
    threshold = float(found.thresholds[place]) if place >= 0 else None
    alerts = np.flatnonzero(rows.score >= threshold) if threshold is not None else np.empty(0, np.int64)
    leads = when.lead_rows(alerts, horizon)
    leads = leads[leads >= 0]
    return Recall(
        horizon_rows=horizon,
        false_alarms_per_day=per_day,
        recall=float(recall[0]),
        chance=float(by_chance.recall(horizon, per_day).mean()),
        interval=interval(recall[1:]),
        threshold=threshold,
        time_in_alarm=float(found.alarm_rows[place, 0] / found.rows[0]) if place >= 0 else 0.0,
        median_lead_minutes=float(np.median(leads)) * rows.period_s / 60 if len(leads) else None,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _mean_known(values: Floats) -> Floats:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0)
    mean: Floats = np.full(len(count), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean
