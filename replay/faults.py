"""Faults to exercise an installation with: sensors that lie, records that repeat, come late or are no rows."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError

GRAMMAR = """\
A fault of a sensor: KIND:SENSOR@ROWS[=SIZE], of several KIND:x3,x5@ROWS[=SIZE]
  stuck      it reads what it read in the first of these rows, in all of them
  drift      it moves away, to SIZE of its standard deviations (default 5) in the last row
  spike      it is SIZE of its standard deviations (default 10) away, in all of them
  missing    it reads nothing (null)
A fault of whole rows, as they are sent: KIND@ROWS[=SIZE]
  duplicate  each comes twice
  late       they come behind the SIZE rows (default 1) of their machine that follow them
  garbage    none is a row any more: cut off, not UTF-8, not JSON, of wrong types
ROWS counts the rows of the file, the first is 0: 100-200 is row 100 to row 199, 150 is one row"""

SENSOR_KINDS = ("stuck", "drift", "spike", "missing")
RECORD_KINDS = ("duplicate", "late", "garbage")
DEFAULT_SIZES = {"drift": 5.0, "spike": 10.0, "late": 1.0}
"""A kind that is not here takes no size."""

Numbers = npt.NDArray[np.intp]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fault:
    """One --fault."""

    kind: str
    sensors: tuple[str, ...]
    """Empty for a fault of records."""
    first: int
    until: int
    """Row numbers of the CSV's data; `until` is exclusive."""
    size: float = 0.0

    def __str__(self) -> str:
        sensors = f":{','.join(self.sensors)}" if self.sensors else ""
        size = f"={self.size:g}" if self.kind in DEFAULT_SIZES else ""
        return f"{self.kind}{sensors}@{self.first}-{self.until}{size}"

    def strikes(self, numbers: Numbers) -> npt.NDArray[np.bool_]:
        """Which of the rows with these numbers are meant."""
        return (numbers >= self.first) & (numbers < self.until)


def parse_fault(text: str) -> Fault:
    """A fault as a user types it. Raises DataError, with the grammar."""
    found = re.fullmatch(r"(\w+)(?::([^@]*))?@(\d+)(?:-(\d+))?(?:=([^=]*))?", text, re.ASCII)
    if found is None:
        raise _refused(text, "it is not of the form expected")
    kind, listed, first, until, size = found.groups()
    if kind not in (*SENSOR_KINDS, *RECORD_KINDS):
        raise _refused(text, f"there is no kind {kind!r}")
    sensors = tuple(listed.split(",")) if listed is not None else ()
    if kind in SENSOR_KINDS and not all(sensors or [""]):
        raise _refused(text, f"{kind} needs a sensor")
    if kind in RECORD_KINDS and sensors:
        raise _refused(text, f"{kind} is of whole records and takes no sensor")
    begin, end = int(first), int(first) + 1 if until is None else int(until)
    if end <= begin:
        raise _refused(text, f"no row is from {begin} to before {end}")
    return Fault(kind, sensors, begin, end, _size(text, kind, size))


def _size(text: str, kind: str, size: str | None) -> float:
    if size is None:
        return DEFAULT_SIZES.get(kind, 0.0)
    if kind not in DEFAULT_SIZES:
        raise _refused(text, f"{kind} has no size")
    try:
        number = float(size)
    except ValueError:
        raise _refused(text, f"the size {size!r} is not a number") from None
    if not np.isfinite(number) or (kind == "late" and (number < 1 or number % 1)):
        raise _refused(text, f"the size {size!r} is not {'a number of rows' if kind == 'late' else 'finite'}")
    return number


def _refused(text: str, why: str) -> DataError:
    return DataError(f"--fault {text!r}: {why}; expected {GRAMMAR}")


