"""Held-out rows: what a trained model makes of validation and test rows, as metrics, files and a short table."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np

from sheetbreak.engine.state import DEAD_LETTER, RESTARTING, SCORED, STOPPED, WARMING_UP, Results
from sheetbreak.errors import DataError
from sheetbreak.rows import RowBatch, Schema
from trainer.data.labels import Ints, Labels
from trainer.evaluation.anomaly_tables import anomaly_table
from trainer.evaluation.scores_file import roc_file, write_header, write_scores
from trainer.evaluation.tables import confusion_table, evaluation_table
from trainer.metrics.confusion import Confusion
from trainer.metrics.evaluation import Evaluation, Figures, measure, summarise
from trainer.metrics.scored_rows import ScoredRows, score_rows
from trainer.metrics.worth import DEFAULT_COSTS, Costs, worth_of

_OUTCOMES = {
    SCORED: "are scored",
    RESTARTING: "come shortly after a stop",
    WARMING_UP: "warm up",
    STOPPED: "are breaks",
    DEAD_LETTER: "lack too many sensors",
}


@dataclass(frozen=True, slots=True)
class Held:
    """One part of the held-out rows, within the history that it was scored in."""

    rows: RowBatch
    labels: Labels
    results: Results
    part: Ints
    """Row numbers."""

    @classmethod
    def whole(cls, rows: RowBatch, labels: Labels, results: Results) -> "Held":
        """All rows of a history of their own."""
        return cls(rows, labels, results, np.arange(len(rows)))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Validation and test rows, judged."""

    metrics: dict[str, Any]
    """By part: every figure, for the manifest."""
    files: dict[str, bytes]
    """scores.csv and roc.csv, by path within the artifact."""
    figures: dict[str, Figures]
    """By part, as measured."""
    evaluations: dict[str, Evaluation]
    confusions: dict[str, Confusion]
    costs: Costs
    """What they were judged by."""


def judge_held_out(
    held: Mapping[str, Held], schema: Schema, *, random_rows: bool, costs: Costs = DEFAULT_COSTS
) -> HeldOut:
    """Judge the parts by name. random_rows: rows picked at random are no stretch of time, so events mean nothing."""
    scored: dict[str, ScoredRows] = {}
    scores = StringIO()
    write_header(scores)
    for name, one in held.items():
        whole = score_rows(one.rows, one.labels, one.results, schema)
        scored[name] = whole.of_file_rows(one.part)
        write_scores(scores, one.rows, one.labels, one.results, parts={name: one.part})
    figures = {name: measure(rows, events=not random_rows) for name, rows in scored.items()}
    evaluations = {name: summarise([one], deployed=not random_rows) for name, one in figures.items()}
    confusions = {name: Confusion.of(rows) for name, rows in scored.items()}
    metrics = {name: evaluations[name].as_json() | {"confusion": confusions[name].as_json()} for name in scored}
    for name, found in evaluations.items():
        if worth := worth_of(found, costs, lead_rows=schema.lead_rows):
            metrics[name]["worth"] = worth.as_json()
    return HeldOut(
        metrics=metrics,
        files={
            "evaluation/scores.csv": scores.getvalue().encode(),
            "evaluation/roc.csv": roc_file(scored).encode(),
        },
        figures=figures,
        evaluations=evaluations,
        confusions=confusions,
        costs=costs,
    )


def check_useful(results: Results, labels: Labels, schema: Schema, *, name: str) -> None:
    """Raises DataError for a model that would watch nothing: no row, or no row before a break, opens an alert with it.

    results, labels: of the whole history, what was trained on among it.
    """
    watched = np.array([outcome == SCORED for outcome in results.outcome], np.bool_)
    ahead = labels.will_break
    if watched.any() and (watched[ahead].any() or not ahead.any()):
        return
    counts = Counter(results.outcome)
    told = ", ".join(f"{count:,} {_OUTCOMES[outcome]}" for outcome, count in counts.most_common())
    what = (
        f"none of its {len(results.outcome):,} rows"
        if not watched.any()
        else (f"none of the {int(ahead.sum()):,} {'rows before a break' if schema.lead_rows else 'anomalous rows'}")
    )
    raise DataError(
        f"{name}: the model would watch nothing: {what} can open an alert ({told}), so it is not kept. Rows come every "
        f"{schema.period_s:g} s and a gap longer than {schema.stop_gap_s:g} s is a stop: is that so? If it is, give "
        "more rows between the breaks"
    )


def held_out_text(found: HeldOut, schema: Schema, *, random_rows: bool, own_file: bool = False) -> str:
    """What a process engineer reads at the end of a training: the test rows, or the validation rows without any.

    own_file: the test rows are a file of their own, and a reader asks how many of them were judged right.
    """
    titles = {
        "validation": "validation rows, which chose epoch and threshold",
        "test": "test rows, not looked at before",
    }
    shown = [part for part in titles if part in found.evaluations]
    if not random_rows:
        shown = shown[-1:]
    texts = []
    for part in shown:
        one, title = found.evaluations[part], titles[part]
        if schema.lead_rows:
            texts.append(evaluation_table(one, period_s=schema.period_s, title=title, costs=found.costs))
        else:
            texts.append(anomaly_table(one, title=title))
        if random_rows or own_file or not schema.lead_rows:
            texts.append(confusion_table(found.confusions[part], lead_rows=schema.lead_rows))
    if random_rows:
        texts.append(
            "  Rows were split at random, so neighbours of these were trained on: the figures flatter.\n"
            "  sheetbreak backtest judges forward in time."
        )
    elif shown == ["validation"]:
        texts.append("  No row was left to test on: these figures flatter.")
    return "\n\n".join(texts)
