"""State log, what `--state DIR` holds: commits appended to a file, one checksummed entry each.

Appending only the parts that changed keeps a commit cheap for a thousand machines; now and then the log is
rewritten whole (beside, fsynced, renamed). A process killed in the middle of an append leaves a torn tail,
which the next start drops: that commit never happened.
"""

import fcntl
import os
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from sheetbreak.errors import DataError

_MAGIC = b"sheetbreak-state 1\n"
_MARK = b"\xd1SB\n"
_HEAD = len(_MARK) + 8
_GROWTH = 2
"""The log is rewritten when it is longer than this many times what it holds ..."""
_SLACK = 4 * 1024 * 1024
"""... and this many bytes besides: reading it back takes some 10 ms."""
_SYNC_EVERY_S = 1.0
"""A power failure may cost this much of a fast read of a file; a slow live feed is synced at every commit."""


class InputMark(msgspec.Struct, frozen=True, array_like=True):
    """How far a file was read, and which file that was."""

    offset: int
    """Bytes."""
    line: int
    head_bytes: int
    """So many bytes from the start of the file have the hash `head_sha256`."""
    head_sha256: bytes


class OutputMark(msgspec.Struct, frozen=True, array_like=True):
    """How long an output file was, and which file that was."""

    device: int
    inode: int
    size: int
    """Bytes."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One commit."""

    input: InputMark | None
    output: OutputMark | None
    parts: dict[bytes, bytes | None]
    """None: deleted."""


class StateLog:
    """The log of one state directory, held by one process at a time."""

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Read what is there, or begin. Raises DataError: not ours, damaged, or in use."""
        self._path = directory / "monitor.state"
        self._clock = clock
        self._synced_at = clock()
        self.parts: dict[bytes, bytes] = {}
        self.input_mark: InputMark | None = None
        self.output_mark: OutputMark | None = None
        self._lock = _lock(directory)
        self._fd = -1
        try:
            if self._path.exists():
                self._load()
            else:
                self._rewrite()
        except BaseException:
            self.close()
            raise

    def append(
        self, parts: Mapping[bytes, bytes | None], *, input_mark: InputMark | None, output_mark: OutputMark | None
    ) -> None:
        """Add one commit. Raises OSError with the state as it was: no room, though old entries were given up."""
        entry = _encode(Entry(input_mark, output_mark, dict(parts)))
        try:
            self._write(entry)
        except OSError:  # a full volume, as a rule
            self._rewrite()  # what earlier commits left in the log may be the room that is missing
            self._write(entry)
        self._size += len(entry)
        self.input_mark, self.output_mark = input_mark, output_mark
        for key, value in parts.items():
            if (old := self.parts.pop(key, None)) is not None:
                self._live -= len(key) + len(old)
            if value is not None:
                self._live += len(key) + len(value)
                self.parts[key] = value
        if self._size > _GROWTH * self._live + _SLACK:
            with suppress(OSError):  # the commit stands; without room for a second log this one goes on
                self._rewrite()

    def _write(self, entry: bytes) -> None:
        try:
            _write_all(self._fd, entry)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise

    def sync(self, also: int | None, *, now: bool = False) -> None:
        """Bring the output (`also`, a descriptor), then the log to the disk; once a second, or `now`."""
        if now or self._clock() - self._synced_at >= _SYNC_EVERY_S:
            if also is not None:
                os.fsync(also)
            os.fsync(self._fd)
            self._synced_at = self._clock()

    def close(self) -> None:
        """Let go of the directory."""
        for fd in (self._fd, self._lock):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock = -1

    def _rewrite(self) -> None:
        """The whole state as one entry in a new file, put in the old one's place at one instant."""
        beside = self._path.with_suffix(".new")
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        entry = _MAGIC + _encode(Entry(self.input_mark, self.output_mark, {**self.parts}))
        try:
            _write_all(fd, entry)
            os.fsync(fd)
            beside.replace(self._path)
        except OSError:
            os.close(fd)
            beside.unlink(missing_ok=True)  # half a log would fill the volume for good
            raise
        _sync_directory(self._path.parent)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size = fd, len(entry)
        self._live = sum(len(key) + len(value) for key, value in self.parts.items())

    def _load(self) -> None:
        raw = self._path.read_bytes()
        if not raw.startswith(_MAGIC):
            raise DataError(f"{self._path} is no state of this version; remove it to start cold")
        at = len(_MAGIC)
        while at < len(raw):
            payload = _payload(raw, at)
            if payload is None:
                if _entry_after(raw, at):
                    raise DataError(
                        f"{self._path} is damaged at byte {at} with sound entries behind it; "
                        "put a copy in its place, or remove it to start cold"
                    )
                break
            self._take(payload)
            at += _HEAD + len(payload)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        os.ftruncate(self._fd, at)
        self._size = at
        self._live = sum(len(key) + len(value) for key, value in self.parts.items())

    def _take(self, payload: bytes) -> None:
        try:
            entry = msgspec.msgpack.decode(payload, type=Entry)
        except msgspec.MsgspecError as cause:
            raise DataError(f"{self._path} is of another version; remove it to start cold") from cause
        self.input_mark, self.output_mark = entry.input, entry.output
        for key, value in entry.parts.items():
            if value is None:
                self.parts.pop(key, None)
            else:
                self.parts[key] = value


def _encode(entry: Entry) -> bytes:
    payload = msgspec.msgpack.encode(entry)
    return _MARK + len(payload).to_bytes(4, "big") + zlib.crc32(payload).to_bytes(4, "big") + payload


def _payload(raw: bytes, at: int) -> bytes | None:
    """The payload of the entry that starts at `at`; None when no sound entry does."""
    head = raw[at : at + _HEAD]
    if len(head) < _HEAD or not head.startswith(_MARK):
        return None
    size, crc = int.from_bytes(head[-8:-4], "big"), int.from_bytes(head[-4:], "big")
    payload = raw[at + _HEAD : at + _HEAD + size]
    # Bytes of zero, which a torn page may end in, would be a sound entry of length 0.
    return payload if 0 < size == len(payload) and zlib.crc32(payload) == crc else None


def _entry_after(raw: bytes, at: int) -> bool:
    """Whether any sound entry starts behind `at`: then what is broken there is no torn tail."""
    while (at := raw.find(_MARK, at + 1)) >= 0:
        if _payload(raw, at) is not None:
            return True
    return False


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def _lock(directory: Path) -> int:
    """Two monitors on one state would undo each other. The lock ends with the process, however that ends."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as cause:
        raise DataError(f"--state {directory}: {cause.strerror}; name a writable directory") from cause
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as cause:
        os.close(fd)
        raise DataError(f"--state {directory} is in use by another monitor; give this one its own") from cause
    return fd


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
