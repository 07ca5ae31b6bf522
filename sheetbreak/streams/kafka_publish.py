"""One transaction: outputs, state and offsets, all or nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from sheetbreak.errors import DataError, SheetbreakError, StreamFenced, StreamLost, StreamUnavailable
from sheetbreak.streams import Output, Snapshot
from sheetbreak.streams.kafka_cut import cut, fits
from sheetbreak.streams.kafka_errors import Decision, decide, stream_error
from sheetbreak.streams.kafka_group import Place
from sheetbreak.streams.kafka_state import wrap


class Message(NamedTuple):
    """One record as the producer takes it."""

    topic: str
    key: bytes | None
    value: bytes | None
    """None deletes the key of a compacted topic."""
    partition: int | None = None
    """None: by the key's hash, as Kafka's other clients do it."""


def output_messages(
    outputs: Iterable[Output], topics: Mapping[str, str], limits: Mapping[str, int]
) -> list[Message]:
    """The outputs whose topic is written, cut where it would not take them. Raises DataError as `cut` does.

    `topics`: full names by the contract's; `limits`: max.message.bytes by full name.
    """
    messages = []
    for output in outputs:
        topic = topics.get(output.topic)
        if topic is None:
            continue
        if not fits(output.key, output.value, limits[topic]):
            output = cut(output, topic, limits[topic])
        messages.append(Message(topic, output.key or None, output.value))
    return messages


def state_messages(
    snapshots: Iterable[Snapshot], topic: str, limit: int, *, places: Mapping[int, Place]
) -> list[Message]:
    """The snapshots as records of the state topic. `places`: where their partitions will be after the commit.

    Raises DataError where the topic would not take one.
    """
    messages = []
    for partition, key, value in snapshots:
        wrapped = wrap(value, places[partition].offset or 0)
        if not fits(key, wrapped, limit):
            raise DataError(
                f"topic {topic} takes {limit} bytes a record, but a part of a machine's state has "
                f"{len(wrapped)}; raise its max.message.bytes"
            )
        messages.append(Message(topic, key, wrapped, partition))
    return messages


def publish(
    producer: Any, messages: Sequence[Message], *, offsets: Mapping[TopicPartition, Place], group: Any
) -> None:
    """Begin, write, commit. `group`: the metadata that the consumer had right after the poll.

    Raises PublishFailed. The producer is then of no further use, whatever it was.
    """
    futures: list[Any] = []
    may_be_committed = False
    try:
        producer.begin_transaction()
        futures.extend(
            producer.send(topic, value, key=key, partition=partition)
            for topic, key, value, partition in messages
        )
        if offsets:
            committed = {tp: OffsetAndMetadata(p.offset, p.metadata, -1) for tp, p in offsets.items()}
            producer.send_offsets_to_transaction(committed, group)
        may_be_committed = True
        producer.commit_transaction()  # waits for the records, and raises when one of them was refused
    except KafkaError as error:
        raise PublishFailed(_reason(error, futures), may_be_committed=may_be_committed) from error


class PublishFailed(Exception):
    """A transaction that did not say that it is committed."""

    def __init__(self, reason: KafkaError, *, may_be_committed: bool) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.may_be_committed = may_be_committed

    def decide(self, *, took_s: float, timeout_s: float) -> SheetbreakError:
        """Our error for it. `took_s`: how long the transaction was open; `timeout_s`: how long it may be."""
        error = stream_error(self.reason, "commit")
        if isinstance(error, StreamUnavailable) and self.may_be_committed:
            # The same batch again would publish it twice if the broker has it; what was committed will tell.
            return StreamLost(str(error))
        if isinstance(error, StreamFenced) and took_s >= timeout_s:
            # The broker says "fenced" also to one whose transaction it ended for its age. That is no rival.
            return StreamLost(
                f"{error} It was open for {took_s:.0f} s, longer than the {timeout_s:.0f} s allowed"
            )
        return error


def _reason(error: KafkaError, futures: Iterable[Any]) -> KafkaError:
    """The error that says most: a transaction that failed for a record says only "in an error state"."""
    if decide(error) is not Decision.LOST:
        return error
    failed = (future.exception for future in futures if future.failed())
    return next((reason for reason in failed if isinstance(reason, KafkaError)), error)
