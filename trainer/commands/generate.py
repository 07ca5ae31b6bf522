"""Command `sheetbreak generate`: new rows from a variational model, in plant units and the historical format."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from sheetbreak.bounds import Seed
from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.engine.scores import Float32s
from sheetbreak.errors import ArtifactError, DataError
from sheetbreak.history.lines import DEFAULT_MACHINE
from sheetbreak.history.times.formats import ISO, TimeReader, TimeWriter
from sheetbreak.rows import Schema
from sheetbreak.times import EARLIEST_US, LATEST_US, parse_time
from trainer.data.labels import Floats
from trainer.latent.generation import generate
from trainer.latent.model import add_model_options, load_chosen, load_halves
from trainer.output.files import csv_cell, results_to

GENERATIVE = ("variational", "lstm-variational")
"""Families with a prior over their latent vectors."""
START = "2026-01-05T00:00:00Z"


def main(argv: Sequence[str]) -> int:
    """Write the rows. Raises DataError or ArtifactError."""
    parser = OptionParser(
        "sheetbreak generate",
        "Draw new rows from a variational model, in plant units and the historical CSV format: no breaks, no stops.\n"
        "The same seed gives the same bytes. docs/latent.md says what such rows are and are not.",
        example="sheetbreak train mill.csv --family variational\nsheetbreak generate --rows 5000 --out drawn.csv",
    )
    parser.add_argument("--rows", type=whole_number(1, 10_000_000), required=True, metavar="N", help="rows to draw")
    add_model_options(parser)
    parser.add_argument("--seed", type=Seed, default=0, metavar="N", help="of the draws")
    parser.add_argument("--out", type=Path, metavar="CSV", help="where they go (default: standard output)")
    parser.add_argument(
        "--machine",
        metavar="NAME",
        help=f"name in the plant's machine column, if it has one (default: {DEFAULT_MACHINE})",
    )
    parser.add_argument("--from", dest="start", default=START, metavar="TIME", help="time of the first row")
    options = parser.parse_args(argv)
    artifact = load_chosen(options)
    manifest = artifact.manifest
    if manifest.family not in GENERATIVE:
        raise ArtifactError(
            f"model {manifest.version} is of family {manifest.family}, which nothing can be drawn from; "
            f"train one with --family {' or '.join(GENERATIVE)}, or name one with --model"
        )
    schema = manifest.schema
    if options.machine is not None and schema.machine is None:
        raise DataError(f"--machine {options.machine}: this plant's rows have no machine column; leave it out")
    times = times_of(schema, options.start, options.rows)
    halves = load_halves(options.models, artifact)

    def decode(codes: Float32s) -> Float32s:
        return np.asarray(halves.decoder(codes, training=False), np.float32)

    rng = np.random.default_rng(options.seed)
    values = generate(artifact, decode, latent=halves.decoder.input_shape[-1], rows=options.rows, rng=rng)
    with results_to(options.out) as file:
        file.writelines(csv_lines(schema, times, values, machine=options.machine or DEFAULT_MACHINE))
    return 0


def times_of(schema: Schema, start: str, rows: int) -> list[str]:
    """As the plant writes them, a period apart; empty where it writes none.

    Raises DataError where a row's time, read again, would be another: an hour that comes twice, a clock without
    seconds.
    """
    try:
        first_us = parse_time(start)
    except ValueError as cause:
        raise DataError(f"--from {start}: {cause}; a time like {START} is expected") from cause
    if schema.time is None:
        return [""] * rows
    step_us = round(schema.period_s * 1e6)
    if not EARLIEST_US <= first_us <= first_us + rows * step_us < LATEST_US:
        raise DataError(
            f"--from {start}: {rows} rows {schema.period_s:g} s apart leave the years 2 to 9998; draw fewer"
        )
    moments_us = range(first_us, first_us + rows * step_us, step_us)
    texts = [*map(TimeWriter(schema.time_format, schema.timezone), moments_us)]
    read = TimeReader(schema.time_format or ISO, schema.timezone)
    read_us = [read(text) for text in texts]
    for text, (before, after) in zip(texts[1:], pairwise(read_us), strict=True):
        if after - before != step_us:
            raise DataError(
                f"--from {start}: rows {schema.period_s:g} s apart cannot be told by times like {text}; begin at "
                "another time (an hour may come twice in autumn), or give --schema a time_format with a zone and train"
            )
    return texts


def csv_lines(schema: Schema, times: Sequence[str], values: Floats, *, machine: str) -> Iterator[bytes]:
    """Header and rows. What the model does not know (grade, ignored columns) is there, and blank."""
    unknown = [column for column in (schema.grade, *schema.ignore) if column]
    named = (schema.time, schema.clock, schema.machine, schema.broken)
    header = [column for column in (*named, *schema.sensors, *unknown) if column]
    yield (",".join(map(csv_cell, header)) + "\n").encode()
    same = ([csv_cell(machine)] if schema.machine else []) + (["0"] if schema.broken else [])
    blanks = [""] * len(unknown)
    for time, row in zip(times, values.tolist(), strict=True):
        cells = [*_time_cells(schema, time), *same, *(f"{value:.7g}" for value in row), *blanks]
        yield (",".join(cells) + "\n").encode()


def _time_cells(schema: Schema, time: str) -> list[str]:
    """One cell, or the date and the time of day."""
    if schema.time is None:
        return []
    return [csv_cell(part) for part in time.split(" ", maxsplit=1)] if schema.clock else [csv_cell(time)]
