"""The layout of one table: separator, header, units, numbers, encoding; recognised once from its first lines."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from sheetbreak.errors import DataError
from sheetbreak.history.cells import (
    AmbiguousNumbers,
    Numbers,
    cells_of,
    is_header_again,
    is_number,
    is_unit,
    joined_lines,
    recognise_numbers,
    split_line,
)
from sheetbreak.history.source import check_is_table
from sheetbreak.rows import Dialect

SEPARATORS = (",", ";", "\t", "|")
MAX_ABOVE = 30
"""Lines above a header, at most: titles, the historian's query, units."""
MAX_NOTES = 8
"""Lines between a header and its rows, at most: descriptions, tags, units, a rule."""

UNSAID = Dialect()
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}[ T]\d{1,2}[:.]\d{2}")
POINTS = Numbers()
NumberedLine = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Layout:
    """How one table is written, and where its rows begin."""

    name: str
    """Of the file, as messages say it."""
    header: tuple[str, ...]
    """Column names in the file's order; "" for a column without a name."""
    header_line: int
    """First line of the file = 1."""
    first_line: int
    """Where the rows begin: lines before it are titles, header and units."""
    separator: str = ","
    encoding: str = "utf-8"
    numbers: Numbers = POINTS
    extra: int = 0
    """Cells without a name at the end of each line, which a separator behind the last cell makes: blank ones."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Of a row of units, by column."""
    units_line: int = 0
    """0: there is none."""
    again: tuple[str, ...] = ()
    """Columns whose name in the file stands further left, too: told apart by a number."""

    def cells(self, line: bytes) -> list[str]:
        """The cells of a line. Raises UnicodeDecodeError and csv.Error."""
        return split_line(line, self.separator, self.encoding)

    def dialect(self) -> Dialect:
        """What a manifest keeps of it."""
        numbers = self.numbers
        return Dialect(self.separator, numbers.decimal, numbers.thousands, self.encoding, skip_rows=None, sheet=None)


def recognise_layout(
    head: Sequence[NumberedLine],
    *,
    name: str,
    known: Collection[str] = (),
    said: Dialect = UNSAID,
    before: Dialect = UNSAID,
    encoding: str = "utf-8",
) -> Layout:
    """The layout of a table, from its first lines that are not blank.

    known: names that its header should have. said: by the schema file, which binds. before: what training recognised,
    which decides where the file itself leaves it open. Raises DataError where there is no header, or one that is none.
    """
    check_is_table(head[0][1], name)
    header_at, separator = _find_header(head, known=known, said=said, before=before, encoding=encoding, name=name)
    head = _joined(head, separator, said)
    number, line = head[header_at]
    above = head[header_at - 1][1] if header_at else b""
    names = _header(
        line, name, number, groups=_lenient(above, separator, encoding), separator=separator, encoding=encoding
    )
    width = len(names) - next((i for i, column in enumerate(reversed(names)) if column), 0)
    names = names[:width]
    rows = [(n, cells_of(line, separator, encoding)) for n, line in head[header_at + 1 :]]
    rows = [(n, cells) for n, cells in rows if not is_header_again(cells or (), names)]
    widths = Counter(len(cells) for _, cells in rows if cells)
    extra = max(0, widths.most_common(1)[0][0] - width) if widths else 0
    if extra and 2 * sum(_is_blank(cells[width:]) for _, cells in rows if cells) <= len(rows):
        extra = 0  # cells too many that hold something are told with their line
    first_line = number + 1 + line.count(b"\n")
    layout = Layout(name, tuple(names), number, first_line, separator, encoding, extra=extra)
    allowed = "number" in (said.same_names, before.same_names)
    return _numbered(_with_units(layout, head[:header_at], rows), allowed=allowed)


def with_numbers(
    layout: Layout, rows: Sequence[Sequence[str]], *, columns: Sequence[int], said: Dialect, before: Dialect
) -> Layout:
    """The layout with how its numbers are written, from the cells of `columns` in some rows. Raises DataError."""
    cells = [[row[i] for row in rows if i < len(row)] for i in columns]
    try:
        numbers = recognise_numbers(cells, separator=layout.separator, decimal=said.decimal, before=before.decimal)
    except AmbiguousNumbers as cause:
        column = next(layout.header[i] for i, texts in zip(columns, cells, strict=True) if cause.args[0] in texts)
        raise DataError(
            f'{layout.name}, column {column}: "{cause.args[0]}" can be read in two ways; '
            'set csv.decimal = "," or csv.decimal = "." in --schema'
        ) from cause
    if said.thousands is not None:
        numbers = replace(numbers, thousands=said.thousands)
    return replace(layout, numbers=numbers)


