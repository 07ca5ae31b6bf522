"""Membership in the consumer group: which partitions are ours, and from which offset each goes on."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.errors import FencedInstanceIdError, KafkaTimeoutError
from kafka.structs import MemberState

from sheetbreak.streams.kafka.group.positions import (
    Log,
    Place,
    StableOffsets,
    Start,
    read_place,
    start_from,
    start_from_state,
    topic_id_text,
)

_COMMITTED_MS = 10_000
"""A predecessor's pending offsets are waited for this long; then the poll says StreamUnavailable."""
FRESH_S = 0.25
"""A topic is not deleted, made again and filled beyond where we were in so short a time."""
_ASK_MS = 4_000
"""What we ask may wait behind a fetch that the broker holds: for IDLE_WAIT_MS (pace.py)."""

log = logging.getLogger(__name__)


def is_stable(group: Any) -> bool:
    """Whether the consumer whose metadata this is has joined, and is not about to join again."""
    return bool(group.state == MemberState.STABLE and group.generation_id >= 0)


def group_of(consumer: Any) -> Any:
    """The group's metadata as the consumer knows them.

    Raises FencedInstanceIdError when another member has taken our instance id: kafka-python then ends the heartbeat and
    says nothing, and a consumer without rows would look at its place in the group for ever.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - nothing public tells it
    with coordinator._lock:  # noqa: SLF001 - a join that ends sets all three under it
        joined = coordinator.state is MemberState.STABLE and not coordinator.rejoining
        beating = coordinator._heartbeat_enabled  # noqa: SLF001
    if joined and not beating:
        raise FencedInstanceIdError(f"group {coordinator.group_id}: another member has our instance id")
    return consumer.group_metadata()


def unstick(consumer: Any, group: Any) -> None:
    """Have a join finished that kafka-python has forgotten; to be called when `group` is not stable.

    A join that new metadata asked for (more partitions, or the first look at the topic) and that outlasts a
    poll's timeout is never awaited again: the consumer gets no partition, and its poll spins.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - nothing public tells or mends it
    if group.state == MemberState.REBALANCING and not coordinator.need_rejoin():
        coordinator.request_rejoin()


def join_again(consumer: Any) -> None:
    """Have the group's partitions given out anew, where we are its leader; to all others nothing happens."""
    consumer._coordinator.request_rejoin()  # noqa: SLF001 - as in `unstick`


