"""Historical CSV files: which column means what, and rows read as strictly as those of the wire."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sheetbreak.errors import DataError
from sheetbreak.history.lines import CsvDecoder, cells_of, split_header
from sheetbreak.history.sampling import PERIOD, STOP_GAP, settle_sampling
from sheetbreak.rows import RowBatch, Schema

HEAD_LINES = 200
"""Lines from a file's start, the header among them, by which columns and time format are recognised."""

PROCESSMINER_COLUMNS = frozenset({"time", "y", *(f"x{i}" for i in range(1, 62))})
PROCESSMINER = Schema(
    time="time",
    broken="y",
    grade="x28",
    ignore=("x61",),
    time_format="%m/%d/%y %H:%M",
    timezone="UTC",
    learned=(PERIOD, STOP_GAP),
)
"""The published file: x28 is the grade, x61 is 1 only on break rows and so an outcome, never an input."""

log = logging.getLogger(__name__)


def csv_head(path: Path) -> list[bytes]:
    """The first lines of a CSV, the header first. Raises DataError when it cannot be read or is empty."""
    try:
        with path.open("rb") as file:
            head = [line for line, _ in zip(file, range(HEAD_LINES), strict=False)]
    except OSError as cause:
        raise DataError(f"{path}: {cause.strerror}; name a CSV file with a header line") from cause
    if not any(line.strip() for line in head):
        raise DataError(f"{path} is empty; expected a header line and one row a sampling period")
    return head


def resolve_schema(head: Sequence[bytes], schema: Schema | None, name: str, *, unlabelled: bool = False) -> Schema:
    """`schema` with the sensors that the header of a CSV (`head[0]`) gives; the published layout is recognised.

    Every numeric column that has no other meaning is a sensor; a column without one number in the head is text, and
    left out. unlabelled: the column of labels may be missing. Raises DataError.
    """
    header = split_header(head[0], name)
    if schema is None:
        if set(header) - {"machine"} != PROCESSMINER_COLUMNS:
            raise DataError(
                f"{name} line 1: not the ProcessMiner columns (time,y,x1…x61); describe yours with --schema plant.toml"
            )
        schema = replace(PROCESSMINER, machine="machine" if "machine" in header else None)
    meanings = [column for column in (schema.time, schema.broken, schema.machine, schema.grade) if column]
    for column in meanings:
        if column not in header and not (unlabelled and column == schema.broken):
            raise DataError(f'{name} line 1: column "{column}" is missing; the columns are {", ".join(header[:12])}…')
    rest = [c for c in header if c not in meanings and c not in schema.ignore]
    rows = [cells for line in head[1:] if (cells := cells_of(line)) is not None]
    text = {c for c in rest if _is_text([row[i] for row in rows if (i := header.index(c)) < len(row)])}
    if text:
        log.warning(
            'event=text-columns file=%s columns=%s meaning="no numbers, so no sensors"', name, ",".join(sorted(text))
        )
    sensors = tuple(c for c in rest if c not in text)
    unfit = [c for c in sensors if not c.isprintable() or '"' in c or "\\" in c]
    if unfit:
        raise DataError(f"{name} line 1: {unfit[0]!r} cannot be a sensor's name; leave out quotes and backslashes")
    if not sensors:
        raise DataError(f"{name} line 1: no numeric column is left to be a sensor")
    return replace(schema, sensors=sensors)


def read_csv(
    path: Path,
    schema: Schema | None = None,
    *,
    sensors_from: Schema | None = None,
    unlabelled: bool = False,
) -> tuple[Schema, RowBatch]:
    """The whole file: its resolved schema, the sampling settled by the rows, and its rows, in file order.

    `sensors_from`: a schema already resolved (a model's); the file must have its columns, and its sensors are used.
    `unlabelled`: the column of labels may be missing, as it often is where all rows are normal. Raises DataError with
    file, line, column, value and remedy at the first cell, line, label or time that is not sound, and when the times of
    a machine repeat or go backward.
    """
    head = csv_head(path)
    resolved = (
        sensors_from if sensors_from is not None else resolve_schema(head, schema, path.name, unlabelled=unlabelled)
    )
    lines = path.read_bytes().split(b"\n")[1:]
    numbers = [i for i, line in enumerate(lines, start=2) if line.strip()]
    if not numbers:
        raise DataError(f"{path}: a header and no rows; expected one row a sampling period")
    decoder = CsvDecoder(resolved, head, name=path.name)
    decoded = decoder.decode([lines[i - 2] for i in numbers], numbers)
    if decoded.rejects:
        record, reject = decoded.rejects[0]
        raise DataError(f"{path} line {numbers[record]}, {reject}") from reject
    _check_times(decoded.rows, numbers, path, several=resolved.machine is not None)
    if sensors_from is None:
        resolved = settle_sampling(decoded.rows, resolved, name=path.name)
    return resolved, decoded.rows


def _check_times(rows: RowBatch, numbers: Sequence[int], path: Path, *, several: bool) -> None:
    remedy = "sort the file by time and drop repeated rows"
    if not several:
        remedy += ", or name the column that tells machines apart in --schema (columns.machine)"
    last: dict[str, int] = {}
    for number, machine, time_us in zip(numbers, rows.machines, rows.times_us.tolist(), strict=True):
        if time_us <= last.get(machine, time_us - 1):
            what = "repeats" if time_us == last[machine] else "goes back behind"
            raise DataError(f"{path} line {number}: the time {what} that of {machine}'s row before; {remedy}")
        last[machine] = time_us


def _is_text(cells: Sequence[str]) -> bool:
    filled = [cell.strip() for cell in cells if cell.strip()]
    return bool(filled) and not any(_is_number(cell) for cell in filled)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
