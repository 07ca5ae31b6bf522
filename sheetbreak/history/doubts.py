"""Doubts about a history: what is not as expected, where, how often, and what to do; told all at once or one by one."""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sheetbreak.errors import DataError
from sheetbreak.history.cells import cells_of, within_quotes
from sheetbreak.history.layout import Layout, NumberedLine
from sheetbreak.history.source import Source
from sheetbreak.rows import Decoded

log = logging.getLogger(__name__)

_TAIL = 1000
"""Lines at the end of a file that say how long the cells of a column are."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One finding about a history, with its number."""

    kind: str
    """A word with hyphens that scripts can look for: "bad-cells", "text-column", "time-repeats" …"""
    place: str
    """File, line and column of the first: "mill.csv line 812, column x17"."""
    what: str
    remedy: str
    """What to do; empty where nothing has to be done."""
    count: int = 1
    """Cells, rows or columns, as `what` says."""
    fatal: bool = False
    """Without it nothing can be made of the file: every command but `inspect` stops here."""

    @property
    def column(self) -> str:
        """The one that the place names; "" where it names none."""
        return self.place.partition("column ")[2]

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" + (f"; {self.remedy}" if self.remedy else "")


Tell = Callable[[Doubt], None]


@dataclass(slots=True)
class Doubts:
    """Collects doubts in the order found. Unless `keeps_going`, the first fatal one is raised as DataError.

    tell: called with each that is not fatal.
    """

    tell: Tell | None = None
    keeps_going: bool = False
    found: list[Doubt] = field(default_factory=list)

    def add(self, doubt: Doubt, cause: Exception | None = None) -> None:
        """Take a doubt. Raises DataError from `cause` if it is fatal and this does not keep going."""
        self.found.append(doubt)
        if doubt.fatal and not self.keeps_going:
            raise DataError(str(doubt)) from cause
        if self.tell is not None and not doubt.fatal:
            self.tell(doubt)


def log_doubt(doubt: Doubt) -> None:
    """One log line, as a monitor tells it."""
    event = "event=doubt kind=%s count=%d place=%r what=%r remedy=%r"
    log.warning(event, doubt.kind, doubt.count, doubt.place, doubt.what, doubt.remedy)


def warn_of(doubt: Doubt) -> None:
    """One line for a person, on standard error."""
    print(f"warning: {doubt}", file=sys.stderr)


def sheets_left(source: Source) -> Iterator[Doubt]:
    """What to tell of a workbook whose other sheets hold as much as the one that is read."""
    if not source.other_sheets:
        return
    what = f"sheets {', '.join(source.other_sheets)} are not read: one sheet is one history"
    remedy = "save each as a file of its own and give them all, or name the one that is meant as csv.sheet in --schema"
    yield Doubt("other-sheets", source.name, what, remedy, len(source.other_sheets))


def layout_doubts(lines: Iterable[NumberedLine], layout: Layout) -> Iterator[Doubt]:
    """What to tell of a table whose columns are not all of different names, or in whose lines all cells stand in quotes
    together. lines: of its rows.
    """
    if again := layout.again:
        shown = ", ".join(f'"{name}"' for name in again[:5]) + ("…" if len(again) > 5 else "")
        what = f"{len(again)} columns have the name of one further left: numbered from the left, as {shown}"
        remedy = "name them apart in the export: in another order of columns they would be taken for one another"
        yield Doubt("names-again", f"{layout.name} line {layout.header_line}", what, remedy, len(again))
    found = [number for number, line in lines if within_quotes(line, layout.separator) is not None]
    if found:
        what = f"{len(found):,} lines stand in quotes as a whole: read as the cells within"
        yield Doubt("quoted-lines", f"{layout.name} line {found[0]}", what, "", len(found))


def unfinished_doubts(source: Source, lines: Sequence[NumberedLine], layout: Layout) -> Iterator[Doubt]:
    """What to tell of a file that ends within its last line, by all signs. lines: of its rows.

    Many a sound file ends without a newline: it is told where the last cell is shorter than most of its column.
    """
    if not lines or source.text.endswith(b"\n") or not source.text.endswith(lines[-1][1]):
        return
    cells = [found for _, line in lines[-_TAIL:] if (found := cells_of(line, layout.separator, layout.encoding))]
    if not cells or (at := len(cells[-1]) - 1) + 1 > len(layout.header):
        return
    sizes = [len(row[at]) for row in cells if len(row) > at]
    if 2 * sum(size > sizes[-1] for size in sizes) > len(sizes):
        column = layout.header[at]
        what = f'the file ends within this line, it seems: it has no newline, and "{cells[-1][at][:40]}" is shorter '
        what += "than most of its column: taken as it is"
        remedy = "copy the file again once it is whole, or leave out its last line"
        yield Doubt("unfinished-line", f"{layout.name} line {lines[-1][0]}, column {column}", what, remedy)


def tell_rejects(decoded: Decoded, lines: Sequence[NumberedLine], *, layout: Layout, doubts: Doubts) -> None:
    """The first refused line of each kind, fatally, and how many there are of it."""
    kinds: dict[str, list[int]] = {}
    for i, reject in decoded.rejects:
        kinds.setdefault(reject.reason, []).append(i)
    messages = dict(decoded.rejects)
    for reason, places in kinds.items():
        number = lines[places[0]][0]
        reject = messages[places[0]]
        what, _, remedy = str(reject).partition("; ")
        place = f"{layout.name} line {number}"
        if what.startswith("column "):
            column, _, what = what.partition(": ")
            place += f", {column}"
        count = len(places)
        what += f" (and {count - 1:,} lines more)" if count > 1 else ""
        doubts.add(Doubt(reason, place, what, remedy, count, fatal=True), reject)
