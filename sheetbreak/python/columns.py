"""Columns of a table as the rows of a model: each by its meaning in the model's schema, as strictly as a file's."""

import difflib
import logging
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError
from sheetbreak.history.lines import DEFAULT_MACHINE
from sheetbreak.history.times.formats import EPOCHS, ISO, TimeReader
from sheetbreak.history.times.recognition import choose_fold
from sheetbreak.missing import Missing
from sheetbreak.python.tables import Column, Table
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, RowBatch, Schema, grade_name
from sheetbreak.times import EARLIEST_US, LATEST_US
from sheetbreak.wire.rows import MAX_MACHINE_CHARS

log = logging.getLogger(__name__)


def rows_of(table: Table, schema: Schema, *, graded: bool) -> RowBatch:
    """The rows of a table, in its order. Raises DataError that names the column, and the row from 0 on.

    schema: resolved, with its sensors. graded: a row's grade decides by which level it is judged, so it must be there.

    A table without the column of machines is one machine's; one without times is numbered at the schema's period, from
    1970 on. What the schema calls a word for a missing value is one; a label may be missing.
    """
    _check_names(table, schema, graded=graded)
    n = len(table)
    machines = [DEFAULT_MACHINE] * n
    if schema.machine is not None and schema.machine in table.names:
        machines = [_machine(cell, schema.machine, i) for i, cell in enumerate(table.column(schema.machine).tolist())]
    grades: list[str | None] = [None] * n
    if schema.grade is not None and schema.grade in table.names:
        grades = [None if _is_none(cell) else grade_name(str(cell)) for cell in table.column(schema.grade).tolist()]
    broken = np.full(n, UNKNOWN, np.int8)
    if schema.broken is not None and schema.broken in table.names:
        labels = table.column(schema.broken).tolist()
        words = {_label_text(word) for word in schema.broken_values}
        broken[:] = [_label(cell, schema.broken, i, words=words) for i, cell in enumerate(labels)]
    values = np.empty((n, len(schema.sensors)))
    missing = Missing.of(schema.missing)
    for i, sensor in enumerate(schema.sensors):
        values[:, i] = _numbers(table.column(sensor), sensor, missing)
    missing.blank_sentinels(values)
    return RowBatch(machines, _times(table, schema, machines), values, grades, broken)


