"""Reading outside any group: a topic from its start on, several topics at once, the last value of each partition."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError

from sheetbreak.errors import DataError, StreamUnavailable
from sheetbreak.streams.kafka.bulk.consumer import BulkConsumer
from sheetbreak.streams.kafka.clients import new_reader
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.options import Address, environment_security, parse_address

_BACK = 10
"""Offsets to look back over: the last ones may be a transaction's markers, which are no records."""

_POLL_MS = 500
_LOOK_AGAIN_S = 30.0
"""So often a follower looks for new partitions and missing topics."""

log = logging.getLogger(__name__)


def follow(source: str) -> Iterator[bytes]:
    """The values of `kafka://host:9092/topic` from its start on, for ever; only what is committed.

    A broker that goes away is waited for. Raises DataError where there is no such topic or Kafka refuses us,
    StreamUnavailable where no broker answers at the start.
    """
    with _reading(source) as (reader, partitions):
        reader.assign(partitions)
        reader.seek_to_beginning()
        while True:
            yield from _poll(reader, source)


@contextmanager
def _reading(source: str) -> Iterator[tuple[Any, list[TopicPartition]]]:
    """A reader outside any group, and the topic's partitions. Raises DataError where there is no such topic."""
    address = parse_address(source)
    try:
        reader = new_reader(address, environment_security(), kind=BulkConsumer)
    except KafkaError as error:
        raise stream_error(error, source) from error
    try:
        numbers = reader.partitions_for_topic(address.topic)
        if not numbers:
            raise DataError(f"{source}: there is no topic {address.topic}; sheetbreak topics create makes the five")
        yield reader, [TopicPartition(address.topic, number) for number in sorted(numbers)]
    finally:
        reader.close()


def _poll(reader: Any, source: str) -> list[bytes]:
    try:
        polled = reader.poll(_POLL_MS)
    except KafkaError as error:
        mapped = stream_error(error, source)
        if not isinstance(mapped, StreamUnavailable):
            raise mapped from error
        log.warning("event=stream-away reason=%r", str(error))
        return []
    return [record.value for records in polled.values() for record in records]


def read_now(source: str) -> Iterator[bytes]:
    """The values that `kafka://host:9092/topic` has now; only what is committed. Raises as `follow` does."""
    for value in watch(source):
        if value is None:
            return
        yield value


def watch(source: str) -> Iterator[bytes | None]:
    """As `follow`, with None after the values that were there at the start."""
    with _reading(source) as (reader, partitions):
        reader.assign(partitions)
        ends = _asked(lambda: reader.end_offsets(partitions), source)
        reader.seek_to_beginning()
        while any(_asked(partial(reader.position, tp), source) < end for tp, end in ends.items()):
            yield from _poll(reader, source)
        yield None
        while True:
            yield from _poll(reader, source)


def _asked(ask: Callable[[], Any], source: str) -> Any:
    try:
        return ask()
    except KafkaError as error:
        raise stream_error(error, source) from error


def last_values(url: str, *, accept: Callable[[bytes], bool]) -> list[bytes]:
    """The last value of each partition of `kafka://host:9092/topic` that is accepted; of an empty partition none.

    Tombstones, records that are not accepted and those of aborted transactions are looked over, further and further
    back. Raises DataError where there is no such topic or Kafka refuses us, StreamUnavailable where no broker answers.
    """
    try:
        with _reading(url) as (reader, partitions):
            begins, ends = reader.beginning_offsets(partitions), reader.end_offsets(partitions)
            found: dict[TopicPartition, bytes] = {}
            back, left = _BACK, [tp for tp in partitions if begins[tp] < ends[tp]]
            while left:
                starts = {tp: max(begins[tp], ends[tp] - back) for tp in left}
                found |= _last_accepted(reader, starts, ends, accept)
                left = [tp for tp in left if tp not in found and starts[tp] > begins[tp]]
                back *= 10
            return list(found.values())
    except KafkaError as error:
        raise stream_error(error, url) from error


def _last_accepted(
    reader: Any, starts: Mapping[Any, int], ends: Mapping[Any, int], accept: Callable[[bytes], bool]
) -> dict[Any, bytes]:
    """The last accepted value of each partition between where it is to start and its end."""
    reader.assign(list(starts))
    for tp, start in starts.items():
        reader.seek(tp, start)
    found = {}
    while any(reader.position(tp) < ends[tp] for tp in starts):
        for tp, records in reader.poll(_POLL_MS).items():
            accepted = (record.value for record in reversed(records) if record.value and accept(record.value))
            last = next(accepted, None)
            if last is not None:
                found[tp] = last
    return found


