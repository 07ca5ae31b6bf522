"""Targets of a replay: standard output, a file, a Kafka topic."""

import os
import select
import stat
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, Self

from replay.schedule import Message
from replay.signals import Stop
from sheetbreak.errors import DataError

WAIT_SLICE_S = 0.2
"""A signal, or a reader that has gone, is noticed within so long."""
STALLED_S = 2.0
"""After a signal, a block of which a part is written may take so long to be taken whole."""
_PIPE_CHUNK = 4096
"""A pipe that select calls writable takes this much without blocking (PIPE_BUF)."""


class Target(Protocol):
    """What takes records, until its block is left. `send` and `wait` raise Stopped when a signal came."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def send(self, messages: Sequence[Message]) -> None:
        """Hand over a block; when it returns, the block is out of our hands.

        Raises BrokenPipeError when nobody reads any more, DataError when the user must change something.
        """

    def wait(self, seconds: float) -> None:
        """Sleep. Raises BrokenPipeError as soon as nobody reads any more."""


def open_target(to: str, *, stop: Stop, header: bytes | None, source: Sequence[Path]) -> Target:
    """Open `-`, a file or kafka://host:9092/topic. `header`: a CSV's first line.

    Raises DataError when it cannot be written to.
    """
    if to.startswith("kafka://"):
        return KafkaTarget(to, stop)
    if "://" in to:
        raise DataError(f"--to {to}: expected kafka://host:9092/topic, rows.csv, rows.ndjson or -")
    target = _open_lines(to, stop, source)
    if header is not None:
        target.write(header + b"\n")
    return target


def _open_lines(to: str, stop: Stop, source: Sequence[Path]) -> "LinesTarget":
    if to == "-":
        sys.stdout.flush()
        return LinesTarget(sys.stdout.fileno(), stop)
    path = Path(to)
    try:
        if path.exists() and any(path.samefile(one) for one in source):
            raise DataError(f"--to {to} is the file that is played; name another")
        return LinesTarget(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), stop)
    except OSError as cause:
        raise DataError(f"--to {to}: {cause.strerror}; name a file that can be written, or -") from cause


class LinesTarget:
    """One record a line, to a descriptor: a pipe, a terminal or a file. Nothing is held back in a buffer."""

    def __init__(self, fd: int, stop: Stop) -> None:
        self._fd, self._stop = fd, stop
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self._gone = select.poll()
        self._gone.register(fd, 0)  # an error or the reader's end is reported all the same

    def send(self, messages: Sequence[Message]) -> None:
        self._stop.check()
        self.write(b"".join(message.value + b"\n" for message in messages))

    def write(self, block: bytes) -> None:
        """Write all of the block, unless its reader stalls while we are asked to stop."""
        rest = memoryview(block)
        given_up_at = None
        while rest:
            # A write that blocks could not be interrupted without cutting a record in two.
            if not select.select([], [self._fd], [], WAIT_SLICE_S)[1]:
                if self._stop.signal is not None:
                    given_up_at = given_up_at or time.monotonic() + STALLED_S
                    if time.monotonic() > given_up_at:
                        self._stop.check()
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
        # A regular file never hangs up, and where a terminal does, SIGHUP ends us.
        _wait_in_slices(seconds, self._stop, self._watch)

    def _watch(self, seconds: float) -> None:
        if self._gone.poll(seconds * 1000):
            raise BrokenPipeError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd != sys.stdout.fileno():
            os.close(self._fd)


class KafkaTarget:
    """A topic, keyed by machine; record timestamps are the wall clock."""

    def __init__(self, url: str, stop: Stop) -> None:
        # Only a replay into Kafka needs its client installed.
        from sheetbreak.streams.kafka.options import environment_security, parse_address
        from sheetbreak.streams.kafka.row_sink import KafkaSink

        self._stop = stop
        self._sink = KafkaSink(parse_address(url), environment_security(), between=stop.check)

    def send(self, messages: Sequence[Message]) -> None:
        self._stop.check()
        self._sink.send([(message.machine.encode(), message.value) for message in messages])

    def wait(self, seconds: float) -> None:
        _wait_in_slices(seconds, self._stop, time.sleep)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.close()


def _wait_in_slices(seconds: float, stop: Stop, wait: Callable[[float], None]) -> None:
    end = time.monotonic() + seconds
    stop.check()
    while (left := end - time.monotonic()) > 0:
        wait(min(left, WAIT_SLICE_S))
        stop.check()
