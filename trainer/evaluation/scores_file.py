"""scores.csv: what every held-out row scored, unrounded, for whoever wants to judge for himself."""

import csv
from collections.abc import Mapping
from typing import TextIO

import pandas as pd

from sheetbreak.engine.advance import Results
from sheetbreak.rows import BROKEN, RowBatch, format_time
from trainer.data.labels import Ints, Labels

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
