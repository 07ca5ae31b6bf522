"""Lines of a historical CSV, decoded as strictly as rows on the wire."""

import csv
from collections.abc import Sequence

import numpy as np

from sheetbreak.errors import DataError, RowError
from sheetbreak.history.time_formats import TimeReader, recognise_time_format
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, Decoded, RowBatch, Schema
from sheetbreak.times import LATEST_US
from sheetbreak.wire.rows import MAX_MACHINE_CHARS

DEFAULT_MACHINE = "pm1"


class CsvDecoder:
    """Decodes lines of one CSV, given its first lines; a line that is not a row is a reject, as on the wire."""

    def __init__(self, schema: Schema, head: Sequence[bytes], *, name: str = "CSV") -> None:
        header = split_header(head[0], name)
        missing = [c for c in schema.sensors if c not in header]
        wanted = [c for c in (schema.time, schema.broken, schema.machine, schema.grade) if c]
        label_free = [c for c in wanted if c != schema.broken]
        missing += [c for c in label_free if c not in header]
        if missing:
            shown = ", ".join(missing[:5]) + ("…" if len(missing) > 5 else "")
            raise DataError(f"{name} line 1: {len(missing)} columns are missing: {shown}; the model needs them")
        place = {column: i for i, column in enumerate(header)}
        self._header = header
        self._sensors = [place[c] for c in schema.sensors]
        self._names = schema.sensors
        self._machine = place.get(schema.machine or "")
        self._grade = place.get(schema.grade or "")
        self._broken = place.get(schema.broken or "")
        self._time = place.get(schema.time or "")
        self._period_us = round(schema.period_s * 1e6)
        if self._time is not None:
            rows = [cells for line in head[1:] if (cells := cells_of(line)) and len(cells) == len(header)]
            samples = [row[self._time] for row in rows]
            time_format = schema.time_format or recognise_time_format(samples, name=f"{name}, column {schema.time}")
            self._read_time = TimeReader(time_format, schema.timezone)

    def decode(self, values: Sequence[bytes], offsets: Sequence[int] | None = None) -> Decoded:
        """Rows and rejects of CSV lines; `offsets`: their line numbers, which time rows without a time."""
        machines: list[str] = []
        times: list[int] = []
        cells: list[list[float]] = []
        grades: list[str | None] = []
        broken: list[int] = []
        index: list[int] = []
        rejects: list[tuple[int, RowError]] = []
        for i, line in enumerate(values):
            try:
                row = self._cells(line)
                numbers = self._numbers(row, line)
                label = self._label(row)
                machine = self._machine_of(row)
                number = offsets[i] - 2 if offsets is not None else i
                time_us = self._time_of(row, number)
            except RowError as reject:
                rejects.append((i, reject))
                continue
            machines.append(machine)
            times.append(time_us)
            cells.append(numbers)
            grades.append((row[self._grade].strip() or None) if self._grade is not None else None)
            broken.append(label)
            index.append(i)
        matrix = np.array(cells, dtype=np.float64).reshape(len(index), len(self._sensors))
        rows = RowBatch(machines, np.array(times, np.int64), matrix, grades, np.array(broken, np.int8))
        return Decoded(rows, index, rejects)

    def _cells(self, line: bytes) -> list[str]:
        try:
            row = split_line(line)
        except UnicodeDecodeError as cause:
            raise RowError(f"byte {cause.start + 1} is not UTF-8; save the file as UTF-8", reason="not-utf8") from cause
        except csv.Error as cause:
            raise RowError(f"{cause}; each row stands on one line", reason="ragged-line") from cause
        if len(row) != len(self._header):
            raise RowError(
                f"{len(row)} cells where the header has {len(self._header)}; mend or drop the line",
                reason="ragged-line",
            )
        return row

    def _numbers(self, row: list[str], line: bytes) -> list[float]:
        try:
            numbers = [float(row[i]) if row[i] else np.nan for i in self._sensors]
        except ValueError:
            numbers = [self._number(row, i) for i in self._sensors]
        if (
            b"_" in line or b"n" in line or b"N" in line or any(abs(number) == np.inf for number in numbers)
        ):  # float() takes "1_0", "nan" and "inf"
            numbers = [self._number(row, i) for i in self._sensors]
        return numbers

    def _number(self, row: list[str], i: int) -> float:
        text = row[i].strip()
        if not text:
            return float("nan")
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if "_" in text or not np.isfinite(number):
            raise RowError(
                f'column {self._header[i]}: "{row[i][:40]}" is not a number; leave a missing cell blank',
                reason="not-a-number",
            )
        return number

    def _label(self, row: list[str]) -> int:
        if self._broken is None:
            return UNKNOWN
        text = row[self._broken].strip()
        if text not in ("0", "1", "0.0", "1.0"):
            raise RowError(
                f'column {self._header[self._broken]}: "{row[self._broken][:40]}" is not a label; '
                "0 or 1 is expected (1: broken, anomalous), mend it or drop the row",
                reason="not-a-label",
            )
        return BROKEN if text.startswith("1") else INTACT

    def _machine_of(self, row: list[str]) -> str:
        if self._machine is None:
            return DEFAULT_MACHINE
        machine = row[self._machine].strip()
        if not machine.isprintable() or not 0 < len(machine) <= MAX_MACHINE_CHARS:
            raise RowError(
                f'column {self._header[self._machine]}: "{row[self._machine][:40]}" is no machine\'s name; '
                f"1 to {MAX_MACHINE_CHARS} characters that print are expected",
                reason="no-machine",
            )
        return machine

    def _time_of(self, row: list[str], number: int) -> int:
        if self._time is None:
            time_us = number * self._period_us
            if time_us >= LATEST_US:
                raise RowError("so many rows of such a period_s lead past the year 9998", reason="bad-time")
            return time_us
        try:
            return self._read_time(row[self._time])
        except ValueError as cause:
            raise RowError(
                f'column {self._header[self._time]}: "{row[self._time][:40]}" is not a time like '
                f"{self._read_time.format}; mend it or set sampling.time_format in --schema",
                reason="bad-time",
            ) from cause


def split_header(line: bytes, name: str) -> list[str]:
    """Column names of a header line. Raises DataError when they are not UTF-8, blank or repeated."""
    try:
        header = [column.strip() for column in split_line(line.removeprefix(b"\xef\xbb\xbf"))]
    except UnicodeDecodeError as cause:
        raise DataError(f"{name} line 1: not UTF-8 ({cause.reason}); save the file as UTF-8") from cause
    except csv.Error as cause:
        raise DataError(f"{name} line 1: {cause}; the header stands on one line") from cause
    for delimiter in ";\t":
        if len(header) == 1 and delimiter in header[0]:
            raise DataError(
                f"{name} line 1: cells are separated by {delimiter!r}; export with commas and decimal points"
            )
    twice = sorted({c for c in header if header.count(c) > 1})
    if twice or "" in header:
        what = f'column "{twice[0]}" stands there twice' if twice else "a column has no name"
        raise DataError(f"{name} line 1: {what}; every column needs a name of its own")
    return header


def cells_of(line: bytes) -> list[str] | None:
    """The cells of one line, or None where there are none: a blank line, or one that the decoder refuses."""
    try:
        return split_line(line) if line.strip() else None
    except (UnicodeDecodeError, csv.Error):
        return None


def split_line(line: bytes) -> list[str]:
    """The cells of one line. Raises UnicodeDecodeError, and csv.Error where a quotation does not end."""
    text = line.decode("utf-8").rstrip("\r\n")
    if '"' in text:
        return next(csv.reader([text], strict=True), [])
    return text.split(",")