class Followed(NamedTuple):
    """A record of a topic that is followed."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None
    """The wall clock at which it was written; None where nothing says it."""
    value: bytes


class Follower:
    """Several topics read at once, for ever; only what is committed. Not thread-safe.

    positions: where to go on, by topic and partition; elsewhere a topic begins at its first record, or at the first
    written since `since_ms` (wall clock, by topic). A topic that is missing is looked for again, as are new partitions.
    Raises DataError where none of the topics is there or Kafka refuses us, StreamUnavailable where no broker answers.
    """

    def __init__(
        self,
        address: Address,
        *,
        topics: Sequence[str],
        since_ms: Mapping[str, int] | None = None,
        positions: Mapping[tuple[str, int], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address, self._topics, self._clock = address, tuple(topics), clock
        self._since_ms, self._positions = dict(since_ms or {}), dict(positions or {})
        self._looked_at = clock()
        self.missing: tuple[str, ...] = ()
        """Topics that the brokers do not have."""
        try:
            self._reader = new_reader(address, environment_security(), kind=BulkConsumer)
        except KafkaError as error:
            raise stream_error(error, str(address)) from error
        try:
            self._assign()
            if len(self.missing) == len(self._topics):
                raise DataError(
                    f"{address}: there is no topic {', '.join(self._topics)}; create them with: "
                    f"sheetbreak topics create {address}"
                )
        except BaseException:
            self._reader.close()
            raise

    def poll(self, timeout_s: float) -> list[Followed]:
        """What has come, in the order of each partition. Raises StreamUnavailable, and DataError, like the start."""
        try:
            if self._clock() - self._looked_at > _LOOK_AGAIN_S:
                self._looked_at = self._clock()
                self._assign()
            polled = self._reader.poll(round(timeout_s * 1000))
        except KafkaError as error:
            raise stream_error(error, str(self._address)) from error
        return [
            Followed(tp.topic, tp.partition, record.offset, record.timestamp_ms, record.value)
            for tp, records in polled.items()
            for record in records
        ]

    def positions(self) -> dict[tuple[str, int], int]:
        """The offset of the next record of every partition."""
        return {(tp.topic, tp.partition): self._reader.position(tp) for tp in self._reader.assignment()}

    def behind(self) -> int:
        """Records that are there and were not polled yet. Raises StreamUnavailable."""
        partitions = list(self._reader.assignment())
        try:
            ends = self._reader.end_offsets(partitions)
            return sum(max(ends[tp] - self._reader.position(tp), 0) for tp in partitions)
        except KafkaError as error:
            raise stream_error(error, str(self._address)) from error

    def close(self) -> None:
        """Release what is held."""
        self._reader.close()

    def _assign(self) -> None:
        """Follow every partition that there is; those followed already stay where they are."""
        numbers = {topic: self._reader.partitions_for_topic(topic) or set() for topic in self._topics}
        self.missing = tuple(topic for topic, found in numbers.items() if not found)
        every = {TopicPartition(topic, number) for topic, found in numbers.items() for number in found}
        known = self._reader.assignment()
        if every <= known:
            return
        here = {tp: self._reader.position(tp) for tp in known}
        fresh = sorted(every - known)
        self._reader.assign([*known, *fresh])
        for tp, offset in (here | self._starts(fresh)).items():
            self._reader.seek(tp, offset)

    def _starts(self, fresh: Sequence[Any]) -> dict[Any, int]:
        begins, ends = self._reader.beginning_offsets(fresh), self._reader.end_offsets(fresh)
        asked = {tp: self._since_ms[tp.topic] for tp in fresh if tp.topic in self._since_ms}
        since = self._reader.offsets_for_times(asked) if asked else {}
        starts = {}
        for tp in fresh:
            at = since.get(tp)
            first = begins[tp] if tp not in asked else ends[tp] if at is None else at.offset
            kept = self._positions.get((tp.topic, tp.partition))
            # Beyond the end: the topic was made again.
            starts[tp] = max(kept, begins[tp]) if kept is not None and kept <= ends[tp] else first
        return starts
