"""Messages in files and pipes, for people: lines as they are, or as a Windows shell has written them."""

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from sheetbreak.streams.files.lines import LineReader
from sheetbreak.streams.files.stream import PIPE, is_regular, open_input

_WAIT_S, _LINES = 1.0, 500
_NAP_S = 0.2
_WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def follow(source: str) -> Iterator[bytes]:
    """The lines of a file or pipe as they come, until it ends, in UTF-8. Raises DataError where it cannot be read."""
    reader, plain = LineReader(open_input(source)), _Plain()
    while not reader.ended:
        for line in reader.read(_WAIT_S, max_lines=_LINES):
            if value := plain.decode(line.value):
                yield value


def watch(source: str) -> Iterator[bytes | None]:
    """The lines that are there, None, and those that come: of a pipe until it ends, of a file for ever."""
    if is_pipe(source):
        yield None
        yield from follow(source)
        return
    fd, plain, start, number, all_read = open_input(source), _Plain(), 0, 0, False
    try:
        while True:
            os.lseek(fd, start, os.SEEK_SET)
            reader = LineReader(fd, offset=start, number=number, whole_lines=True)
            while not reader.ended:
                for line in reader.read(_WAIT_S, max_lines=_LINES):
                    start, number = line.end, line.number
                    if value := plain.decode(line.value):
                        yield value
            if not all_read:
                all_read = True
                yield None
            time.sleep(_NAP_S)
    finally:
        os.close(fd)


def is_pipe(source: str) -> bool:
    """Whether it is no file that can be read again; what is not there is none."""
    if source == PIPE:
        return not is_regular(0)
    try:
        return not stat.S_ISREG(Path(source).stat().st_mode)
    except OSError:  # opening it will say
        return False


class _Plain:
    """Makes UTF-8 of a text's lines, which were parted at the byte of a newline."""

    def __init__(self) -> None:
        self._encoding: str | None = None
        self._first = True

    def decode(self, line: bytes) -> bytes:
        """The next line, without what stands around it."""
        if self._first:
            self._first = False
            self._encoding = _WIDE.get(line[:2])
            line = line[2:] if self._encoding else line
        if self._encoding is None:
            return line
        if len(line) % 2:  # a newline is two bytes: the other one stands before this line, or at its end
            line = line[1:] if self._encoding == "utf-16-le" else line[:-1]
        return line.decode(self._encoding, "replace").strip().encode("utf-8", "replace")
