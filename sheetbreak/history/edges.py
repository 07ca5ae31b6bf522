"""Edges of a table: totals, notes and blank cells around its rows, which are no rows and are left out."""

import csv
from collections.abc import Callable, Sequence
from contextlib import suppress

from sheetbreak.history.cells import is_header_again, is_number
from sheetbreak.history.doubts import Doubt, Doubts
from sheetbreak.history.layout import Layout, NumberedLine
from sheetbreak.history.times.formats import ISO, TimeReader, join_clock
from sheetbreak.rows import Schema

MOST = 12
"""Lines at either end, at most: where more of them are no rows, the table is not what it is taken for."""

_STATISTIC_WORDS = """
total totals sum summe summa somme suma yhteensä min minimum max maximum mean average avg median mittelwert
mittel durchschnitt moyenne media medel keskiarvo std stdev stddev variance count anzahl antal lukumäärä
"""
_STATISTICS = frozenset(_STATISTIC_WORDS.split())


def without_edges(
    lines: Sequence[NumberedLine], schema: Schema, layout: Layout, *, doubts: Doubts
) -> list[NumberedLine]:
    """The lines without those of blank cells alone and without the ones at either end that say no time; told.

    A line that is cut short or has a bad time stays, and is refused by its place.
    """
    kept = [one for one in lines if not _is_empty(one[1], layout)]
    if blank := len(lines) - len(kept):
        what = f"{blank:,} lines hold separators and nothing else: left out"
        doubts.add(Doubt("blank-lines", layout.name, what, "", blank))
    is_note = _note_test(schema, layout)
    first, last = 0, len(kept)
    while first < min(MOST, last - 1) and is_note(kept[first][1]):
        first += 1
    while last > max(len(kept) - MOST, first + 1) and is_note(kept[last - 1][1]):
        last -= 1
    first = first if first < MOST else 0
    last = last if last > len(kept) - MOST else len(kept)
    for some, where in ((kept[:first], "below the header"), (kept[last:], "at the end")):
        if some:
            shown = some[0][1].decode(layout.encoding, errors="replace").strip(f" \r{layout.separator}")[:40]
            more = f" and {len(some) - 1} lines more" if len(some) > 1 else ""
            what = f'"{shown}"{more} {where}: no time, so no row, left out'
            doubts.add(Doubt("no-row", f"{layout.name} line {some[0][0]}", what, "", len(some)))
    return kept[first:last]


def is_no_row(text: str, label: str | None, *, filled: int, width: int) -> bool:
    """Whether a line whose time is none was not meant as a row. text: in the place of the time; label: in that of the
    label, None where there is no such column.

    It is none where it names a statistic, holds hardly anything, or lacks the label too.
    """
    if text.strip(" :.").casefold() in _STATISTICS:
        return True
    if 2 * filled < width:
        return not text[:1].isdigit()
    return not any(sign.isdigit() for sign in text) and label is not None and not label.strip()


def _note_test(schema: Schema, layout: Layout) -> Callable[[bytes], bool]:
    read = TimeReader(schema.time_format or ISO, schema.timezone)
    at = [layout.header.index(column) for column in (schema.time, schema.clock) if column and column in layout.header]
    label_at = layout.header.index(schema.broken) if schema.broken in layout.header else None

    def is_note(line: bytes) -> bool:
        try:
            cells = layout.cells(line)
        except (ValueError, csv.Error):
            return False
        if is_header_again(cells, layout.header):
            return True
        filled = sum(bool(cell.strip()) for cell in cells)
        if not at:
            return not any(map(is_number, cells))
        day, clock = (cells[i].strip() if i < len(cells) else "" for i in (at[0], at[-1]))
        with suppress(ValueError, OverflowError):
            read(join_clock(day, clock) if len(at) > 1 else day)
            return False
        label = cells[label_at] if label_at is not None and label_at < len(cells) else None
        return is_no_row(day, label, filled=filled, width=len(layout.header))

    return is_note


def _is_empty(line: bytes, layout: Layout) -> bool:
    return not line.strip(b' \t\r"' + layout.separator.encode())
