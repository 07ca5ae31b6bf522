"""Files and pipes as streams of rows: NDJSON, or a table whose header is found among its first lines."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sheetbreak.errors import DataError
from sheetbreak.history.cells import numbered_lines
from sheetbreak.history.doubts import Doubt, layout_doubts, log_doubt, sheets_left
from sheetbreak.history.folders import begins_table
from sheetbreak.history.layout import MAX_ABOVE, Layout
from sheetbreak.history.lines import CsvDecoder
from sheetbreak.history.reader import HEAD_LINES, stream_layout
from sheetbreak.history.source import PACKED, as_text, read_source, recognise_encoding
from sheetbreak.history.times.order import newest_first
from sheetbreak.rows import Decoded, Schema, by_machine
from sheetbreak.streams.files.action_lines import ActionLines
from sheetbreak.streams.files.several import Several
from sheetbreak.streams.files.sink import Sink
from sheetbreak.streams.files.state_log import StateLog
from sheetbreak.streams.files.stream import FileStream, first_lines, is_regular, open_input
from sheetbreak.streams.protocol import Record
from sheetbreak.wire.rows import WireDecoder

TABLES = (".csv", ".tsv", ".csv.gz", ".csv.zst", ".parquet", ".xlsx")
"""Names of sources that are tables."""
_MESSAGES = (".ndjson", ".jsonl", ".json")
"""Names of those that are NDJSON, as pipes are; a file of another name is what it begins as."""
_SNIFFED_BYTES = 64 * 1024
_BEFORE_BYTES = 256 * 1024
"""Hundreds of rows: an hour of them, which is as long as a clock is in doubt."""
Decode = Callable[[Sequence[bytes], Sequence[int]], Decoded]
"""From the values and the offsets of a batch's records to rows and rejects."""


class Reading(NamedTuple):
    """A stream of files, what decodes its lines, and what says where a record came from."""

    stream: FileStream
    decode: Decode
    origin: Callable[[Record], Mapping[str, str | int]]


def open_file(
    source: str,
    *more: str,
    schema: Schema,
    out: BinaryIO,
    emit: frozenset[str],
    state_dir: Path | None,
    actions: Path | None = None,
) -> Reading:
    """The stream of a file, pipe or folder, or of several; of a table whose newest row stands first, from its end.
    Raises DataError where one cannot be used.
    """
    several = partial(open_several, schema=schema, out=out, emit=emit, state_dir=state_dir, actions=actions)
    if more or Path(source).is_dir():
        return several([source, *more])
    fd = open_input(source)  # once: of a named pipe that is let go of, the writer is killed and its rows are lost
    is_table = source.lower().endswith(TABLES) or (is_regular(fd) and _is_table(fd, source))
    head = None
    if is_table and is_regular(fd):
        try:
            fd, doubts = _unpacked(fd, Path(source), schema)
            head = list(numbered_lines(first_lines(fd, HEAD_LINES)))
        except BaseException:
            os.close(fd)
            raise
        if _begins_with_newest(head, schema, source):
            os.close(fd)
            return several([source])
        for doubt in doubts:
            log_doubt(doubt)
    said = None if actions is None else ActionLines(actions)
    try:
        state = None if state_dir is None else StateLog(state_dir)
        stream = FileStream(
            fd,
            sink=Sink(out, emit=emit),
            state=state,
            name=source,
            has_header=is_table,
            actions=said,
        )
    except OSError as cause:
        raise DataError(f"--state {state_dir}: {cause.strerror}; name a writable directory") from cause
    decode = _table_decoder(stream, head, schema, source) if is_table else WireDecoder(schema).decode
    return Reading(stream, decode, lambda record: {"file": source, "line": record.offset})


