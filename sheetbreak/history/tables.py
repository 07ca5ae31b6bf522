"""Parquet files and workbooks as lines of a CSV, so that the same rows give the same cells, whatever holds them."""

import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from sheetbreak.errors import DataError

_LARGE = 0.2
"""Of the cells of the largest sheet: with so many a sheet is a table like that."""
_INSTALL = "pip install 'sheetbreak[files]'"


def parquet_as_csv(content: bytes, path: Path) -> bytes:
    """A Parquet file as UTF-8 CSV; times in ISO 8601. Raises DataError: pyarrow is not there, or cannot read it."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as cause:
        raise DataError(f"{path}: a Parquet file needs the package pyarrow: {_INSTALL}") from cause
    try:
        table = pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError, ValueError) as cause:
        raise DataError(f"{path}: not a sound Parquet file ({cause}); export it again") from cause
    if table.num_columns and set(table.column_names) & {"__index_level_0__"}:
        index = table.column_names.index("__index_level_0__")
        table = table.rename_columns([name if i != index else "index" for i, name in enumerate(table.column_names)])
    columns = [_texts(column.to_pylist()) for column in table.columns]
    return _as_csv([table.column_names, *zip(*columns, strict=True)])


def workbook_as_csv(
    content: bytes, path: Path, *, sheet: str | None = None, strict: bool = True
) -> tuple[bytes, tuple[str, ...]]:
    """A sheet of an Excel workbook as UTF-8 CSV, and the other sheets that hold as much.

    The sheet is the one named, else the first that is not much smaller than the largest: a cover sheet is none.
    Raises DataError: python-calamine is not there or cannot read it, or there is no such sheet.
    """
    try:
        import python_calamine
    except ImportError as cause:
        raise DataError(f"{path}: a workbook needs the package python-calamine: {_INSTALL}") from cause
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = book.sheet_names
        if sheet not in names and not strict:
            sheet = None
        if sheet is not None and sheet not in names:
            raise DataError(f'{path}: no sheet "{sheet}"; its sheets are {", ".join(names)}')
        if sheet is not None:
            return _as_csv([_texts(row) for row in book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)]), ()
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in names}
    except python_calamine.CalamineError as cause:
        if files := _archived(content):
            raise DataError(f"{path}: an archive of {files}; unpack it, and give the files or their folder") from cause
        raise DataError(f"{path}: not a workbook that can be read ({cause}); save it as .xlsx or .csv") from cause
    filled = {name: sum(cell != "" for row in rows for cell in row) for name, rows in sheets.items() if len(rows) > 1}
    large = [name for name, cells in filled.items() if _LARGE * max(filled.values()) <= cells]
    if not large:
        raise DataError(f"{path}: no sheet has more than one row; expected a header and one row a sampling period")
    return _as_csv([_texts(row) for row in sheets[large[0]]]), tuple(large[1:])


def _archived(content: bytes) -> str:
    """The first files of a .zip archive, as a message says them; "" where it is none."""
    import zipfile

    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except zipfile.BadZipFile:
        return ""
    return ", ".join(names[:3]) + ("…" if len(names) > 3 else "")


def _texts(values: Iterable[Any]) -> list[str]:
    return [_text(value) for value in values]


def _text(value: Any) -> str:
    """A cell as a CSV has it: 96.0 as 96 (a workbook knows floats alone), a time to the digits that it has."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return " ".join(str(value).splitlines())


def _as_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Every row as wide as the widest, as a sheet is."""
    import csv

    lines = list(rows)
    width = max(map(len, lines), default=0)
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n").writerow
    for row in lines:
        if any(row):
            write([*row, *[""] * (width - len(row))])
        else:
            out.write("\n")
    return out.getvalue().encode("utf-8")
