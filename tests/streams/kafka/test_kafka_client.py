"""What the pinned kafka-python still does, so that each cure of ours goes when it is needed no longer.

A test that fails here after an upgrade is good news: read what it says, and take the cure out.
"""

import contextlib
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaConnectionError, KafkaError, NoOffsetForPartitionError
from kafka.net.compat import KafkaNetClient
from kafka.structs import MemberState

from sheetbreak.errors import StreamLost, StreamUnavailable
from sheetbreak.streams.kafka import clients as kafka_clients
from sheetbreak.streams.kafka.clients import (
    Patient,
    close_producer,
    new_admin,
    new_group_consumer,
    new_producer,
    new_reader,
)
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.group.asking import AskingConsumer
from sheetbreak.streams.kafka.group.membership import is_stable, unstick
from sheetbreak.streams.kafka.options import Address, KafkaOptions, Security, parse_address
from sheetbreak.streams.kafka.transaction import PublishFailed, Writes, publish
from tests.support.kafka.broker import Broker
from tests.support.kafka.operator import Operator
from tests.support.running.patience import PATIENCE_S, wait_for

HANG_S = 5.0
"""Without the cure a call hangs for ever; with it both return less than a second after the broker's return."""


class Transaction:
    """A transaction with a record written, so that its coordinator is known and connected."""

    def __init__(self, broker: Broker, net_client: Any) -> None:
        prefix = broker.create_topics()
        self.rows, self.scores = prefix + "sensor-rows", prefix + "scores"
        broker.write(self.rows, [b"x"])
        self.consumer = KafkaConsumer(
            self.rows,
            bootstrap_servers=broker.address,
            group_id=prefix,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            reconnect_backoff_max_ms=1000,
        )
        wait_for(lambda: polled(self.consumer, 500), nap_s=0)
        self.group = self.consumer.group_metadata()
        self.producer = KafkaProducer(
            bootstrap_servers=broker.address,
            transactional_id=prefix,
            kafka_client=net_client,
            retry_backoff_ms=10,
            reconnect_backoff_max_ms=1000,
            transaction_timeout_ms=60_000,
        )
        self.producer.init_transactions()
        self.producer.begin_transaction()
        self.producer.send(self.scores, b"y")
        self.producer.flush()

    def send_offsets(self) -> None:
        offsets = {TopicPartition(self.rows, 0): OffsetAndMetadata(1, "", -1)}
        self.producer.send_offsets_to_transaction(offsets, self.group)

    def give_up(self) -> None:
        self.producer._sender.force_close()
        with contextlib.suppress(KafkaError):
            self.producer.close(timeout=2)
        self.consumer.close(timeout_ms=500)


def polled(consumer: Any, timeout_ms: int) -> Any:
    """What came. A join that outlasts the poll is not forgotten."""
    records = consumer.poll(timeout_ms)
    group = consumer.group_metadata()
    if not is_stable(group):
        unstick(consumer, group)
    return records


CALLS = pytest.mark.parametrize("call", ["send_offsets", "commit"])


@contextlib.contextmanager
def waiting_for(
    broker: Broker, net_client: Any, call: str
) -> Iterator[tuple[Transaction, Callable[[], threading.Event]]]:
    """A transaction, and what begins the call on a thread; the event says that it has returned."""
    transaction, done = Transaction(broker, net_client), threading.Event()
    if call == "commit":
        transaction.send_offsets()
    action = transaction.send_offsets if call == "send_offsets" else transaction.producer.commit_transaction

    def run() -> None:
        with contextlib.suppress(KafkaError):  # when the test has given it up
            action()
            done.set()

    def begin() -> threading.Event:
        threading.Thread(target=run, daemon=True).start()
        return done

    try:
        yield transaction, begin
    finally:
        transaction.give_up()


@CALLS
def test_a_transaction_that_meets_an_outage_goes_on_after_it(broker: Broker, call: str) -> None:
    with waiting_for(broker, Patient, call) as (_, begin):
        broker.kill()
        done = begin()
        time.sleep(1)
        broker.start()
        assert done.wait(PATIENCE_S)


