"""Evidence for a threshold: what a model's scores show on training and validation rows."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.rows import RowBatch
from trainer.data.labels import Bools, Floats, Ints, Labels
from trainer.metrics.alarms import false_openings
from trainer.metrics.events import HORIZONS, timeline
from trainer.metrics.scored_rows import score_rows
from trainer.training.alarm_replay import ScoredHistory
from trainer.training.threshold_policies import Evidence


def gather_evidence(
    labels: Labels, history: ScoredHistory, policy: AlertPolicy, *, fit: Ints, validation: Ints, past: Ints
) -> Evidence:
    """Scores and labels of break-free fit rows and of validation rows, and a way to try thresholds on them.

    fit, validation, past: row numbers; past: all that came before the test rows, whether break-free or not.
    """
    end = max((int(part.max()) + 1 for part in (past, validation) if len(part)), default=0)
    return evidence_from(
        history.rows,
        labels,
        history.score,
        fit=fit,
        validation=validation,
        past=past,
        count=_alarm_counter(history.before(end), labels, policy),
        settle=partial(_settled_share, history.before(end), policy),
        period_s=history.schema.period_s,
    )


def evidence_from(
    rows: RowBatch,
    labels: Labels,
    score: Floats,
    *,
    fit: Ints,
    validation: Ints,
    past: Ints,
    count: Callable[[Ints, Threshold], float],
    settle: Callable[[Threshold], float],
    period_s: float,
) -> Evidence:
    """The same of scores that are known: (n,), NaN where a row has none.

    count: false alarms a day at the rows named. settle: see Evidence.settled_share.
    """
    scored = ~np.isnan(score)

    def evidence_of(chosen: Bools) -> Evidence:
        held = validation[chosen[validation]]
        judged, fitted = held[(labels.judged & scored)[held]], fit[(chosen & scored)[fit]]
        return Evidence(
            fit_scores=score[fitted],
            scores=score[judged],
            will_break=labels.will_break[judged],
            false_alarms_per_day=partial(count, held),
            past_false_alarms_per_day=partial(count, past[chosen[past]]),
            settled_share=settle,
            period_s=period_s,
        )

    grades = np.array(known_grades(rows), object)
    by_grade = {grade: _pooled(evidence_of(grades == grade)) for grade in sorted({*grades} - {None})}
    return replace(evidence_of(np.ones(len(rows), np.bool_)), by_grade=by_grade)


def _pooled(grade: Evidence) -> Evidence:
    """A grade has few held-out rows: break-free validation rows, which no model was fitted on either, join them."""
    normal = grade.scores[~grade.will_break]
    return replace(grade, fit_scores=np.concatenate([grade.fit_scores, normal]))


def known_grades(rows: RowBatch) -> list[str | None]:
    """Each row's grade, or else the last one that its machine named."""
    last: dict[str, str | None] = {}
    known = []
    for machine, grade in zip(rows.machines, rows.grades, strict=True):
        last[machine] = last.get(machine) if grade is None else grade
        known.append(last[machine])
    return known


def _settled_share(history: ScoredHistory, policy: AlertPolicy, threshold: Threshold) -> float:
    """The median machine's share after the history's rows."""
    ends = [one.levels.steering for one in history.decided(threshold, policy).values()]
    return float(np.median([steering.share for steering in ends if steering is not None]))


def _alarm_counter(history: ScoredHistory, labels: Labels, policy: AlertPolicy) -> Callable[[Ints, Threshold], float]:
    """Counts what a monitor would raise that saw the history; labels: of its rows and perhaps of later ones."""
    rows, n = history.rows, len(history.rows)
    of_rows = labels.before(n)

    def false_alarms_per_day(counted: Ints, threshold: Threshold) -> float:
        """Of alerts that opened at the rows `counted`, by operating day of these."""
        scored = score_rows(rows, of_rows, history.alarms(threshold, policy), history.schema)
        false = false_openings(scored, timeline(scored), horizon=HORIZONS[-1])
        mine = np.isin(scored.row, counted)
        days = scored.take(mine).days
        return float((false & mine).sum()) / days if days else 0.0

    return false_alarms_per_day