class Membership:
    """What the loop has been told is ours, and under which generation of the group.

    Asked after every poll rather than told by kafka-python's rebalance callbacks: those run on its I/O
    thread, and a generation that has changed says the same.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._generation: tuple[int, str] | None = None
        self.places: dict[int, Place] = {}
        """By partition, as far as we know what the group has committed."""
        self.starts: dict[int, Start] = {}
        """By partition, where it goes on after what was committed last."""
        self.logs: dict[int, Log] = {}
        """By partition, what the broker held when we settled."""
        self._actions: Mapping[int, int | None] = {}
        """By partition, the operators' action that is to be read next, as committed."""

    def holds(self, group: Any) -> bool:
        """Whether we are still in the generation that we settled in; if not, what was polled is void.

        Once it says no it says no until `settle`, which goes back to what was committed.
        """
        if not is_stable(group) or self._generation != (group.generation_id, group.member_id):
            self._generation = None
        return self._generation is not None

    def unsettle(self) -> None:
        """What was polled since the last batch is void: it comes again after `settle`."""
        self._generation = None

    def leave(self) -> tuple[int, ...]:
        """Nothing is ours any more. Returns what was."""
        gone = tuple(sorted(self.places))
        self._generation, self.places, self.starts, self.logs, self._actions = None, {}, {}, {}, {}
        return gone

    def settle(
        self, consumer: Any, group: Any, actions: Mapping[int, int | None]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Adopt the consumer's assignment and go back to what was committed. Returns assigned, revoked.

        actions: by partition, the operators' action that the group is to read next; empty where there are none.
        A partition that nobody committed anything for in between (eager rebalances take all and give most of
        it back) keeps its state in memory: it is not reported and need not be restored.
        Raises errors of kafka-python; then nothing has changed, and it is to be called again.
        """
        ours = sorted(tp.partition for tp in consumer.assignment())
        places = self._committed(consumer, ours)
        # Not by the rows' offset alone: what another monitor did for an operator changed the state, and moved no row.
        kept = {p for p in ours if self.places.get(p) == places[p] and self._actions.get(p) == actions.get(p)}
        logs = self._logs(consumer, ours)
        starts = {p: self.starts[p] if p in kept else _start(places[p], log) for p, log in logs.items()}
        for partition, start in starts.items():
            # For those kept, too: what was polled of them and not committed must come again, and kafka-python
            # goes on from where it was when a partition comes back.
            consumer.seek(TopicPartition(self._topic, partition), start.offset)
        revoked = tuple(sorted(self.places.keys() - kept))
        self.places = {p: self.places[p] if p in kept else place for p, place in places.items()}
        self.starts, self.logs, self._actions = starts, logs, actions
        self._generation = (group.generation_id, group.member_id)
        return tuple(p for p in ours if p not in kept), revoked

    def go_on_from_state(self, consumer: Any, partition: int, position: int, topic_id: str) -> Start:
        """Go on where the newest state belongs: nothing is committed (offsets expire after a stand-still)."""
        start = self.starts[partition] = start_from_state(position, topic_id, self.logs[partition])
        consumer.seek(TopicPartition(self._topic, partition), start.offset)
        if start.event == "input-made-again" or not position:  # that is why nothing is committed; nothing was read
            return start
        text = "event=offsets-expired partition=%d state_at=%d goes_on_at=%d note=%r"
        log.warning(text, partition, position, start.offset, "the group has no committed offset here, the state has")
        return start

    def committed(self, places: Mapping[int, Place], actions: Mapping[TopicPartition, Place]) -> None:
        """The group is there now, in the rows and in operators' actions."""
        self.places.update(places)
        self._actions = {**self._actions, **{tp.partition: place.offset for tp, place in actions.items()}}
        self.starts.update({partition: Start(place.offset or 0) for partition, place in places.items()})

    def _committed(self, consumer: Any, ours: Sequence[int]) -> dict[int, Place]:
        asked = [TopicPartition(self._topic, partition) for partition in ours]
        found = committed_places(consumer, asked, timeout_ms=_COMMITTED_MS)
        return {tp.partition: place for tp, place in found.items()}

    def _logs(self, consumer: Any, ours: Iterable[int]) -> dict[int, Log]:
        """What the broker holds of our partitions.

        A leader that does not know its own end yet, just after its election, says so (KIP-207) and is asked again.
        """
        asked = [TopicPartition(self._topic, partition) for partition in ours]
        if not asked:
            return {}
        begins = consumer.beginning_offsets(asked, timeout_ms=_COMMITTED_MS)
        ends = consumer.end_offsets(asked, timeout_ms=_COMMITTED_MS)
        topic_id = known_topic(consumer, self._topic).topic_id
        return {tp.partition: Log(topic_id, begins[tp], ends[tp]) for tp in asked}


class KnownTopic(NamedTuple):
    """What a client's newest metadata say of a topic."""

    topic_id: str
    partitions: int
    """0 while the topic is not there."""


def known_topic(consumer: Any, topic: str) -> KnownTopic:
    """The topic in the consumer's metadata; asks nobody."""
    cluster = consumer._cluster  # noqa: SLF001 - nothing public tells a topic's id
    return KnownTopic(topic_id_text(cluster.topic_id(topic)), len(cluster.partitions_for_topic(topic) or ()))


def committed_places(
    consumer: Any, partitions: Sequence[TopicPartition], *, timeout_ms: int
) -> dict[TopicPartition, Place]:
    """What the group has committed. Raises errors of kafka-python; UnstableOffsetCommitError where a transaction that
    stays open holds it back.

    Stable offsets (the consumer is read_committed): those of a transaction still open are waited for. Asked for all at
    once; the public `committed` asks for one, a round trip each.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - nothing public asks for several
    try:
        found = coordinator.fetch_committed_offsets(partitions, timeout_ms=timeout_ms)
    except KafkaTimeoutError:  # which says not why: asked once more, the group's coordinator does
        answer = coordinator._manager.call_soon(coordinator._send_offset_fetch_request, partitions)  # noqa: SLF001
        found = consumer._net.run(coordinator._manager.wait_for, answer, _ASK_MS)  # noqa: SLF001
    return {tp: read_place(found.get(tp)) for tp in partitions}


def unread(
    consumer: Any, topic: str, partitions: Iterable[int], stable: StableOffsets, *, silent_s: float
) -> dict[int, int]:
    """Rows of each partition not polled yet, those behind an open transaction among them.

    The broker is asked where its last answer to a fetch said that there are more, or is `silent_s` old. stable: is told
    how far each partition is decided. Raises errors of kafka-python.
    """
    ours = [TopicPartition(topic, partition) for partition in partitions]
    at = {tp: consumer.position(tp, timeout_ms=_ASK_MS) for tp in ours}
    known = (tp for tp in ours if at[tp] is not None and consumer.silent_s(tp) <= silent_s)
    ended = {tp for tp in known if consumer.highwater(tp) == at[tp]}
    asked = [tp for tp in ours if tp not in ended]
    ends = at | (consumer.end_offsets(asked, timeout_ms=_ASK_MS) if asked else {})
    written = {tp: max(end, consumer.highwater(tp) or 0) for tp, end in ends.items()}
    for tp, end in ends.items():
        stable.look(tp.partition, end, written[tp])
    return {tp.partition: max(0, written[tp] - at[tp]) for tp in ends if at[tp] is not None}


def ask_anew(consumer: Any, *, older_than_s: float) -> None:
    """Ask for the consumer's metadata again, unless they are younger: before all that is sent from now on, and without
    waiting for the answer.
    """
    if _known_for_s(consumer) > older_than_s:
        consumer._manager.call_soon(consumer._cluster.refresh_metadata)  # noqa: SLF001 - as the client itself does


def refresh(consumer: Any, *, older_than_s: float) -> None:
    """Ask for the consumer's metadata again, unless they are younger, and wait for them. Raises KafkaTimeoutError."""
    if _known_for_s(consumer) > older_than_s:
        asked = consumer._cluster.request_update()  # noqa: SLF001 - as in `known_topic`
        consumer._net.run(consumer._manager.wait_for, asked, _ASK_MS)  # noqa: SLF001 - as the client itself does


def _known_for_s(consumer: Any) -> float:
    """Seconds since the consumer's metadata came."""
    last_ms: float = consumer._cluster._last_successful_refresh_ms  # noqa: SLF001 - as in `known_topic`
    return time.monotonic() - last_ms / 1000


def _start(place: Place, log: Log) -> Start:
    return Start(log.begin) if place.offset is None else start_from(place.offset, place.topic_id, log)
