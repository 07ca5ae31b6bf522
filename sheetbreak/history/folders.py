"""Folders of histories: which of their entries are tables; the others are left out and told by their names."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sheetbreak.errors import DataError
from sheetbreak.history.cells import cells_of, numbered_lines
from sheetbreak.history.doubts import Doubt, Tell
from sheetbreak.history.layout import SEPARATORS
from sheetbreak.history.source import PACKED, TABLES, as_text

_LOOKED_AT = 64 * 1024
"""Bytes of a file's start, by which it is a table or none."""
_LINES = 200
_NAMED = 20
"""Entries left out that are named one by one."""


def files_of(paths: Path | Sequence[Path], *, tell: Tell) -> list[Path]:
    """The files that are meant: for a folder its tables, by name and by what they begin with. What else is in it is
    told to `tell`. Raises DataError where there is no table in a folder.
    """
    found: list[Path] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        if not path.is_dir():
            found.append(path)
            continue
        reasons = {one: _why_no_table(one) for one in sorted(path.iterdir())}
        tables = [one for one, reason in reasons.items() if not reason]
        others = [f"{one.name} ({reason})" for one, reason in reasons.items() if reason]
        shown = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if len(others) > _NAMED else "")
        if not tables:
            holds = f"no table among {shown}" if others else "nothing in it"
            raise DataError(
                f"{path}: Is a directory without a history: {holds}; expected files that end in {', '.join(TABLES)}, "
                "with a header line and one row a sampling period"
            )
        if others:
            tell(Doubt("no-table", str(path), f"{len(others)} entries are left out: {shown}", "", len(others)))
        found += tables
    return found


def _why_no_table(path: Path) -> str:
    """Why an entry of a folder is no table; blank where it may be one."""
    if path.is_dir():
        return "a folder"
    if not path.is_file():
        return "not a file"
    if path.name.startswith((".", "~")):
        return "hidden or a program's own"
    if not path.name.lower().endswith(TABLES):
        return "another ending"
    try:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT)
    except OSError:
        return ""  # its reader says why it cannot be read
    if not start.strip():
        return "empty"
    return "" if begins_table(start, path) else "no rows of numbers"


def begins_table(start: bytes, path: Path) -> bool:
    """Whether a file that begins so may be a table: packed, or lines with as many cells and numbers in them."""
    if start.startswith(PACKED):
        return True
    try:
        text, encoding = as_text(start, path)
    except DataError:
        return True
    return _has_rows(text, encoding)


def _has_rows(text: bytes, encoding: str) -> bool:
    """Whether half of the cells stand in lines of one width, and one that is not on the first of these is a number."""
    lines = [line for _, line in numbered_lines(text)][:_LINES]
    for separator in SEPARATORS:
        rows = [cells for line in lines if (cells := cells_of(line, separator, encoding))]
        cells_by_width: Counter[int] = Counter()
        for cells in rows:
            cells_by_width[len(cells)] += len(cells)
        width, count = max(cells_by_width.items(), key=lambda one: one[1], default=(0, 0))
        alike = [cells for cells in rows if len(cells) == width]
        holds_digits = any(cell.strip()[:1].isdigit() for cells in alike[1:] for cell in cells)
        if width > 1 and 2 * count >= cells_by_width.total() and holds_digits:
            return True
    return False
