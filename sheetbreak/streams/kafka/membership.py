"""Our part in the consumer group: which partitions are ours, and from which offset each goes on."""

from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.structs import MemberState

_COMMITTED_MS = 10_000
"""A predecessor's pending offsets are waited for this long; then the poll says StreamUnavailable."""


class Place(NamedTuple):
    """Where the group is in one partition of the input."""

    offset: int | None
    """The next one to read; None where nothing was ever committed."""
    state_at: int | None
    """The offset that the newest kept state belongs to; None where we did not say so (reset by hand, say)."""

    @property
    def metadata(self) -> str:
        """What is committed beside the offset, so that state that went missing is noticed."""
        return "" if self.state_at is None else f"state={self.state_at}"


def is_stable(group: Any) -> bool:
    """Whether the consumer whose metadata this is has joined, and is not about to join again."""
    return bool(group.state == MemberState.STABLE and group.generation_id >= 0)


def unstick(consumer: Any, group: Any) -> None:
    """Have a join finished that kafka-python has forgotten; to be called when `group` is not stable.

    A join that new metadata asked for (more partitions, or the first look at the topic) and that outlasts a
    poll's timeout is never awaited again: the consumer gets no partition, and its poll spins.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - nothing public tells or mends it
    if group.state == MemberState.REBALANCING and not coordinator.need_rejoin():
        coordinator.request_rejoin()


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

    def holds(self, group: Any) -> bool:
        """Whether we are still in the generation that we settled in; if not, what was polled is void.

        Once it says no it says no until `settle`, which goes back to what was committed.
        """
        if not is_stable(group) or self._generation != (group.generation_id, group.member_id):
            self._generation = None
        return self._generation is not None

    def leave(self) -> tuple[int, ...]:
        """Nothing is ours any more. Returns what was."""
        gone = tuple(sorted(self.places))
        self._generation, self.places = None, {}
        return gone

    def settle(self, consumer: Any, group: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Adopt the consumer's assignment and go back to what was committed. Returns assigned, revoked.

        A partition that nobody committed anything for in between (eager rebalances take all and give most of
        it back) keeps its state in memory: it is not reported and need not be restored.
        Raises errors of kafka-python; then nothing has changed, and it is to be called again.
        """
        ours = sorted(tp.partition for tp in consumer.assignment())
        places = {partition: self._committed(consumer, partition) for partition in ours}
        kept = {p for p in ours if p in self.places and self.places[p].offset == places[p].offset}
        for partition, place in places.items():
            # For those kept, too: what was polled of them and not committed must come again, and kafka-python
            # goes on from where it was when a partition comes back.
            tp = TopicPartition(self._topic, partition)
            if place.offset is None:
                consumer.seek_to_beginning(tp)
            else:
                consumer.seek(tp, place.offset)
        revoked = tuple(sorted(self.places.keys() - kept))
        self.places = places
        self._generation = (group.generation_id, group.member_id)
        return tuple(p for p in ours if p not in kept), revoked

    def _committed(self, consumer: Any, partition: int) -> Place:
        # Stable offsets (the consumer is read_committed): those of a transaction still open are waited for.
        tp = TopicPartition(self._topic, partition)
        found = consumer.committed(tp, metadata=True, timeout_ms=_COMMITTED_MS)
        if found is None:
            return Place(None, None)
        name, _, at = (found.metadata or "").partition("=")
        return Place(int(found.offset), int(at) if name == "state" and at.isdigit() else None)
