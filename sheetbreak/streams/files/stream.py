"""Streams over files and pipes: rows come from lines, outputs go to standard output, state to a directory.

With a state directory a commit means: outputs written, then one entry appended to the state log. A process
killed between the two leaves outputs behind that no entry knows; the next start cuts them off where the
output is a file, and scores those rows again. So `monitor rows.csv --state DIR >> out.ndjson` may die at any time.
"""

import errno
import fcntl
import hashlib
import logging
import os
import stat
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sheetbreak.errors import DataError, StreamError, StreamUnavailable
from sheetbreak.history.cells import joined_lines, open_lines
from sheetbreak.streams.files.action_lines import KEY as ACTIONS_KEY
from sheetbreak.streams.files.action_lines import ActionLines
from sheetbreak.streams.files.lines import HEAD_BYTES, MAX_LINE, Line, LineReader, Lines, tell_unfinished
from sheetbreak.streams.files.several import Several
from sheetbreak.streams.files.sink import Sink
from sheetbreak.streams.files.state_log import InputMark, StateLog
from sheetbreak.streams.protocol import Batch, Output, Record, Snapshot

PIPE = "-"
_PIPE_BYTES = 1024 * 1024
"""Asked for, so that a writer of 2 kB rows can be hundreds of rows ahead (the usual 64 KiB hold some 30)."""

log = logging.getLogger(__name__)


class _Token(NamedTuple):
    """What a commit keeps beside states; None: as before."""

    position: tuple[int, int] | None
    """Behind the last line, and its number."""
    actions: bytes | None
    """The mark of the actions' reader."""


class FileStream:
    """Reads lines from one descriptor; partition 0, offsets are line numbers."""

    def __init__(
        self,
        fd: int,
        *,
        sink: Sink,
        state: StateLog | None,
        name: str,
        has_header: bool = False,
        max_records: int = 500,
        actions: ActionLines | None = None,
        several: Several | None = None,
    ) -> None:
        """actions: where operators' actions come from. several: files whose lines stand for the descriptor's, -1."""
        self._fd = fd
        self._several = several
        self._actions = actions
        self._sink = sink
        self._state = state
        self._max_records = max_records
        self._first_line = 2 if has_header else 1
        self._separator: str | None = None
        self._batches = 0
        self._told_unfinished = False
        self._name = name
        self._writing: tuple[Batch, bytes, int] | None = None
        """The commit under way, what it writes and how much of that is out."""
        self._identity = None if several else _identify(fd)
        self._reader = self._start()

    def _start(self) -> Lines:
        """Go on where the state stands, if this is the file that it stands in."""
        start = 0 if self._identity is None else os.lseek(self._fd, 0, os.SEEK_CUR)
        # What is being written is left to the next start, where there is one that can read it again.
        whole = self._state is not None and self._identity is not None
        reader: Lines = self._several or LineReader(self._fd, offset=start, whole_lines=whole)
        if self._state is None:
            return reader
        removed = self._sink.cut_back(self._state.output_mark)
        if removed:
            log.warning("event=output-cut-back bytes=%d note=%r", removed, "the last run was killed")
        mark = self._state.input_mark
        if mark is not None and self._identity is not None:
            if _is_same(self._fd, mark):
                os.lseek(self._fd, mark.offset, os.SEEK_SET)
                reader = LineReader(self._fd, offset=mark.offset, number=mark.line, whole_lines=whole)
                log.info("event=resumed source=%s line=%d", self._name, mark.line)
            else:
                log.warning("event=other-file source=%s note=%r", self._name, "read from its start")
        self._position = (reader.offset, reader.number)
        if self._actions is not None:
            self._actions.go_on_at(self._state.parts.get(ACTIONS_KEY))
        self._state.append({}, input_mark=self._input_mark(), output_mark=self._sink.mark())
        return reader

    def head(self, max_lines: int, *, at_least: int = 2) -> list[tuple[int, bytes]]:
        """Numbers and bytes of a pipe's first lines, so many at least unless it ends; they are polled all the same."""
        lines: list[Line] = []
        while len(lines) < at_least and not self._reader.ended:
            lines += self._reader.read(1.0, max_lines=max_lines - len(lines))
        self._reader.unread(lines)
        return [(line.number, line.value) for line in lines]

    def begin_at(self, first_line: int, *, separator: str | None = None) -> None:
        """Lines before this one are no records: titles, a header, units. separator: of a table's cells, some of which
        may run over several lines in quotes: those are one record.
        """
        self._first_line = first_line
        self._separator = separator

    def read_before(self, most_bytes: int) -> bytes:
        """What stands in the file right before the next line to be read; empty at its start, and of a pipe."""
        end = self._reader.offset
        return b"" if self._identity is None else os.pread(self._fd, min(end, most_bytes), max(0, end - most_bytes))

    def poll(self, timeout_s: float) -> Batch:
        """The lines that are there, at most `max_records`; waits only when there is none."""
        actions = [] if self._actions is None else self._actions.read()
        try:
            lines = self._reader.read(0.0 if actions else timeout_s, max_lines=self._max_records)
            if self._separator is not None:
                lines = self._with_whole_cells(lines, timeout_s)
        except OSError as cause:
            raise StreamError(f"cannot read {self._name}: {cause.strerror}") from cause
        self._batches += 1
        if self._reader.ended and self._reader.unfinished_bytes:
            self._tell_unfinished(self._reader.unfinished_bytes)
        return Batch(
            records=self._records(lines),
            assigned=(0,) if self._batches == 1 else (),
            end=self._reader.ended,
            token=_Token(
                (lines[-1].end, lines[-1].number) if lines else None,
                self._actions.mark() if actions and self._actions is not None else None,
            ),
            actions=actions,
        )

    def _records(self, lines: Sequence[Line]) -> list[Record]:
        values = [(line.number, line.value) for line in lines if line.number >= self._first_line]
        if self._separator is not None:
            values = list(joined_lines(values, self._separator))
        return [Record(value, 0, number, None) for number, value in values]

    def _with_whole_cells(self, lines: list[Line], timeout_s: float) -> list[Line]:
        """The lines up to the last whole row: what a quoted cell that still runs on needs is read, or waits with it."""
        assert self._separator is not None
        while lines and not self._reader.ended:
            values = [(line.number, line.value) for line in lines]
            left_open = open_lines(values, self._separator)
            if not left_open:
                break
            more = self._reader.read(0.0 if left_open < len(lines) else timeout_s, max_lines=1)
            if not more and not self._reader.ended:
                self._reader.unread(lines[len(lines) - left_open :])
                return lines[: len(lines) - left_open]
            lines = lines + more
        return lines

    def _tell_unfinished(self, size: int) -> None:
        if not self._told_unfinished:
            self._told_unfinished = True
            left = self._state is not None and self._identity is not None
            tell_unfinished(self._name, size, left=left)

    def restore(self, partition: int) -> Mapping[bytes, bytes]:
        """All snapshot parts last committed, by key; none without a state directory."""
        return {} if self._state is None or partition != 0 else dict(self._state.parts)

    def commit(self, batch: Batch, outputs: Sequence[Output], snapshots: Sequence[Snapshot]) -> None:
        """Write the outputs, then append to the state.

        Raises StreamUnavailable (disk full, a reader that does not read): called again with the same batch it
        goes on where it stopped. Raises StreamError when nothing will help, BrokenPipeError when the reader
        has gone.
        """
        if self._writing is None or self._writing[0] is not batch:
            self._writing = (batch, self._sink.render(outputs), 0)
        content, done = self._writing[1:]
        while done < len(content):
            done += self._sink.write(memoryview(content)[done:])
            self._writing = (batch, content, done)
        if self._state is not None:
            self._keep(self._state, batch, snapshots)
        self._writing = None

    def _keep(self, state: StateLog, batch: Batch, snapshots: Sequence[Snapshot]) -> None:
        token: _Token = batch.token
        if token.position is not None:
            self._position = token.position
        parts = {snapshot.key: snapshot.value for snapshot in snapshots}
        if self._several is not None and batch.records:
            parts |= self._several.marks(batch.records[0].offset, batch.records[-1].offset)
        if token.actions is not None:
            parts[ACTIONS_KEY] = token.actions
        try:
            state.append(parts, input_mark=self._input_mark(), output_mark=self._sink.mark())
            state.sync(self._sink.synced_fd)
        except OSError as cause:
            passing = cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
            kind = StreamUnavailable if passing else StreamError
            raise kind(f"cannot write the state: {cause.strerror}") from cause

    def lag(self) -> dict[int, int]:
        """Nothing: how many lines are left is not known before they are read."""
        return {}

    def close(self) -> None:
        """Let go of the input and the state. A commit under way stays undone: the next start cuts it off."""
        if self._state is not None:
            try:
                if self._writing is None:  # what others append to the output from now on is not ours to cut
                    self._state.append({}, input_mark=self._input_mark(), output_mark=None)
                self._state.sync(self._sink.synced_fd, now=True)
            except OSError as cause:  # the last commit stands; all that is lost is this note
                log.warning("event=state-not-closed error=%s", cause.strerror)
            self._state.close()
        if self._several is not None:
            self._several.close()
        if self._fd > 2:
            os.close(self._fd)

    def _input_mark(self) -> InputMark | None:
        if self._identity is None:
            return None
        offset, line = self._position
        return InputMark(offset, line, *self._identity)