@CALLS
@pytest.mark.parametrize("cured", [False, True])
def test_a_request_whose_node_is_found_away_is_dropped_and_hangs_without_our_patient_client_only(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, call: str, cured: bool
) -> None:
    """When it hangs no longer: take Patient out of clients.py.

    In an outage it takes luck: the request must leave its queue before the client has seen the disconnect. Here the
    client is made to find the node away, once, where it waits for it.
    """
    with waiting_for(broker, Patient if cured else KafkaNetClient, call) as (transaction, begin):
        await_ready, clients = KafkaNetClient.await_ready, [transaction.producer._sender._client]

        def away_once(self: Any, *args: Any, **kwargs: Any) -> bool:
            if self in clients:
                clients.remove(self)
                raise KafkaConnectionError("not ready")
            return bool(await_ready(self, *args, **kwargs))

        monkeypatch.setattr(KafkaNetClient, "await_ready", away_once)
        assert begin().wait(PATIENCE_S if cured else HANG_S) == cured
        assert not clients, "the request was sent another way: this test saw nothing"


def test_a_commit_that_the_client_claims_after_a_refused_batch_is_none(broker: Broker) -> None:
    """When the pinned client raises by itself: take the look at the futures out of transaction.py."""
    prefix = broker.create_topics()
    scores = TopicPartition(prefix + "scores", 0)
    options = KafkaOptions(group=prefix, instance_id="one", topic_prefix=prefix)
    producer = new_producer(Address((broker.address,), ""), options, Security(), batch_bytes=100_000)

    def publish_one(value: bytes) -> None:
        writes = Writes({})
        for topic in (scores.topic, prefix + "alerts"):
            writes.records[topic, 0].append((b"pm1", value))
        publish(producer, writes, offsets={}, group=None)

    publish_one(b"first")
    producer._transaction_manager.set_sequence_number(scores, 77)  # as if the broker had lost its tail
    with pytest.raises(PublishFailed) as failed:
        publish_one(b"second")
    assert isinstance(failed.value.decide(took_s=1, timeout_s=15), StreamLost)
    close_producer(producer)
    assert broker.values(scores.topic) == broker.values(prefix + "alerts") == [b"first"]


@pytest.mark.parametrize("cured", [False, True])
def test_a_join_that_new_metadata_asked_for_is_forgotten_without_unstick_only(broker: Broker, cured: bool) -> None:
    """When it is not forgotten any more: take unstick out of membership.py."""
    prefix = broker.create_topics()
    address = Address((broker.address,), prefix + "sensor-rows")
    options = KafkaOptions(group=prefix, instance_id="one", session_timeout_s=6)
    consumer = new_group_consumer(address, options, Security())
    consumer.subscribe([address.topic])

    def poll(timeout_ms: int) -> int:
        """Returns how many partitions are ours."""
        try:
            consumer.poll(timeout_ms)
        except NoOffsetForPartitionError:  # the stream says itself where a partition begins
            consumer.seek_to_beginning()
        return len(consumer.assignment())

    def joined() -> int:
        held = poll(500)
        group = consumer.group_metadata()
        if not is_stable(group):
            unstick(consumer, group)
        return held

    wait_for(joined, nap_s=0)
    Operator(broker.address).grow(address.topic, 2)

    def knows_both() -> bool:
        consumer._cluster.request_update()  # as every five minutes
        return bool(consumer._cluster.partitions_for_topic(address.topic) == {0, 1})

    wait_for(knows_both, nap_s=0.3)
    until = time.monotonic() + (PATIENCE_S if cured else HANG_S)
    while len(consumer.assignment()) < 2 and time.monotonic() < until:
        poll(1)  # a join takes longer
        group = consumer.group_metadata()
        if cured and group.state != MemberState.STABLE:
            unstick(consumer, group)
    assert len(consumer.assignment()) == (2 if cured else 1)
    consumer.close(timeout_ms=500)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Address:
    """The address of no broker; found to be so quickly."""
    monkeypatch.setattr(kafka_clients, "BOOTSTRAP_MS", 300)
    return parse_address("kafka://127.0.0.1:1/rows")


