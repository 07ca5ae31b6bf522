"""Histories read whole: files to rows, every doubt collected, and what was recognised kept in the schema."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError
from sheetbreak.history.cells import cells_of, numbered_lines
from sheetbreak.history.columns import (
    check_meanings,
    meanings_of,
    sensor_columns,
    tell_broken_words,
    tell_index_columns,
    tell_no_numbers,
    tell_sentinels,
    tell_sparse_rows,
)
from sheetbreak.history.doubts import (
    Doubt,
    Doubts,
    Tell,
    layout_doubts,
    log_doubt,
    sheets_left,
    tell_rejects,
    unfinished_doubts,
)
from sheetbreak.history.edges import without_edges
from sheetbreak.history.folders import files_of
from sheetbreak.history.joining import History, join
from sheetbreak.history.layout import Layout, NumberedLine, recognise_layout, with_numbers
from sheetbreak.history.lines import CsvDecoder
from sheetbreak.history.source import Source, read_source
from sheetbreak.history.times.formats import join_clock
from sheetbreak.history.times.order import check_order, newest_first, turned
from sheetbreak.history.times.recognition import recognise_time_format
from sheetbreak.history.times.sampling import PERIOD, STOP_GAP, settle_sampling
from sheetbreak.missing import MISSING, Missing
from sheetbreak.rows import Decoded, Dialect, RowBatch, Schema, by_machine

HEAD_LINES = 200
"""Lines from a file's start, the header among them, by which a stream's layout and time format are recognised."""
_SAMPLES = 1000
"""Rows, spread over a file that is read whole, by which they are."""

PROCESSMINER_COLUMNS = frozenset({"time", "y", *(f"x{i}" for i in range(1, 62))})
PROCESSMINER = Schema(
    time="time",
    broken="y",
    grade="x28",
    ignore=("x61",),
    time_format="%m/%d/%y %H:%M",
    timezone="UTC",
    learned=(PERIOD, STOP_GAP, MISSING),
)
"""The published file: x28 is the grade, x61 is 1 only on break rows and so an outcome, never an input."""


def read_csv(
    path: Path | Sequence[Path],
    schema: Schema | None = None,
    *,
    sensors_from: Schema | None = None,
    unlabelled: bool = False,
    tell: Tell = log_doubt,
) -> tuple[Schema, RowBatch]:
    """`read_history`, its schema and rows alone; doubts that are not fatal go to `tell`."""
    doubts = Doubts(tell)
    history = read_history(path, schema, sensors_from=sensors_from, unlabelled=unlabelled, doubts=doubts)
    return history.schema, history.rows


def read_history(
    paths: Path | Sequence[Path],
    schema: Schema | None = None,
    *,
    sensors_from: Schema | None = None,
    unlabelled: bool = False,
    doubts: Doubts,
) -> History:
    """Files or folders, each read once and whole.

    schema: what the plant's file says; None: the published layout. sensors_from: a schema already resolved (a model's):
    the files must have its sensors, and what training recognised decides what they leave open. unlabelled: the column
    of labels may be missing. Raises DataError with file, line, column, value and remedy at the first fatal doubt,
    unless `doubts` keeps going: then rows that are not sound are left out, and counted.
    """
    read: list[History] = []
    for path in files_of(paths, tell=doubts.add):
        hints = read[0].schema if read else None  # the first decides what the others leave open
        read.append(_read_file(path, schema, model=sensors_from, hints=hints, unlabelled=unlabelled, doubts=doubts))
    whole = read[0] if len(read) == 1 else join(read, doubts=doubts)
    if sensors_from is None:
        whole = replace(whole, schema=_settled(whole, doubts))
        tell_sparse_rows(whole.schema.sensors, whole.rows.values, whole.name, doubts)
    return replace(whole, doubts=tuple(doubts.found))


def _settled(history: History, doubts: Doubts) -> Schema:
    """The schema with the sampling that the rows show; that the schema file says another one is a fatal doubt."""
    try:
        return settle_sampling(history.rows, history.schema, name=history.name)
    except DataError as cause:
        what, _, remedy = str(cause).removeprefix(f"{history.name}: ").partition("; ")
        doubts.add(Doubt("sampling", history.name, what, remedy, fatal=True), cause)
        return history.schema


def stream_layout(head: Sequence[NumberedLine], model: Schema, *, name: str, encoding: str) -> tuple[Schema, Layout]:
    """The schema and layout that decode a stream's lines, from the first of them. Raises DataError."""
    if not head:
        raise DataError(f"{name} is empty; expected a header line and one row a sampling period")
    known = {*meanings_of(model), *model.sensors}
    layout = recognise_layout(head, name=name, known=known, before=model.csv, encoding=encoding)
    below = [line for number, line in head if number >= layout.first_line]
    rows = [cells for line in below if (cells := cells_of(line, layout.separator, layout.encoding))]
    sensors = [i for i, column in enumerate(layout.header) if column in model.sensors]
    layout = with_numbers(layout, rows, columns=sensors, said=Dialect(), before=model.csv)
    return _with_time_format(model, layout, rows, before=model.time_format), layout