def _find_header(
    head: Sequence[NumberedLine], *, known: Collection[str], said: Dialect, before: Dialect, encoding: str, name: str
) -> tuple[int, str]:
    """The place of the header in `head` and the separator: the line with the most names that are known."""
    skipped = sum(number <= (said.skip_rows or 0) for number, _ in head)
    if skipped == len(head) and skipped:
        raise DataError(f"{name}: csv.skip_rows = {said.skip_rows}, and no line is left to be the header")
    separators = [said.separator] if said.separator else sorted(SEPARATORS, key=lambda s: s != before.separator)
    wanted, best, found = set(known), 0, None
    for separator in separators:
        for at, (_, line) in enumerate(_joined(head, separator, said)[: MAX_ABOVE + 1]):
            if at < skipped:
                continue
            cells = {cell.strip() for cell in _lenient(line, separator, encoding)}
            if len(cells & wanted) > best:
                best, found = len(cells & wanted), (at, separator)
    if found is not None:
        return found
    if said.skip_rows is not None:
        return skipped, max(separators, key=lambda s: len(_lenient(head[skipped][1], s, encoding)))
    return _guess_header(head, separators, encoding) or (0, separators[0])


def _guess_header(head: Sequence[NumberedLine], separators: Sequence[str], encoding: str) -> tuple[int, str] | None:
    """Where no name is known: the first line as wide as most are that holds no number."""
    best: tuple[float, int, str] = (0, 0, "")
    for separator in separators:
        rows = [_lenient(line, separator, encoding) for _, line in _joined(head, separator, UNSAID)]
        width, lines = Counter(len(cells) for cells in rows).most_common(1)[0]
        if width > 1 and (score := width * lines / len(rows)) > best[0]:
            names = [
                at
                for at, cells in enumerate(rows[: MAX_ABOVE + 1])
                if len(cells) >= width and 2 * sum(map(bool, cells)) >= width and not any(map(is_number, cells))
            ]
            if len(names) > 1 and names[1] == names[0] + 1 and _is_above(rows[names[0]], rows[names[1]]):
                del names[0]
            best = (score, names[0] if names else 0, separator)
    return (best[1], best[2]) if best[2] else None


def _is_above(cells: Sequence[str], below: Sequence[str]) -> bool:
    """Whether a line of words holds no names but the units or groups of those below it, which are whole."""
    filled, names = [[cell.strip() for cell in line if cell.strip()] for line in (cells, below)]
    if len(names) < len(below):
        return False
    groups = len(set(filled)) < len(filled) and len(names) == len(set(names))
    return groups or 2 * sum(map(is_unit, filled)) > len(filled)


def _joined(head: Sequence[NumberedLine], separator: str, said: Dialect) -> Sequence[NumberedLine]:
    """The lines again, those as one that a quoted cell runs over: which are, depends on the separator.

    Lines that are said to be skipped stay as they are, whatever quotes they hold.
    """
    if not any(b'"' in line for _, line in head):
        return head
    skipped = [one for one in head if one[0] <= (said.skip_rows or 0)]
    rest = head[len(skipped) :]
    bare = [(number + i, part) for number, line in rest for i, part in enumerate(line.split(b"\n"))]
    return [*skipped, *((number, line) for number, line in joined_lines(bare, separator) if line.strip())]


def _lenient(line: bytes, separator: str, encoding: str) -> list[str]:
    return cells_of(line, separator, encoding) or []


def _header(line: bytes, name: str, number: int, *, groups: Sequence[str], separator: str, encoding: str) -> list[str]:
    """The names of the columns. groups: cells of the line above, which may tell names apart that come twice."""
    try:
        cells = split_line(line, separator, encoding)
    except UnicodeDecodeError as cause:
        remedy = 'save the file as UTF-8, or set csv.encoding = "cp1252" in --schema'
        raise DataError(f"{name} line {number}: not {encoding.upper()} ({cause.reason}); {remedy}") from cause
    except csv.Error as cause:
        raise DataError(f"{name} line {number}: {cause}; the header stands on one line") from cause
    header = [" ".join(column.split("\n")).replace("\r", "").strip() for column in cells]
    if len(groups) == len(header):
        header = _with_groups(header, groups)
    if _is_row(header):
        message = f'the first line of the table holds a row ("{header[0]}", …) and no names'
        raise DataError(f"{name} line {number}: {message}; put a line above it that names the columns")
    return header


def _is_row(header: Sequence[str]) -> bool:
    """Whether a line holds a date or time and, but for a few words, numbers."""
    filled = [cell for cell in header if cell]
    numbers = sum(map(is_number, filled))
    return 2 * numbers > len(filled) and any(_DATE.match(cell) for cell in filled)


def _with_groups(header: list[str], groups: Sequence[str]) -> list[str]:
    """Names that come twice with the group that stands above them, or above a column further left: a merged cell."""
    group, found = "", []
    for column, above in zip(header, groups, strict=True):
        group = " ".join(above.split()) or group
        found.append(f"{group} {column}".strip() if column and header.count(column) > 1 else column)
    return found


