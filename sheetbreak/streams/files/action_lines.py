"""Action lines: operators' actions in a file that several may add to, read as they come."""

import fcntl
import hashlib
import logging
import os
from pathlib import Path

import msgspec

from sheetbreak.errors import DataError
from sheetbreak.streams.files.lines import HEAD_BYTES
from sheetbreak.streams.protocol import Record
from sheetbreak.wire.actions import Action, encode_action

KEY = b"\0actions"
"""Under which a state directory keeps how far the file was read; no machine's part of state has such a key."""
_AT_ONCE = 4 * 1024 * 1024
_UTF8_BOM, _UTF16 = b"\xef\xbb\xbf", {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}

log = logging.getLogger(__name__)


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """How far the file was read, and which file that was."""

    offset: int
    """Bytes."""
    line: int
    head_bytes: int
    head_sha256: bytes
    """Of so many bytes from its start."""


class ActionLines:
    """One reader of the file; it need not be there yet, and in UTF-16 it may be, as a Windows shell writes it."""

    def __init__(self, path: Path) -> None:
        """Raises DataError for what cannot be such a file."""
        self._path = path
        self._offset = self._line = 0
        if path.is_dir():
            raise DataError(f"--actions {path} is a directory; name a file, to which `sheetbreak act` adds lines")
        if not path.exists():
            log.info("event=actions-awaited file=%s note=%r", path, "it is read as soon as it is there")

    def go_on_at(self, kept: bytes | None) -> None:
        """Where the last run was, by the bytes of its mark, if the file is still the same."""
        if kept is None:
            return
        mark = msgspec.msgpack.decode(kept, type=Mark)
        if self._hash(mark.head_bytes) == mark.head_sha256 and self._size() >= mark.offset:
            self._offset, self._line = mark.offset, mark.line
        else:
            log.warning("event=other-file source=%s note=%r", self._path, "actions are read from its start")

    def mark(self) -> bytes:
        """Where the reader is."""
        head = min(self._offset, HEAD_BYTES)
        return msgspec.msgpack.encode(Mark(self._offset, self._line, head, self._hash(head)))

    def read(self) -> list[Record]:
        """The lines since the last time, blank ones left out; a last line only once it is whole.

        Raises DataError where the file cannot be read.
        """
        found: list[Record] = []
        try:
            size = self._size()
            if size < self._offset:
                log.warning("event=other-file source=%s note=%r", self._path, "it is shorter: read from its start")
                self._offset = self._line = 0
            while self._offset < size and (lines := self._read_some()):
                found += lines
        except OSError as cause:
            raise DataError(f"--actions {self._path}: {cause.strerror}; name a file that can be read") from cause
        return [record for record in found if record.value.strip()]

    def _read_some(self) -> list[Record]:
        with self._path.open("rb") as file:
            encoding = _UTF16.get(file.read(2))
            file.seek(self._offset)
            content = file.read(_AT_ONCE)
        newline = "\n".encode(encoding or "utf-8")
        lines = content.split(newline) if encoding is None else _split_wide(content, newline)
        rest = lines.pop()
        if rest and not self._is_whole(rest, encoding, at_end=len(content) < _AT_ONCE):
            if len(content) == _AT_ONCE and not lines:  # no action is so long: its first part is refused as what it is
                lines.append(content)
                newline = b""
        elif rest:
            lines.append(rest)
            self._offset -= len(newline)  # it has none
        records = []
        for line in lines:
            self._line += 1
            self._offset += len(line) + len(newline)
            records.append(Record(_plain(line, encoding), 0, self._line, None))
        return records

    @staticmethod
    def _is_whole(rest: bytes, encoding: str | None, *, at_end: bool) -> bool:
        """Whether a last line without an end is an object all the same: half of one is not."""
        if not at_end:
            return False
        try:
            msgspec.json.decode(_plain(rest, encoding), type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return True

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def _hash(self, size: int) -> bytes:
        if not size or not self._path.exists():
            return hashlib.sha256().digest()
        with self._path.open("rb") as file:
            return hashlib.sha256(file.read(size)).digest()


def _split_wide(content: bytes, newline: bytes) -> list[bytes]:
    """The lines of UTF-16: a newline's two bytes count at even places alone."""
    lines, first, at = [], 0, content.find(newline)
    while at >= 0:
        if at % 2 == 0:
            lines.append(content[first:at])
            first = at + 2
        at = content.find(newline, at + 1 + (at % 2 == 0))
    return [*lines, content[first:]]


def _plain(line: bytes, encoding: str | None) -> bytes:
    """A line as UTF-8, without a byte order mark and a carriage return."""
    if encoding is not None:
        line = line.decode(encoding, "replace").removeprefix("\ufeff").encode("utf-8", "replace")
    return line.removeprefix(_UTF8_BOM).removesuffix(b"\r")


class LineAppender:
    """Adds lines to a file that others may add to, too, and that a monitor reads."""

    def __init__(self, path: Path) -> None:
        if path == Path("-"):
            raise DataError("actions go to kafka://host:9092 or to a file; a monitor could not read them from a pipe")
        self._path = path

    def send(self, action: Action) -> None:
        """Add one line, whole, behind whatever stands there. Raises DataError where the file cannot be written."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                end = os.fstat(fd).st_size
                parted = b"" if end == 0 or os.pread(fd, 1, end - 1) == b"\n" else b"\n"
                line = parted + encode_action(action) + b"\n"
                if os.write(fd, line) < len(line):
                    os.ftruncate(fd, end)  # nobody reads half a line: a reader waits for its end
                    raise DataError(f"{self._path}: the disk is full; make room and act again")
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as cause:
            raise DataError(f"{self._path}: {cause.strerror}; name a file that can be written") from cause

    def close(self) -> None:
        """Nothing is held."""