def open_input(source: str) -> int:
    """A descriptor to read from; `-` is standard input. Raises DataError."""
    try:
        fd = 0 if source == PIPE else os.open(source, os.O_RDONLY)
        kind = os.fstat(fd).st_mode
    except OSError as cause:
        raise DataError(f"{source}: {cause.strerror}; name a CSV or NDJSON file, or - for a pipe") from cause
    if stat.S_ISDIR(kind):
        raise DataError(f"{source} is a directory; name a file, or a folder of histories as the source of a monitor")
    if stat.S_ISFIFO(kind):
        try:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:  # a limit of this user's: slower, and no reason to stop
            log.debug("event=pipe-not-enlarged source=%s", source)
    return fd


def first_lines(fd: int, max_lines: int) -> bytes:
    """The start of a regular file, whole lines of it, without moving in it."""
    found = b""
    while found.count(b"\n") < max_lines and (more := os.pread(fd, HEAD_BYTES, len(found))):
        found += more
        if len(found) > MAX_LINE:
            break
    return b"\n".join(found.split(b"\n")[:max_lines])


def is_regular(fd: int) -> bool:
    """True for a file that can be read again."""
    return stat.S_ISREG(os.fstat(fd).st_mode)


def _identify(fd: int) -> tuple[int, bytes] | None:
    """Length and hash of the start of a file; None for what cannot be read twice."""
    if not is_regular(fd):
        return None
    size = min(os.fstat(fd).st_size, HEAD_BYTES)
    return size, hashlib.sha256(os.pread(fd, size, 0)).digest()


def _is_same(fd: int, mark: InputMark) -> bool:
    """Whether this is the file of `mark`, perhaps grown since."""
    start = os.pread(fd, mark.head_bytes, 0)
    return os.fstat(fd).st_size >= mark.offset and hashlib.sha256(start).digest() == mark.head_sha256
