"""Which partitions are told to be ours after a rebalance, and from where each goes on."""

import uuid
from typing import Any

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError, UnstableOffsetCommitError
from kafka.structs import ConsumerGroupMetadata, MemberState

from sheetbreak.streams.kafka.group.membership import Membership, is_stable
from sheetbreak.streams.kafka.group.positions import Place

TOPIC = "rows"


class Consumer:
    """As much of a KafkaConsumer as settling asks for."""

    def __init__(self) -> None:
        self.partitions: set[int] = set()
        self.offsets: dict[int, OffsetAndMetadata] = {}
        self.sought: dict[int, int] = {}
        self.away = False
        self.begin, self.end, self.id = 3, 100, uuid.UUID(int=7)
        self._coordinator = self._cluster = self._manager = self._net = self
        self.reason: KafkaError = KafkaTimeoutError("away")
        """Why it is away, if asked a single time."""

    def assignment(self) -> set[Any]:
        return {TopicPartition(TOPIC, partition) for partition in self.partitions}

    def fetch_committed_offsets(self, asked: Any, *, timeout_ms: int) -> Any:
        assert timeout_ms > 0
        if self.away:
            raise KafkaTimeoutError("away")
        return {tp: self.offsets[tp.partition] for tp in asked if tp.partition in self.offsets}

    def _send_offset_fetch_request(self, *_: Any) -> None:
        """Asked once."""

    def call_soon(self, question: Any, *about: Any) -> Any:
        return question(*about)

    def wait_for(self, *_: Any) -> None:
        raise self.reason

    def run(self, question: Any, *about: Any) -> Any:
        return question(*about)

    def beginning_offsets(self, asked: Any, *, timeout_ms: int) -> dict[Any, int]:
        assert timeout_ms > 0
        return dict.fromkeys(asked, self.begin)

    def end_offsets(self, asked: Any, *, timeout_ms: int) -> dict[Any, int]:
        assert timeout_ms > 0
        return dict.fromkeys(asked, self.end)

    def topic_id(self, _topic: str) -> uuid.UUID:
        return self.id

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return self.partitions

    def seek(self, tp: Any, offset: int) -> None:
        self.sought[tp.partition] = offset

    def commit(self, partition: int, offset: int, metadata: str = "") -> None:
        self.offsets[partition] = OffsetAndMetadata(offset, metadata, -1)


def group(generation: int, state: str = MemberState.STABLE) -> Any:
    return ConsumerGroupMetadata("g", generation, "me", "one", state)


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


def test_what_is_assigned_goes_on_from_the_committed_offset(consumer: Consumer) -> None:
    consumer.partitions = {0, 1}
    consumer.commit(1, 42, "state=40")
    membership = Membership(TOPIC)
    assert membership.settle(consumer, group(1), {}) == ((0, 1), ())
    assert consumer.sought == {0: 3, 1: 42}
    assert membership.places == {0: Place(None, None), 1: Place(42, 40)}
    assert membership.holds(group(1))


def test_a_partition_that_others_committed_for_meanwhile_is_revoked_and_assigned(consumer: Consumer) -> None:
    consumer.partitions = {0, 1}
    membership = Membership(TOPIC)
    membership.settle(consumer, group(1), {})
    membership.committed({0: Place(10, 10), 1: Place(20, 20)}, {})
    consumer.commit(0, 10, "state=10")
    consumer.commit(1, 25)
    assert membership.settle(consumer, group(2), {}) == ((1,), (1,))
    assert consumer.sought == {0: 10, 1: 25}, "those kept go back, too"


@pytest.mark.parametrize(("place", "action"), [(Place(10, 10), 2), (Place(10, None, machines=1), 1)])
def test_a_state_that_others_changed_at_the_same_row_is_restored(consumer: Consumer, place: Place, action: int) -> None:
    """Another monitor did what an operator asked for; or, while no monitor ran, a machine was retired."""
    consumer.partitions = {0, 1}
    membership = Membership(TOPIC)
    membership.settle(consumer, group(1), {0: None, 1: None})
    mine = Place(10, 10)
    membership.committed({0: mine, 1: mine}, {TopicPartition("actions", 0): Place(1)})
    consumer.commit(0, 10, mine.metadata)
    consumer.commit(1, 10, mine.metadata)
    assert membership.settle(consumer, group(2), {0: 1, 1: None}) == ((), ()), "nobody changed anything"
    consumer.commit(0, 10, place.metadata)
    assert membership.settle(consumer, group(3), {0: action, 1: None}) == ((0,), (0,))


def test_a_partition_given_away_is_revoked(consumer: Consumer) -> None:
    consumer.partitions = {0, 1}
    membership = Membership(TOPIC)
    membership.settle(consumer, group(1), {})
    consumer.partitions = {0}
    assert membership.settle(consumer, group(2), {}) == ((), (1,))
    assert set(membership.places) == {0}


@pytest.mark.parametrize(
    "other",
    [
        group(2),
        group(-1),
        group(1, MemberState.REBALANCING),
        group(1, MemberState.UNJOINED),
        ConsumerGroupMetadata("g", 1, "another member id", "one", MemberState.STABLE),
    ],
)
def test_what_was_polled_is_void_until_settled_again_once_the_group_changed(consumer: Consumer, other: Any) -> None:
    membership = Membership(TOPIC)
    membership.settle(consumer, group(1), {})
    assert membership.holds(group(1))
    assert not membership.holds(other)
    assert not membership.holds(group(1)), "rows may have been dropped since"
    membership.settle(consumer, group(1), {})
    assert membership.holds(group(1))


@pytest.mark.parametrize("reason", [KafkaTimeoutError("away"), UnstableOffsetCommitError()])
def test_a_settling_that_fails_says_why_changes_nothing_and_is_done_again(
    consumer: Consumer, reason: KafkaError
) -> None:
    consumer.partitions = {0}
    consumer.commit(0, 5)
    consumer.away, consumer.reason = True, reason
    membership = Membership(TOPIC)
    with pytest.raises(type(reason)):
        membership.settle(consumer, group(1), {})
    assert (membership.places, consumer.sought) == ({}, {})
    assert not membership.holds(group(1))
    consumer.away = False
    assert membership.settle(consumer, group(1), {}) == ((0,), ())


@pytest.mark.parametrize(
    ("metadata", "state_at"), [("", None), (None, None), ("state=7", 7), ("state=x", None), ("by hand", None)]
)
def test_metadata_that_is_not_ours_says_nothing_about_the_state(
    consumer: Consumer, metadata: str | None, state_at: int | None
) -> None:
    consumer.partitions = {0}
    consumer.offsets[0] = OffsetAndMetadata(9, metadata, -1)
    membership = Membership(TOPIC)
    membership.settle(consumer, group(1), {})
    assert membership.places == {0: Place(9, state_at)}


def test_what_a_place_says_beside_its_offset_is_read_back(consumer: Consumer) -> None:
    consumer.partitions = {0}
    consumer.commit(0, 9, Place(9, 8).metadata)
    membership = Membership(TOPIC)
    membership.settle(consumer, group(1), {})
    assert membership.places[0] == Place(9, 8)


def test_a_loss_names_all_that_was_ours(consumer: Consumer) -> None:
    consumer.partitions = {2, 0}
    membership = Membership(TOPIC)
    membership.settle(consumer, group(1), {})
    assert membership.leave() == (0, 2)
    assert membership.leave() == ()
    assert not membership.holds(group(1))


def test_a_member_without_a_generation_is_not_stable() -> None:
    assert is_stable(group(1))
    assert not is_stable(group(-1))
