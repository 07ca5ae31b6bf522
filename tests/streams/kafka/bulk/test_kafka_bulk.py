"""Records written in bulk are the records that kafka-python's own send writes."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import OffsetAndMetadata, TopicPartition
from kafka.partitioner.default import DefaultPartitioner
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.util import encode_varint

from sheetbreak.streams.kafka.bulk.producer import BulkProducer, KeyAndValue, Partitioner, _bodies, _varint
from tests.support.kafka.broker import Broker

BATCH_BYTES = 4096


@given(st.integers(min_value=0, max_value=2**40))
def test_a_number_is_encoded_as_kafka_python_encodes_it(number: int) -> None:
    expected = bytearray()
    encode_varint(number, expected.append)
    assert _varint(number) == bytes(expected)


RECORDS = st.lists(
    st.tuples(st.none() | st.binary(max_size=70), st.none() | st.binary(max_size=400)), min_size=1, max_size=200
)


@given(RECORDS)
def test_batches_hold_every_record_in_order_and_no_more_bytes_than_allowed(records: list[KeyAndValue]) -> None:
    read: list[KeyAndValue] = []
    for body, count, first in _bodies(records, BATCH_BYTES):
        builder = DefaultRecordBatchBuilder(2, 0, True, 1, 0, 0, BATCH_BYTES)
        builder.append(0, 1_000, *first, [])
        builder._buffer += body
        builder._num_records = count
        builder._last_offset = count - 1
        batch = bytes(builder.build())
        assert len(batch) <= BATCH_BYTES
        read += [(record.key, record.value) for record in DefaultRecordBatch(batch)]
    assert read == records


def test_a_record_larger_than_a_batch_has_one_for_itself() -> None:
    large = b"x" * (2 * BATCH_BYTES)
    records: list[KeyAndValue] = [(b"a", b"1"), (b"b", large), (b"c", b"2"), (b"d", b"3")]
    assert [(count, first) for _, count, first in _bodies(records, BATCH_BYTES)] == [
        (1, (b"a", b"1")),
        (1, (b"b", large)),
        (2, (b"c", b"2")),
    ]


@given(st.binary(min_size=1, max_size=40), st.integers(min_value=1, max_value=50))
def test_a_key_goes_where_kafkas_other_clients_send_it(key: bytes, partitions: int) -> None:
    class Cluster:
        def topics(self) -> set[str]:
            return {"t"}

        def partitions_for_topic(self, _topic: str) -> set[int]:
            return set(range(partitions))

        def available_partitions_for_topic(self, _topic: str) -> set[int]:
            return set(range(partitions))

    partition_of = Partitioner(partitions)
    expected = DefaultPartitioner().partition("t", key, key, None, None, Cluster())
    assert partition_of(key, b"v") == partition_of(key, b"w") == expected


def test_records_without_a_key_are_spread() -> None:
    partition_of = Partitioner(4)
    assert {partition_of(None, b"%d" % i) for i in range(100)} == {0, 1, 2, 3}


@contextlib.contextmanager
def producer(broker: Broker, name: str) -> Iterator[Any]:
    producer = BulkProducer(
        bootstrap_servers=broker.address,
        transactional_id=name,
        retry_backoff_ms=10,
        batch_size=BATCH_BYTES,
    )
    producer.init_transactions()
    yield producer
    producer.close()


@pytest.fixture
def topic(broker: Broker) -> str:
    return broker.create_topics() + "scores"


def test_a_broker_gives_back_what_was_written_in_either_way(broker: Broker, topic: str) -> None:
    chance = random.Random(7)
    records: list[KeyAndValue] = [
        (chance.choice([None, b"", b"pm1", chance.randbytes(80)]), chance.randbytes(chance.randrange(900)))
        for _ in range(3000)
    ]
    with producer(broker, topic) as one:
        for start in range(0, 3000, 1000):  # several transactions, each of several batches
            some = records[start : start + 1000]
            one.begin_transaction()
            for key, value in some[:500]:
                one.send(topic, value, key=key, partition=0)
            futures = one.send_many(topic, 0, some[500:])
            one.commit_transaction()
            assert all(future.succeeded() for future in futures)
            assert len(futures) > 10
    assert [(record.key, record.value) for record in broker.read(topic)] == records


def test_records_go_while_the_offsets_are_on_their_way(broker: Broker, topic: str) -> None:
    with producer(broker, topic) as one:
        client, seen = one._sender._client, list[str]()
        send = client.send

        def noted(node_id: Any, request: Any, **more: Any) -> Any:
            name = type(request).__name__
            seen.append(name)
            return send(node_id, request, **more).add_both(lambda _: seen.append(f"answer to {name}"))

        client.send = noted
        for number in range(3):
            seen.clear()
            one.begin_transaction()
            one.add_partitions([TopicPartition(topic, 0)])
            one.send_many(topic, 0, [(b"k", b"%d" % number)])
            one.send_offsets_to_transaction({TopicPartition(topic, 0): OffsetAndMetadata(number, "", -1)}, topic)
            one.commit_transaction()
            assert seen.index("ProduceRequest") < seen.index("answer to TxnOffsetCommitRequest")
    assert broker.values(topic) == [b"0", b"1", b"2"]


def test_what_was_written_in_bulk_and_aborted_is_never_seen(broker: Broker, topic: str) -> None:
    with producer(broker, topic) as one:
        one.begin_transaction()
        one.send_many(topic, 0, [(b"k", b"aborted")] * 500)
        one.flush()
        one.abort_transaction()
        one.begin_transaction()
        one.send_many(topic, 0, [(b"k", b"committed")] * 500)
        one.commit_transaction()
    assert broker.values(topic) == [b"committed"] * 500
    assert len(broker.read(topic, committed=False)) == 1000


def test_the_future_of_a_batch_says_why_the_broker_refused_it(broker: Broker, topic: str) -> None:
    state = topic.replace("scores", "monitor-state")
    with producer(broker, topic) as one:
        one.begin_transaction()
        (future,) = one.send_many(state, 0, [(None, b"a compacted topic wants a key")])
        with contextlib.suppress(Exception):
            one.commit_transaction()
        assert type(future.exception).__name__ == "InvalidRecordError"
        one._sender.force_close()
