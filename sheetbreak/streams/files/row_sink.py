"""Rows as lines: to standard output, a pipe or a file, one record a line, nothing held back in a buffer."""

import os
import select
import stat
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sheetbreak.errors import DataError

WAIT_SLICE_S = 0.2
"""A stop, or a reader that has gone, is noticed within so long."""
STALLED_S = 2.0
"""After we are asked to stop, a block of which a part is written may take so long to be taken whole."""
_PIPE_CHUNK = 4096
"""A pipe that select calls writable takes this much without blocking (PIPE_BUF)."""


class LineRowSink:
    """One record a line, to a descriptor: a pipe, a terminal or a file."""

    def __init__(self, fd: int, *, between: Callable[[], None]) -> None:
        """`between` is called several times a second while we wait; what it raises ends the wait."""
        self._fd, self._between = fd, between
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self._gone = select.poll()
        self._gone.register(fd, 0)  # an error or the reader's end is reported all the same

    def send(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Write the records' values, a line each; when it returns, they are out of our hands.

        Raises BrokenPipeError when nobody reads any more, DataError when the user must change something.
        """
        self._between()
        rest = memoryview(b"".join(value + b"\n" for _, value in records))
        given_up_at = None
        while rest:
            # A write that blocks could not be interrupted without cutting a record in two.
            if not select.select([], [self._fd], [], WAIT_SLICE_S)[1]:
                try:
                    self._between()
                except Exception:  # whatever ends us waits until the block is out, or its reader has had its time
                    given_up_at = given_up_at or time.monotonic() + STALLED_S
                    if time.monotonic() > given_up_at:
                        raise
                continue
            try:
                written = os.write(self._fd, rest if self._is_file else rest[:_PIPE_CHUNK])
            except BlockingIOError:  # somebody else made the descriptor non-blocking and filled it
                time.sleep(0.01)
                continue
            except BrokenPipeError:
                raise
            except OSError as cause:
                raise DataError(f"cannot write the rows: {cause.strerror}; make room or name another --to") from cause
            rest = rest[written:]

    def wait(self, seconds: float) -> None:
        """Sleep. Raises BrokenPipeError as soon as nobody reads any more."""
        # A regular file never hangs up, and where a terminal does, SIGHUP ends us.
        end = time.monotonic() + seconds
        self._between()
        while (left := end - time.monotonic()) > 0:
            if self._gone.poll(min(left, WAIT_SLICE_S) * 1000):
                raise BrokenPipeError
            self._between()

    def close(self) -> None:
        """Let go of a file; standard output stays open."""
        if self._fd != sys.stdout.fileno():
            os.close(self._fd)


def open_lines(target: str, *, between: Callable[[], None]) -> LineRowSink:
    """The sink of `-` (standard output) or a file, which is emptied. Raises DataError when it cannot be written."""
    if target == "-":
        sys.stdout.flush()
        return LineRowSink(sys.stdout.fileno(), between=between)
    try:
        fd = os.open(Path(target), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError as cause:
        raise DataError(f"--to {target}: {cause.strerror}; name a file that can be written, or -") from cause
    return LineRowSink(fd, between=between)
