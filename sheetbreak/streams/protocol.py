"""Protocol of streams: one atomic verb, `commit`, and what it needs to be told; and of sinks of rows.

A stream hands out batches of records as raw bytes and takes back, all or nothing, what became of them. Every
implementation passes the same checks (tests/support/streams/checks.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from sheetbreak.wire.actions import Action


class Record(NamedTuple):
    """One message as it arrived; nothing about it has been validated."""

    value: bytes
    partition: int
    """Kafka's partition; 0 on files, pipes and in memory."""
    offset: int
    """Kafka's offset; the line number (first = 1, a CSV's header counts) on files and pipes."""
    timestamp_ms: int | None
    """Wall clock at which the record was written, ms since 1970 UTC; None where the stream does not know."""


class Output(NamedTuple):
    """One message to publish."""

    topic: str
    """`scores`, `alerts` or `dead-letters`: the contract's name, before any prefix."""
    key: bytes
    """The machine, UTF-8; empty where it could not be read."""
    value: bytes
    """UTF-8 JSON, one object, no newline."""


class Snapshot(NamedTuple):
    """One part of a machine's state, to be kept with the input partition that the machine came from."""

    partition: int
    key: bytes
    value: bytes | None
    """None: what is kept under this key is deleted."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll brought. Empty `records` with `end` False: nothing yet, poll again."""

    records: Sequence[Record]
    assigned: tuple[int, ...] = ()
    """Partitions that are ours since the last poll: restore their state before scoring. Files name 0 at first."""
    revoked: tuple[int, ...] = ()
    """Partitions no longer ours since the last poll: drop their state. Applied before `assigned`."""
    end: bool = False
    """True when the stream has ended; never on Kafka."""
    token: Any = None
    """What the stream itself needs at commit time (positions, group metadata); opaque to everyone else."""
    lost: Mapping[int, int] = field(default_factory=dict)
    """Rows, by partition, that were gone from the stream before they were read; each is said once."""
    actions: Sequence[Record] = ()
    """What operators said, in order; of partitions of `operator-actions`, or lines of a file. They come before the
    records, and are committed with them."""
    ready: bool = True
    """False while the stream answers, but gives us nothing to do yet: a group not joined."""


class Stream(Protocol):
    """A source of rows and the sink of what became of them.

    Not thread-safe: one thread polls, restores and commits.
    """

    def poll(self, timeout_s: float) -> Batch:
        """Wait at most `timeout_s` seconds for records.

        Raises StreamUnavailable while the broker is away (nothing is lost, poll again).
        """

    def restore(self, partition: int) -> Mapping[bytes, bytes]:
        """All snapshot parts last committed for `partition`, by key."""

    def commit(self, batch: Batch, outputs: Sequence[Output], snapshots: Sequence[Snapshot]) -> None:
        """Publish `outputs`, keep `snapshots` and move past `batch`: all or nothing.

        Raises StreamUnavailable (call commit again with the same arguments), StreamLost (drop the partitions'
        state and poll: they come back as `assigned`) or StreamFenced.
        """

    def lag(self) -> Mapping[int, int]:
        """Records of each of our partitions that were not polled yet; a partition of which that is not known is absent.

        Raises StreamUnavailable while the broker is away.
        """

    def close(self) -> None:
        """Release what is held; what was polled and not committed comes again at the next start."""


class ActionSink(Protocol):
    """Where operators' actions are sent to. Not thread-safe."""

    def send(self, action: Action) -> None:
        """Write an action; when it returns, it is kept: acknowledged by the brokers, or on the disk.

        Raises DataError for what the user must change (no such topic, no right to write).
        """

    def close(self) -> None:
        """Release what is held."""


class RowSink(Protocol):
    """Where rows are written to: a replay's lines or topic. Not thread-safe.

    It is opened with a function `between`, which is called several times a second while it waits; what that raises
    ends the wait, between two records.
    """

    def send(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Write (machine, value) records; when it returns, they are out of our hands.

        Raises BrokenPipeError when nobody reads any more, DataError when the user must change something.
        """

    def wait(self, seconds: float) -> None:
        """Sleep. Raises BrokenPipeError as soon as nobody reads any more."""

    def close(self) -> None:
        """Release what is held."""
