"""Tables of one or several files as columns of text and numbers, before anything is known of what they mean."""

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sheetbreak.errors import DataError
from sheetbreak.history.cells import Numbers, is_another_header, is_header_again, is_units_again, numbered_lines
from sheetbreak.history.doubts import Doubt
from sheetbreak.history.folders import files_of
from sheetbreak.history.layout import POINTS, Layout, recognise_layout, with_numbers
from sheetbreak.history.source import read_source
from sheetbreak.rows import Dialect
from trainer.data.inspection.columns import Column, read_columns
from trainer.data.labels import Ints

_HEAD_LINES = 200
_SAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of the files, in the files' order."""

    columns: tuple[Column, ...]
    lines: Ints
    """(rows,) line of its file that each row stands on."""
    files: Ints
    """(rows,) the file, by its place in `layouts`."""
    layouts: tuple[Layout, ...]
    below: int
    """Lines below the headers that are not blank: rows, and lines that are none."""
    said: Dialect
    """What the schema file says, or had to be chosen."""
    kinds: tuple[str, ...]
    """Of each file: csv, xlsx, parquet."""
    doubts: tuple[Doubt, ...]

    @property
    def name(self) -> str:
        """The file's, or how many they are."""
        first = self.layouts[0].name
        return first if len(self.layouts) == 1 else f"{first} and {len(self.layouts) - 1} more"

    @property
    def units(self) -> dict[str, str]:
        """By column."""
        return {name: unit for layout in reversed(self.layouts) for name, unit in layout.units.items()}

    def place(self, row: int, column: str = "") -> str:
        """Where a row stands, for people."""
        where = f"{self.layouts[self.files[row]].name} line {self.lines[row]}"
        return f"{where}, column {column}" if column else where

    def line_place(self, line: int, column: str = "") -> str:
        """Where a line of the first file with such a line stands."""
        at = np.flatnonzero(self.lines == line)
        return self.place(int(at[0]) if len(at) else 0, column)


def read_table(
    paths: Sequence[Path], *, said: Dialect, known: Sequence[str] = (), without: Collection[tuple[int, int]] = ()
) -> Table:
    """Read files or folders. said: what a schema file says; known: names that the header should have; without: lines to
    leave out, each the place of its file and its number.

    Lines that are no rows are left out here; the reader of histories tells them. Raises DataError.
    """
    parts: list[tuple[Layout, list[tuple[int, bytes]]]] = []
    kinds: list[str] = []
    doubts: list[Doubt] = []
    for path in files_of(paths, tell=_leave_to_reader):
        source = read_source(path, encoding=said.encoding, sheet=said.sheet)
        said = replace(said, same_names="number")
        lines = list(numbered_lines(source.text, said.separator or ","))
        layout = recognise_layout(
            lines[:_HEAD_LINES], name=source.name, known=known, said=said, encoding=source.encoding
        )
        if layout.separator != (said.separator or ",") and b'"' in source.text:
            lines = list(numbered_lines(source.text, layout.separator))
        lines = [(number, line) for number, line in lines if number >= layout.first_line]
        if not lines:
            raise DataError(f"{path}: a header and no rows; expected one row a sampling period")
        layout, said = _with_numbers(layout, lines, said, doubts)
        parts.append((layout, lines))
        kinds.append(_kind(path))
    names = list(dict.fromkeys(name for layout, _ in parts for name in layout.header if name))
    numbers = parts[0][0].numbers
    alike = all(layout.numbers == numbers for layout, _ in parts)
    numbers = numbers if alike else POINTS

    def to_number(text: str) -> float | None:
        try:
            return numbers.read(text)
        except ValueError:
            return None

    counts: list[int] = []

    def rows() -> Iterator[tuple[int, list[str]]]:
        for file, (layout, lines) in enumerate(parts):
            places = [layout.header.index(name) if name in layout.header else -1 for name in names]
            count = 0
            for number, cells in _rows(layout, lines):
                if (file, number) in without:
                    continue
                count += 1
                cells = cells if alike else [_with_point(cell, layout.numbers) for cell in cells]
                yield number, [cells[place] if place >= 0 else "" for place in places]
            counts.append(count)

    columns, line_numbers = read_columns(names, rows(), to_number)
    files = np.repeat(np.arange(len(parts)), counts)
    layouts = tuple(layout for layout, _ in parts)
    below = sum(len(lines) for _, lines in parts)
    return Table(tuple(columns), line_numbers, files, layouts, below, said, tuple(kinds), tuple(doubts))


def _leave_to_reader(doubt: Doubt) -> None:
    """Do not tell of what the reader of histories tells."""


def _with_point(cell: str, numbers: Numbers) -> str:
    """A cell of a file that writes numbers as other files do not, as all can be read."""
    if cell.strip().isdecimal():
        return cell
    try:
        return repr(numbers.read(cell))
    except ValueError:
        return cell


def _rows(layout: Layout, lines: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, list[str]]]:
    """The rows as the reader of histories takes them: as wide as the header, but for blank cells at the end."""
    width = len(layout.header)
    for number, line in lines:
        try:
            cells = layout.cells(line)
        except (UnicodeDecodeError, csv.Error):
            continue
        if not any(cell.strip() for cell in cells) or _stands_above(cells, layout):
            continue
        if len(cells) == width or (len(cells) > width and not any(cell.strip() for cell in cells[width:])):
            yield number, cells


def _stands_above(cells: Sequence[str], layout: Layout) -> bool:
    """Whether a line belongs above the rows of a file that was joined to another."""
    names = layout.header
    again = is_header_again(cells, names) or is_units_again(cells, names, layout.units)
    return again or is_another_header(cells, names)


def _with_numbers(
    layout: Layout, lines: Sequence[tuple[int, bytes]], said: Dialect, doubts: list[Doubt]
) -> tuple[Layout, Dialect]:
    """How numbers are written; where that can be read in two ways, a choice and a doubt."""
    step = max(len(lines) // _SAMPLES, 1)
    sample = [cells for _, cells in _rows(layout, [*lines[:_HEAD_LINES], *lines[_HEAD_LINES::step]])]
    columns = range(len(layout.header))
    try:
        return with_numbers(layout, sample, columns=columns, said=said, before=Dialect()), said
    except DataError as cause:
        said = replace(said, decimal=".")
        place, _, what = str(cause).partition(": ")
        what = what.partition(";")[0]
        remedy = 'a comma between thousands was assumed; for a decimal comma write csv.decimal = ","'
        doubts.append(Doubt("numbers-two-ways", place, what, remedy))
        return with_numbers(layout, sample, columns=columns, said=said, before=Dialect()), said


def _kind(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz").removesuffix(".zst")
    return name.rpartition(".")[2] if "." in name else "csv"
