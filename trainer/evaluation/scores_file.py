"""Scores file: scores.csv has what every held-out row scored, unrounded, for whoever wants to judge himself."""

import csv
from collections.abc import Mapping
from io import StringIO
from typing import TextIO

import pandas as pd

from sheetbreak.engine.state import Results
from sheetbreak.rows import BROKEN, RowBatch
from sheetbreak.times import format_time
from trainer.data.labels import Ints, Labels
from trainer.metrics.row_metrics import roc_points
from trainer.metrics.scored_rows import ScoredRows

COLUMNS = ("row", "time", "machine", "split", "score", "threshold", "over", "will_break", "broken")


def write_header(out: TextIO, *, folds: bool = False) -> None:
    """The header line; folds: with a column `fold` before `split`."""
    csv.writer(out, lineterminator="\n").writerow([*COLUMNS[:3], *(["fold"] if folds else []), *COLUMNS[3:]])


def write_scores(
    out: TextIO,
    rows: RowBatch,
    labels: Labels,
    results: Results,
    *,
    parts: Mapping[str, Ints],
    fold: int | None = None,
) -> None:
    """A line a row of each part (name -> row numbers), part after part; where there is no score: empty."""
    for split, numbers in parts.items():
        columns = {
            "row": numbers,
            "time": [format_time(time_us) for time_us in rows.times_us[numbers].tolist()],
            "machine": [rows.machines[row] for row in numbers.tolist()],
            "fold": fold,
            "split": split,
            "score": results.score[numbers],
            "threshold": results.threshold[numbers],
            "over": results.over[numbers].astype(int),
            "will_break": labels.will_break[numbers].astype(int),
            "broken": (rows.broken[numbers] == BROKEN).astype(int),
        }
        if fold is None:
            del columns["fold"]
        pd.DataFrame(columns).to_csv(out, header=False, index=False, lineterminator="\n")


def roc_file(parts: Mapping[str, ScoredRows]) -> str:
    """CSV of the points of each part's ROC curve; empty but for its header where a class is missing."""
    out = StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(["split", "threshold", "false_positive_rate", "true_positive_rate"])
    for name, rows in parts.items():
        points = roc_points(rows)
        if points is None:
            continue
        false, true, thresholds = points
        # The first point, where no row is an alarm, has an infinite threshold: left empty.
        shown = ["", *(repr(float(threshold)) for threshold in thresholds[1:])]
        lines.writerows(zip([name] * len(shown), shown, map(float, false), map(float, true), strict=True))
    return out.getvalue()
