"""Kafka as a stream, exactly once: `commit` is one transaction of outputs, state and offsets.

docs/decisions/0006-the-kafka-stream.md says why it is built as it is.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError

from sheetbreak.errors import StreamFenced, StreamLost, StreamUnavailable
from sheetbreak.streams.kafka.clients import close_producer, new_producer
from sheetbreak.streams.kafka.commit_thread import Job, Watchdog, Worker, can_connect
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.membership import Membership, Place, is_stable, unstick
from sheetbreak.streams.kafka.options import (
    Address,
    KafkaOptions,
    Security,
    environment_security,
    parse_address,
)
from sheetbreak.streams.kafka.reading import follow
from sheetbreak.streams.kafka.session import Session, TopicDoubts, check, close_session, open_session
from sheetbreak.streams.kafka.state_topic import read_state
from sheetbreak.streams.kafka.topics import Names, names_for
from sheetbreak.streams.kafka.transaction import PublishFailed, Writes, publish
from sheetbreak.streams.protocol import Batch, Output, Record, Snapshot

__all__ = ["KafkaOptions", "KafkaStream", "follow", "open_kafka"]

COMMIT_WAIT_S = 2.0
"""A commit that takes longer says StreamUnavailable, so that the caller can look about; it goes on."""
_CLOSE_WAIT_S = 5.0
_ASK_MS = 2_000
_PROBE_EVERY_S = 2.0
"""While no rows come: whether that is because the broker is away."""
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.1, 5.0

log = logging.getLogger(__name__)


def open_kafka(source: str, *, emit: frozenset[str], options: KafkaOptions | None = None) -> tuple[str, "KafkaStream"]:
    """The input's full topic name and the stream of `kafka://host:9092/topic`. Contacts no broker yet.

    Raises DataError for an address, an option or a variable that cannot be right.
    """
    options = options or KafkaOptions()
    address = parse_address(source)
    names = names_for(address.topic, options.topic_prefix, emit)
    security = options.security or environment_security()
    return names.rows, KafkaStream(address, names, options=options, security=security)


class _Token(NamedTuple):
    """What a batch needs at its commit."""

    session: Session
    group: Any
    """The group's metadata as it was right after the poll. Asked at the commit, a member thrown out
    in between would say that it has none, and would not be refused."""
    positions: Mapping[int, int]
    """The next offset by partition."""


@dataclass(slots=True)
class _Commit:
    """A commit under way; it may outlast several calls of `commit`."""

    batch: Batch
    job: Job
    places: Mapping[int, Place]
    """Where its partitions are once it stands."""
    started_s: float = field(default_factory=time.monotonic)

    def took_s(self) -> float:
        return time.monotonic() - self.started_s


class KafkaStream:
    """One monitor's part of a topic. Its clients are made by the first poll, and anew after a loss."""

    def __init__(self, address: Address, names: Names, *, options: KafkaOptions, security: Security) -> None:
        self._address, self._names, self._options, self._security = address, names, options, security
        self._membership = Membership(names.rows)
        self._session: Session | None = None
        self._gone: tuple[int, ...] = ()
        """Partitions that a loss took from us and that the loop has not been told of."""
        self._stale: dict[int, set[bytes]] = {}
        """Keys of state that must not be used, by partition: the next commit deletes them."""
        self._commit: _Commit | None = None
        self._worker = Worker("kafka-commit")
        reachable = partial(can_connect, address.servers)
        self._watchdog = Watchdog(options.hang_limit_s, reachable=reachable)
        self._doubts = TopicDoubts(partial(check, address, names, options, security), reachable=reachable)
        self._losses = 0
        self._lost_at = self._polled_at = self._probed_at = float("-inf")

    def poll(self, timeout_s: float) -> Batch:
        """Rows gathered over the commit interval, or as many as a batch may hold.

        Raises StreamUnavailable while the broker is away, StreamFenced when another has our instance id, and
        DataError when the topics are not as they should be or Kafka refuses us.
        """
        if self._gone:
            gone, self._gone = self._gone, ()
            return Batch((), revoked=gone)
        try:
            if self._session is None:
                if self._must_wait(timeout_s):
                    return Batch(())
                self._session = open_session(self._address, self._names, self._options, self._security)
            return self._gather(self._session, timeout_s)
        except KafkaError as error:
            mapped = stream_error(error, f"poll {self._address}")
            if isinstance(mapped, StreamLost | StreamFenced):
                self._lose()
            if isinstance(mapped, StreamLost):  # nothing was in hand: to the caller no more than a pause
                mapped = StreamUnavailable(str(mapped))
            if isinstance(mapped, StreamUnavailable):
                self._doubts.look()
            raise mapped from error

    def restore(self, partition: int) -> Mapping[bytes, bytes]:
        """All state parts last committed for `partition`, by key.

        Nothing, where they are newer than the committed offset (which was then set back by hand): rows to be
        scored again would be late for such a state. Raises StreamUnavailable or StreamLost.
        """
        place = self._membership.places.get(partition)
        if place is None:
            self._lose()
            raise StreamLost(f"restore: partition {partition} is no longer ours")
        topic, patience_s = self._names.state, self._options.transaction_timeout_s + _CLOSE_WAIT_S
        try:
            kept = read_state(self._address, self._security, topic=topic, partition=partition, patience_s=patience_s)
        except KafkaError as error:
            raise self._after(stream_error(error, f"restore partition {partition}")) from error
        if kept.position > (place.offset or 0):
            text = "event=state-dropped partition=%d state_at=%d committed=%s note=%r"
            log.warning(text, partition, kept.position, place.offset, "offsets were set back; a cold start")
            self._stale[partition] = set(kept.parts)
            return {}
        if place.state_at is not None and kept.position != place.state_at:
            text = "event=state-missing partition=%d state_at=%d expected=%d topic=%s"
            log.error(text, partition, kept.position, place.state_at, topic)
        return kept.parts

    def commit(self, batch: Batch, outputs: Sequence[Output], snapshots: Sequence[Snapshot]) -> None:
        """Publish, keep and move on in one transaction.

        Raises StreamUnavailable when it takes long (called again with the same arguments, it goes on with the
        same transaction), StreamLost or StreamFenced when that failed, DataError when Kafka refuses a record.
        """
        if self._commit is None or self._commit.batch is not batch:
            self._commit = self._start(batch, outputs, snapshots)
        commit = self._commit
        if not commit.job.wait(COMMIT_WAIT_S):
            self._doubts.look()
            raise StreamUnavailable(f"the transaction has not ended in {commit.took_s():.0f} s; is the broker there?")
        self._commit = None
        self._doubts.clear()
        try:
            commit.job.result()
        except PublishFailed as failed:
            decided = failed.decide(took_s=commit.took_s(), timeout_s=self._options.transaction_timeout_s)
            raise self._after(decided) from failed
        self._membership.places.update(commit.places)
        for partition in commit.places:
            self._stale.pop(partition, None)
        self._losses = 0

    def lag(self) -> dict[int, int]:
        """Rows of each of our partitions not polled yet; asks the broker. Raises StreamUnavailable."""
        if self._session is None:
            return {}
        consumer = self._session.consumer
        partitions = [TopicPartition(self._names.rows, partition) for partition in self._membership.places]
        try:
            ends = consumer.end_offsets(partitions, timeout_ms=_ASK_MS) if partitions else {}
            at = {tp: consumer.position(tp, timeout_ms=_ASK_MS) for tp in ends}
        except KafkaError as error:
            raise StreamUnavailable(f"lag: {error}") from error
        return {tp.partition: max(0, end - at[tp]) for tp, end in ends.items() if at[tp] is not None}

    def close(self) -> None:
        """End a commit under way, or give it up whole, and let go of the broker."""
        if self._commit is not None:
            self._commit.job.wait(_CLOSE_WAIT_S)
            self._commit = None
        self._worker.close()
        self._watchdog.close()
        if self._session is not None:
            close_session(self._session)
            self._session = None

    def _gather(self, session: Session, timeout_s: float) -> Batch:
        consumer, membership = session.consumer, self._membership
        end = time.monotonic() + timeout_s
        due = self._polled_at + self._options.commit_interval_s
        behind = time.monotonic() >= due
        records: list[Record] = []
        positions: dict[int, int] = {}
        while True:
            until = min(end, due) if records else end
            wait_ms = max(0.0, until - time.monotonic()) * 1000
            polled = consumer.poll(wait_ms, max_records=self._options.max_rows - len(records))
            group = consumer.group_metadata()
            if membership.holds(group):
                _extend(records, positions, polled)
            else:
                records, positions = [], {}
                if is_stable(group):
                    assigned, revoked = membership.settle(consumer, group)
                    if assigned or revoked:
                        log.info("event=rebalanced assigned=%s revoked=%s", assigned, revoked)
                        return Batch((), assigned=assigned, revoked=revoked)
                else:
                    unstick(consumer, group)
            now = time.monotonic()
            if len(records) >= self._options.max_rows:
                break
            if now >= (min(end, due) if records else end) and not (behind and polled and records):
                break  # one poll more has the next rows fetched while these are scored
        if not records:
            self._probe(consumer)
            return Batch(())
        self._polled_at = time.monotonic()
        return Batch(records, token=_Token(session, group, positions))

    def _probe(self, consumer: Any) -> None:
        """kafka-python polls on in silence while the broker is away: ask it something. Raises its errors."""
        if time.monotonic() - self._probed_at >= _PROBE_EVERY_S:
            consumer.end_offsets([TopicPartition(self._names.rows, 0)], timeout_ms=_ASK_MS)
            self._probed_at = time.monotonic()

    def _start(self, batch: Batch, outputs: Sequence[Output], snapshots: Sequence[Snapshot]) -> _Commit:
        token: _Token | None = batch.token
        places = self._membership.places
        if token is None or token.session is not self._session or not token.positions.keys() <= places.keys():
            raise self._after(StreamLost("commit: the batch was polled before a rebalance or a loss"))
        moved = dict(token.positions)
        kept = {snapshot.partition for snapshot in snapshots}
        after = {p: Place(at, at if p in kept else places[p].state_at) for p, at in moved.items()}
        writes, state = Writes(token.session.limits), self._names.state
        writes.add_outputs(outputs, self._names.outputs, partition_of=token.session.partition_of)
        writes.add_state(snapshots, state, places={**places, **after})
        for partition in self._stale.keys() & moved.keys():
            writes.add_deletions(self._stale[partition], state, partition)
        job = self._worker.start(partial(self._transact, token, writes, after))
        return _Commit(batch, job, after)

    def _transact(self, token: _Token, writes: Writes, places: Mapping[int, Place]) -> None:
        """On the worker's thread: the whole transaction, with a new producer if the last one is gone."""
        session = token.session
        offsets = {TopicPartition(self._names.rows, partition): place for partition, place in places.items()}
        try:
            if session.producer is None:
                settings = self._address, self._options, self._security
                session.producer = new_producer(*settings, batch_bytes=session.batch_bytes)
            with self._watchdog.watching():
                publish(session.producer, writes, offsets=offsets, group=token.group)
        except KafkaError as error:
            raise PublishFailed(error, may_be_committed=False) from error
        except BaseException:
            # Whatever it was: nothing may go on with this transaction. A new producer aborts it.
            producer, session.producer = session.producer, None
            close_producer(producer)
            raise

    def _must_wait(self, timeout_s: float) -> bool:
        """Wait for the next try after losses in a row; the first is mended at once. True: not yet over."""
        if self._losses <= 1:
            return False
        backoff_s = min(_FIRST_BACKOFF_S * 2**self._losses, _LONGEST_BACKOFF_S)
        left_s = self._lost_at + backoff_s - time.monotonic()
        time.sleep(max(0.0, min(left_s, timeout_s)))
        return bool(left_s > timeout_s)

    def _after(self, error: Exception) -> Exception:
        """The error, to be raised; the session is given up unless the same may be tried again."""
        if not isinstance(error, StreamUnavailable):
            self._lose()
        return error

    def _lose(self) -> None:
        """Give the session up: the next poll says what is gone, those after it what is ours again."""
        self._losses += 1
        self._lost_at = time.monotonic()
        self._gone = tuple(sorted({*self._gone, *self._membership.leave()}))
        if self._session is not None:
            close_session(self._session)
            self._session = None


def _extend(records: list[Record], positions: dict[int, int], polled: Mapping[Any, Sequence[Any]]) -> None:
    for tp, found in polled.items():
        partition = tp.partition
        records += [Record(record.value or b"", partition, record.offset, record.timestamp) for record in found]
        positions[partition] = found[-1].offset + 1
