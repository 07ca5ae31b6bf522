"""Encoding of rows, one record each: JSON wire rows, or lines of a CSV like the one that is played."""

from collections.abc import Sequence
from typing import Protocol

from sheetbreak.errors import DataError
from sheetbreak.history.times.formats import TimeWriter
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, Dialect, RowBatch, Schema
from sheetbreak.wire.rows import encode_row

MACHINE_COLUMN = "machine"


class Encode(Protocol):
    """Records of one row, one for each of `machines`, without newlines."""

    def __call__(self, row: int, time_us: int, machines: Sequence[str]) -> list[bytes]:
        """row: position in the batch; time_us: instead of the row's own."""


def wire_encoder(rows: RowBatch, schema: Schema, *, labels: bool) -> Encode:
    """JSON wire rows; without `labels` they do not say whether the sheet is broken, as a live feed cannot."""

    def encode(row: int, time_us: int, machines: Sequence[str]) -> list[bytes]:
        values = dict(zip(schema.sensors, rows.values[row].tolist(), strict=True))
        label = rows.broken[row]
        broken = None if label == UNKNOWN or not labels else bool(label == BROKEN)
        grade = rows.grades[row]
        return [encode_row(machine, time_us, values=values, grade=grade, broken=broken) for machine in machines]

    return encode


def csv_header(schema: Schema, *, labels: bool, several: bool) -> bytes:
    """The columns that `csv_encoder` writes: those of the CSV played, and `machine` where it had to be added.

    Raises DataError where a sensor has that name.
    """
    columns = _columns(schema, labels=labels, several=several)
    if several and schema.machine is None and MACHINE_COLUMN in schema.sensors:
        raise DataError(
            f'a sensor is called "{MACHINE_COLUMN}", as the column is that tells copies apart; '
            "give the machines a column in --schema (columns.machine), or write NDJSON"
        )
    skipped = b"\n" * (schema.csv.skip_rows or 0)
    return skipped + _joined(columns, schema.csv)


def csv_encoder(rows: RowBatch, schema: Schema, *, labels: bool, several: bool) -> Encode:
    """Lines of a CSV that the same schema reads. Columns that mean nothing to us are left blank."""
    columns = _columns(schema, labels=labels, several=several)
    clock = TimeWriter(schema.time_format, schema.timezone)
    marks = {INTACT: "0", BROKEN: schema.broken_values[0] if schema.broken_values else "1", UNKNOWN: str(UNKNOWN)}

    def encode(row: int, time_us: int, machines: Sequence[str]) -> list[bytes]:
        cells = {s: _number(v, schema.csv) for s, v in zip(schema.sensors, rows.values[row].tolist(), strict=True)}
        cells |= _time_cells(schema, clock(time_us)) | {schema.grade or "": rows.grades[row] or ""}
        cells[schema.broken or ""] = marks[int(rows.broken[row])]
        machine_column = schema.machine or (MACHINE_COLUMN if several else "")  # a sensor may have that name
        return [
            _joined([(cells | {machine_column: machine}).get(column, "") for column in columns], schema.csv)
            for machine in machines
        ]

    return encode


def _columns(schema: Schema, *, labels: bool, several: bool) -> list[str]:
    machine = schema.machine or (MACHINE_COLUMN if several else None)
    broken = schema.broken if labels else None
    meanings = [column for column in (schema.time, schema.clock, machine, broken) if column]
    return [*meanings, *([schema.grade] if schema.grade else []), *schema.sensors, *schema.ignore]


def _time_cells(schema: Schema, text: str) -> dict[str, str]:
    date, _, clock = text.partition(" ")
    return {schema.time or "": text} if schema.clock is None else {schema.time or "": date, schema.clock: clock}


def _number(value: float, dialect: Dialect) -> str:
    text = "" if value != value else repr(value)
    return text.replace(".", ",") if dialect.decimal == "," else text


def _joined(cells: Sequence[str], dialect: Dialect) -> bytes:
    """A line in the dialect that the schema file says; what it does not say is plain CSV."""
    separator = dialect.separator or ","
    return separator.join(_cell(cell, separator) for cell in cells).encode(dialect.encoding or "utf-8")


def _cell(text: str, separator: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in (separator, '"', "\r", "\n")) else text