def check_faults(faults: Iterable[Fault], numbers: Numbers, sensors: Sequence[str]) -> None:
    """Raise DataError for a fault that names a sensor or rows that are not played."""
    for fault in faults:
        unknown = [name for name in fault.sensors if name not in sensors]
        if unknown:
            known = ", ".join(sensors[:10]) + ("…" if len(sensors) > 10 else "")
            raise DataError(f"--fault {fault}: there is no sensor {unknown[0]!r}; the sensors are {known}")
        if not fault.strikes(numbers).any():
            played = f"rows {numbers.min()} to {numbers.max()}"
            raise DataError(f"--fault {fault}: none of these rows is played; what is played is in {played}")


def damage_values(
    values: Values,
    faults: Iterable[Fault],
    *,
    numbers: Numbers,
    machines: Sequence[str],
    sensors: Sequence[str],
    deviations: Values,
) -> Values:
    """A copy of values (n, sensors) with the faults of sensors in it, one after the other; NaN is missing.

    deviations: (sensors,), the unit of a fault's size. Each machine is struck by itself.
    """
    damaged = values.copy()
    names = np.array(machines)
    for fault in faults:
        if fault.kind not in SENSOR_KINDS:
            continue
        struck = fault.strikes(numbers)
        for machine in dict.fromkeys(names[struck].tolist()):
            rows = np.flatnonzero(struck & (names == machine))
            for column in (sensors.index(name) for name in fault.sensors):
                damaged[rows, column] = _struck(fault, damaged[rows, column], float(deviations[column]))
    return damaged


def _struck(fault: Fault, values: Values, deviation: float) -> Values:
    if fault.kind == "stuck":
        return np.full_like(values, values[0])
    if fault.kind == "missing":
        return np.full_like(values, np.nan)
    growth = np.arange(1, len(values) + 1) / len(values) if fault.kind == "drift" else 1.0
    return np.asarray(values + fault.size * deviation * growth)


def sending_order(faults: Iterable[Fault], *, numbers: Numbers, machines: Sequence[str]) -> Numbers:
    """Positions of the rows (n,) in the order in which their records are sent: some late, some twice.

    Every row is in it; a late one comes after the rows of its own machine that overtake it, or last of all.
    """
    times_sent = np.ones(len(numbers), dtype=np.intp)
    sent_at = np.arange(len(numbers), dtype=np.float64)
    for fault in faults:
        struck = fault.strikes(numbers)
        if fault.kind == "duplicate":
            times_sent[struck] += 1
        elif fault.kind == "late":
            for rows, overtaking in _overtaken(struck, machines):
                # Half a place behind the row that overtakes them, in the order in which they were.
                last = overtaking[: int(fault.size)][-1:]
                sent_at[rows] = (last[0] if len(last) else len(numbers)) + 0.5
    order = np.argsort(sent_at, kind="stable")
    return np.repeat(order, times_sent[order])


def _overtaken(struck: npt.NDArray[np.bool_], machines: Sequence[str]) -> Iterator[tuple[Numbers, Numbers]]:
    """Per machine: positions of the rows struck, and those of its rows after them."""
    names = np.array(machines)
    for machine in dict.fromkeys(names[struck].tolist()):
        rows = np.flatnonzero(struck & (names == machine))
        yield rows, np.flatnonzero((names == machine) & (np.arange(len(names)) > rows[-1]))


def is_garbage(faults: Iterable[Fault], numbers: Numbers) -> npt.NDArray[np.bool_]:
    """Which rows' records are to be made unreadable."""
    garbage = np.zeros(len(numbers), dtype=np.bool_)
    for fault in faults:
        if fault.kind == "garbage":
            garbage |= fault.strikes(numbers)
    return garbage


def garble(record: bytes, number: int) -> bytes:
    """A record that is no row: one line, never blank, in one of four ways by the row's number."""
    return (
        record[: max(1, len(record) // 2)],
        b"\xff\xfe" + record,
        b'{"machine":1,"time":"yesterday","values":[]}',
        b"garbage",
    )[number % 4]
