"""Several files as one stream: the lines of all of them in the order of their rows' times, each read once.

The files are read once to the end for the times alone; then lines are fetched where they stand, so that memory holds
some 60 bytes a row. Which lines of a file were read is kept by that file's own start, whatever its name becomes: a
file that has grown, or one that is new, gives its new rows to the next start.
"""

import hashlib
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError, RowError
from sheetbreak.history.cells import numbered_lines
from sheetbreak.history.doubts import Doubt, layout_doubts, log_doubt, sheets_left
from sheetbreak.history.folders import files_of
from sheetbreak.history.lines import CsvDecoder
from sheetbreak.history.reader import HEAD_LINES, stream_layout
from sheetbreak.history.source import read_source
from sheetbreak.history.times.order import run_back, turned
from sheetbreak.rows import Decoded, RowBatch, Schema, concatenate
from sheetbreak.streams.files.lines import HEAD_BYTES, MAX_LINE, Line, tell_unfinished
from sheetbreak.wire.rows import WireDecoder

KEY = b"\0files\0"
"""Under which, with the hash of a file's start behind it, a state directory keeps what was read of the file."""
_BOM = b"\xef\xbb\xbf"
_AT_ONCE = 2000
"""Rows whose times are read at a time."""
Decode = Callable[[Sequence[bytes], Sequence[int]], Decoded]

log = logging.getLogger(__name__)


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """What was read of one file, and which file that is."""

    head_bytes: int
    head_sha256: bytes
    """Of so many bytes from its start; from its end, where its newest row stands first."""
    ranges: list[tuple[int, int]]
    """Of the file's records, the oldest being 0: the first and the last of each stretch that was read."""


@dataclass(frozen=True, slots=True)
class _File:
    """One file, and of each of its records: where it stands and what is compared."""

    name: str
    path: Path | None
    """None: its text is in the copy."""
    decode: Decode
    head: tuple[int, bytes]
    starts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    """(n,) Bytes."""
    lines: npt.NDArray[np.int64]
    times_us: npt.NDArray[np.int64]
    """(n,) Of a line that is no row: of the row before it."""
    machines: npt.NDArray[np.int64]
    """(n,) -1 where the line is no row."""
    contents: npt.NDArray[np.int64]
    """(n,) A hash of what the row says."""
    was_read: npt.NDArray[np.bool_]


