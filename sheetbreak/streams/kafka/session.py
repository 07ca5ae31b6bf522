"""Session: the clients that a monitor uses while it is in the group; all are made, and all given up, at once."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError, ProducerFencedError

from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.admin.hanging import Waiting
from sheetbreak.streams.kafka.admin.topics import Facts, Names, check_topics, mend_command
from sheetbreak.streams.kafka.bulk.producer import Partitioner
from sheetbreak.streams.kafka.clients import (
    BATCH_BYTES,
    MAX_RECORD_BYTES,
    close_producer,
    new_admin,
    new_group_consumer,
    new_producer,
)
from sheetbreak.streams.kafka.group.actions import ActionFeed, has_actions
from sheetbreak.streams.kafka.group.membership import FRESH_S, KnownTopic, known_topic, refresh
from sheetbreak.streams.kafka.options import Address, KafkaOptions, Security, topic_name
from sheetbreak.streams.protocol import Record
from sheetbreak.times import SAY_AGAIN_S
from sheetbreak.wire.topics import ACTIONS

_CLOSE_MS = 1_000
_LOOK_EVERY_S, _GLANCE_EVERY_S = 4.0, SAY_AGAIN_S
IDLE_FRESH_S = 10.0
"""While no row comes: twice as old as the client itself lets its metadata become."""
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.1, 5.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Session:
    """A consumer of the group and a transactional producer."""

    consumer: Any
    producer: Any
    """None: thrown away after a failure that left the batch ours."""
    limits: Mapping[str, int]
    """Bytes of a record at most, by topic."""
    batch_bytes: int
    partition_of: Partitioner
    input: KnownTopic
    """The input's id and partitions, as everything here takes them to be."""
    state_id: str
    """The id of the state topic."""
    actions: ActionFeed | None = None
    """None: an older stack has no such topic."""


def open_session(
    address: Address, names: Names, options: KafkaOptions, security: Security, waiting: Waiting
) -> Session:
    """Check the topics, end what a dead predecessor left open, subscribe.

    waiting: is told before the producer is made. Raises DataError for topics that are not as they should be, and errors
    of kafka-python.
    """
    with contextlib.closing(new_admin(address, security)) as admin:
        facts = _check(admin, address, names, options)
        waiting.opening(admin)
        limits = {name: min(f.max_message_bytes or MAX_RECORD_BYTES, MAX_RECORD_BYTES) for name, f in facts.items()}
        # The broker's limit is on a batch, not on a record.
        batch_bytes = min(BATCH_BYTES, *(limits[name] for name in (*names.outputs.values(), names.state)))
        rows = facts[names.rows]
        session = Session(
            None,
            None,
            limits,
            batch_bytes,
            Partitioner(rows.partitions),
            KnownTopic(rows.topic_id, rows.partitions),
            facts[names.state].topic_id,
        )
        session.producer = new_producer(address, options, security, batch_bytes=batch_bytes)
        try:
            session.consumer = new_group_consumer(address, options, security)
            session.consumer.subscribe([names.rows])
            if (actions := _actions(options)) in facts:
                session.actions = ActionFeed(address, security, actions)
            _refuse_taken_id(admin, session.producer, options.transactional_id)
        except BaseException:
            close_session(session)
            raise
    return session


def _refuse_taken_id(admin: Any, producer: Any, transactional_id: str) -> None:
    """Raise ProducerFencedError where another monitor has taken our id since our producer was made.

    We would still take its place in the group, and of two that fence each other both would end.
    """
    try:
        found = admin.describe_transactions([transactional_id])[transactional_id]
    except KafkaError:  # it is no more than a question
        return
    if (found.producer_id, found.producer_epoch) != producer.identity:
        raise ProducerFencedError(f"transactional id {transactional_id} was taken before we had joined the group")


def check(address: Address, names: Names, options: KafkaOptions, security: Security) -> dict[str, Facts]:
    """The facts of the monitor's topics. Raises like `open_session`."""
    with contextlib.closing(new_admin(address, security)) as admin:
        return _check(admin, address, names, options)


def _check(admin: Any, address: Address, names: Names, options: KafkaOptions) -> dict[str, Facts]:
    mend = mend_command(address, address.topic, options.topic_prefix)
    there = has_actions(admin, _actions(options), mend)
    return check_topics(admin, replace(names, actions=_actions(options)) if there else names, mend)


def _actions(options: KafkaOptions) -> str:
    return topic_name(ACTIONS, options.topic_prefix)


