"""Cells of a table's lines, and the numbers in them as a plant writes numbers."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sheetbreak.missing import graded, is_good

MAX_JOINED = 50
"""Lines that one quoted cell may run over; a quotation that is still open then was never meant as one."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Numbers:
    """How numbers are written: the decimal sign, and the one between thousands ("" where there is none)."""

    decimal: str = "."
    thousands: str = ""

    def read(self, text: str) -> float:
        """The number of a cell. Raises ValueError; "1_0", "nan" and "inf" are no numbers, nor is "1.5" of "1,5"."""
        text = text.strip()
        try:
            return self._read(text)
        except ValueError:
            if (bare := bare_number(reading_of(text))) == text:
                raise
            return self._read(bare)

    def _read(self, text: str) -> float:
        plain = text
        if self.thousands and self.thousands in plain:
            whole, point, rest = plain.partition(self.decimal)
            if not re.fullmatch(rf"[+-]?\d{{1,3}}({re.escape(self.thousands)}\d{{3}})+", whole):
                raise ValueError(text)
            plain = whole.replace(self.thousands, "") + point + rest
        if self.decimal == ",":
            if "." in plain:
                raise ValueError(text)
            plain = plain.replace(",", ".")
        number = float(plain)
        if "_" in plain or number - number != 0:
            raise ValueError(text)
        return number


_UNITS = """
% ‰ °C °F ℃ bar mbar kPa MPa hPa Pa psi mmHg m/min m/s ft/min rpm 1/min U/min min-1 Hz kg/h t/h kg/s t/d l/s l/min l/h
m3/h m³/h kN/m N/m kN kW MW kWh mA mV mm µm cm kg
"""
"""Those that programs write behind a number. Of one letter there is none, nor g/m²: 17A and 80 g/m² are codes."""
_WITH_UNIT = re.compile(rf"(.*\d)[ \xa0\u202f]?(?:{'|'.join(map(re.escape, _UNITS.split()))})$")


def is_unit(text: str) -> bool:
    """Whether a cell holds such a unit and nothing else; in brackets too."""
    return text.strip().strip("[]()") in _UNITS.split()


def reading_of(text: str) -> str:
    """The number of a cell in which a word behind it says that it is good; others as they are."""
    found = graded(text)
    return found[0] if found is not None and is_good(found[1]) else text


def bare_number(text: str) -> str:
    """A number as Python has it of one as people write it: "5-", "(5)" or "5 %"; others as they are."""
    if found := _WITH_UNIT.match(text):
        text = found[1]
    text = text.replace("\N{MINUS SIGN}", "-")
    if len(text) > 2 and text[0] == "(" and text[-1] == ")" and text[1].isdigit():
        return f"-{text[1:-1]}"
    if len(text) > 1 and text[-1] == "-" and text[-2].isdigit() and text[0].isdigit():
        return f"-{text[:-1]}"
    return text


def split_line(line: bytes, separator: str = ",", encoding: str = "utf-8") -> list[str]:
    """The cells of one line; those within, where it is one quoted cell: so a spreadsheet writes a table that it has in
    a single column. `="007"` is how a text is kept from it. A mark of UTF-8 may stand in the middle of files that were
    joined. Raises UnicodeDecodeError, and csv.Error where a quotation does not end.
    """
    text = line.removeprefix(_BOM).decode(encoding).rstrip("\r\n")
    if '"' not in text:
        return text.split(separator)
    cells = next(csv.reader([text], delimiter=separator, strict=True), [])
    if len(cells) == 1 and separator in cells[0]:
        cells = next(csv.reader([cells[0]], delimiter=separator, strict=True), [])
    if '="' in text:
        cells = [cell[2:-1] if cell.startswith('="') and cell.endswith('"') else cell for cell in cells]
    return cells


def cells_of(line: bytes, separator: str = ",", encoding: str = "utf-8") -> list[str] | None:
    """The cells of one line, or None where there are none: a blank line, or one that the decoder refuses."""
    try:
        return split_line(line, separator, encoding) if line.strip() else None
    except (UnicodeDecodeError, csv.Error):
        return None


