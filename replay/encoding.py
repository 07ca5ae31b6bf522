"""Rows as the bytes of one record each: JSON wire rows, or lines of a CSV like the one that is played."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from sheetbreak.history.time_formats import ISO
from sheetbreak.rows import BROKEN, UNKNOWN, RowBatch, Schema
from sheetbreak.times import format_time
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
    """The columns that `csv_encoder` writes: those of the CSV played, and `machine` where it had to be added."""
    return ",".join(_columns(schema, labels=labels, several=several)).encode()


def csv_encoder(rows: RowBatch, schema: Schema, *, labels: bool, several: bool) -> Encode:
    """Lines of a CSV that the same schema reads. Columns that mean nothing to us are left blank."""
    columns = _columns(schema, labels=labels, several=several)
    clock = _clock(schema)

    def encode(row: int, time_us: int, machines: Sequence[str]) -> list[bytes]:
        cells = dict(zip(schema.sensors, map(_number, rows.values[row].tolist()), strict=True))
        cells |= {schema.time or "": clock(time_us), schema.grade or "": rows.grades[row] or ""}
        cells[schema.broken or ""] = str(int(rows.broken[row]))
        machine_column = schema.machine or MACHINE_COLUMN
        return [
            ",".join(_cell((cells | {machine_column: machine}).get(column, "")) for column in columns).encode()
            for machine in machines
        ]

    return encode


def _columns(schema: Schema, *, labels: bool, several: bool) -> list[str]:
    machine = schema.machine or (MACHINE_COLUMN if several else None)
    broken = schema.broken if labels else None
    meanings = [column for column in (schema.time, machine, broken) if column]
    return [*meanings, *([schema.grade] if schema.grade else []), *schema.sensors, *schema.ignore]


def _clock(schema: Schema) -> Callable[[int], str]:
    time_format = schema.time_format
    if time_format is None or time_format == ISO:
        return format_time
    zone = ZoneInfo(schema.timezone)
    return lambda time_us: datetime.fromtimestamp(time_us // 1_000_000, zone).strftime(time_format)


def _number(value: float) -> str:
    return "" if value != value else repr(value)


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\r\n') else text