def _check_names(table: Table, schema: Schema, *, graded: bool) -> None:
    needed = list(schema.sensors)
    if graded and schema.grade is not None:
        needed.append(schema.grade)  # without it every row would be judged by another level than in the monitor
    if schema.clock is not None and schema.time in table.names:
        needed.append(schema.clock)
    gone = [name for name in needed if name not in table.names]
    if gone:
        there = [str(name) for name in table.names]  # pandas also has numbers
        near = difflib.get_close_matches(gone[0], there, n=1)
        meant = f'; is "{near[0]}" meant for "{gone[0]}"?' if near else ""
        what = f'column "{gone[0]}" is missing' if len(gone) == 1 else f"{len(gone)} columns are missing: {_some(gone)}"
        it = "it" if len(gone) == 1 else "them"
        raise DataError(f"{what}; the model needs {it}, the table has {_some(there) or 'none'}{meant}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + ("…" if len(names) > 8 else "")


def _numbers(column: Column, sensor: str, missing: Missing) -> npt.NDArray[np.float64]:
    """(n,) NaN where there is no reading."""
    if column.dtype.kind in "fiub":
        values = column.astype(np.float64)
    elif column.dtype.kind in "OU":
        values = np.array([_number(cell, sensor, i, missing) for i, cell in enumerate(column.tolist())], np.float64)
    else:
        raise DataError(f"column {sensor} holds {column.dtype}, expected numbers: it is a sensor of the model")
    values[np.isinf(values)] = np.nan  # as in a file: no reading is infinite
    return values


def _number(cell: Any, sensor: str, row: int, missing: Missing) -> float:
    if _is_none(cell) or (isinstance(cell, str) and missing.is_word(cell)):
        return float("nan")
    try:
        if isinstance(cell, str) and "_" in cell:  # float() takes "1_0"
            raise ValueError
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        _refuse(cell, sensor, row, "a number", "mend it, or make the column numeric before it is scored")


def _times(table: Table, schema: Schema, machines: Sequence[str]) -> npt.NDArray[np.int64]:
    """(n,) µs since 1970 UTC."""
    n = len(table)
    if schema.time is None or schema.time not in table.names:
        if schema.time is not None and set(table.names) - set(schema.sensors):
            note = "rows are taken one period after another, without stops"
            log.warning("event=no-time column=%r period_s=%g note=%r", schema.time, schema.period_s, note)
        period_us = round(schema.period_s * 1e6)
        if n * period_us >= LATEST_US:
            raise DataError(
                f"{n:,} rows at a period of {schema.period_s:g} s lead past the year 9998; give their times"
            )
        return np.arange(n, dtype=np.int64) * period_us
    column = table.column(schema.time)
    if column.dtype.kind == "M":
        if np.isnat(column).any():
            _refuse(None, schema.time, int(np.isnat(column).argmax()), "a time", "drop the row")
        found = column.astype("M8[us]").astype(np.int64)
        if schema.timezone == "UTC" and schema.clock is None:
            if n and not (found.min() >= EARLIEST_US and found.max() < LATEST_US):
                raise DataError(f"column {schema.time}: a year from 2 to 9998 is expected")
            return found
        column = column.astype("M8[us]")
    cells = column.tolist()
    if schema.clock is not None:
        clocks = table.column(schema.clock).tolist()
        cells = [f"{_text(cell)} {_text(clock)}" for cell, clock in zip(cells, clocks, strict=True)]
    return _read_times(cells, schema, machines)


def _read_times(cells: Sequence[Any], schema: Schema, machines: Sequence[str]) -> npt.NDArray[np.int64]:
    """Times one by one: an hour that comes twice in autumn is told by the machine's row before it."""
    assert schema.time is not None
    read_text = TimeReader(schema.time_format or ISO, schema.timezone).both
    read_moment = TimeReader(ISO, schema.timezone).both
    last_us: dict[str, int] = {}
    found = np.empty(len(cells), np.int64)
    for row, (cell, machine) in enumerate(zip(cells, machines, strict=True)):
        if isinstance(cell, date):
            read, text = read_moment, cell.isoformat()
        else:
            read, text = read_text, _text(cell)
        first_us, second_us = _both(read, text, cell, schema, row)
        if first_us != second_us:
            first_us = choose_fold(first_us, second_us, last_us=last_us.get(machine), ambiguous=schema.ambiguous)
        found[row] = last_us[machine] = first_us
    return found


def _both(read: Callable[[str], tuple[int, int]], text: str, cell: Any, schema: Schema, row: int) -> tuple[int, int]:
    try:
        return read(text)
    except (ValueError, OverflowError):
        known = schema.time_format or ISO
        like = f"{known}, counted from 1970" if known in EPOCHS else f"a text like {known} or a datetime"
        assert schema.time is not None
        _refuse(cell, schema.time, row, f"a time ({like})", "mend it or drop the row")


def _machine(cell: Any, column: str, row: int) -> str:
    name = "" if _is_none(cell) else str(cell).strip()
    if not name.isprintable() or not 0 < len(name) <= MAX_MACHINE_CHARS:
        what = f"a machine's name of 1 to {MAX_MACHINE_CHARS} characters that print"
        _refuse(cell, column, row, what, "mend it or drop the row")
    return name


def _label(cell: Any, column: str, row: int, *, words: set[str]) -> int:
    if _is_none(cell) or (isinstance(cell, str) and not cell.strip()):
        return UNKNOWN
    if words:
        return BROKEN if _label_text(str(cell)) in words else INTACT
    try:
        return {0.0: INTACT, 1.0: BROKEN}[float(cell)]
    except (TypeError, ValueError, KeyError):
        _refuse(cell, column, row, "a label, 0 or 1 (1: broken, anomalous)", "mend it, or leave the column out")


def _label_text(text: str) -> str:
    return (grade_name(text) or "").casefold()


def _is_none(cell: Any) -> bool:
    """None, NaN, NaT, pandas.NA: no value. The last is no truth value, so it is told by its name."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, float) and cell != cell


def _text(cell: Any) -> str:
    """As a file would hold it; a whole number has no point."""
    if _is_none(cell):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.isoformat() if cell.time() != time() else cell.date().isoformat()
    return str(cell)


def _refuse(cell: Any, column: str, row: int, expected: str, remedy: str) -> NoReturn:
    shown = "nothing" if _is_none(cell) else f'"{str(cell)[:40]}"'
    raise DataError(f"row {row} (from 0), column {column}: {shown} is not {expected}; {remedy}")
