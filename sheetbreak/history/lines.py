"""Lines of a historical CSV, decoded as strictly as rows on the wire."""

import csv
import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError, RowError
from sheetbreak.history.cells import cells_of, is_another_header, is_header_again, is_units_again
from sheetbreak.history.layout import SEPARATORS, Layout
from sheetbreak.history.times.formats import ISO, TimeReader, join_clock
from sheetbreak.history.times.recognition import choose_fold
from sheetbreak.missing import Missing, word_in
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, Decoded, RowBatch, Schema, grade_name
from sheetbreak.times import LATEST_US
from sheetbreak.wire.rows import MAX_MACHINE_CHARS

DEFAULT_MACHINE = "pm1"
_LABELS = {"0": INTACT, "1": BROKEN, "0.0": INTACT, "1.0": BROKEN}
_MAX_WORDS = 1000
"""Different texts in cells of numbers that are counted one by one: a bound on what a file makes us keep."""
log = logging.getLogger(__name__)

NoNumbers = dict[tuple[str, str], list[int]]
"""By sensor and text of a cell that is no number: how often, and the line of the first."""


class CsvDecoder:
    """Decodes lines of one table, given its layout; a line that is not a row is a reject, as on the wire.

    A cell that holds no number is a missing one, and is counted in `no_numbers`. logs: of a stream: each sensor is also
    logged once, and a header of other columns ends it with DataError, since the rows below would be misread.
    """

    def __init__(self, schema: Schema, layout: Layout, *, logs: bool = False) -> None:
        place = {column: i for i, column in enumerate(layout.header) if column}
        missing = [c for c in schema.sensors if c not in place]
        missing += [c for c in (schema.time, schema.clock, schema.machine, schema.grade) if c and c not in place]
        if missing:
            shown = ", ".join(missing[:5]) + ("…" if len(missing) > 5 else "")
            where = f"{layout.name} line {layout.header_line}"
            raise DataError(f"{where}: {len(missing)} columns are missing: {shown}; the model needs them")
        self._layout = layout
        self._header = layout.header
        self._sensors = [place[c] for c in schema.sensors]
        self._machine = place.get(schema.machine or "")
        self._grade = place.get(schema.grade or "")
        self._broken = place.get(schema.broken or "")
        self._time = place.get(schema.time or "")
        self._clock = place.get(schema.clock or "")
        self._period_us = round(schema.period_s * 1e6)
        self._read_time = TimeReader(schema.time_format or ISO, schema.timezone)
        self._ambiguous = schema.ambiguous
        self.last_us: dict[str, int] = {}
        """Of each machine: what tells the hours apart that come twice in autumn."""
        self._last_in_doubt: dict[str, list[str]] = {}
        """Of each machine: the last row in such an hour, where rows are less than an hour apart."""
        self._missing = Missing.of(schema.missing)
        self._broken_values = {label_text(text) for text in schema.broken_values}
        self._plain = layout.numbers.decimal == "." and not layout.numbers.thousands
        self._logs = logs
        self._logged: set[str] = set()
        self.no_numbers: NoNumbers = {}
        self.sentinels: npt.NDArray[np.int64] = np.zeros(len(self._sensors), np.int64)
        """Cells of each sensor that hold a number which means "no reading"."""
        self.broken_words: dict[str, int] = {}
        """Texts of the break column, where it holds words: how often."""

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
            number = offsets[i] if offsets is not None else i + self._layout.first_line
            try:
                row = self._cells(line)
                label = self._label(row) if self._broken is not None else UNKNOWN
                machine = self._machine_of(row) if self._machine is not None else DEFAULT_MACHINE
                time_us = self._time_of(row, number - self._layout.first_line, machine)
            except RowError as reject:
                rejects.append((i, self._why(line, number, reject).alone()))
                continue
            machines.append(machine)
            times.append(time_us)
            cells.append(self._numbers(row, line, number))
            grades.append(grade_name(row[self._grade]) if self._grade is not None else None)
            broken.append(label)
            index.append(i)
        matrix = np.array(cells, dtype=np.float64).reshape(len(index), len(self._sensors))
        if self._missing.sentinels:
            self.sentinels += self._missing.blank_sentinels(matrix)
        rows = RowBatch(machines, np.array(times, np.int64), matrix, grades, np.array(broken, np.int8))
        return Decoded(rows, index, rejects)

    def _cells(self, line: bytes) -> list[str]:
        try:
            row = self._layout.cells(line)
        except UnicodeDecodeError as cause:
            raise RowError(
                f"byte {cause.start + 1} is not UTF-8; save the file as UTF-8, or set csv.encoding in --schema",
                reason="not-utf8",
            ) from cause
        except csv.Error as cause:
            raise RowError(f"{cause}; each row stands on one line", reason="ragged-line") from cause
        if len(row) != len(self._header) and not self._fits(row):
            raise RowError(
                f"{len(row)} cells where the header has {len(self._header)}; mend or drop the line",
                reason="ragged-line",
            )
        if is_header_again(row, self._header):
            raise RowError(
                "the header stands here again; drop that line; where files were joined, give them one by one",
                reason="header-again",
            )
        return row

    def _why(self, line: bytes, number: int, reject: RowError) -> RowError:
        """What a line that is no row is, where it is no spoiled row but stands above rows. Raises DataError in a stream
        whose rows below would be misread.
        """
        for separator in dict.fromkeys([self._layout.separator, *SEPARATORS]):
            cells, names = cells_of(line, separator, self._layout.encoding) or [], self._header
            if is_header_again(cells, names) and separator == self._layout.separator:
                return reject
            if is_another_header(cells, names):
                as_wide = len(cells) == len(names) and separator == self._layout.separator
                message = _other_header(cells, names, separator, line=self._layout.header_line)
                if self._logs and as_wide:
                    raise DataError(f"{self._layout.name} line {number}: {message}") from reject
                return RowError(message, reason="other-header" if as_wide else reject.reason)
            if separator == self._layout.separator and is_units_again(cells, names, self._layout.units):
                return RowError("the row of units stands here again; drop that line", reason="units-again")
        return reject

    def _fits(self, row: Sequence[str]) -> bool:
        """Whether only the blank cells are too many that a separator at the end of each line makes."""
        extra = row[len(self._header) :]
        return self._layout.extra > 0 and len(extra) > 0 and not any(cell.strip() for cell in extra)

    def _numbers(self, row: list[str], line: bytes, number: int) -> list[float]:
        if self._plain:
            try:
                numbers = [float(row[i]) if row[i] else np.nan for i in self._sensors]
            except ValueError:
                return [self._number(row, i, number) for i in self._sensors]
            if (
                b"_" in line or b"n" in line or b"N" in line or any(abs(number) == np.inf for number in numbers)
            ):  # float() takes "1_0", "nan" and "inf"
                return [self._number(row, i, number) for i in self._sensors]
            return numbers
        return [self._number(row, i, number) for i in self._sensors]

    def _number(self, row: list[str], i: int, line: int) -> float:
        text = row[i]
        if not text:
            return float("nan")
        try:
            return self._layout.numbers.read(text)
        except ValueError:
            if text.strip():
                self._count(self._header[i], word_in(text.strip()), line)
            return float("nan")

    def _count(self, sensor: str, text: str, line: int) -> None:
        """Keep what a cell held instead of a number."""
        key = (sensor, text[:40])
        if key in self.no_numbers:
            self.no_numbers[key][0] += 1
        elif len(self.no_numbers) < _MAX_WORDS:
            self.no_numbers[key] = [1, line]
        else:
            self.no_numbers.setdefault((sensor, "…"), [0, line])[0] += 1
        if self._logs and sensor not in self._logged:
            self._logged.add(sensor)
            note = "taken as a missing value"
            log.warning("event=no-number sensor=%r text=%r line=%d note=%r", sensor, text[:40], line, note)

    def _label(self, row: list[str]) -> int:
        assert self._broken is not None
        text = row[self._broken].strip()
        if self._broken_values:
            plain = label_text(text)
            if len(self.broken_words) < _MAX_WORDS or plain in self.broken_words:
                self.broken_words[plain] = self.broken_words.get(plain, 0) + 1
            return BROKEN if plain in self._broken_values else INTACT
        label = _LABELS.get(text)
        if label is not None:
            return label
        try:
            return {0.0: INTACT, 1.0: BROKEN}[self._layout.numbers.read(text)]
        except (ValueError, KeyError):
            words = "" if not text or text[-1].isdigit() else "; where it holds words, columns.broken_values names some"
            raise RowError(
                f'column {self._header[self._broken]}: "{text[:40]}" is not a label; '
                f"0 or 1 is expected (1: broken, anomalous), mend it or drop the row{words}",
                reason="not-a-label",
            ) from None

    def _machine_of(self, row: list[str]) -> str:
        assert self._machine is not None
        machine = row[self._machine].strip()
        if not machine.isprintable() or not 0 < len(machine) <= MAX_MACHINE_CHARS:
            raise RowError(
                f'column {self._header[self._machine]}: "{row[self._machine][:40]}" is no machine\'s name; '
                f"1 to {MAX_MACHINE_CHARS} characters that print are expected",
                reason="no-machine",
            )
        return machine

    def _time_of(self, row: list[str], number: int, machine: str) -> int:
        if self._time is None:
            time_us = number * self._period_us
            if time_us >= LATEST_US:
                raise RowError("so many rows of such a period_s lead past the year 9998", reason="bad-time")
            return time_us
        text = row[self._time] if self._clock is None else join_clock(row[self._time], row[self._clock])
        try:
            first_us, second_us = self._read_time.both(text)
        except ValueError as cause:
            known, remedy = f" like {self._read_time.format}", "mend it or set sampling.time_format in --schema"
            if "zone" in str(cause):
                known = f" ({cause})"
                remedy = "set sampling.timezone in --schema to the plant's zone, or export times in UTC"
            raise RowError(
                f'column {self._header[self._time]}: "{text[:40]}" is not a time{known}; {remedy}',
                reason="bad-time",
            ) from cause
        if first_us != second_us:
            last_us = self.last_us.get(machine)
            if last_us in (first_us, second_us) and self._last_in_doubt.get(machine) == row:
                return last_us  # the same row again: taken for the next hour, it would draw all that follow into that
            chosen_us = choose_fold(first_us, second_us, last_us=last_us, ambiguous=self._ambiguous)
            frequent = last_us is not None and chosen_us - last_us < abs(second_us - first_us)
            self._last_in_doubt[machine] = row if frequent else []
            first_us = chosen_us
        self.last_us[machine] = first_us
        return first_us


def _other_header(cells: Sequence[str], names: Sequence[str], separator: str, *, line: int) -> str:
    """What is to be said of a header that is not the one in `line`."""
    if len(cells) != len(names):
        how = f"a header of {len(cells)} columns stands here, and one of {len(names)} in line {line}"
    else:
        pairs = zip(cells, names, strict=True)
        odd = next(((cell, name) for cell, name in pairs if cell.strip().casefold() != name.casefold()), None)
        how = f'a header stands here with "{odd[0].strip()[:40]}" where line {line} has "{odd[1]}"' if odd else ""
        how = how or f'a header stands here with "{separator}" between its cells'
    return f"{how}; where files were joined, give them one by one"


def label_text(text: str) -> str:
    """One spelling of a word that stands in the place of a label."""
    return (grade_name(text) or "").casefold()
