"""Frames to learn from: a table or array of Python as the rows and the schema of a history."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from sheetbreak.errors import DataError
from sheetbreak.history.reader import PROCESSMINER, PROCESSMINER_COLUMNS
from sheetbreak.history.schema_file import load_schema, schema_of
from sheetbreak.history.times.recognition import recognise_time_format
from sheetbreak.history.times.sampling import settle_sampling
from sheetbreak.missing import Missing
from sheetbreak.python.columns import rows_of
from sheetbreak.python.tables import Column, Table, table_of
from sheetbreak.rows import BROKEN, INTACT, RowBatch, Schema

SchemaLike = Schema | Mapping[str, Any] | str | PathLike[str]
"""A schema, the tables of a schema file, or the path of one."""
_NAME = "the table"
_SAMPLES = 1000
_TIME = "time"
log = logging.getLogger(__name__)


def read_frame(frame: Any, schema: SchemaLike | None, *, labels: Any = None) -> tuple[RowBatch, Schema]:
    """The rows of a table in its order, and its schema with sensors, time format and sampling settled from them.

    An array is of (rows, sensors). labels: (n,) 1 where the sheet is broken, in place of the table's own column.
    Raises DataError.
    """
    given = _schema_given(schema)
    table = _table(frame, given)
    given = _meanings(table.names) if given is None else given
    _check_columns(table, given)
    resolved = given if given.sensors else replace(given, sensors=_sensors(table, given))
    if resolved.time is not None:
        resolved = replace(resolved, time_format=_time_format(table, resolved))
    rows = rows_of(table, resolved, graded=False)
    if labels is not None:
        rows = replace(rows, broken=_labels(labels, len(rows)))
    order = np.argsort(rows.times_us, kind="stable")
    return rows, settle_sampling(rows.take(order), resolved, name=_NAME)


def read_rows(frame: Any, schema: Schema, *, graded: bool) -> RowBatch:
    """The rows of a table that is to be scored by a model of the schema. Raises DataError."""
    return rows_of(table_of(frame, sensors=schema.sensors, time=schema.time), schema, graded=graded)


def _schema_given(schema: SchemaLike | None) -> Schema | None:
    if schema is None or isinstance(schema, Schema):
        return schema
    return schema_of(schema, "schema") if isinstance(schema, Mapping) else load_schema(Path(schema))


def _table(frame: Any, schema: Schema | None) -> Table:
    if not isinstance(frame, np.ndarray):
        return table_of(frame, sensors=(), time=schema.time if schema else _TIME)
    sensors = schema.sensors if schema else ()
    if not sensors and frame.ndim == 2:
        sensors = tuple(f"x{i}" for i in range(frame.shape[1]))
    return table_of(frame, sensors=sensors, time=None)


def _meanings(names: Sequence[Any]) -> Schema:
    """Without a schema: the published file's, or by the names of the wire."""
    machine = "machine" if "machine" in names and "time" in names else None
    plain = set(names) - {"machine"}
    if plain <= PROCESSMINER_COLUMNS and plain & {"time", "y"}:
        return replace(
            PROCESSMINER,
            machine=machine,
            time="time" if "time" in plain else None,
            broken="y" if "y" in plain else None,
            grade=PROCESSMINER.grade if PROCESSMINER.grade in plain else None,
            ignore=tuple(name for name in PROCESSMINER.ignore if name in plain),
        )
    time, broken, grade = (name if name in names else None for name in ("time", "broken", "grade"))
    return Schema(time=time, broken=broken, machine=machine, grade=grade, learned=PROCESSMINER.learned)


def _check_columns(table: Table, schema: Schema) -> None:
    """What the schema names must be there, but for labels."""
    if not len(table):
        raise DataError(f"{_NAME} has no rows; give the history to learn from")
    named = [schema.clock, schema.machine, schema.grade]
    if not schema.sensors or schema.time in table.names:  # rows of a schema with sensors may be an array's
        named.append(schema.time)
    for name in (*named, *schema.ignore):
        if name is not None and name not in table.names:
            there = ", ".join(str(one) for one in table.names[:8])
            raise DataError(f'column "{name}" is missing, which the schema names; {_NAME} has {there}…')


def _sensors(table: Table, schema: Schema) -> tuple[str, ...]:
    """Every other column that holds numbers; what holds none is left out, and the log says so."""
    meanings = {schema.time, schema.clock, schema.broken, schema.machine, schema.grade, *schema.ignore}
    missing = Missing.of(schema.missing)
    found, left_out = list[str](), list[str]()
    for name in table.names:
        if name in meanings:
            continue
        (found if _has_numbers(table.column(name), missing) else left_out).append(name)
    if left_out:
        log.warning("event=columns-left-out count=%d columns=%r note=%r", len(left_out), left_out[:8], "no numbers")
    if not found:
        raise DataError(f"{_NAME} has no column of numbers: nothing to learn from")
    return tuple(found)


def _has_numbers(column: Column, missing: Missing) -> bool:
    if column.dtype.kind in "fiub":
        return True
    return column.dtype.kind in "OU" and any(_is_number(cell, missing) for cell in column.tolist())


def _is_number(cell: Any, missing: Missing) -> bool:
    if cell is None or (isinstance(cell, str) and (missing.is_word(cell) or "_" in cell)):
        return False
    try:
        return float(cell) == float(cell)
    except (TypeError, ValueError, OverflowError):
        return False


def _time_format(table: Table, schema: Schema) -> str | None:
    """The format of times that are texts or numbers; datetimes need none."""
    assert schema.time is not None
    if schema.time_format is not None or schema.time not in table.names:
        return schema.time_format
    column = table.column(schema.time)
    if column.dtype.kind == "M" or not all(isinstance(cell, str | int | float) for cell in column.tolist()):
        return None
    step = max(1, len(column) // _SAMPLES)
    cells = [column.tolist()[i] for i in range(0, len(column), step)]
    if schema.clock is not None:
        clocks = table.column(schema.clock).tolist()
        cells = [f"{cell} {clocks[i]}" for cell, i in zip(cells, range(0, len(column), step), strict=True)]
    return recognise_time_format([str(cell) for cell in cells], name=_NAME, timezone=schema.timezone)


def _labels(labels: Any, n: int) -> "np.ndarray[tuple[int], np.dtype[np.int8]]":
    found = np.asarray(labels)
    if found.shape != (n,):
        raise DataError(f"broken is of shape {found.shape}, expected ({n},): a label a row")
    if not (found.dtype.kind in "biuf" and np.isin(found, (0, 1)).all()):
        raise DataError(
            "broken holds something else than 0 and 1; a label a row is expected, 1 where the sheet is broken"
        )
    return np.where(found == 1, BROKEN, INTACT).astype(np.int8)
