"""Kafka as a stream, exactly once: `commit` is one transaction of outputs, state and offsets.

docs/decisions/0006-the-kafka-stream.md says why it is built as it is.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from sheetbreak.errors import SheetbreakError, StreamFenced, StreamLost, StreamUnavailable
from sheetbreak.streams.kafka.admin.hanging import Waiting
from sheetbreak.streams.kafka.admin.topics import Names, names_for
from sheetbreak.streams.kafka.clients import new_admin, new_producer
from sheetbreak.streams.kafka.commit_thread import Watchdog, Worker, can_connect
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.group.membership import Membership, group_of, is_stable, unread, unstick
from sheetbreak.streams.kafka.group.pace import IDLE_WAIT_MS, Pace, Portion
from sheetbreak.streams.kafka.group.positions import Jumps, Place, StableOffsets
from sheetbreak.streams.kafka.group.state_topic import MachineStates, StateReader
from sheetbreak.streams.kafka.group.watch import GroupWatch
from sheetbreak.streams.kafka.options import Address, KafkaOptions, Security, environment_security, parse_address
from sheetbreak.streams.kafka.session import (
    IDLE_FRESH_S,
    Backoff,
    Session,
    TopicDoubts,
    add_rows,
    check,
    close_session,
    drop_producer,
    open_session,
    poll_rows,
    refuse_changed_input,
)
from sheetbreak.streams.kafka.transaction import Commit, PublishFailed, Token, Writes, publish
from sheetbreak.streams.protocol import Batch, Output, Record, Snapshot

COMMIT_WAIT_S = 2.0
"""A commit that takes longer says StreamUnavailable, so that the caller can look about; it goes on."""
_CLOSE_WAIT_S = 5.0
_ASK_MS = 2_000 + IDLE_WAIT_MS
_BATCH_BYTES = 16 * 1024 * 1024
"""Of records in a batch, beyond which no poll adds more: 10,000 rows of 59 sensors, or 16 records of 1 MB."""
_SILENT_S = 1.0 + IDLE_WAIT_MS / 1000
"""A broker that is there answers a fetch within this, if only that there is nothing."""

log = logging.getLogger(__name__)


def open_kafka(source: str, *, emit: frozenset[str], options: KafkaOptions | None = None) -> tuple[str, "KafkaStream"]:
    """The input's full topic name and the stream of `kafka://host:9092/topic`. Contacts no broker yet.

    Raises DataError for an address, an option or a variable that cannot be right.
    """
    options, address = options or KafkaOptions(), parse_address(source)
    names = names_for(address.topic, options.topic_prefix, emit)
    security = options.security or environment_security()
    return names.rows, KafkaStream(address, names, options=options, security=security)


class KafkaStream:
    """One monitor's part of a topic. Its clients are made by the first poll, and anew after a loss."""

    def __init__(self, address: Address, names: Names, *, options: KafkaOptions, security: Security) -> None:
        self._address, self._names, self._options, self._security = address, names, options, security
        self._membership = Membership(names.rows)
        self._session: Session | None = None
        self._gone: tuple[int, ...] = ()
        """Partitions that a loss took from us and that the loop has not been told of."""
        self._states, self._reader = MachineStates(names.state), StateReader(address, security, names.state)
        self._jumps, self._waiting = Jumps(), Waiting(address, names, options, security)
        self._state_id = ""
        self._commit: Commit | None = None
        self._worker = Worker("kafka-commit")
        self._reachable = reachable = partial(can_connect, address.servers)
        give_up_s = 2 * options.transaction_timeout_s
        self._watchdog = Watchdog(max(options.hang_limit_s, 2 * give_up_s), reachable=reachable, give_up_s=give_up_s)
        self._doubts = TopicDoubts(partial(check, address, names, options, security), reachable=reachable)
        self._backoff = Backoff()
        self._group = GroupWatch(options.group, names.rows, partial(new_admin, address, security))
        self._joined, self._stable = False, StableOffsets()
        self._pace, self._portion = Pace(options.latency_s), Portion(options.max_rows)

    def poll(self, timeout_s: float) -> Batch:
        """Rows that came, which waited for the latency at most, or as many as a batch may hold.

        Raises StreamUnavailable while the broker is away, StreamFenced when another has our instance id, and
        DataError when the topics are not as they should be or Kafka refuses us.
        """
        self._reader.close()  # all is restored that was assigned
        self._doubts.glance()
        if self._gone:
            gone, self._gone = self._gone, ()
            return self._batch((), revoked=gone)
        try:
            if self._session is None:
                if self._backoff.must_wait(timeout_s):
                    return Batch((), ready=False)
                self._session = self._open()
            return self._gather(self._session, timeout_s)
        except KafkaError as error:
            self._membership.unsettle()
            if self._waiting.met(error):
                drop_producer(self._session)
            self._pace.met(error, asked=self._session is not None, reachable=self._reachable)
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
        scored again would be late for such a state. Where nothing is committed, the state says where to go on.
        Raises StreamUnavailable or StreamLost.
        """
        place = self._membership.places.get(partition)
        if place is None:
            self._lose()
            raise StreamLost(f"restore: partition {partition} is no longer ours")
        patience_s = self._options.transaction_timeout_s + _CLOSE_WAIT_S
        log_of, session = self._membership.logs[partition], self._session
        try:
            kept = self._reader.read(partition, patience_s=patience_s).without_foreign(place)
            if place.offset is None and kept.records and session is not None:
                topic_id = kept.last_topic(log_of.topic_id)
                start = self._membership.go_on_from_state(session.consumer, partition, kept.newest(topic_id), topic_id)
                self._jumps.tell(partition, start)
        except KafkaError as error:
            if self._waiting.met(error):
                drop_producer(self._session)
            raise self._after(stream_error(error, f"restore partition {partition}")) from error
        return self._states.take(partition, kept, place, self._membership.starts[partition], log_of)

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
            commit.end(self._portion, timeout_s=self._options.transaction_timeout_s)
        except SheetbreakError as error:
            raise self._after(error) from error.__cause__
        self._membership.committed(commit.places, batch.token.actions)
        self._states.committed(commit.places, snapshots)
        self._backoff.clear()

    def lag(self) -> dict[int, int]:
        """Rows of each of our partitions not polled yet, those behind an open transaction among them; asks the broker.

        Raises StreamUnavailable.
        """
        if self._session is None:
            return {}
        try:
            consumer, places = self._session.consumer, self._membership.places
            return unread(consumer, self._names.rows, places, self._stable, silent_s=_SILENT_S)
        except KafkaError as error:
            raise StreamUnavailable(f"lag: {error}") from error

    def close(self) -> None:
        """End a commit under way, or give it up whole, and let go of the broker."""
        if self._commit is not None:
            self._commit.job.wait(_CLOSE_WAIT_S)
            self._commit = None
        self._worker.close()
        self._watchdog.close()
        self._reader.close()
        if self._session is not None:
            close_session(self._session)
            self._session = None

    def _gather(self, session: Session, timeout_s: float) -> Batch:
        consumer, membership = session.consumer, self._membership
        end = time.monotonic() + timeout_s
        records, actions = list[Record](), list[Record]()
        positions: dict[int, int] = {}
        size = 0
        while True:
            self._pace.set(consumer)
            self._group.give_left_over(consumer)
            wait_ms = max(0.0, end - time.monotonic()) * 1000
            polled, jumped = poll_rows(consumer, wait_ms, max_records=self._portion.rows - len(records))
            group = group_of(consumer)
            if membership.holds(group):
                if jumped is not None:
                    raise jumped
                first = not records and not actions
                size += add_rows(records, positions, polled)
                actions += session.actions.poll() if session.actions else ()
                if first and (records or actions):
                    end = min(end, self._pace.until(consumer, rows=bool(records)))
            else:
                records, actions, positions, size = [], [], {}, 0
                rebalanced = self._settle(session, group)
                if rebalanced is not None:
                    return rebalanced
            if len(records) >= self._portion.rows or size >= _BATCH_BYTES:
                break
            if time.monotonic() >= end and not (polled and records):
                break  # after rows one poll more: it has the next ones fetched while these are scored
        if not records and not actions:
            self._probe(session)
            if not self._joined:
                self._group.joining()
            return self._batch((), ready=self._joined)
        refuse_changed_input(session, self._names.rows)
        places = session.actions.take_places() if session.actions else {}
        return self._batch(records, token=Token(session, group, positions, places), actions=actions)

    def _batch(self, records: Sequence[Record], **more: Any) -> Batch:
        return Batch(records, lost=self._jumps.take(), **more)

    def _settle(self, session: Session, group: Any) -> Batch | None:
        """Adopt a new assignment. Returns what the loop is to be told of it."""
        if not is_stable(group):
            unstick(session.consumer, group)
            return None
        # First: what fails here is done again, and nothing has changed.
        actions = session.actions.settle(session.consumer) if session.actions else {}
        assigned, revoked = self._membership.settle(session.consumer, group, actions)
        self._joined = True
        self._group.joined(len(self._membership.places), session.input.partitions)
        if not assigned and not revoked:
            return None
        log.info("event=rebalanced assigned=%s revoked=%s", assigned, revoked)
        self._states.forget(revoked)
        for partition in assigned:
            self._jumps.tell(partition, self._membership.starts[partition])
        return self._batch((), assigned=assigned, revoked=revoked)

    def _probe(self, session: Session) -> None:
        """kafka-python polls on in silence while the broker is away: one not heard is asked. Raises its errors."""
        refuse_changed_input(session, self._names.rows, older_than_s=IDLE_FRESH_S)
        one = TopicPartition(self._names.rows, min(self._membership.places, default=0))
        if session.consumer.silent_s(one) > _SILENT_S:
            session.consumer.end_offsets([one], timeout_ms=_ASK_MS)

    def _start(self, batch: Batch, outputs: Sequence[Output], snapshots: Sequence[Snapshot]) -> Commit:
        token: Token | None = batch.token
        places, starts = self._membership.places, self._membership.starts
        touched = {action.partition for action in batch.actions}
        if token is None or token.session is not self._session or not token.positions.keys() | touched <= places.keys():
            raise self._after(StreamLost("commit: the batch was polled before a rebalance or a loss"))
        # A commit of actions alone leaves its partitions where the commit before it ended, perhaps after this poll.
        moved = {partition: starts[partition].offset for partition in touched} | dict(token.positions)
        after = self._states.places(moved, token.session.input.topic_id, snapshots)
        writes, state = Writes(token.session.limits), self._names.state
        writes.add_outputs(outputs, self._names.outputs, partition_of=token.session.partition_of)
        writes.add_state(snapshots, state, places={**places, **after})
        for partition, mending in self._states.mending.items():
            if partition in moved:
                writes.add_mended(mending, state, partition, place=after[partition])
        writes.add_markers(state, after)
        self._waiting.writing()
        job = self._worker.start(partial(self._transact, token, writes, after))
        return Commit(batch, job, after)

    def _transact(self, token: Token, writes: Writes, places: Mapping[int, Place]) -> None:
        """On the worker's thread: the whole transaction, with a new producer if the last one is gone."""
        session = token.session
        offsets = {TopicPartition(self._names.rows, partition): place for partition, place in places.items()}
        offsets.update(token.actions)
        try:
            if session.producer is None:
                settings = self._address, self._options, self._security
                session.producer = new_producer(*settings, batch_bytes=session.batch_bytes)
            with self._watchdog.watching(session.producer.give_up):
                publish(session.producer, writes, offsets=offsets, group=token.group)
        except KafkaError as error:
            raise PublishFailed(error, may_be_committed=False) from error
        except BaseException:
            drop_producer(session)  # whatever it was: nothing may go on with this transaction
            raise

    def _open(self) -> Session:
        """A new session. Raises like `open_session`."""
        session = open_session(self._address, self._names, self._options, self._security, self._waiting)
        if self._state_id and session.state_id != self._state_id:
            text = "event=state-topic-made-again topic=%s note=%r"
            log.error(text, self._names.state, "it holds only what was written since; the other machines start cold")
        self._state_id = session.state_id
        self._joined = False
        self._group.opened()
        return session

    def _after(self, error: Exception) -> Exception:
        """The error, to be raised; the session is given up unless the same may be tried again."""
        if not isinstance(error, StreamUnavailable):
            self._lose()
        return error

    def _lose(self) -> None:
        """Give the session up: the next poll says what is gone, those after it what is ours again."""
        self._backoff.lost()
        left = self._membership.leave()
        self._gone = tuple(sorted({*self._gone, *left}))
        self._states.forget(left)
        if self._session is not None:
            close_session(self._session)
            self._session = None