@pytest.mark.parametrize("kind", ["admin", "reader", "consumer", "producer"])
def test_a_client_that_finds_no_broker_leaves_no_thread_and_no_socket(nobody: Address, kind: str) -> None:
    make: dict[str, Callable[[], Any]] = {
        "admin": lambda: new_admin(nobody, Security()),
        "reader": lambda: new_reader(nobody, Security()),
        "consumer": lambda: new_group_consumer(nobody, KafkaOptions(), Security()),
        "producer": lambda: new_producer(nobody, KafkaOptions(), Security(), batch_bytes=1000),
    }
    before = set(threading.enumerate())
    for _ in range(3):
        with pytest.raises(KafkaError, match="Unable to bootstrap"):
            make[kind]()
    wait_for(lambda: set(threading.enumerate()) <= before, says=threading.enumerate)


def test_a_producer_thrown_away_in_an_outage_ends_and_sends_nothing(broker: Broker) -> None:
    prefix = broker.create_topics()
    address = Address((broker.address,), "")
    options = KafkaOptions(instance_id=prefix)
    producer = new_producer(address, options, Security(), batch_bytes=10_000)
    producer.begin_transaction()
    producer.partitions_for(prefix + "scores")  # now: nobody answers later
    broker.kill()
    producer.send_many(prefix + "scores", 0, [(b"k", b"never")])
    kafka_clients.close_producer(producer)
    broker.start()
    wait_for(lambda: not producer._sender.is_alive())
    time.sleep(1)
    assert broker.read(prefix + "scores", committed=False) == []


def test_descriptors_do_not_grow_with_sessions(broker: Broker) -> None:
    def open_and_close() -> None:
        address = Address((broker.address,), "")
        producer = new_producer(address, KafkaOptions(instance_id="fds"), Security(), batch_bytes=1000)
        consumer = new_group_consumer(address, KafkaOptions(instance_id="fds"), Security())
        kafka_clients.close_producer(producer)
        consumer.close(timeout_ms=500)
        wait_for(lambda: not producer._sender.is_alive(), nap_s=0.01)

    def descriptors() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    for _ in range(3):
        open_and_close()
    time.sleep(0.2)
    before = descriptors()
    for _ in range(10):
        open_and_close()
    wait_for(lambda: descriptors() <= before + 3, says=descriptors)


def test_a_partition_without_a_leader_is_named_where_kafka_python_fails_with_a_keyerror(broker: Broker) -> None:
    """One that is not there is to a client as one that has no leader yet."""
    there = TopicPartition(broker.create_topics() + "sensor-rows", 0)
    leaderless = TopicPartition(there.topic, 7)
    with contextlib.closing(KafkaConsumer(bootstrap_servers=broker.address)) as plain:
        wait_for(lambda: plain.partitions_for_topic(there.topic))
        with pytest.raises(KeyError):
            plain.end_offsets([there, leaderless])
    with contextlib.closing(new_reader(parse_address(broker.url("x")), Security())) as reader:
        assert reader.end_offsets([there]) == reader.beginning_offsets([there]) == {there: 0}
        for ask in (reader.end_offsets, reader.beginning_offsets):
            with pytest.raises(KafkaError, match=f"{there.topic} 7: no leader") as error:
                ask([there, leaderless], timeout_ms=500)
            assert isinstance(stream_error(error.value, "poll"), StreamUnavailable)


@pytest.mark.parametrize("cured", [False, True])
def test_a_poll_that_waits_in_vain_keeps_what_its_caller_held_without_our_consumer_only(
    broker: Broker, cured: bool
) -> None:
    topic = broker.create_topics() + "sensor-rows"
    kind = AskingConsumer if cured else KafkaConsumer
    consumer = kind(bootstrap_servers=broker.address, auto_offset_reset="earliest", fetch_max_wait_ms=20_000)
    consumer.assign([TopicPartition(topic, 0)])
    assert consumer.position(TopicPartition(topic, 0)) == 0  # it knows where it is, and has nothing else to wait for
    gc.collect()
    gc.disable()
    try:
        held = [weakref.ref(poll_with_records_in_hand(consumer)) for _ in range(3)]
    finally:
        gc.enable()
        consumer.close()
    assert [one() is None for one in held] == [cured] * 3


class Records:
    """Some, which can be seen to go."""


def poll_with_records_in_hand(consumer: Any) -> Records:
    in_hand = Records()
    assert consumer.poll(200) == {}
    return in_hand
