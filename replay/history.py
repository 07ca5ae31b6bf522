"""The part of a historical CSV that is played: which rows, of which machine, in the order of time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError
from sheetbreak.history.reader import read_csv
from sheetbreak.history.schema_file import load_schema
from sheetbreak.rows import RowBatch, Schema


@dataclass(frozen=True, slots=True)
class History:
    """The rows to play."""

    schema: Schema
    rows: RowBatch
    """Ascending in time; rows of the same time in the file's order."""
    numbers: npt.NDArray[np.intp]
    """(n,) row numbers of the CSV's data, first = 0."""
    deviations: npt.NDArray[np.float64]
    """(sensors,) standard deviation over the whole file, plant units; 1 for a sensor that never moves."""

    @property
    def span_us(self) -> int:
        """From the first row to one sampling period after the last: when a loop begins again."""
        return int(self.rows.times_us[-1] - self.rows.times_us[0]) + round(self.schema.period_s * 1e6)


def read_history(
    path: Path, schema_path: Path | None = None, *, first: int = 0, until: int | None = None, machine: str | None = None
) -> History:
    """Rows [first, until) of the file, of one machine if one is named.

    Raises DataError when the file is not sound, or when no row is left to play.
    """
    schema, rows = read_csv(path, None if schema_path is None else load_schema(schema_path))
    numbers = np.arange(len(rows))[first:until]
    if not len(numbers):
        end = len(rows) if until is None else min(until, len(rows))
        raise DataError(f"{path}: no row from {first} to before {end}; it has {len(rows)} rows, the first is 0")
    if machine is not None:
        known = sorted(set(rows.machines))
        if machine not in known:
            raise DataError(f"{path}: no machine {machine!r}; it has {_listed(known)}")
        numbers = np.array([number for number in numbers if rows.machines[number] == machine], dtype=np.intp)
        if not len(numbers):
            raise DataError(f"{path}: {machine} has no row among those from --from to before --until")
    # Several machines may stand one after the other in a file; as a live stream their rows come at the same time.
    numbers = numbers[np.argsort(rows.times_us[numbers], kind="stable")]
    return History(schema, rows.take(numbers), numbers, _deviations(rows.values))


def _deviations(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    present = np.isfinite(values)
    count = np.maximum(present.sum(axis=0), 1)
    means = np.where(present, values, 0.0).sum(axis=0) / count
    deviations = np.sqrt((np.where(present, values - means, 0.0) ** 2).sum(axis=0) / count)
    return np.where(deviations > 0, deviations, 1.0)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + ("…" if len(names) > 10 else "")
