"""`sheetbreak impute`: a historical CSV with its blank sensor cells filled by a model, every other byte as it was."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sheetbreak.cli.options import OptionParser
from sheetbreak.errors import DataError
from sheetbreak.history.lines import split_header
from sheetbreak.history.reader import read_csv
from sheetbreak.rows import RowBatch
from sheetbreak.times import format_time
from trainer.latent.imputation import MEASURED, MODEL, Imputed, impute
from trainer.latent.model import add_model_options, load_chosen
from trainer.output.files import csv_cell, results_to

_CELL = re.compile(rb'(?:^|,)("(?:[^"]|"")*"|[^,]*)')


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
    schema, rows = read_csv(options.csv, sensors_from=model.manifest.schema)
    found = impute(rows, model)
    lines = options.csv.read_bytes().split(b"\n")
    header = split_header(lines[0], options.csv.name)
    columns = [header.index(sensor) for sensor in schema.sensors]
    with results_to(options.out) as file:
        file.write(b"\n".join(filled_lines(lines, found, columns=columns)))
    if options.flags is not None:
        with results_to(options.flags) as file:
            file.writelines(_flags(rows, found, sensors=schema.sensors))
    print(f"{options.csv.name}: {_summary(found)}", file=sys.stderr)
    return 0


def filled_lines(lines: Sequence[bytes], found: Imputed, *, columns: Sequence[int]) -> Iterator[bytes]:
    """The lines of a CSV with the cells that were missing filled; columns: of the sensors, in their order."""
    yield lines[0]
    row = 0
    for line in lines[1:]:
        if not line.strip():
            yield line
            continue
        fills = {columns[i]: _number(found.values[row, i]) for i in np.flatnonzero(found.missing[row]).tolist()}
        yield fill_cells(line, fills) if fills else line
        row += 1


def fill_cells(line: bytes, fills: Mapping[int, bytes]) -> bytes:
    """A CSV line with some of its cells replaced, the others byte for byte as they were, quotes and line end too."""
    body = line.rstrip(b"\r\n")
    cells = _CELL.findall(body) if b'"' in body else body.split(b",")
    for place, text in fills.items():
        cells[place] = text
    return b",".join(cells) + line[len(body) :]


def _number(value: float) -> bytes:
    """Seven digits: more than any sensor has."""
    return b"%.7g" % value


def _flags(rows: RowBatch, found: Imputed, *, sensors: Sequence[str]) -> Iterator[bytes]:
    yield b"row,time,machine,sensor,value,by\n"
    for row, i in np.argwhere(found.missing).tolist():
        by = MODEL if found.by[row] == MODEL else f"last value: {found.by[row]}"
        where = f"{row},{format_time(int(rows.times_us[row]))},{csv_cell(rows.machines[row])},{csv_cell(sensors[i])}"
        yield f"{where},{_number(found.values[row, i]).decode()},{by}\n".encode()


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
