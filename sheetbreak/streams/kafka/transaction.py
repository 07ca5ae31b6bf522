"""Transaction of a batch: outputs, state and offsets, all or nothing."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from sheetbreak.errors import DataError, SheetbreakError, StreamFenced, StreamLost, StreamUnavailable
from sheetbreak.streams.kafka.bulk.producer import KeyAndValue
from sheetbreak.streams.kafka.commit_thread import Job
from sheetbreak.streams.kafka.errors import Decision, decide, stream_error
from sheetbreak.streams.kafka.group.pace import Portion
from sheetbreak.streams.kafka.group.positions import Place
from sheetbreak.streams.kafka.group.state_topic import MARKER, Mending, head
from sheetbreak.streams.kafka.session import Session
from sheetbreak.streams.protocol import Batch, Output, Snapshot
from sheetbreak.wire.topics import DEAD_LETTERS

RECORD_OVERHEAD = 128
"""Bytes of a batch of one record besides key and value: 61 for the batch, some 20 for the record, spare."""
_SHORT = 200
"""Characters that a text keeps where all else was too much."""
_Step = Callable[[dict[str, Any], int], None]


class Token(NamedTuple):
    """What a batch needs at its commit."""

    session: Session
    group: Any
    """The group's metadata as it was right after the poll. Asked at the commit, a member thrown out
    in between would say that it has none, and would not be refused."""
    positions: Mapping[int, int]
    """The next offset by partition."""
    actions: Mapping[TopicPartition, Place]
    """The same of operators' actions."""


@dataclass(slots=True)
class Commit:
    """A commit under way; it may outlast several calls of `commit`."""

    batch: Batch
    job: Job
    places: Mapping[int, Place]
    """Where its partitions are once it stands."""
    started_s: float = field(default_factory=time.monotonic)

    def took_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started_s

    def end(self, portion: Portion, *, timeout_s: float) -> None:
        """Of one whose job has ended: raise our error unless it stands. portion: is told how it went.

        timeout_s: how long a transaction may be open.
        """
        rows, took_s = len(self.batch.records), self.took_s()
        try:
            self.job.result()
        except PublishFailed as failed:
            error = failed.decide(took_s=took_s, timeout_s=timeout_s)
            if isinstance(error, StreamLost) and (failed.given_up or took_s >= timeout_s):
                portion.outlived(rows, took_s=took_s, timeout_s=timeout_s)
            raise error from failed
        portion.stood(rows, took_s=took_s, timeout_s=timeout_s)


