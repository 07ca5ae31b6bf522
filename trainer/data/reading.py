"""Histories that a command was given: files or folders, and the plant's schema file; doubts are told."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from sheetbreak.history.doubts import Doubts, warn_of
from sheetbreak.history.reader import History, read_history
from sheetbreak.history.schema_file import load_schema


def add_files(parser: argparse.ArgumentParser, what: str) -> None:
    """The positional `csv`: one file, several, or folders."""
    note = "a CSV (also .gz or .zst), Parquet or .xlsx file, several of them, or a folder"
    parser.add_argument("csv", nargs="+", type=Path, metavar="FILE", help=f"{what}; {note}")


def read_given(files: Sequence[Path], schema: Path | None, *, unlabelled: bool = False) -> History:
    """The files as one history; doubts go to standard error. Raises DataError at the first fatal one."""
    described = load_schema(schema) if schema is not None else None
    return read_history(files, described, unlabelled=unlabelled, doubts=Doubts(warn_of))