def refuse_changed_input(session: Session, topic: str, *, older_than_s: float = FRESH_S) -> None:
    """Raise OffsetOutOfRangeError when the input is not the topic that we settled in: what was polled is void.

    Deleted and made again it has other rows under the same offsets; grown, machines move among partitions. What we
    know is asked for again where it is `older_than_s`. Raises other errors of kafka-python, too.
    """
    refresh(session.consumer, older_than_s=older_than_s)
    was, now = session.input, known_topic(session.consumer, topic)
    if now.partitions and now != was:
        raise OffsetOutOfRangeError(
            f"topic {topic} has changed under us: id {was.topic_id} with {was.partitions} partitions, now "
            f"{now.topic_id} with {now.partitions}"
        )


class Backoff:
    """The waits between sessions that are lost in a row; the first loss is mended at once."""

    def __init__(self) -> None:
        self._losses = 0
        self._lost_at = float("-inf")

    def lost(self) -> None:
        """Another one."""
        self._losses += 1
        self._lost_at = time.monotonic()

    def clear(self) -> None:
        """A commit stands."""
        self._losses = 0

    def must_wait(self, timeout_s: float) -> bool:
        """Wait for the next try, `timeout_s` at most. True: it is not yet time."""
        if self._losses <= 1:
            return False
        backoff_s = min(_FIRST_BACKOFF_S * 2**self._losses, _LONGEST_BACKOFF_S)
        left_s = self._lost_at + backoff_s - time.monotonic()
        time.sleep(max(0.0, min(left_s, timeout_s)))
        return bool(left_s > timeout_s)


class TopicDoubts:
    """Whether the topics are at fault where kafka-python only waits: it does so for ever for one that was deleted."""

    def __init__(self, check_topics: Callable[[], object], *, reachable: Callable[[], bool]) -> None:
        self._check, self._reachable = check_topics, reachable
        self._complaint, self._glimpsed = _Complaint(), _Complaint()
        self._looked_at, self._glanced_at = float("-inf"), time.monotonic()

    def glance(self) -> None:
        """To be called at every poll: looks and tells also while all goes well, on a thread of its own.

        A topic that is seldom written, such as that of the alerts, may be gone for days before it is missed; and one of
        states that is no longer compacted loses them a week later.
        """
        now = time.monotonic()
        if now - self._glanced_at >= _GLANCE_EVERY_S:
            self._glanced_at = now
            threading.Thread(target=self._tell, name="kafka-topics", daemon=True).start()

    def _tell(self) -> None:
        if (error := self._glimpsed.again(self._check)) is not None:
            log.error("event=topics-wrong reason=%r note=%r", str(error), "rows are scored until that is met")

    def look(self) -> None:
        """To be called while something does not come to its end; looks now and then.

        Raises DataError when two looks in a row complain of the same.
        """
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S or not self._reachable():
            return
        self._looked_at = now
        if (error := self._complaint.again(self._check)) is not None:
            raise error

    def clear(self) -> None:
        """It came to its end."""
        self._complaint = _Complaint()


class _Complaint:
    """What a look at the topics complained of: just after its start a broker may not know its topics yet."""

    def __init__(self) -> None:
        self._last = ""

    def again(self, check_topics: Callable[[], object]) -> DataError | None:
        """Look, and return what is complained of now as it was the last time."""
        before, self._last = self._last, ""
        try:
            check_topics()
        except DataError as error:
            self._last = str(error)
            return error if self._last == before else None
        except KafkaError:
            return None
        return None


def drop_producer(session: Session | None) -> None:
    """Throw its producer away, if it has one: the next one ends what it left open."""
    if session is not None and session.producer is not None:
        producer, session.producer = session.producer, None
        close_producer(producer)


def close_session(session: Session) -> None:
    """Let go of the broker. A static member does not leave the group: its next start finds its place."""
    drop_producer(session)
    if session.actions is not None:
        with contextlib.suppress(KafkaError):
            session.actions.close()
    if session.consumer is not None:
        with contextlib.suppress(KafkaError):
            session.consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)


def poll_rows(consumer: Any, wait_ms: float, *, max_records: int) -> tuple[Mapping[Any, Any], KafkaError | None]:
    """What was polled; or nothing, and the error of a position that is not there. Before we have settled that is no
    error: kafka-python tries what was committed by itself, and `settle` says where to go on.
    """
    try:
        return consumer.poll(wait_ms, max_records=max_records), None
    except (NoOffsetForPartitionError, OffsetOutOfRangeError) as jumped:
        return {}, jumped


def add_rows(records: list[Record], positions: dict[int, int], polled: Mapping[Any, Sequence[Record]]) -> int:
    """Take what was polled among the records of a batch, and where it ends among the positions. Returns its bytes."""
    size = 0
    for tp, found in polled.items():
        records += found
        positions[tp.partition] = found[-1].offset + 1
        size += sum(len(record.value) for record in found)
    return size
