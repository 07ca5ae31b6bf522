"""scores.csv: what every held-out row scored, unrounded, for whoever wants to judge for himself."""

import csv
from collections.abc import Mapping
from typing import TextIO

import numpy as np

from sheetbreak.engine import Results
from sheetbreak.rows import BROKEN, RowBatch, format_time
from trainer.labels import Ints, Labels

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
    marks = [] if fold is None else [fold]
    for split, numbers in parts.items():
        csv.writer(out, lineterminator="\n").writerows(
            [
                row,
                format_time(int(rows.times_us[row])),
                rows.machines[row],
                *marks,
                split,
                _number(results.score[row]),
                _number(results.threshold[row]),
                int(results.over[row]),
                int(labels.will_break[row]),
                int(rows.broken[row] == BROKEN),
            ]
            for row in numbers.tolist()
        )


def _number(value: np.float64) -> str:
    return "" if np.isnan(value) else repr(float(value))
