"""Rows of sensor values: their schema, and their columnar form in memory."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from sheetbreak.bounds import Rows, Seconds, SecondsOrNone
from sheetbreak.errors import RowError

Text = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""What becomes a label, a key or part of a log line."""

UNKNOWN, INTACT, BROKEN = -1, 0, 1
"""Codes of RowBatch.broken: no label, the sheet holds, the sheet is broken at this row."""
MAX_NAME_CHARS = 200
"""Of a machine, a grade or a sensor: each becomes a key, a label or part of a message, so none may be without end."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a plant writes its tables; None: recognised from the file. What training recognised is in its manifest."""

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    """"" where there are none."""
    encoding: str | None = None
    skip_rows: int | None = None
    """Lines above the header."""
    sheet: str | None = None
    """Of a workbook; None: the first that holds a table."""
    same_names: str | None = None
    """"number": columns of one name are numbered from the left; None: they are refused."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a plant's rows look like: the sensors in order, the sampling, and which CSV column means what."""

    sensors: tuple[str, ...] = ()
    """Numeric inputs in the order of every array's last axis; empty until resolved against a CSV's header."""
    period_s: Seconds = 120.0
    stop_gap_s: Seconds = 180.0
    """A longer time between two rows of a machine is a stop."""
    lead_rows: Rows = 2
    """Rows before a break that count as "will break"; 0: judge the row itself."""
    time: str | None = None
    broken: str | None = None
    machine: str | None = None
    grade: str | None = None
    ignore: tuple[str, ...] = ()
    time_format: str | None = None
    timezone: str = "UTC"
    clock: str | None = None
    """The column of the time of day, where `time` holds the date alone."""
    ambiguous: str = "infer"
    """An hour that comes twice as summer time ends: "infer" from the rows' order, or its "first" or "second" time."""
    broken_values: tuple[str, ...] = ()
    """Texts of the break column that mean a break, where it holds words; every other text is none."""
    missing: tuple[str, ...] = ()
    """Words and exact numbers that mean "no reading", beside those of sheetbreak.missing."""
    units: dict[str, str] = field(default_factory=dict)
    """By sensor."""
    csv: Dialect = Dialect()
    learned: tuple[str, ...] = ()
    """Of "period_s", "stop_gap_s" and "missing": those that the schema file left out, and the history itself says."""
    lost_rows_s: SecondsOrNone = 0.0
    """Up to this, where it is longer than stop_gap_s, a gap after a row labelled intact is lost rows and no stop."""

    @property
    def digest(self) -> str:
        """sha256 of what a machine's state depends on: sensors and their order, period, lead rows.

        Not the stop gap, which is learned anew in each training: 1.5 periods stand in its place.
        """
        return self.digest_with(1.5 * self.period_s)

    def digest_with(self, stop_gap_s: float) -> str:
        """The digest as it was made with a stop gap in it: states of that time are still read."""
        scoring = [list(self.sensors), float(self.period_s), float(stop_gap_s), self.lead_rows]
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


def concatenate(parts: Sequence[RowBatch]) -> RowBatch:
    """The rows of all parts, one behind another; at least one part, all with the same sensors."""
    return RowBatch(
        [machine for part in parts for machine in part.machines],
        np.concatenate([part.times_us for part in parts]),
        np.concatenate([part.values for part in parts]),
        [grade for part in parts for grade in part.grades],
        np.concatenate([part.broken for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of a sequence of records: every one is either a row or a reject."""

    rows: RowBatch
    index: list[int]
    """Per row: its record's place in the sequence; ascending."""
    rejects: list[tuple[int, RowError]]
    missing: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By sensor and word: cells of the rows that hold a word or a sentinel instead of a reading, NaN in `rows`."""


def grade_name(text: str) -> str | None:
    """One spelling of a grade: "96.0" and "96" are the same; None where the text is blank. "007" stays as it is.

    A text longer than any name is cut: it goes into messages and states.
    """
    text = text.strip()[:MAX_NAME_CHARS]
    whole, point, fraction = text.partition(".")
    if point and whole.isdecimal() and not fraction.strip("0") and (whole == "0" or whole[0] != "0"):
        return whole
    return text or None


def by_machine(rows: RowBatch) -> dict[str, list[int]]:
    """The places of each machine's rows, in the order they came."""
    places: dict[str, list[int]] = {}
    for place, machine in enumerate(rows.machines):
        places.setdefault(machine, []).append(place)
    return places


_ODD, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
"""Multipliers whose product spreads every bit over the upper ones, as the finishers of SplitMix64 and its kin do."""


def fingerprints(rows: RowBatch) -> npt.NDArray[np.uint16]:
    """(n,) of each row's time and, unless the sheet is broken, values; two that differ are the same once in 65,536."""
    cells = np.where(rows.broken[:, None] == BROKEN, 0.0, rows.values).view(np.uint64)
    odd = _odd_multipliers(cells.shape[1])
    mixed = (cells * odd).sum(axis=1, dtype=np.uint64) + rows.times_us.view(np.uint64) * _MIX
    mixed ^= mixed >> np.uint64(32)
    upper: npt.NDArray[np.uint16] = ((mixed * _MIX) >> np.uint64(48)).astype(np.uint16)
    return upper


@lru_cache(maxsize=8)  # a fifth of the fingerprint of a single row
def _odd_multipliers(width: int) -> npt.NDArray[np.uint64]:
    """An odd multiplier for each column."""
    return np.arange(1, 2 * width + 1, 2, dtype=np.uint64) * _ODD