def open_several(
    sources: Sequence[str],
    *,
    schema: Schema,
    out: BinaryIO,
    emit: frozenset[str],
    state_dir: Path | None,
    actions: Path | None = None,
) -> Reading:
    """The stream of several files or folders, in the order of time. Raises DataError where one cannot be used."""
    said = None if actions is None else ActionLines(actions)
    try:
        state = None if state_dir is None else StateLog(state_dir)
    except OSError as cause:
        raise DataError(f"--state {state_dir}: {cause.strerror}; name a writable directory") from cause
    mark = None if state is None else state.input_mark
    try:
        several = Several(
            [Path(source) for source in sources],
            schema,
            kept={} if state is None else state.parts,
            line_read=None if mark is None else (mark.head_bytes, mark.head_sha256, mark.line),
            whole_lines=state is not None,
        )
    except BaseException:
        if state is not None:
            state.close()
        raise
    name = sources[0] if len(sources) == 1 else f"{sources[0]} and {len(sources) - 1} more"
    stream = FileStream(-1, sink=Sink(out, emit=emit), state=state, name=name, actions=said, several=several)
    return Reading(stream, several.decode, lambda record: several.origin(record.offset))


def _is_table(fd: int, source: str) -> bool:
    """Whether a file whose name does not say so is a table, by its start."""
    start = os.pread(fd, _SNIFFED_BYTES, 0)
    messages = source.lower().endswith(_MESSAGES) or start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    return not messages and begins_table(start, Path(source))


def _begins_with_newest(head: Sequence[tuple[int, bytes]], schema: Schema, source: str) -> bool:
    """Whether a table must be read from its end, by its first lines; what is wrong with it is told later."""
    if schema.time is None:
        return False
    with suppress(DataError):
        decoding, layout = _layout_of(head, schema, source)
        below = [(number, line) for number, line in head if number >= layout.first_line]
        rows = CsvDecoder(decoding, layout).decode([line for _, line in below], [number for number, _ in below]).rows
        return newest_first(rows, by_machine(rows))
    return False


def _layout_of(head: Sequence[tuple[int, bytes]], schema: Schema, source: str) -> tuple[Schema, Layout]:
    content = b"\n".join(line for _, line in head)
    encoding = recognise_encoding(content) if not content.isascii() else schema.csv.encoding or "utf-8"
    return stream_layout(head, schema, name=source, encoding=encoding)


def _unpacked(fd: int, path: Path, schema: Schema) -> tuple[int, list[Doubt]]:
    """A descriptor of plain lines: the file's own, or of a nameless copy where it is packed, UTF-16 or a workbook; and
    what is to be told of it.
    """
    start = os.pread(fd, _SNIFFED_BYTES, 0)
    plain = not start.startswith(PACKED) and as_text(start, path)[0] == start
    if plain and path.suffix.lower() not in (".parquet", ".xlsx"):
        return fd, []
    source = read_source(path, sheet=schema.csv.sheet, strict=False)
    with tempfile.TemporaryFile() as copy:
        copy.write(source.text)
        copy.seek(0)
        unpacked = os.dup(copy.fileno())
    os.close(fd)  # at last: where something failed before, it is still its caller's to close
    return unpacked, list(sheets_left(source))


def _table_decoder(stream: FileStream, head: Sequence[tuple[int, bytes]] | None, schema: Schema, source: str) -> Decode:
    """The decoder of a table's lines, given the first of them; of a pipe they are waited for."""
    if head is None:
        head, least = stream.head(HEAD_LINES), 2
        while len(head) >= least and least <= MAX_ABOVE and not _has_rows(head, schema):
            least = len(head) + 1
            head = stream.head(HEAD_LINES, at_least=least)
    if head and head[0][1].startswith(PACKED):
        raise DataError(f"{source}: packed bytes come through the pipe; unpack them first, as zcat does")
    decoding, layout = _layout_of(head, schema, source)
    for doubt in layout_doubts(head, layout):
        log_doubt(doubt)
    stream.begin_at(layout.first_line, separator=layout.separator)
    before = CsvDecoder(decoding, layout)
    if schema.timezone != "UTC" and (lines := stream.read_before(_BEFORE_BYTES).split(b"\n")[1:]):
        before.decode([line for line in lines if line.strip()])  # which of two hours a row of October is in
    decoder = CsvDecoder(decoding, layout, logs=True)
    decoder.last_us = before.last_us
    return decoder.decode


def _has_rows(head: Sequence[tuple[int, bytes]], schema: Schema) -> bool:
    """Whether the header and a row behind it are among these lines."""
    try:
        layout = stream_layout(head, schema, name="", encoding="utf-8")[1]
    except DataError:
        return False
    return set(schema.sensors) <= set(layout.header) and head[-1][0] >= layout.first_line
