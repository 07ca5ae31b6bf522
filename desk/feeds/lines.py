"""Lines feed: NDJSON of a pipe or a file, and a file of actions beside it. A file is followed as it grows."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from desk.feeds.status import Status, Take
from desk.messages import Arrived
from sheetbreak.errors import DataError
from sheetbreak.streams.files.lines import LineReader
from sheetbreak.streams.files.stream import is_regular, open_input

_WAIT_S, _LINES = 0.2, 2000
_LOOK_S = 0.5
"""So often a file is looked at for more."""


class LinesFeed:
    """`-` is standard input; actions: a file that may not be there yet. Raises DataError where it cannot be read."""

    def __init__(self, source: str, *, actions: Path | None, now_ms: Callable[[], int]) -> None:
        self._fd = open_input(source)
        self._regular = is_regular(self._fd)
        self._actions, self._actions_fd = actions, -1
        self._now_ms = now_ms
        self.status = Status("standard input" if source == "-" else source, answers=True, reason="")
        self._actions_reader: LineReader | None = None
        self._open_actions()

    def _open_actions(self) -> None:
        if self._actions is None or self._actions_reader is not None or not self._actions.exists():
            return
        try:
            self._actions_fd = os.open(self._actions, os.O_RDONLY)
        except OSError as cause:
            raise DataError(f"--actions {self._actions}: {cause.strerror}; name a file that can be read") from cause
        self._actions_reader = LineReader(self._actions_fd, whole_lines=True)

    def run(self, take: Take, stop: threading.Event) -> None:
        """Read until told to stop; the end of a pipe is told, the actions are read on."""
        reader = LineReader(self._fd, whole_lines=self._regular)
        while not stop.is_set():
            # What stands in a file was written before; only what is added is news.
            found = [] if self.status.ended else reader.read(_WAIT_S, max_lines=_LINES)
            self._take([line.value for line in found], take)
            self._open_actions()
            if self._actions_reader is not None:
                self._take([line.value for line in self._actions_reader.read(0.0, max_lines=_LINES)], take)
                if self._actions_reader.ended:
                    self._actions_reader = _further(self._actions_fd, self._actions_reader)
            if reader.ended and self._regular:
                self.status.live = True
                reader = _further(self._fd, reader)
                stop.wait(_LOOK_S)
            elif reader.ended:
                self.status.ended = True
                stop.wait(_LOOK_S)
            elif not self._regular:
                self.status.live = True

    def _take(self, values: list[bytes], take: Take) -> None:
        now_ms = self._now_ms()
        arrived = [
            Arrived(message, now_ms, value) for value in values if (message := self.status.read(value)) is not None
        ]
        if arrived:
            take(arrived, {}, live=True)


def _further(fd: int, reader: LineReader) -> LineReader:
    """A reader of what is added behind the last whole line."""
    os.lseek(fd, reader.offset, os.SEEK_SET)
    return LineReader(fd, offset=reader.offset, number=reader.number, whole_lines=True)