class Writes:
    """What a transaction is to write: records by topic and partition, each in order."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        """limits: bytes of a record at most (max.message.bytes), by topic."""
        self.records: defaultdict[tuple[str, int], list[KeyAndValue]] = defaultdict(list)
        self._limits = limits

    def add_outputs(
        self,
        outputs: Iterable[Output],
        topics: Mapping[str, str],
        *,
        partition_of: Callable[[bytes | None, bytes | None], int],
    ) -> None:
        """The outputs whose topic is written, cut where it would not take them.

        topics: full names by the contract's. Raises DataError as `cut` does.
        """
        for output in outputs:
            topic = topics.get(output.topic)
            if topic is None:
                continue
            key, value = output.key or None, output.value
            if len(output.key) + len(value) + RECORD_OVERHEAD > self._limits[topic]:
                value = cut(output, topic, self._limits[topic]).value
            self.records[topic, partition_of(key, value)].append((key, value))

    def add_state(self, snapshots: Iterable[Snapshot], topic: str, *, places: Mapping[int, Place]) -> None:
        """The snapshots. places: where their partitions will be after the commit.

        Raises DataError where the topic would not take one.
        """
        limit = self._limits[topic]
        heads = {partition: head(place.offset or 0, place.topic_id) for partition, place in places.items()}
        for partition, key, value in snapshots:
            if value is None:
                self.records[topic, partition].append((key, None))
                continue
            wrapped = heads[partition] + value
            if len(key) + len(wrapped) + RECORD_OVERHEAD > limit:
                raise DataError(
                    f"topic {topic} takes {limit} bytes a record, but a part of a machine's state has "
                    f"{len(wrapped)}; raise its max.message.bytes"
                )
            self.records[topic, partition].append((key, wrapped))

    def add_mended(self, mending: Mending, topic: str, partition: int, *, place: Place) -> None:
        """What is to be mended in a partition of the state topic, where the batch does not write it anyhow."""
        records = self.records[topic, partition]
        written = {key for key, _ in records}
        stem = head(place.offset or 0, place.topic_id)
        records.extend((key, stem + part) for key, part in mending.rewrite.items() if key not in written)
        records.extend((key, None) for key in mending.delete if key not in written)

    def add_markers(self, topic: str, places: Mapping[int, Place]) -> None:
        """Where the state topic of a partition gets no record, one that says the offset: it may outlive what the
        group has committed.
        """
        for partition, place in places.items():
            if all(value is None for _, value in self.records[topic, partition]):
                self.records[topic, partition].append((MARKER, head(place.offset or 0, place.topic_id)))


def publish(producer: Any, writes: Writes, *, offsets: Mapping[TopicPartition, Place], group: Any) -> None:
    """Begin, write, commit. group: the metadata that the consumer had right after the poll.

    Raises PublishFailed. The producer is then of no further use, whatever it was.
    """
    futures: list[Any] = []
    may_be_committed = False
    try:
        producer.begin_transaction()
        written = {TopicPartition(*at): records for at, records in writes.records.items() if records}
        producer.add_partitions(written)
        for (topic, partition), records in written.items():
            futures += producer.send_many(topic, partition, records)
        if offsets:
            committed = {tp: OffsetAndMetadata(p.offset, p.metadata, -1) for tp, p in offsets.items()}
            producer.send_offsets_to_transaction(committed, group)
        may_be_committed = True
        producer.commit_transaction()  # waits for the records
        # kafka-python, refused a batch for its number or its epoch, takes a new epoch by itself, by which the broker
        # aborts all, and then says "committed" of the nothing that is left.
        for future in futures:
            if future.failed():
                raise future.exception
    except KafkaError as error:
        failed = _reason(error, futures)
        raise PublishFailed(failed, may_be_committed=may_be_committed, given_up=producer.given_up) from error


class PublishFailed(Exception):
    """A transaction that did not say that it is committed."""

    def __init__(self, reason: KafkaError, *, may_be_committed: bool, given_up: bool = False) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.may_be_committed, self.given_up = may_be_committed, given_up

    def decide(self, *, took_s: float, timeout_s: float) -> SheetbreakError:
        """Our error for it. `took_s`: how long the transaction was open; `timeout_s`: how long it may be."""
        error = stream_error(self.reason, "commit")
        if isinstance(error, StreamUnavailable) and (self.may_be_committed or self.given_up):
            # The same batch again would publish it twice if the broker has it; what was committed will tell. And one
            # that was given up would only be given up again.
            return StreamLost(str(error))
        if isinstance(error, StreamFenced) and took_s >= timeout_s:
            # The broker says "fenced" also to one whose transaction it ended for its age. That is no rival.
            return StreamLost(f"{error} It was open for {took_s:.0f} s, longer than the {timeout_s:.0f} s allowed")
        return error


def _reason(error: KafkaError, futures: Iterable[Any]) -> KafkaError:
    """The error that says most: a transaction that failed for a record says only "in an error state"."""
    if decide(error) is not Decision.LOST:
        return error
    failed = (future.exception for future in futures if future.failed())
    return next((reason for reason in failed if isinstance(reason, KafkaError)), error)


def cut(output: Output, topic: str, limit: int) -> Output:
    """The same message made small enough for `limit` bytes.

    A dead letter keeps the start of the record and says that it is truncated; a score or an alert loses its
    top sensors first, then its lists of what was imputed; then long texts are cut. Raises DataError where even that
    does not fit: then no message would.
    """
    room = limit - RECORD_OVERHEAD - len(output.key)
    message = msgspec.json.decode(output.value)
    first = (_shorten_record,) if output.topic == DEAD_LETTERS else (_drop_top, _drop_lists)
    steps = (*first, _shorten_texts)
    for step in steps:
        step(message, room)
        value = msgspec.json.encode(message)
        if len(value) <= room:
            return output._replace(value=value)
    raise DataError(
        f"topic {topic} takes {limit} bytes a record, too few for a message of {output.topic}; "
        "raise its max.message.bytes"
    )


def _shorten_record(message: dict[str, Any], room: int) -> None:
    record = message.get("record_base64") or ""
    message["truncated"] = True
    message["record_base64"] = ""
    left = max(0, room - len(msgspec.json.encode(message)))
    message["record_base64"] = record[: left // 4 * 4]  # base64 comes in fours


def _shorten_texts(message: dict[str, Any], _room: int) -> None:
    for name, value in message.items():
        if isinstance(value, str) and len(value) > _SHORT:
            message[name] = "" if name == "record_base64" else value[:_SHORT] + "…"


def _drop_top(message: dict[str, Any], _room: int) -> None:
    message["top"] = []


def _drop_lists(message: dict[str, Any], _room: int) -> None:
    for name, value in message.items():
        if isinstance(value, list):
            message[name] = []
        elif isinstance(value, dict):
            message[name] = {key: [] if isinstance(item, list) else item for key, item in value.items()}