def numbered_lines(text: bytes, separator: str = ",") -> Iterator[tuple[int, bytes]]:
    """Number (first = 1) and bytes of every line that is not blank; a row with line breaks in a quoted cell is one."""
    return ((number, line) for number, line in all_lines(text, separator) if line.strip())


def all_lines(text: bytes, separator: str = ",") -> Iterator[tuple[int, bytes]]:
    """As `numbered_lines`, with the blank ones: joined by newlines they are the text."""
    numbered = enumerate(text.split(b"\n"), start=1)
    yield from numbered if b'"' not in text else joined_lines(list(numbered), separator)


def joined_lines(lines: Sequence[tuple[int, bytes]], separator: str) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, those that one quoted cell runs over as one, with the number of the first."""
    i = 0
    while i < len(lines):
        last = _last_of_row(lines, i, separator.encode())
        number, line = lines[i]
        yield number, line if last in (i, None) else b"\n".join(line for _, line in lines[i : last + 1])
        i = i + 1 if last is None else last + 1


def open_lines(lines: Sequence[tuple[int, bytes]], separator: str) -> int:
    """How many of the last lines are of a row whose quoted cell may go on in the lines that follow."""
    sign, i = separator.encode(), 0
    while i < len(lines):
        last = _last_of_row(lines, i, sign)
        if last is None and lines[-1][0] - lines[i][0] < MAX_JOINED:
            return len(lines) - i
        i = i + 1 if last is None else last + 1
    return 0


def _last_of_row(lines: Sequence[tuple[int, bytes]], first: int, separator: bytes) -> int | None:
    """The place of the line on which the row ends that begins at `first`; None: a quotation does not end in these."""
    number, line = lines[first]
    if not (line.count(b'"') % 2 and _is_open(line, separator)):
        return first
    for at in range(first + 1, len(lines)):
        if lines[at][0] - number > MAX_JOINED:  # by number: some callers leave blank lines out
            break
        if lines[at][1].count(b'"') % 2:
            return at
    return None


def _is_open(line: bytes, separator: bytes) -> bool:
    """Whether a quotation that begins a cell does not end on this line; an inch sign within a cell is none."""
    at = 0
    while True:
        if line[at : at + 1] == b'"':
            end = line.find(b'"', at + 1)
            while end >= 0 and line[end + 1 : end + 2] == b'"':
                end = line.find(b'"', end + 2)
            if end < 0:
                return True
            at = end
        at = line.find(separator, at)
        if at < 0:
            return False
        at += len(separator)


_QUOTED_LINE = re.compile(rb'(?:\xef\xbb\xbf)?"((?:[^"]|"")*+)"\r?$')


def within_quotes(line: bytes, separator: str) -> bytes | None:
    """What stands in a line that is one quoted cell with separators in it; None: it is no such line."""
    found = _QUOTED_LINE.match(line) if line.startswith((b'"', b"\xef")) else None
    return found[1].replace(b'""', b'"') if found is not None and separator.encode() in found[1] else None


def is_number(text: str) -> bool:
    """Whether a cell holds a number, in whatever way it is written."""
    return _kind(text.strip()) is not None


def is_header_again(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a line holds the names of the columns; these may have a group, a unit or a number beside them."""
    if len(cells) < len(names) or any(cell.strip() for cell in cells[len(names) :]):
        return False
    return all(
        cell.strip().casefold() in name.casefold() and bool(cell.strip()) == bool(name) and not is_number(cell)
        for cell, name in zip(cells, names, strict=False)
    )


