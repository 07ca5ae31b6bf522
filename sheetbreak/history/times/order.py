"""Order of a history's rows: ascending by machine; where not, why, with the remedy that fits the cause."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sheetbreak.history.doubts import Doubt, Doubts
from sheetbreak.history.layout import Layout
from sheetbreak.history.times.formats import is_time_of_day
from sheetbreak.rows import RowBatch, Schema
from sheetbreak.times import format_time

Cells = Callable[[int], Sequence[str]]
"""What stands on the line of a row."""
Places = Mapping[str, Sequence[int]]
"""Of each machine: the places of its rows."""
_HOUR_US = 3_600_000_000
_MINUTE_US = 60_000_000
_DAY_US = 24 * _HOUR_US
"""A row so long before all others is no row that stands in the wrong place."""
_FEW = 5
"""So many rows with a clock that ran ahead are the odd ones, where more rows stand behind them; else the file is not
in order."""
_SHOWN = 3


def newest_first(rows: RowBatch, places: Places) -> bool:
    """Whether a file begins with its newest row, as historians and databases often write it."""
    return run_back(rows.times_us[own] for own in places.values())


def run_back(times_us: Iterable[npt.NDArray[np.int64]]) -> bool:
    """Whether time runs back in most steps, at least ten to one; times_us: of each machine, as they stand."""
    steps = [np.diff(own) for own in times_us]
    back, on = (sum(int(np.count_nonzero(sign * step > 0)) for step in steps) for sign in (-1, 1))
    return back > _FEW and back >= 10 * on


def turned(name: str) -> Doubt:
    """What is told of such a file."""
    return Doubt("newest-first", name, "its newest row stands first: read from its end", "")


def check_order(
    rows: RowBatch,
    places: Places,
    numbers: Sequence[int],
    cells: Cells,
    *,
    schema: Schema,
    layout: Layout,
    doubts: Doubts,
) -> npt.NDArray[np.bool_]:
    """Tell of the first row whose time repeats or goes back, fatally; returns which rows are in order.

    A row that stands there twice, the same in every cell, is taken once, and told. Where a few rows have a time after
    those of many that follow, they are the ones told. numbers: of each row its line.
    """
    keep = np.ones(len(rows), np.bool_)
    ahead = np.zeros(len(rows), np.bool_)
    again: list[int] = []
    for of_machine in places.values():
        own, times_us = np.array(of_machine), rows.times_us[of_machine]
        late = _late(times_us)
        if not len(late):
            continue
        twice = _twice(own.tolist(), times_us.tolist(), cells)
        if twice:
            again += twice
            keep[twice] = False
            own = own[keep[own]]
            times_us = rows.times_us[own]
            late = _late(times_us)
        early = np.flatnonzero(times_us[:-1] >= np.minimum.accumulate(times_us[::-1])[::-1][1:])
        odd = early if len(early) < min(len(late), _FEW + 1) else late
        keep[own[odd]] = False
        ahead[own[odd]] = odd is early
    if again:
        doubts.add(_told_twice(sorted(again), numbers, layout=layout))
    if ahead.any():
        doubts.add(_ran_ahead(np.flatnonzero(ahead).tolist(), rows, numbers, layout=layout))
    behind = ~keep & ~ahead
    behind[again] = False
    if behind.any():
        at = int(np.flatnonzero(behind)[0])
        doubts.add(_out_of_order(at, int(behind.sum()), rows, numbers, cells, schema=schema, layout=layout))
    return keep


def _late(times_us: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    return np.flatnonzero(times_us[1:] <= np.maximum.accumulate(times_us)[:-1]) + 1


def _twice(places: Sequence[int], times_us: Sequence[int], cells: Cells) -> list[int]:
    """Of rows of one machine, the places of those that one right before, of the same time, equals in every cell.

    A stretch that comes again further on is none: its time goes back, and so files were joined.
    """

    def row(place: int) -> tuple[str, ...]:
        return tuple(cell.strip() for cell in cells(place))

    found: list[int] = []
    seen: set[tuple[str, ...]] = set()
    for before, place, step_us in zip(places, places[1:], np.diff(times_us).tolist(), strict=False):
        if step_us:
            seen.clear()
            continue
        seen = seen or {row(before)}
        now = row(place)
        if now in seen:
            found.append(place)
        seen.add(now)
    return found


def _told_twice(again: Sequence[int], numbers: Sequence[int], *, layout: Layout) -> Doubt:
    shown = ", ".join(str(numbers[i]) for i in again[:_SHOWN]) + (" …" if len(again) > _SHOWN else "")
    what = f"{len(again):,} rows repeat the one before in every cell: taken once (lines {shown})"
    return Doubt("rows-twice", f"{layout.name} line {numbers[again[0]]}", what, "", len(again))


def _ran_ahead(odd: list[int], rows: RowBatch, numbers: Sequence[int], *, layout: Layout) -> Doubt:
    at = odd[0]
    own = [i for i in range(at + 1, len(rows)) if rows.machines[i] == rows.machines[at]]
    behind = int((rows.times_us[own] <= rows.times_us[at]).sum())
    what = f"its time, {format_time(int(rows.times_us[at]))}, is not before those of {behind:,} rows that follow"
    what += f" (the same holds for {len(odd) - 1} more)" if len(odd) > 1 else ""
    remedy = "mend it or drop the row: a clock ran ahead"
    return Doubt("time-runs-ahead", f"{layout.name} line {numbers[at]}", what, remedy, len(odd), fatal=True)


def _out_of_order(
    at: int, count: int, rows: RowBatch, numbers: Sequence[int], cells: Cells, *, schema: Schema, layout: Layout
) -> Doubt:
    machine = rows.machines[at]
    before = next(i for i in range(at - 1, -1, -1) if rows.machines[i] == machine)
    back_us = int(rows.times_us[before] - rows.times_us[at])
    repeats = back_us == 0
    what = "repeats" if repeats else "goes back behind"
    text = f"the time {what} that of {machine}'s row before"
    if count > 1:
        text += f", as do {count - 1:,} rows after it"
    remedy = _remedy(back_us, at, before, rows, cells, count=count, schema=schema, layout=layout)
    kind = "time-repeats" if repeats else "time-goes-back"
    return Doubt(kind, f"{layout.name} line {numbers[at]}", text, remedy, count, fatal=True)


def _remedy(
    back_us: int, at: int, before: int, rows: RowBatch, cells: Cells, *, count: int, schema: Schema, layout: Layout
) -> str:
    """count: rows whose time repeats or goes back."""
    if schema.clock is None and (clock := _clock_column(cells(at), layout)):
        return f'the time of day stands in column {clock}: columns.time = ["{schema.time}", "{clock}"] in --schema'
    first = rows.machines.index(rows.machines[at])
    if count <= _FEW and rows.times_us[at] < rows.times_us[first] - _DAY_US:
        return f"{format_time(int(rows.times_us[at]))} is long before the first row's: mend it or drop the row"
    if back_us == 0 and (2 * count > len(rows) or _minutes_alone(rows.times_us[: at + 1])):
        remedy = "if the export cut the seconds, export times with them, in a finer resolution"
    elif back_us == 0:
        remedy = "the two rows differ: mend the time of one, or drop it"
    elif _HOUR_US / 2 <= back_us <= _HOUR_US and _in_autumn(rows, at):
        return (
            "if the clock was set back as summer time ended, set sampling.timezone in --schema to the plant's zone, "
            "or export times in UTC"
        )
    elif back_us > 0 and before > at // 10:
        remedy = "if files were joined, give them one by one; else sort the file by time and drop repeated rows"
    else:
        remedy = "sort the file by time and drop repeated rows"
    if schema.machine is None:
        remedy += ", or name the column that tells machines apart in --schema (columns.machine)"
    return remedy


def _clock_column(row: Sequence[str], layout: Layout) -> str | None:
    pairs = zip(layout.header, row, strict=False)
    return next((name for name, cell in pairs if name and is_time_of_day(cell)), None)


def _minutes_alone(times_us: npt.NDArray[np.int64]) -> bool:
    return bool((times_us % _MINUTE_US == 0).all())


def _in_autumn(rows: RowBatch, at: int) -> bool:
    """Whether clocks are set back somewhere at this time of the year: in the south it is March or April."""
    month = int(rows.times_us[at].astype("M8[us]").astype("M8[M]").astype(int)) % 12 + 1
    return month in (3, 4, 9, 10, 11)
