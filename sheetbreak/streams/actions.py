"""Actions out: an operator's action to the topic of an installation, or as a line of a file; done when it is there."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.options import LIKE_A_BROKER
from sheetbreak.streams.open import SCHEMES
from sheetbreak.streams.protocol import ActionSink
from sheetbreak.wire.actions import Action, encode_action
from sheetbreak.wire.topics import ACTIONS

__all__ = ["ActionSink", "LineAppender", "TopicAppender", "open_actions"]


def open_actions(target: str, *, prefix: str = "", between: Callable[[], None] = lambda: None) -> ActionSink:
    """The sink of `kafka://host:9092` (or with a topic of one's own) or of a file, to which lines are added.

    between: called several times a second while a broker that is away is waited for; what it raises ends the wait,
    and the action may then have been written or not. Contacts no broker yet. Raises DataError for another target.
    """
    name, separator, _ = target.partition("://")
    if not separator and LIKE_A_BROKER.fullmatch(target) and not Path(target).exists():
        raise DataError(f"{target}: there is no such file; did you mean kafka://{target}?")
    scheme = SCHEMES.get(name) if separator or not name else SCHEMES[""]
    if scheme is None:
        raise DataError(f"{target}: expected kafka://host:9092, or a file to which actions are added")
    return scheme.action_sink(target, prefix, between)


class TopicAppender:
    """Sends actions keyed by machine, as its rows are, each acknowledged by all in-sync replicas."""

    def __init__(self, target: str, *, prefix: str, between: Callable[[], None]) -> None:
        from sheetbreak.streams.kafka.options import Address, environment_security, parse_address  # Kafka is an extra
        from sheetbreak.streams.kafka.row_sink import KafkaSink

        given = parse_address(target, needs_topic=False)
        address = Address(given.servers, given.topic or prefix + ACTIONS)
        self._sink = KafkaSink(address, environment_security(), between=between)

    def send(self, action: Action) -> None:
        """Write an action and wait until the broker has it. Raises DataError."""
        self._sink.send([(action.machine.encode(), encode_action(action))])

    def close(self) -> None:
        """Let go of the broker."""
        self._sink.close()


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
