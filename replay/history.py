"""History to be played: which rows of a CSV, of which machine, in the order of time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError
from sheetbreak.history.doubts import Doubts, Tell, warn_of
from sheetbreak.history.reader import PROCESSMINER
from sheetbreak.history.reader import read_history as read_files
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
    paths: Path | Sequence[Path],
    schema_path: Path | None = None,
    *,
    first: int = 0,
    until: int | None = None,
    machine: str | None = None,
    tell: Tell = warn_of,
) -> History:
    """Rows [first, until) of the files, of one machine if one is named. Their schema says how to write a CSV that the
    same schema file reads: what was recognised in the files is not in it.

    Raises DataError when the file is not sound, or when no row is left to play.
    """
    described = None if schema_path is None else load_schema(schema_path)
    read = read_files(paths, described, doubts=Doubts(tell))
    rows, path = read.rows, read.name
    said = described or PROCESSMINER
    time_format = said.time_format if said.clock is None else read.schema.time_format
    schema = replace(read.schema, time_format=time_format, csv=said.csv)
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
