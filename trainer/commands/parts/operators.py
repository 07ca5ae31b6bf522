"""Labels of operators for a training: read, put on the history, what says nothing of it told."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, NamedTuple

from sheetbreak.errors import DataError
from sheetbreak.rows import RowBatch, Schema
from sheetbreak.wire.labels import Label, read_labels
from trainer.data.labels import Bools
from trainer.data.operators import apply_labels


def add_labels_option(parser: ArgumentParser) -> None:
    """`--labels`, as every command has it that fits a model."""
    what = "what operators said, as sheetbreak labels writes it: masked sensors, rows under a true alarm"
    parser.add_argument("--labels", type=Path, metavar="CSV", help=what)


class Said(NamedTuple):
    """A history with what operators said of it."""

    rows: RowBatch
    left_out: Bools | None = None
    """(rows,) kept from what a model learns."""
    words: str = ""
    """A line for people; empty where nothing was given."""
    counted: dict[str, Any] = {}  # noqa: RUF012 - never written
    """For the manifest."""
    verdicts: tuple[Label, ...] = ()
    """On alarms of other models over these rows."""


def read_operators(path: Path | None, rows: RowBatch, schema: Schema) -> Said:
    """The history with what the file's labels say of it; as it is without a file. Raises DataError."""
    if path is None:
        return Said(rows)
    if schema.time is None:
        raise DataError(f"--labels {path}: the history has no times, so no label can be put on it; name columns.time")
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise DataError(f"--labels {path}: {cause.strerror}; name what sheetbreak labels has written") from cause
    applied = apply_labels(rows, schema, read_labels(content, name=str(path)))
    if applied.doubts:
        print(f"warning: {path}: labels are passed over: {'; '.join(applied.doubts[:5])}", file=sys.stderr)
    return Said(
        applied.rows, applied.left_out, f"{path}: {applied.words}\n\n", {"labels": applied.as_json()}, applied.verdicts
    )