class Several:
    """Lines of several files, as a LineReader gives those of one; a line's number is its place in the stream.

    kept: the marks of the last run, by key. line_read: of a state that followed one file, how many bytes of its start
    have which hash, and the last line read. whole_lines: a last line without its newline is left to the next start.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        schema: Schema,
        *,
        kept: Mapping[bytes, bytes],
        line_read: tuple[int, bytes, int] | None = None,
        whole_lines: bool,
    ) -> None:
        """Raises DataError for what cannot be read or is no table."""
        self._copy = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the stream
        marks = [msgspec.msgpack.decode(value, type=Mark) for key, value in kept.items() if key.startswith(KEY)]
        machines: dict[str, int] = {}
        try:
            self._files = [
                _index(path, schema, self._copy, machines, marks=marks, line_read=line_read, whole_lines=whole_lines)
                for path in files_of(paths, tell=log_doubt)
            ]
        except BaseException:
            self._copy.close()
            raise
        counts = [len(file.lines) for file in self._files]
        self._of_file = np.repeat(np.arange(len(counts)), counts)
        self._firsts = np.cumsum([0, *counts])
        self._times_us, self._read = (self._joined(lambda f: f.times_us), self._joined(lambda f: f.was_read))
        again = self._again()
        order = np.argsort(self._times_us, kind="stable")
        self._places = order[~(self._read | again)[order]]
        before = int(self._read.sum())
        self._read = self._read | again
        self._next, self._sensors = 0, len(schema.sensors)
        self.offset = self.number = self.unfinished_bytes = 0
        text = "event=files-opened files=%d rows=%d read-before=%d"
        log.info(text, len(self._files), len(self._places), before)

    @property
    def ended(self) -> bool:
        """True when every line was handed out."""
        return self._next >= len(self._places)

    def read(self, _timeout_s: float, *, max_lines: int, max_bytes: int = MAX_LINE) -> list[Line]:
        """The next lines. Raises OSError where a file has gone."""
        some = self._places[self._next : self._next + max_lines]
        ends = np.cumsum([self._size(place) for place in some])
        some = some[: max(int(np.searchsorted(ends, max_bytes, side="right")), 1)]
        values: dict[int, bytes] = {}
        for number in np.unique(self._of_file[some]).tolist():
            values |= self._fetch(number, [int(p) for p in some if self._of_file[p] == number])
        lines = [Line(values[int(place)], self._next + i + 1, self._next + i + 1) for i, place in enumerate(some)]
        self._next += len(lines)
        self.offset = self.number = self._next
        return lines

    def unread(self, lines: Sequence[Line]) -> None:
        """Put lines back that were read last."""
        self._next -= len(lines)

    def decode(self, values: Sequence[bytes], numbers: Sequence[int]) -> Decoded:
        """Rows and rejects of lines, each by its own file's layout."""
        places = self._places[np.array(numbers, np.int64) - 1]
        rows = [RowBatch([], np.zeros(0, np.int64), np.zeros((0, self._sensors)), [], np.zeros(0, np.int8))]
        index: list[int] = []
        rejects: list[tuple[int, RowError]] = []
        missing: Counter[tuple[str, str]] = Counter()
        for number in np.unique(self._of_file[places]).tolist():
            at = np.flatnonzero(self._of_file[places] == number)
            file = self._files[number]
            lines = file.lines[places[at] - self._firsts[number]].tolist()
            decoded = file.decode([values[i] for i in at.tolist()], lines)
            own = at[decoded.index]
            rows.append(replace(decoded.rows, times_us=self._times_us[places[own]]))
            index += own.tolist()
            rejects += [(int(at[i]), reject) for i, reject in decoded.rejects]
            missing.update(decoded.missing)
        order = np.argsort(index, kind="stable")
        return Decoded(concatenate(rows).take(order), sorted(index), sorted(rejects, key=lambda one: one[0]), missing)

    def origin(self, number: int) -> dict[str, str | int]:
        """File and line of a line's number."""
        place = int(self._places[number - 1])
        file = self._files[self._of_file[place]]
        return {"file": file.name, "line": int(file.lines[place - self._firsts[self._of_file[place]]])}

    def marks(self, first: int, last: int) -> dict[bytes, bytes]:
        """What a state keeps once the lines of these numbers were read, by key."""
        places = self._places[first - 1 : last]
        self._read[places] = True
        found = {}
        for number in np.unique(self._of_file[places]).tolist():
            read = self._read[self._firsts[number] : self._firsts[number + 1]].astype(np.int8)
            edges = np.flatnonzero(np.diff(read, prepend=0, append=0))
            ranges = [(int(begin), int(end) - 1) for begin, end in zip(edges[::2], edges[1::2], strict=True)]
            size, digest = self._files[number].head
            found[KEY + digest] = msgspec.msgpack.encode(Mark(size, digest, ranges))
        return found

    def close(self) -> None:
        """Let go of the copy."""
        self._copy.close()

    def _joined(self, column: Callable[[_File], npt.NDArray[np.generic]]) -> "npt.NDArray[np.int64]":
        return np.concatenate([column(file) for file in self._files])

    def _size(self, place: int) -> int:
        number = self._of_file[place]
        return int(self._files[number].sizes[place - self._firsts[number]])

    def _fetch(self, number: int, places: Iterable[int]) -> dict[int, bytes]:
        file = self._files[number]
        fd = self._copy.fileno() if file.path is None else os.open(file.path, os.O_RDONLY)
        try:
            found = {}
            for place in places:
                at = place - self._firsts[number]
                found[place] = os.pread(fd, int(file.sizes[at]), int(file.starts[at])).removesuffix(b"\r")
            return found
        finally:
            if file.path is not None:
                os.close(fd)

    def _again(self) -> npt.NDArray[np.bool_]:
        """(n,) Rows that another file has, too, word for word; what was read is the one that counts. They are told."""
        machines, contents = self._joined(lambda f: f.machines), self._joined(lambda f: f.contents)
        order = np.lexsort((self._of_file, ~self._read, machines, self._times_us))
        same = machines[order[1:]] >= 0
        for column in (machines, self._times_us, contents):
            same &= column[order[1:]] == column[order[:-1]]
        same &= self._of_file[order[1:]] != self._of_file[order[:-1]]
        again = np.zeros(len(order), np.bool_)
        again[order[1:][same]] = True
        new = np.flatnonzero(again & ~self._read)
        if len(new):
            place = int(new[0])
            file = self._files[self._of_file[place]]
            where = f"{file.name} line {file.lines[place - self._firsts[self._of_file[place]]]}"
            log_doubt(
                Doubt("files-overlap", where, f"{len(new):,} rows are in another file too: taken once", "", len(new))
            )
        return again


