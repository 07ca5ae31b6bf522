"""Lines of a file descriptor, handed out the moment they are there.

Python's own buffered readers wait for a full buffer or block inside a line; a live pipe must give a line at
once and a stop signal must be noticed, so this reads the descriptor itself.
"""

import logging
import os
import select
import stat
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

MAX_LINE = 16 * 1024 * 1024
"""A longer line is handed over cut here: it cannot be a row, and memory must stay bounded."""
HEAD_BYTES = 64 * 1024
"""So much of a file's start tells it from another: hundreds of rows with their times."""
_CHUNK = 256 * 1024
_BOM = b"\xef\xbb\xbf"

log = logging.getLogger(__name__)


class Line(NamedTuple):
    """One line without its end (LF or CR LF)."""

    value: bytes
    number: int
    """First line of the input = 1; blank lines are counted."""
    end: int
    """Byte offset just behind the line, its end included."""


class Lines(Protocol):
    """What lines come from: one descriptor, or several files."""

    offset: int
    number: int
    unfinished_bytes: int

    @property
    def ended(self) -> bool:
        """Whether every line was handed out."""

    def read(self, timeout_s: float, *, max_lines: int, max_bytes: int = MAX_LINE) -> list[Line]:
        """The next lines."""

    def unread(self, lines: Sequence[Line], /) -> None:
        """Put lines back that were read last."""


class LineReader:
    """Splits what a descriptor gives into lines; blank ones are counted and left out.

    `offset` and `number`: where the descriptor already stands, in bytes and lines. `whole_lines`: a last line without
    its newline is not handed out, since whoever writes it has not finished.
    """

    def __init__(
        self,
        fd: int,
        *,
        offset: int = 0,
        number: int = 0,
        whole_lines: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fd = fd
        self._whole_lines = whole_lines
        self._waits = not stat.S_ISREG(os.fstat(fd).st_mode)
        self._clock = clock
        self._ready: deque[Line] = deque()
        self._tail = bytearray()
        self._tail_bytes = 0  # more than len(_tail) once a line was cut
        self.offset = offset
        """Where reading began, later: end of the last line found, in bytes."""
        self.number = number
        """The last line found."""
        self.unfinished_bytes = 0
        """Of the last line, where the input ended without its newline."""
        self._eof = False

    @property
    def ended(self) -> bool:
        """True when the input has ended and every line was handed out."""
        return self._eof and not self._ready

    def read(self, timeout_s: float, *, max_lines: int, max_bytes: int = MAX_LINE) -> list[Line]:
        """The next lines, as soon as there is one; none when `timeout_s` passed or the input ended."""
        deadline = self._clock() + timeout_s
        lines: list[Line] = []
        size = 0
        while True:
            while self._ready and len(lines) < max_lines and (not lines or size < max_bytes):
                size += len(self._ready[0].value)
                lines.append(self._ready.popleft())
            if self._ready or self._eof or len(lines) >= max_lines:
                return lines
            left = deadline - self._clock()
            if not self._fill(0.0 if lines else max(left, 0.0)) or (left <= 0 and not self._ready):
                return lines

    def unread(self, lines: Sequence[Line]) -> None:
        """Put lines back that were read last."""
        self._ready.extendleft(reversed(lines))

    def _fill(self, wait_s: float) -> bool:
        """Read once, at most a chunk. False: nothing came within `wait_s`."""
        if self._waits and not select.select([self._fd], [], [], wait_s)[0]:
            return False
        chunk = os.read(self._fd, _CHUNK)
        if not chunk:
            self._eof = True
            self.unfinished_bytes = self._tail_bytes
            if self._tail_bytes and not self._whole_lines:
                self._close_line(b"")
            return True
        if self.offset == self._tail_bytes == 0 and chunk.startswith(_BOM):
            chunk = chunk[len(_BOM) :]
            self.offset = len(_BOM)
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            self.offset += 1
            self._close_line(piece)
        self._extend(rest)
        return True

    def _extend(self, piece: bytes) -> None:
        self._tail += piece[: MAX_LINE - len(self._tail)]
        self._tail_bytes += len(piece)

    def _close_line(self, piece: bytes) -> None:
        """`piece` ends the line that `_tail` began."""
        if self._tail_bytes:
            self._extend(piece)
            self.offset += self._tail_bytes
            piece = bytes(self._tail)
            self._tail, self._tail_bytes = bytearray(), 0
        else:
            self.offset += len(piece)
        self.number += 1
        if piece.endswith(b"\r"):
            piece = piece[:-1]
        if piece.strip(b" \t\r"):
            self._ready.append(Line(piece, self.number, self.offset))


def tell_unfinished(source: str, size: int, *, left: bool) -> None:
    """Of so many bytes behind the last newline, in the log. left: the next start reads them."""
    note = "left to the next start" if left else "taken as a row; with --state it is left to the next start"
    text = "event=unfinished-line source=%s bytes=%d note=%r"
    log.warning(text, source, size, f"the last line has no newline: {note}")
