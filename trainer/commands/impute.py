"""Command `sheetbreak impute`: a CSV with its blank sensor cells filled by a model, every other byte as it was."""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sheetbreak.cli.options import OptionParser
from sheetbreak.errors import DataError
from sheetbreak.history.cells import all_lines, within_quotes
from sheetbreak.history.doubts import Doubts, warn_of
from sheetbreak.history.layout import Layout
from sheetbreak.history.reader import read_history
from sheetbreak.rows import RowBatch
from sheetbreak.times import format_time
from trainer.data.labels import Floats
from trainer.latent.imputation import MEASURED, MODEL, Imputed, impute
from trainer.latent.model import add_model_options, load_chosen
from trainer.output.files import csv_cell, results_to

_LEAST_DIGITS = 7
"""Of a filled cell, as many as any sensor has; more where its column does, as a meter's reading."""
_MOST_DIGITS = 17


def main(argv: Sequence[str]) -> int:
    """Write the filled CSV. Raises DataError or ArtifactError."""
    parser = OptionParser(
        "sheetbreak impute",
        "Fill the blank sensor cells of a CSV with what a model makes of the others; no other byte changes.\n"
        "Where the model cannot (a machine warming up, a broken sheet, a row with more than a fifth missing) the\n"
        "last value stands in. docs/latent.md says how good the estimates are, and when they are not.",
        example="sheetbreak impute mill.csv --out filled.csv --flags filled-cells.csv",
    )
    parser.add_argument("csv", type=Path, metavar="CSV", help="rows of the plant that the model was trained on")
    add_model_options(parser)
    parser.add_argument("--out", type=Path, metavar="CSV", help="where the result goes (default: standard output)")
    parser.add_argument("--flags", type=Path, metavar="CSV", help="also list the filled cells: row, sensor, value, by")
    options = parser.parse_args(argv)
    if options.flags is not None and options.flags == options.out:
        raise DataError(f"--flags and --out both name {options.out}; the list of filled cells needs a file of its own")
    model = load_chosen(options)
    history = read_history(options.csv, sensors_from=model.manifest.schema, doubts=Doubts(warn_of))
    schema, rows = history.schema, history.rows
    if len(history.sources) > 1:
        raise DataError(f"{options.csv} is {len(history.sources)} files; impute fills one file at a time")
    found = impute(rows, model)
    digits = digits_of(rows.values)
    lines = all_lines(history.sources[0].text, history.layouts[0].separator)
    filled = filled_lines(
        lines, found, schema.sensors, rows=history.lines.tolist(), layout=history.layouts[0], digits=digits
    )
    with results_to(options.out) as file:
        file.write(b"\n".join(filled))
    if options.flags is not None:
        with results_to(options.flags) as file:
            file.writelines(_flags(rows, found, sensors=schema.sensors, digits=digits))
    print(f"{options.csv.name}: {_summary(found)}", file=sys.stderr)
    return 0


def filled_lines(
    lines: Iterable[tuple[int, bytes]],
    found: Imputed,
    sensors: Sequence[str],
    *,
    rows: Sequence[int],
    layout: Layout,
    digits: Sequence[int],
) -> Iterator[bytes]:
    """The lines of a table, each with its number, with the cells that were missing filled; rows: the line of each."""
    columns = [layout.header.index(sensor) for sensor in sensors]
    row_at = {line: row for row, line in enumerate(rows)}
    for number, line in lines:
        row = row_at.get(number)
        places = [] if row is None else np.flatnonzero(found.missing[row]).tolist()
        decimal = layout.numbers.decimal.encode()
        fills = {columns[i]: _number(float(found.values[row, i]), digits[i]).replace(b".", decimal) for i in places}
        yield _fill_row(line, fills, layout) if fills else line


def _fill_row(line: bytes, fills: Mapping[int, bytes], layout: Layout) -> bytes:
    """A line with cells replaced; one that stands in quotes as a whole does so afterwards."""
    body = line.rstrip(b"\r\n")
    within = within_quotes(body, layout.separator) if len(layout.header) > 1 else None
    if within is None:
        return fill_cells(line, fills, separator=layout.separator)
    filled = fill_cells(within, fills, separator=layout.separator)
    return b'"' + filled.replace(b'"', b'""') + b'"' + line[len(body) :]


def fill_cells(line: bytes, fills: Mapping[int, bytes], *, separator: str = ",") -> bytes:
    """A CSV line with some of its cells replaced, the others byte for byte as they were, quotes and line end too."""
    body = line.rstrip(b"\r\n")
    sign = separator.encode()
    quoted = re.compile(rb'(?:^|%b)("(?:[^"]|"")*"|[^%b]*)' % (re.escape(sign), re.escape(sign)))
    cells = quoted.findall(body) if b'"' in body else body.split(sign)
    for place, text in fills.items():
        cells[place] = b'"' + text + b'"' if sign in text else text
    return sign.join(cells) + line[len(body) :]


def digits_of(values: Floats) -> list[int]:
    """Digits of a filled cell of each column: as many as its own readings have. values: (n, sensors)."""
    digits = []
    for column in values.T:
        present = column[np.isfinite(column)]
        seen = (len(repr(abs(value)).partition("e")[0].replace(".", "").strip("0")) for value in present[:500].tolist())
        digits.append(min(max(_LEAST_DIGITS, *seen, 0), _MOST_DIGITS))
    return digits


def _number(value: float, digits: int) -> bytes:
    return b"%.*g" % (digits, value)


def _flags(rows: RowBatch, found: Imputed, *, sensors: Sequence[str], digits: Sequence[int]) -> Iterator[bytes]:
    yield b"row,time,machine,sensor,value,by\n"
    for row, i in np.argwhere(found.missing).tolist():
        by = MODEL if found.by[row] == MODEL else f"last value: {found.by[row]}"
        where = f"{row},{format_time(int(rows.times_us[row]))},{csv_cell(rows.machines[row])},{csv_cell(sensors[i])}"
        yield f"{where},{_number(found.values[row, i], digits[i]).decode()},{by}\n".encode()


def _summary(found: Imputed) -> str:
    cells = int(found.missing.sum())
    if not cells:
        return "nothing is missing"
    by_model = int(found.missing[found.by == MODEL].sum())
    why = Counter(by for by in found.by.tolist() if by not in (MODEL, MEASURED))
    text = f"{cells:,} missing cells filled, {by_model:,} by the model"
    if why:
        text += f", {cells - by_model:,} with the last value (rows: " + ", ".join(
            f"{count:,} {reason}" for reason, count in why.most_common()
        )
        text += ")"
    return text