def _index(
    path: Path,
    schema: Schema,
    copy: BinaryIO,
    machines: dict[str, int],
    *,
    marks: Sequence[Mark],
    line_read: tuple[int, bytes, int] | None,
    whole_lines: bool,
) -> _File:
    """Read one file for its times; what cannot be read in place goes into the copy."""
    source = read_source(path, sheet=schema.csv.sheet, strict=False)
    for doubt in sheets_left(source):
        log_doubt(doubt)
    text, is_json = source.text, source.text.removeprefix(_BOM).lstrip().startswith(b"{")
    start = 0
    own: Path | None = path
    if not path.is_file() or hashlib.sha256(text).hexdigest() != source.sha256:
        start, own = copy.seek(0, os.SEEK_END), None
        copy.write(text)
        copy.flush()
    if unfinished := len(text) - text.rfind(b"\n") - 1:
        tell_unfinished(str(path), unfinished, left=whole_lines)
    known = text[: len(text) - unfinished] if whole_lines else text
    if is_json:
        records = [one for one in enumerate(known.split(b"\n"), start=1) if one[1].strip()]
        read_times = decode = WireDecoder(schema).decode
    else:
        head = list(islice(numbered_lines(text), HEAD_LINES))
        decoding, layout = stream_layout(head, schema, name=str(path), encoding=source.encoding)
        if schema.time is None:
            raise DataError(f"{path}: several files of rows without times have no order; give one file")
        records = [one for one in numbered_lines(known, layout.separator) if one[0] >= layout.first_line]
        for doubt in layout_doubts(records, layout):
            log_doubt(doubt)
        read_times, decode = CsvDecoder(decoding, layout).decode, CsvDecoder(decoding, layout, logs=True).decode
    times_us, numbers, contents = _times(records, read_times, machines)
    is_turned = run_back(times_us[numbers == machine] for machine in np.unique(numbers[numbers >= 0]))
    if is_turned:
        records.reverse()  # and again: which of two hours a row of October is in depends on the order
        times_us, numbers, contents = _times(records, read_times, machines)
        log_doubt(turned(path.name))
    lines = np.array([number for number, _ in records], np.int64)
    starts = np.cumsum([start, *(len(line) + 1 for line in known.split(b"\n"))])
    edge = partial(_edge, text, at_end=is_turned)  # such a one grows at its top, below the header
    size = min(len(text) - int(starts[lines.min() - 1] - start) if is_turned else len(text), HEAD_BYTES)
    mark = next((one for one in marks if _sha256(edge(one.head_bytes)) == one.head_sha256), None)
    was_read = np.zeros(len(lines), np.bool_)
    if mark is not None:
        for first, last in mark.ranges:
            was_read[first : last + 1] = True
    elif line_read is not None and _sha256(text[: line_read[0]]) == line_read[1]:
        was_read = lines <= line_read[2]
    return _File(
        name=str(path),
        path=own,
        decode=decode,
        head=(mark.head_bytes, mark.head_sha256) if mark else (size, _sha256(edge(size))),
        starts=starts[lines - 1],
        sizes=np.array([len(line) for _, line in records], np.int64),
        lines=lines,
        times_us=times_us,
        machines=numbers,
        contents=contents,
        was_read=was_read,
    )


def _times(
    records: Sequence[tuple[int, bytes]], decode: Decode, machines: dict[str, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(n,) each of time, machine by number, and a hash of what the row says."""
    times_us, numbers, contents = (np.full(len(records), fill, np.int64) for fill in (0, -1, 0))
    for first in range(0, len(records), _AT_ONCE):
        some = records[first : first + _AT_ONCE]
        decoded = decode([line for _, line in some], [number for number, _ in some])
        at, rows = first + np.array(decoded.index, np.int64), decoded.rows
        times_us[at] = rows.times_us
        numbers[at] = [machines.setdefault(name, len(machines)) for name in rows.machines]
        said = zip(rows.values, rows.grades, rows.broken.tolist(), strict=True)
        contents[at] = [hash((values.tobytes(), grade, broken)) for values, grade, broken in said]
    rows_at = np.flatnonzero(numbers >= 0)
    if len(rows_at):
        last = np.maximum(np.searchsorted(rows_at, np.arange(len(records)), side="right") - 1, 0)
        times_us = times_us[rows_at[last]]
    return times_us, numbers, contents


def _edge(text: bytes, size: int, *, at_end: bool) -> bytes:
    return text[-size:] if at_end else text[:size]


def _sha256(some: bytes) -> bytes:
    return hashlib.sha256(some).digest()
