"""Rows of sensor values: their schema, their columnar form in memory and their JSON form on the wire."""

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from sheetbreak.errors import RowError

UNKNOWN, INTACT, BROKEN = -1, 0, 1
"""Codes of RowBatch.broken: no label, the sheet holds, the sheet is broken at this row."""

MAX_MACHINE_CHARS = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
EARLIEST_US, LATEST_US = ((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND for year in (2, 9999))
"""Times of rows lie between: what datetime can write whatever the zone."""
_MAX_KNOWN_STRANGERS = 1000
"""Sensor names outside the schema that are remembered (and so logged once): a bound on what a sender makes us keep."""
_SHOWN_STRANGERS = 10
"""Of them, named in a log line: the model of another plant knows none of a row's sixty."""
_AT_ONCE = 256
"""Rows decoded before they become columns: 3.7 µs each, where 6 to 7.5 went with the thousands of a backlog."""
_NO_FIELD_NAME = re.compile(r'[\x00-\x1f"\\]')
"""A stranger with such a name cannot become a field (msgspec refuses it): its rows take the slow way, each time."""

_Machine = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_MACHINE_CHARS)]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Schema:
    """What a plant's rows look like: the sensors in order, the sampling, and which CSV column means what."""

    sensors: tuple[str, ...] = ()
    """Numeric inputs in the order of every array's last axis; empty until resolved against a CSV's header."""
    period_s: float = 120.0
    stop_gap_s: float = 180.0
    """A longer time between two rows of a machine is a stop."""
    lead_rows: int = 2
    """Rows before a break that count as "will break"; 0: judge the row itself."""
    time: str | None = None
    broken: str | None = None
    machine: str | None = None
    grade: str | None = None
    ignore: tuple[str, ...] = ()
    time_format: str | None = None
    timezone: str = "UTC"

    @property
    def digest(self) -> str:
        """sha256 of what scoring depends on: sensors and their order, period, stop gap, lead rows."""
        scoring = [list(self.sensors), float(self.period_s), float(self.stop_gap_s), self.lead_rows]
        return hashlib.sha256(msgspec.json.encode(scoring)).hexdigest()


@dataclass(frozen=True, slots=True)
class RowBatch:
    """n rows in the order they came, column by column; rows of several machines may be interleaved."""

    machines: list[str]
    times_us: npt.NDArray[np.int64]
    """(n,) µs since 1970-01-01 UTC."""
    values: npt.NDArray[np.float64]
    """(n, sensors) plant units; NaN where missing, else finite."""
    grades: list[str | None]
    broken: npt.NDArray[np.int8]
    """(n,) UNKNOWN, INTACT or BROKEN."""

    def __len__(self) -> int:
        return len(self.machines)

    def take(self, rows: slice | npt.NDArray[np.intp] | Sequence[int]) -> "RowBatch":
        """The named rows, in the order named."""
        if isinstance(rows, slice):
            machines, grades = self.machines[rows], self.grades[rows]
            return RowBatch(machines, self.times_us[rows], self.values[rows], grades, self.broken[rows])
        index = np.asarray(rows, dtype=np.intp)
        return RowBatch(
            [self.machines[i] for i in index],
            self.times_us[index],
            self.values[index],
            [self.grades[i] for i in index],
            self.broken[index],
        )


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of a sequence of records: every one is either a row or a reject."""

    rows: RowBatch
    index: list[int]
    """Per row: its record's place in the sequence; ascending."""
    rejects: list[tuple[int, RowError]]


def format_time(time_us: int) -> str:
    """RFC 3339 in UTC, "1999-05-01T00:00:00Z"; a fraction only where there is one."""
    return (_EPOCH + timedelta(microseconds=int(time_us))).replace(tzinfo=None).isoformat() + "Z"


def format_times(times_us: npt.NDArray[np.int64]) -> list[str]:
    """`format_time` of each, a tenth of the time where they are whole seconds."""
    if (times_us % 1_000_000).any():
        return [format_time(time_us) for time_us in times_us.tolist()]
    texts: list[str] = np.datetime_as_string(times_us.astype("M8[us]"), unit="s", timezone="UTC").tolist()
    return texts


def parse_time(text: str) -> int:
    """µs since 1970 UTC of an RFC 3339 time with a zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f'"{text}" has no time zone: end it with Z or an offset')
    return to_us(moment)


def to_us(moment: datetime) -> int:
    """µs since 1970 UTC of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def encode_row(
    machine: str,
    time_us: int,
    *,
    values: Mapping[str, float | None],
    grade: str | None = None,
    broken: bool | None = None,
) -> bytes:
    """One wire row as UTF-8 JSON without a newline; NaN becomes null, absent grade and label are left out."""
    clean = {name: None if value is None or value != value else value for name, value in values.items()}
    row: dict[str, object] = {"machine": machine, "time": format_time(time_us), "values": clean}
    if grade is not None:
        row["grade"] = grade
    if broken is not None:
        row["broken"] = broken
    return msgspec.json.encode(row)