def known_columns(schema: Schema | None) -> Collection[str]:
    """Names by which a header is found among titles and units."""
    if schema is None:
        return PROCESSMINER_COLUMNS
    return {*meanings_of(schema), *schema.ignore, *schema.sensors, *schema.units}


def _read_file(
    path: Path,
    schema: Schema | None,
    *,
    model: Schema | None,
    hints: Schema | None,
    unlabelled: bool,
    doubts: Doubts,
) -> History:
    said = Dialect() if model is not None or schema is None else schema.csv
    before = model or hints or schema or PROCESSMINER
    source = read_source(
        path, encoding=said.encoding, sheet=said.sheet or before.csv.sheet, strict=said.sheet is not None
    )
    for doubt in sheets_left(source):
        doubts.add(doubt)
    table = _find_table(source, known=known_columns(model or schema), said=said, before=before.csv)
    if table.layout.units_line:
        where = f"{source.name} line {table.layout.units_line}"
        doubts.add(Doubt("units-row", where, "a row of units, not of data: left out", ""))
    for doubt in layout_doubts(table.lines, table.layout):
        doubts.add(doubt)
    sample = table.sample()
    resolved = model or _resolve(schema, table, sample, unlabelled=unlabelled, doubts=doubts)
    columns = [i for i, column in enumerate(table.layout.header) if column in resolved.sensors]
    layout = with_numbers(table.layout, sample, columns=columns, said=said, before=before.csv)
    bound = model is None and schema is not None and schema.time_format is not None
    if not bound:
        decoding = _with_time_format(resolved, layout, sample, before=before.time_format)
    else:
        decoding = resolved
    if model is None:
        dialect = replace(layout.dialect(), sheet=said.sheet, skip_rows=said.skip_rows, same_names=said.same_names)
        resolved = replace(decoding, csv=dialect)
    kept = without_edges(table.lines, decoding, layout, doubts=doubts)
    for doubt in unfinished_doubts(source, kept, layout):
        doubts.add(doubt)
    table = replace(table, layout=layout, lines=kept)
    rows, lines = _decode(table, decoding, binding=model is None, doubts=doubts)
    return History(resolved, rows, lines, (source,), (layout,), ())


