"""Hanging transactions: decided by their coordinator, and never ended where they wrote. Found, and ended once more.

A broker that is stopped between the decision and its markers may come back without them: the coordinator holds the
transaction for complete, and the partitions wait for ever, the group's committed offsets among them. Kafka's own
remedy is a tool for administrators (KIP-664). A monitor can do it where the transaction is one of its group: under the
same transactional id it says a second time what was decided. docs/decisions/0014-hanging-transactions.md.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.admin import TransactionState
from kafka.errors import KafkaError, UnstableOffsetCommitError

from sheetbreak.streams.kafka.admin.topics import Names
from sheetbreak.streams.kafka.clients import close_producer, new_admin, new_producer
from sheetbreak.streams.kafka.group.state_topic import StateHeldBackError
from sheetbreak.streams.kafka.options import Address, KafkaOptions, Security
from sheetbreak.times import SAY_AGAIN_S

_DECIDED = {TransactionState.COMPLETE_COMMIT: True, TransactionState.COMPLETE_ABORT: False}
"""What a coordinator says of a transaction that it holds for ended, and whether it was committed."""
_REMEDY = (
    "the monitor waits for a transaction that has not ended; one that its coordinator has forgotten ends by "
    "kafka-transactions.sh abort"
)

log = logging.getLogger(__name__)


class Open(NamedTuple):
    """A producer's transaction that is open in a partition."""

    partition: TopicPartition
    producer_id: int
    start: int
    """The offset of its first record."""


@dataclass(frozen=True, slots=True)
class Hanging:
    """A transaction that its coordinator holds for ended."""

    transactional_id: str
    committed: bool
    """What was decided: else it is aborted."""
    partitions: tuple[TopicPartition, ...]
    """Where it is still open."""


class Waiting:
    """What a monitor does while offsets or state wait for a transaction to end: looks, tells, and ends what hangs."""

    def __init__(self, address: Address, names: Names, options: KafkaOptions, security: Security) -> None:
        self._address, self._names, self._options, self._security = address, names, options, security
        self._before: Set[Open] = frozenset()
        self._own: dict[int, tuple[str, bool]] = {}
        """What our own id's coordinator said of its transaction before our producer took the id over."""
        self._told_at = float("-inf")

    def opening(self, admin: Any) -> None:
        """Our producer is about to take its id over; then its coordinator forgets how the last one ended."""
        self._own, own = {}, self._options.transactional_id
        with suppress(KafkaError):
            found = admin.describe_transactions([own])[own]
            if found.state in _DECIDED:
                self._own = {found.producer_id: (own, _DECIDED[found.state])}

    def writing(self) -> None:
        """Our producer begins a transaction of its own."""
        self._own = {}

    def met(self, error: KafkaError) -> bool:
        """A wait ended so. Whether a transaction of our own was ended once more: the producer that we had is then of no
        further use. No error of Kafka's leaves this: the wait goes on.
        """
        if not isinstance(error, UnstableOffsetCommitError | StateHeldBackError):
            return False
        try:
            with closing(new_admin(self._address, self._security)) as admin:
                # In this order: what is open in two looks, and was ended between them, hangs.
                ended = self._own | ended_among(admin, self._before)
                now = open_in(admin, self._partitions(admin))
            hanging = hanging_among(self._before & now, ended)
            self._before = now
            ours = [one for one in hanging if one.transactional_id.rpartition("-")[0] == self._options.group]
            for one in ours:
                self._end(one)
        except KafkaError as error:
            self._tell(f"{type(error).__name__}: {error}")
            return False
        if not ours:
            where = sorted({f"{one.partition.topic} {one.partition.partition}" for one in now})
            self._tell(", ".join(where) or "none of our topics")
        return any(one.transactional_id == self._options.transactional_id for one in ours)

    def _partitions(self, admin: Any) -> list[TopicPartition]:
        """Of the topics that a transaction of ours writes."""
        topics = [self._names.state, *self._names.outputs.values()]
        found = admin.describe_topics(topics)
        return [TopicPartition(one["name"], each["partition_index"]) for one in found for each in one["partitions"]]

    def _end(self, hanging: Hanging) -> None:
        word = "commit" if hanging.committed else "abort"
        end_again(hanging, self._address, self._options, self._security)
        text = "event=hanging-transaction id=%s ended=%s partitions=%d note=%r"
        note = "the broker had decided it and lost the word to its partitions, as in a stop: it was said once more"
        log.warning(text, hanging.transactional_id, word, len(hanging.partitions), note)
        self._before = frozenset()

    def _tell(self, where: str) -> None:
        now = time.monotonic()
        if now - self._told_at >= SAY_AGAIN_S:
            self._told_at = now
            log.warning("event=held-back group=%s open_in=%r note=%r", self._options.group, where, _REMEDY)


def open_in(admin: Any, partitions: Iterable[TopicPartition]) -> set[Open]:
    """The transactions that are open in these partitions. Raises errors of kafka-python."""
    found = admin.describe_producers(partitions)
    return {
        Open(tp, one.producer_id, one.current_transaction_start_offset)
        for tp, state in found.items()
        for one in state.active_producers
        if one.current_transaction_start_offset >= 0
    }


def ended_among(admin: Any, opened: Iterable[Open]) -> dict[int, tuple[str, bool]]:
    """Of the producers of open transactions those whose coordinator holds theirs for ended: its id, and whether it was
    committed. Raises errors of kafka-python.
    """
    producers = sorted({one.producer_id for one in opened})
    listed = admin.list_transactions(producer_id_filters=producers) if producers else {}
    return {
        one.producer_id: (one.transactional_id, _DECIDED[one.state])
        for found in listed.values()
        for one in found
        if one.state in _DECIDED
    }


def hanging_among(opened: Iterable[Open], ended: Mapping[int, tuple[str, bool]]) -> list[Hanging]:
    """Of transactions that are still open those that were ended before."""
    partitions: defaultdict[int, list[TopicPartition]] = defaultdict(list)
    for one in sorted(opened):
        partitions[one.producer_id].append(one.partition)
    return [Hanging(*ended[producer], tuple(where)) for producer, where in partitions.items() if producer in ended]


def end_again(hanging: Hanging, address: Address, options: KafkaOptions, security: Security) -> None:
    """Say a second time how the transaction ends: under its id, in its partitions and the group's, nothing else in it.

    A monitor that still runs under that id is fenced, and goes on with a new session. Raises errors of kafka-python.
    """
    producer = new_producer(address, options, security, batch_bytes=1024, transactional_id=hanging.transactional_id)
    try:
        producer.begin_transaction()
        producer.add_partitions(hanging.partitions)
        producer.send_offsets_to_transaction({}, options.group)
        if hanging.committed:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    finally:
        close_producer(producer)