def is_another_header(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a line is the header of a table with other columns, or in another order: half of it are names of these
    columns, and nothing is a number.
    """
    filled = [cell.strip().casefold() for cell in cells if cell.strip()]
    known = {name.casefold() for name in names}
    hits = sum(cell in known for cell in filled)
    return hits > 1 and 2 * hits >= len(filled) and not any(map(is_number, filled))


def is_units_again(cells: Sequence[str], names: Sequence[str], units: Mapping[str, str]) -> bool:
    """Whether a line holds the units of the columns and nothing else."""
    pairs = [(cell.strip().strip("[]()"), name) for cell, name in zip(cells, names, strict=False)]
    filled = [(cell, name) for cell, name in pairs if cell.strip("-")]
    return bool(filled) and all(units.get(name) == cell for cell, name in filled)


# One cell is one of these. "1,234" and "1.234" can be both, of two signs the last is the decimal one.
_WHOLE = re.compile(r"[+-]?\d+$")
_DECIMAL = re.compile(r"[+-]?\d*([.,])\d*([eE][+-]?\d+)?$")
_GROUP = re.compile(r"[+-]?[1-9]\d{0,2}([.,])\d{3}$")
_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}([.,])\d{3}(\1\d{3})+$")
_BOTH = re.compile(r"[+-]?[1-9]\d{0,2}(?:([.,' \xa0\u202f’])\d{3})(?:\1\d{3})*([.,])\d+$")
_SPACED = re.compile(r"[+-]?[1-9]\d{0,2}(?:([' \xa0\u202f’])\d{3})+$")
_POINTS = re.compile(r"\.(\d{1,2}|\d{4,})$", re.MULTILINE)
_OTHER_SIGNS = re.compile(r"[,' \xa0\u202f’]|\.\d*\.")
"""Without any of these, numbers with a decimal point are all that there is."""
_POWER = re.compile(r"[+-]?\d+[eE][+-]?\d+$")


def _kind(text: str) -> tuple[str, str, str] | None:
    """(what it is, decimal sign, thousands sign) of a cell; None: no number."""
    if text and not (text[-1].isdigit() and (text[0].isdigit() or text[0] in "+-.,")):
        text = bare_number(text)
    if _WHOLE.match(text) or _POWER.match(text):
        return "whole", "", ""
    if found := _BOTH.match(text):
        return ("both", found[2], found[1]) if found[1] != found[2] else None
    if found := _GROUPS.match(text):
        return "groups", "", found[1]
    if found := _GROUP.match(text):
        return "either", found[1], found[1]
    if found := _SPACED.match(text):
        return "groups", "", found[1]
    if (found := _DECIMAL.match(text)) and any(sign.isdigit() for sign in text.lower().partition("e")[0]):
        return "decimal", found[1], ""
    reading = reading_of(text)
    return _kind(reading) if reading != text else None


class AmbiguousNumbers(ValueError):
    """Numbers such as "1,234" that can be read in two ways; `args[0]` is one of them."""


def recognise_numbers(
    columns: Sequence[Sequence[str]], *, separator: str, decimal: str | None = None, before: str | None = None
) -> Numbers:
    """How the numbers of some columns' cells are written; where two ways fit it is as `before` (in training).

    decimal: what the schema says. In a file with commas between cells a column counts as written with decimal commas
    where most of its numbers are: one such cell is a slip. Raises AmbiguousNumbers.
    """
    text = "\n".join("\n".join(cells) for cells in columns)
    if decimal is None and _POINTS.search(text) and not _OTHER_SIGNS.search(text):
        return Numbers()
    decimals: Counter[str] = Counter()
    thousands: Counter[str] = Counter()
    either: dict[str, str] = {}
    for cells in columns:
        kinds = [(kind, text) for text in cells if (kind := _kind(text.strip())) is not None]
        commas = sum(kind[0] == "decimal" and kind[1] == "," for kind, _ in kinds)
        counts = separator != "," or 2 * commas > len(kinds)
        for (what, point, group), text in kinds:
            if what == "either":
                either.setdefault(point, text)
            elif point == "," and what == "decimal" and not counts:
                continue
            else:
                decimals.update([point] if point else [])
                thousands.update([group] if group else [])
    chosen = decimal or _decimal_sign(decimals, thousands, either, separator=separator, before=before)
    others = [sign for sign, _ in thousands.most_common() if sign != chosen]
    other = "," if chosen == "." else "."
    if not others and other in either:
        others = [other]
    return Numbers(chosen, others[0] if others else "")


def _decimal_sign(
    decimals: Counter[str], thousands: Counter[str], either: dict[str, str], *, separator: str, before: str | None
) -> str:
    if decimals:
        return decimals.most_common(1)[0][0]
    for sign, other in ((".", ","), (",", ".")):
        if thousands[sign]:
            return other
    if before is not None:
        return before
    if "," in either:
        if separator == ",":
            raise AmbiguousNumbers(either[","])
        return ","
    return "."