@dataclass(frozen=True, slots=True)
class _Table:
    """The lines of one file."""

    layout: Layout
    lines: list[NumberedLine]
    """Those of its rows."""

    def cells(self, i: int) -> list[str]:
        return cells_of(self.lines[i][1], self.layout.separator, self.layout.encoding) or []

    def sample(self) -> list[list[str]]:
        """The first rows and some from everywhere, in order."""
        step = max(1, len(self.lines) // _SAMPLES)
        places = [*range(min(HEAD_LINES, len(self.lines))), *range(HEAD_LINES, len(self.lines), step)]
        return [cells for i in places if (cells := self.cells(i))]

    def texts(self, column: int) -> Counter[str]:
        """What stands in one column, and how often."""
        found: Counter[str] = Counter()
        for i in range(len(self.lines)):
            cells = self.cells(i)
            if column < len(cells):
                found[cells[column]] += 1
        return found


def _find_table(source: Source, *, known: Collection[str], said: Dialect, before: Dialect) -> _Table:
    lines = list(numbered_lines(source.text, said.separator or ","))
    layout = recognise_layout(
        lines[:HEAD_LINES], name=source.name, known=known, said=said, before=before, encoding=source.encoding
    )
    if layout.separator != (said.separator or ",") and b'"' in source.text:  # which quotations are open depends on it
        lines = list(numbered_lines(source.text, layout.separator))
    lines = [(number, line) for number, line in lines if number >= layout.first_line]
    if not lines:
        raise DataError(f"{source.path}: a header and no rows; expected one row a sampling period")
    return _Table(layout, lines)


def _resolve(
    schema: Schema | None, table: _Table, sample: Sequence[Sequence[str]], *, unlabelled: bool, doubts: Doubts
) -> Schema:
    """The schema with the sensors, and their units, that the file gives."""
    layout = table.layout
    if schema is None:
        if set(filter(None, layout.header)) - {"machine"} != PROCESSMINER_COLUMNS:
            raise DataError(
                f"{layout.name} line {layout.header_line}: not the ProcessMiner columns (time,y,x1…x61); "
                "describe yours with --schema plant.toml, which sheetbreak inspect --write makes"
            )
        schema = replace(PROCESSMINER, machine="machine" if "machine" in layout.header else None)
    check_meanings(schema, layout, unlabelled=unlabelled)
    missing = Missing.of(schema.missing)
    sensors = sensor_columns(schema, layout, sample, texts_of=table.texts, missing=missing, doubts=doubts)
    units = {**layout.units, **schema.units}
    return replace(schema, sensors=sensors, units={sensor: units[sensor] for sensor in sensors if sensor in units})


def _with_time_format(schema: Schema, layout: Layout, rows: Sequence[Sequence[str]], *, before: str | None) -> Schema:
    """The schema with the format that the file's times have. Raises DataError."""
    if schema.time is None or schema.time not in layout.header:
        return schema
    at = [layout.header.index(column) for column in (schema.time, schema.clock) if column]
    samples = [join_clock(row[at[0]], row[at[-1]]) if len(at) > 1 else row[at[0]] for row in rows if len(row) > max(at)]
    name = f"{layout.name}, column {schema.time}"
    found = recognise_time_format(samples, name=name, before=before, timezone=schema.timezone)
    return replace(schema, time_format=found)


def _read_rows(table: _Table, schema: Schema) -> tuple[CsvDecoder, Decoded]:
    decoder = CsvDecoder(schema, table.layout)
    return decoder, decoder.decode([line for _, line in table.lines], [number for number, _ in table.lines])


def _decode(table: _Table, schema: Schema, *, binding: bool, doubts: Doubts) -> tuple[RowBatch, npt.NDArray[np.int64]]:
    """The rows and their lines; refused lines and rows out of order are told."""
    decoder, decoded = _read_rows(table, schema)
    places = by_machine(decoded.rows)
    if newest_first(decoded.rows, places):  # again: which of two hours a row of October is in depends on the order
        table = replace(table, lines=table.lines[::-1])
        decoder, decoded = _read_rows(table, schema)
        places = by_machine(decoded.rows)
        doubts.add(turned(table.layout.name))
    layout, numbers = table.layout, [number for number, _ in table.lines]
    tell_rejects(decoded, table.lines, layout=layout, doubts=doubts)
    rows = decoded.rows
    filled = np.isfinite(rows.values).sum(axis=0)
    for (sensor, _), (count, _) in decoder.no_numbers.items():
        filled[schema.sensors.index(sensor)] += count
    tell_no_numbers(
        decoder.no_numbers,
        layout,
        filled=dict(zip(schema.sensors, filled.tolist(), strict=True)),
        missing=Missing.of(schema.missing),
        doubts=doubts,
        binding=binding,
    )
    tell_sentinels(schema, decoder.sentinels, layout.name, doubts)
    if schema.broken_values and decoder.broken_words:
        tell_broken_words(schema, decoder.broken_words, layout.name, doubts)
    keep = check_order(
        rows,
        places,
        [numbers[i] for i in decoded.index],
        lambda i: table.cells(decoded.index[i]),
        schema=schema,
        layout=layout,
        doubts=doubts,
    )
    lines = np.array([numbers[i] for i in decoded.index], np.int64)
    if not keep.all():
        kept = np.flatnonzero(keep)
        rows, lines = rows.take(kept), lines[kept]
    if binding:
        tell_index_columns(schema.sensors, rows.values, layout.name, doubts)
    return rows, lines