def _with_units(
    layout: Layout, above: Sequence[NumberedLine], rows: Sequence[tuple[int, Sequence[str] | None]]
) -> Layout:
    """The layout with what stands between the header and its rows left out; units are kept, from above it too."""
    found = [cells or [] for _, cells in rows]
    kinds = _kinds(found[MAX_NOTES:] or found[1:], len(layout.header))
    notes = 0
    while notes < min(MAX_NOTES, len(found) - 1) and _is_note(found[notes], kinds, layout):
        notes += 1
    if notes and any(_holds_number(cells) for cells in found[notes:]):
        between = [(rows[i][0], found[i]) for i in range(notes) if not _is_rule(found[i])]
        layout = replace(layout, first_line=rows[notes][0])
        return _in_units(layout, *min(between, key=lambda one: _mean_length(one[1]))) if between else layout
    if above:
        number, line = above[-1]
        cells = _lenient(line, layout.separator, layout.encoding)
        if _is_words(cells, layout) and not any(f"{cell.strip()} " in name for cell, name in _pairs(cells, layout)):
            return _in_units(layout, number, cells)
    return layout


def _kinds(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """What most filled cells of each column are: "number", "digits" such as a time, or "words"."""
    found = [Counter(_kind_of(cells[i]) for cells in rows if i < len(cells) and cells[i].strip()) for i in range(width)]
    return [max(counts, key=counts.__getitem__) if counts else "words" for counts in found]


def _kind_of(cell: str) -> str:
    if is_number(cell):
        return "number"
    return "digits" if any(sign.isdigit() for sign in cell) else "words"


def _is_note(cells: Sequence[str], kinds: Sequence[str], layout: Layout) -> bool:
    """Whether a line right below the header is no row: in no column it holds what the rows have there."""
    if not len(layout.header) <= len(cells) <= len(layout.header) + layout.extra or _is_blank(cells):
        return False
    pairs = [(cell, kind) for cell, kind in zip(cells, kinds, strict=False) if cell.strip() and kind != "words"]
    return bool(pairs) and all(_kind_of(cell) != kind for cell, kind in pairs)


def _is_rule(cells: Sequence[str]) -> bool:
    return not any(cell.strip(" -=_+") for cell in cells)


def _mean_length(cells: Sequence[str]) -> float:
    filled = [cell.strip() for cell in cells if cell.strip()]
    return sum(map(len, filled)) / len(filled)


def _pairs(cells: Sequence[str], layout: Layout) -> list[tuple[str, str]]:
    """Filled cells and the names below them."""
    return [(cell, name) for cell, name in zip(cells, layout.header, strict=False) if cell.strip()]


def _is_words(cells: Sequence[str], layout: Layout) -> bool:
    """Whether a line is one of units: as wide as the header, half filled at least, not one number or time."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    return (
        len(layout.header) <= len(cells) <= len(layout.header) + layout.extra
        and 2 * len(filled) >= len(layout.header)
        and not any(is_number(cell) or cell[0].isdigit() for cell in filled)
    )


def _holds_number(cells: Sequence[str] | None) -> bool:
    return bool(cells) and any(map(is_number, cells or ()))


def _in_units(layout: Layout, number: int, cells: Sequence[str]) -> Layout:
    """The layout with the units of a line; columns of one name that differ in their unit have it in their names."""
    units = [unit if unit != "-" else "" for unit in (cell.strip().strip("[]()") for cell in cells)]
    pairs = list(zip(layout.header, units, strict=False))
    header = [f"{name} [{unit}]" if name and unit and layout.header.count(name) > 1 else name for name, unit in pairs]
    found = {own: unit for own, (name, unit) in zip(header, pairs, strict=True) if name and unit not in ("", name)}
    header += layout.header[len(header) :]
    return replace(layout, header=tuple(header), units=found, units_line=number)


def _numbered(layout: Layout, *, allowed: bool) -> Layout:
    """The layout with a number behind each name that stands further left, too: "Flow", "Flow (2)"."""
    header = list[str]()
    for column in layout.header:
        names = (f"{column} ({number})" if number > 1 else column for number in count(1))
        header.append(next(name for name in names if name not in header or not column))
    again = {own: column for own, column in zip(header, layout.header, strict=True) if own != column}
    if again and not allowed:
        message = f'column "{min(again.values())}" stands there twice; every column needs a name of its own, or set '
        raise DataError(f'{layout.name} line {layout.header_line}: {message}csv.same_names = "number" in --schema')
    units = {**layout.units, **{own: layout.units[name] for own, name in again.items() if name in layout.units}}
    return replace(layout, header=tuple(header), again=tuple(again), units=units)


def _is_blank(cells: Sequence[str]) -> bool:
    return not any(cell.strip() for cell in cells)
