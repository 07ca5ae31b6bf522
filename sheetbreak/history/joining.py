"""History: the rows of one file or of several, joined in the order of time, the same row twice taken once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError
from sheetbreak.history.doubts import Doubt, Doubts
from sheetbreak.history.layout import Layout
from sheetbreak.history.source import Source, digest_of
from sheetbreak.rows import RowBatch, Schema, concatenate
from sheetbreak.times import LATEST_US


@dataclass(frozen=True, slots=True)
class History:
    """What was read."""

    schema: Schema
    """With its sensors, and what was recognised: time format, dialect, units."""
    rows: RowBatch
    """In file order, from the end where the newest row stands first; of several files in the order of time."""
    lines: npt.NDArray[np.int64]
    """(n,) line of its file that each row stands on."""
    sources: tuple[Source, ...]
    layouts: tuple[Layout, ...]
    """Of each source."""
    doubts: tuple[Doubt, ...]
    files: npt.NDArray[np.int64] | None = None

    def place(self, row: int) -> str:
        """Where a row stands, for people."""
        return f"{self.sources[0 if self.files is None else self.files[row]].name} line {self.lines[row]}"

    @property
    def sha256(self) -> str:
        """Of the file's bytes as they were read; of several files one for all."""
        return digest_of(self.sources)

    @property
    def name(self) -> str:
        """The file's, or how many they are."""
        first = self.sources[0].name
        return first if len(self.sources) == 1 else f"{first} and {len(self.sources) - 1} more"


def join(read: Sequence[History], *, doubts: Doubts) -> History:
    """One history of several files. A sensor that a file lacks is missing in its rows, and told.

    Rows of two files with the same machine and time are one row where they are the same, else a fatal doubt.
    """
    if read[0].schema.time is None:
        raise DataError("several files of rows without times have no order; name columns.time, or give one file")
    read = sorted(read, key=lambda history: int(history.rows.times_us.min(initial=LATEST_US)))
    sensors = tuple(dict.fromkeys(sensor for history in read for sensor in history.schema.sensors))
    for history in read:
        if lacking := [sensor for sensor in sensors if sensor not in history.schema.sensors]:
            what = f"lacks {len(lacking)} sensors of the other files ({', '.join(lacking[:5])}): missing in its rows"
            doubts.add(Doubt("sensors-lacking", history.name, what, "", len(lacking)))
    parts = [_with_sensors(history, sensors) for history in read]
    rows = concatenate(parts)
    lines = np.concatenate([history.lines for history in read])
    of_file = np.repeat(np.arange(len(read)), [len(part) for part in parts])
    order = np.argsort(rows.times_us, kind="stable")
    kept, again, mixed = _once(rows, order)
    _tell_overlaps(read, order, of_file, lines, again=again, mixed=mixed, doubts=doubts)
    units = {sensor: unit for history in reversed(read) for sensor, unit in history.schema.units.items()}
    schema = replace(read[0].schema, sensors=sensors, units=units)
    sources = tuple(source for history in read for source in history.sources)
    layouts = tuple(layout for history in read for layout in history.layouts)
    return replace(
        read[0],
        schema=schema,
        rows=rows.take(kept),
        lines=lines[kept],
        sources=sources,
        layouts=layouts,
        files=of_file[kept].astype(np.int64),
    )


def _with_sensors(history: History, sensors: tuple[str, ...]) -> RowBatch:
    if history.schema.sensors == sensors:
        return history.rows
    values = np.full((len(history.rows), len(sensors)), np.nan)
    values[:, [sensors.index(sensor) for sensor in history.schema.sensors]] = history.rows.values
    return replace(history.rows, values=values)


def _once(rows: RowBatch, order: npt.NDArray[np.intp]) -> tuple[list[int], list[int], list[int]]:
    """Places in the order of time: of rows to keep, of rows that are there already, of others of the same time."""
    seen: dict[tuple[str, int], int] = {}
    kept, again, mixed = [], [], []
    for place in order.tolist():
        key = (rows.machines[place], int(rows.times_us[place]))
        first = seen.setdefault(key, place)
        if first == place:
            kept.append(place)
        elif _same(rows, first, place):
            again.append(place)
        else:
            mixed.append(place)
    return kept, again, mixed


def _same(rows: RowBatch, a: int, b: int) -> bool:
    labels = rows.broken[a] == rows.broken[b] and rows.grades[a] == rows.grades[b]
    return bool(labels) and np.array_equal(rows.values[a], rows.values[b], equal_nan=True)


def _tell_overlaps(
    read: Sequence[History],
    order: npt.NDArray[np.intp],
    of_file: npt.NDArray[np.intp],
    lines: npt.NDArray[np.int64],
    *,
    again: list[int],
    mixed: list[int],
    doubts: Doubts,
) -> None:
    def place_of(row: int) -> str:
        return f"{read[of_file[row]].name} line {lines[row]}"

    if mixed:
        what = f"{len(mixed):,} rows have the machine and time of a row of another file, and other values"
        remedy = "give the files of one plant, each time once"
        doubts.add(Doubt("files-contradict", place_of(mixed[0]), what, remedy, len(mixed), fatal=True))
    if again:
        what = f"{len(again):,} rows are in another file too: taken once"
        doubts.add(Doubt("files-overlap", place_of(again[0]), what, "", len(again)))
    back = np.flatnonzero(np.diff(of_file[order]) < 0)
    if len(back) and not again and not mixed:
        row = int(order[back[0] + 1])
        what = f"its rows and those of {read[of_file[order[back[0]]]].name} overlap in time: put in the order of time"
        doubts.add(Doubt("files-interleave", place_of(row), what, "", len(back)))