class WireDecoder:
    """Decodes JSON wire rows against one schema, strictly and fast.

    The values decode into a struct made for the schema, so no dictionary of 59 keys is built per row. A name outside
    the schema makes that struct refuse the row once: the name is logged and becomes a field that is thrown away.
    """

    def __init__(self, schema: Schema) -> None:
        self._sensors = schema.sensors
        self._strangers: list[str] = []
        self._decoder = self._make_decoder(forbid_unknown=True)
        self._lenient = self._make_decoder(forbid_unknown=False)

    def decode(self, values: Sequence[bytes], offsets: Sequence[int] | None = None) -> Decoded:  # noqa: ARG002
        """Rows and rejects of JSON records; `offsets` is what CSV lines without a time need: one call for both."""
        index: list[int] = []
        rejects: list[tuple[int, RowError]] = []
        table = _Table(len(values), len(self._sensors))
        for first in range(0, len(values), _AT_ONCE):
            found = []
            for i, value in enumerate(values[first : first + _AT_ONCE], first):
                try:
                    found.append(self._row(value))
                    index.append(i)
                except RowError as reject:
                    rejects.append((i, reject))
            table.add(found)
        return Decoded(table.rows(), index, rejects)

    def _row(self, value: bytes) -> Any:
        try:
            row = self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
            row = self._decode_unusual(value, cause)
        if not row.machine.isprintable():
            what = "machine holds a control character; expected a name that prints"
            raise RowError(f"not a row: {what}", reason="not-a-row")
        if not 1 < row.time.year < 9999:
            what = "time is out of range; expected a year from 2 to 9998"
            raise RowError(f"not a row: {what}", reason="not-a-row", machine=row.machine)
        return row

    def _decode_unusual(self, value: bytes, cause: Exception) -> Any:
        """The row after all, its unknown sensors noted; else raises RowError from `cause`."""
        try:
            names = msgspec.json.decode(value, type=_NamesOnly).values
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _row_error(value, cause) from cause
        known = set(self._sensors).union(self._strangers)
        new = [name for name in names if name not in known][: _MAX_KNOWN_STRANGERS - len(self._strangers)]
        if new:
            shown = ",".join(repr(name[:100]) for name in new[:_SHOWN_STRANGERS])
            note = "ignored; the model does not know them"
            log.warning("event=unknown-sensor count=%d sensors=%s note=%r", len(new), shown, note)
            self._strangers += new
            self._decoder = self._make_decoder(forbid_unknown=len(self._strangers) < _MAX_KNOWN_STRANGERS)
        try:
            return self._lenient.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as still:
            raise _row_error(value, still) from still

    def _make_decoder(self, *, forbid_unknown: bool) -> "msgspec.json.Decoder[Any]":
        names = [*self._sensors, *(name for name in self._strangers if not _NO_FIELD_NAME.search(name))]
        kinds: list[Any] = [float | None] * len(self._sensors) + [Any] * (len(names) - len(self._sensors))
        values_type = msgspec.defstruct(
            "Values",
            [(f"f{i}", kind, None) for i, kind in enumerate(kinds)],
            rename={f"f{i}": name for i, name in enumerate(names)},
            forbid_unknown_fields=forbid_unknown,
            gc=False,
        )
        row_type = msgspec.defstruct(
            "WireRow",
            [
                ("machine", _Machine),
                ("time", Annotated[datetime, msgspec.Meta(tz=True)]),
                ("values", values_type),
                ("grade", str | None, None),
                ("broken", bool | None, None),
            ],
        )
        return msgspec.json.Decoder(row_type)


class _Table:
    """Rows as columns, added some at a time: their floats, each an object, stay in the processor's cache until then."""

    def __init__(self, most: int, width: int) -> None:
        self._machines: list[str] = []
        self._grades: list[str | None] = []
        self._values = np.empty((most, width))
        self._times_us, self._broken = np.empty(most, np.int64), np.empty(most, np.int8)

    def add(self, found: Sequence[Any]) -> None:
        """Append decoded rows."""
        n, width = len(found), self._values.shape[1]
        rows = slice(len(self._machines), len(self._machines) + n)
        as_tuple = msgspec.structs.astuple
        cells = [as_tuple(row.values)[:width] for row in found]
        self._values[rows] = np.array(cells, np.float64).reshape(n, width)
        self._times_us[rows] = [(row.time - _EPOCH) // _MICROSECOND for row in found]
        self._broken[rows] = [UNKNOWN if row.broken is None else row.broken for row in found]
        self._machines += [row.machine for row in found]
        self._grades += [row.grade for row in found]

    def rows(self) -> RowBatch:
        """All that were added."""
        n = len(self._machines)
        return RowBatch(self._machines, self._times_us[:n], self._values[:n], self._grades, self._broken[:n])


class _NamesOnly(msgspec.Struct):
    values: dict[str, msgspec.Raw]


class _MachineOnly(msgspec.Struct):
    machine: _Machine


def _row_error(value: bytes, cause: Exception) -> RowError:
    if not isinstance(cause, msgspec.ValidationError):
        return RowError(f"not a JSON object: {cause}; send one row as UTF-8 JSON a message", reason="not-json")
    try:
        machine = msgspec.json.decode(value, type=_MachineOnly).machine
        machine = machine if machine.isprintable() else ""  # it becomes a key and a label
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        machine = ""
    remedy = "expected machine, time with a zone, values of numbers or null"
    return RowError(f"not a row: {cause}; {remedy}", reason="not-a-row", machine=machine)
