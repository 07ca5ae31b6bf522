"""Histories that a command was given: files or folders, and the plant's schema file; doubts are told."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sheetbreak.history.columns import tell_sparse_rows
from sheetbreak.history.doubts import Doubt, Doubts, Tell, warn_of
from sheetbreak.history.joining import History
from sheetbreak.history.reader import read_history
from sheetbreak.history.schema_file import load_schema
from sheetbreak.missing import MISSING
from sheetbreak.rows import BROKEN
from trainer.data.inspection.sensors import number_text, sure_sentinels


def add_files(parser: argparse.ArgumentParser, what: str) -> None:
    """The positional `csv`: one file, several, or folders."""
    note = "a CSV (also .gz or .zst), Parquet or .xlsx file, several of them, or a folder"
    parser.add_argument("csv", nargs="+", type=Path, metavar="FILE", help=f"{what}; {note}")


def read_given(files: Sequence[Path], schema: Path | None, *, unlabelled: bool = False) -> History:
    """The files as one history; doubts go to standard error. Raises DataError at the first fatal one."""
    described = load_schema(schema) if schema is not None else None
    history = read_history(files, described, unlabelled=unlabelled, doubts=Doubts(warn_of))
    return without_sentinels(history, tell=warn_of)


def without_sentinels(history: History, *, tell: Tell) -> History:
    """The history with -9999, 1e35 and their like taken as missing, and named in its schema: so they are live, too.

    One in a hundred cells at -9999 makes a model blind for that sensor. Where the plant file has a list of its own,
    that decides.
    """
    rows, schema = history.rows, history.schema
    columns = list(rows.values.T)
    sentinels = sure_sentinels(columns, rows.broken == BROKEN) if MISSING in schema.learned else []
    if not sentinels:
        return history
    hit = np.isin(rows.values, sentinels)
    doubts = Doubts(tell)
    for i in np.flatnonzero(hit.any(axis=0)).tolist():
        places = np.flatnonzero(hit[:, i])
        first, count = int(places[0]), len(places)
        named = [number_text(value) for value in np.unique(columns[i][places])]
        what = f"{', '.join(named)} in {count:,} cells, far from all other values: no reading, taken as missing"
        remedy = "name what is none in --schema, values.missing = […], where [] takes each number as a reading"
        doubts.add(Doubt("sentinel", f"{history.place(first)}, column {schema.sensors[i]}", what, remedy, count))
    values = np.where(hit, np.nan, rows.values)
    tell_sparse_rows(schema.sensors, values, history.name, doubts)
    return replace(
        history,
        rows=replace(rows, values=values),
        schema=replace(schema, missing=(*schema.missing, *map(number_text, sentinels))),
        doubts=(*history.doubts, *doubts.found),
    )
