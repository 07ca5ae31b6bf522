"""Sink of a file stream: standard output, as NDJSON, or as readable lines on a terminal."""

import errno
import os
import select
import stat
from collections.abc import Sequence
from typing import BinaryIO

from sheetbreak.errors import StreamError, StreamUnavailable
from sheetbreak.streams.files.state_log import OutputMark
from sheetbreak.streams.protocol import Output
from sheetbreak.wire.readable import readable_line

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EIO}
"""What can end while we wait: a full disk or quota, a slow reader of a non-blocking pipe, a disk away."""

_PIPE_CHUNK = 4096
"""A pipe that select calls writable takes this much without blocking (PIPE_BUF)."""
_READER_WAIT_S = 0.5


class Sink:
    """Writes what `emit` names. `out` must be unbuffered from here on: nobody else writes to it."""

    def __init__(self, out: BinaryIO, *, emit: frozenset[str]) -> None:
        self._emit = emit
        out.flush()
        self._out = out
        self._fd = out.fileno()
        self._readable = out.isatty()
        found = os.fstat(self._fd)
        self._file = found if stat.S_ISREG(found.st_mode) else None

    @property
    def synced_fd(self) -> int | None:
        """The descriptor, when it is a file that can be brought to the disk."""
        return None if self._file is None else self._fd

    def mark(self) -> OutputMark | None:
        """How long the output file is now; None when it is no regular file."""
        if self._file is None:
            return None
        return OutputMark(self._file.st_dev, self._file.st_ino, os.fstat(self._fd).st_size)

    def cut_back(self, mark: OutputMark | None) -> int:
        """Undo what was written to this same file after `mark`. Returns how many bytes that were."""
        now = self.mark()
        if mark is None or now is None or (mark.device, mark.inode) != (now.device, now.inode):
            return 0
        if now.size <= mark.size:
            return 0
        os.ftruncate(self._fd, mark.size)
        os.lseek(self._fd, 0, os.SEEK_END)  # without O_APPEND the shared position may stand behind the end
        return now.size - mark.size

    def render(self, outputs: Sequence[Output]) -> bytes:
        """The bytes to write for these outputs."""
        chosen = [output.value for output in outputs if output.topic in self._emit]
        if self._readable:
            return b"".join(readable_line(value).encode() + b"\n" for value in chosen)
        return b"".join(value + b"\n" for value in chosen)

    def write(self, content: memoryview) -> int:
        """Write at least one byte. Returns how many. Raises StreamUnavailable when trying again can help.

        It never blocks in a write: a reader that has stalled must not keep us from being stopped.
        BrokenPipeError (the reader wants no more) passes through: the command decides what that means.
        """
        if self._file is None:
            if not select.select([], [self._fd], [], _READER_WAIT_S)[1]:
                raise StreamUnavailable("the reader of the output does not read")
            content = content[:_PIPE_CHUNK]
        try:
            return os.write(self._fd, content)
        except BrokenPipeError:
            raise
        except OSError as cause:
            if cause.errno == errno.EIO and self._file is None:  # a terminal that was closed does not come back
                raise BrokenPipeError(errno.EPIPE, "the terminal has gone") from cause
            kind = StreamUnavailable if cause.errno in _PASSING else StreamError
            raise kind(f"cannot write to the output: {cause.strerror}") from cause
