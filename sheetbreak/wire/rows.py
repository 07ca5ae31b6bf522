"""Rows on the wire: one JSON object a row, encoded and decoded strictly."""

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from sheetbreak.errors import RowError
from sheetbreak.missing import Missing
from sheetbreak.rows import MAX_NAME_CHARS, UNKNOWN, Decoded, RowBatch, Schema, grade_name
from sheetbreak.times import EPOCH, MICROSECOND, OUT_OF_RANGE, format_time
from sheetbreak.wire.cells import Words, blank_words, quote_bare_words
from sheetbreak.wire.refusals import not_a_row_because, not_json_because

_MAX_KNOWN_STRANGERS = 1000
"""Sensor names outside the schema that are remembered (and so logged once): a bound on what a sender makes us keep."""
_MAX_STRANGER_CHARS = 64 * 1024
"""A longer one is no name: its record is refused. Of others the start is remembered, as long as a name may be."""
_SHOWN_STRANGERS = 10
"""Of them, named in a log line: the model of another plant knows none of a row's sixty."""
_AT_ONCE = 256
"""Rows decoded before they become columns: 3.7 µs each, where 6 to 7.5 went with the thousands of a backlog."""
_NO_FIELD_NAME = re.compile(r'[\x00-\x1f"\\]')
"""A stranger with such a name cannot become a field (msgspec refuses it): its rows take the slow way, each time."""
_MAX_WORDS_TOLD = 200
"""Pairs of a sensor and a word in its cells that are told and counted by themselves."""
_SENTINEL, _OTHER = "a sentinel", "other"
Floats = npt.NDArray[np.float64]
_Machine = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]
_Grade = Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
MAX_MACHINE_CHARS = MAX_NAME_CHARS
log = logging.getLogger(__name__)


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
        self._missing = Missing.of(schema.missing)
        self._words_told: set[tuple[str, str]] = set()
        self._strangers: list[str] = []
        self._decoder = self._make_decoder(forbid_unknown=True)
        self._lenient = self._make_decoder(forbid_unknown=False)

    def decode(self, values: Sequence[bytes], offsets: Sequence[int] | None = None) -> Decoded:  # noqa: ARG002
        """Rows and rejects of JSON records; `offsets` is what CSV lines without a time need: one call for both."""
        index: list[int] = []
        rejects: list[tuple[int, RowError]] = []
        words = Words()
        table = _Table(len(values), len(self._sensors))
        for first in range(0, len(values), _AT_ONCE):
            found = []
            for i, value in enumerate(values[first : first + _AT_ONCE], first):
                try:
                    found.append(self._row(value, words))
                    index.append(i)
                except RowError as reject:
                    rejects.append((i, reject.alone()))
            table.add(found)
        rows = table.rows()
        if self._missing.sentinels:
            words.update(self._blank_sentinels(rows.values))
        self._tell(words)
        return Decoded(rows, index, rejects, self._bounded(words))

    def _row(self, value: bytes, words: Words) -> Any:
        try:
            row = self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
            row = self._decode_unusual(value, cause, words)
        if not row.machine.isprintable():
            what = "machine holds a control character; expected a name that prints"
            raise RowError(f"not a row: {what}", reason="not-a-row")
        if not 1 < row.time.year < 9999:
            raise RowError(f"not a row: time {OUT_OF_RANGE}", reason="not-a-row", machine=row.machine)
        return row

    def _decode_unusual(self, value: bytes, cause: Exception, words: Words) -> Any:
        """The row after all, its unknown sensors noted and its cells without a number counted in `words`; else raises
        RowError from `cause`.
        """
        quoted = None if isinstance(cause, msgspec.ValidationError) else quote_bare_words(value)
        record, value = value, quoted or value
        try:
            names = msgspec.json.decode(value, type=_NamesOnly).values
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _row_error(record, cause) from cause
        longest = max(names, key=len, default="")
        if len(longest) > _MAX_STRANGER_CHARS:
            what = f"a sensor's name of {len(longest)} characters, {longest[:40]!r}…; at most {_MAX_STRANGER_CHARS}"
            raise RowError(f"not a row: {what} are taken", reason="not-a-row", machine=_machine_of(value))
        known = set(self._sensors).union(self._strangers)
        strange = dict.fromkeys(name[:MAX_NAME_CHARS] for name in names if name not in known)
        new = [name for name in strange if name not in known][: _MAX_KNOWN_STRANGERS - len(self._strangers)]
        if new:
            shown = ",".join(repr(name[:100]) for name in new[:_SHOWN_STRANGERS])
            note = "ignored; the model does not know them"
            log.warning("event=unknown-sensor count=%d sensors=%s note=%r", len(new), shown, note)
            self._strangers += new
            self._decoder = self._make_decoder(forbid_unknown=len(self._strangers) < _MAX_KNOWN_STRANGERS)
        try:
            return self._lenient.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as still:
            return self._without_words(value, still, words)

    def _without_words(self, value: bytes, cause: Exception, words: Words) -> Any:
        try:
            mended = blank_words(value, frozenset(self._sensors))
            if mended is None:
                raise _row_error(value, cause) from cause
            row = self._lenient.decode(mended[0])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as still:
            raise _row_error(value, still) from still
        words.update(mended[1])
        return row

    def _blank_sentinels(self, values: Floats) -> Words:
        """Set sentinels to NaN, in place; how many, by sensor."""
        found = self._missing.blank_sentinels(values).tolist()
        return Words({(sensor, _SENTINEL): count for sensor, count in zip(self._sensors, found, strict=True) if count})

    def _tell(self, words: Words) -> None:
        """One line for each sensor and word, up to a bound."""
        new = [pair for pair in words if pair not in self._words_told]
        for sensor, word in new[: _MAX_WORDS_TOLD - len(self._words_told)]:
            self._words_told.add((sensor, word))
            known = word == _SENTINEL or self._missing.is_word(word)
            note = "counts as missing" + (
                "" if known else "; no word known for that: if it should not be, mend the feed"
            )
            log.warning("event=missing-cell sensor=%s word=%r note=%r", sensor, word, note)

    def _bounded(self, words: Words) -> Words:
        """The same counts, those of words that were not told of together: they become labels of a metric."""
        bounded = Words()
        for (sensor, word), count in words.items():
            bounded[sensor, word if (sensor, word) in self._words_told else _OTHER] += count
        return bounded

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
                ("grade", _Grade | None, None),
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
        self._times_us[rows] = [(row.time - EPOCH) // MICROSECOND for row in found]
        self._broken[rows] = [UNKNOWN if row.broken is None else row.broken for row in found]
        self._machines += [row.machine for row in found]
        self._grades += [_one_spelling(row.grade) for row in found]

    def rows(self) -> RowBatch:
        """All that were added."""
        n = len(self._machines)
        return RowBatch(self._machines, self._times_us[:n], self._values[:n], self._grades, self._broken[:n])


@lru_cache(maxsize=1024)
def _one_spelling(grade: str | None) -> str | None:
    return grade_name(grade) if grade is not None and "." in grade else grade


class _NamesOnly(msgspec.Struct):
    values: dict[str, msgspec.Raw]


class _MachineOnly(msgspec.Struct):
    machine: _Machine


def _row_error(value: bytes, cause: Exception) -> RowError:
    if not isinstance(cause, msgspec.ValidationError):
        what = "; ".join(filter(None, (str(cause), not_json_because(value))))
        return RowError(f"not a JSON object: {what}; send one row as UTF-8 JSON a message", reason="not-json")
    what = "; ".join(filter(None, (str(cause), not_a_row_because(value))))
    remedy = "expected machine, time with a zone, values of numbers or null"
    return RowError(f"not a row: {what}; {remedy}", reason="not-a-row", machine=_machine_of(value))


def _machine_of(value: bytes) -> str:
    """Of a record that is no row; "" where it cannot be read."""
    try:
        machine = msgspec.json.decode(value, type=_MachineOnly).machine
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return machine if machine.isprintable() else ""  # it becomes a key and a label
