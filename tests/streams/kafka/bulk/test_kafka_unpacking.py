"""Batches that are more than they look: unpacked to a bound, and answered record by record where that is not enough."""

import contextlib
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer, TopicPartition, codec
from kafka.record import MemoryRecords

from sheetbreak.errors import RowError
from sheetbreak.rows import Schema
from sheetbreak.streams.kafka.bulk import consumer
from sheetbreak.streams.kafka.bulk.consumer import BulkConsumer, PartitionRows
from sheetbreak.streams.kafka.bulk.unpacking import Unreadable, unpack
from sheetbreak.streams.kafka.options import parse_address
from sheetbreak.streams.kafka.reading import Follower
from sheetbreak.streams.protocol import Record
from sheetbreak.wire.actions import decode_action
from sheetbreak.wire.rows import WireDecoder
from tests.streams.kafka.bulk.test_kafka_fetched import TP, Written, batch
from tests.support.kafka.broker import Broker
from tests.support.kafka.rig import KafkaRig
from tests.support.running import patience
from tests.support.streams.checks import actions_of, poll_until_said

MIB = 1024 * 1024
CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
PACK = {1: codec.gzip_encode, 2: codec.snappy_encode, 3: codec.lz4_encode, 4: codec.zstd_encode}
every_codec = pytest.mark.parametrize("number", CODECS, ids=CODECS.values())


@every_codec
@given(data=st.data())
def test_what_is_packed_comes_out_as_kafka_python_has_it(number: int, data: st.DataObject) -> None:
    content = data.draw(st.binary(min_size=1, max_size=300)) * data.draw(st.sampled_from([1, 3, 30_000]))
    assert unpack(PACK[number](content), number, limit=len(content)) == content


def test_snappy_without_frames_comes_out_too() -> None:
    content = b"a row " * 1000
    assert unpack(codec.snappy.compress(content), 2, limit=len(content)) == content


@pytest.mark.parametrize(
    ("number", "packed"),
    [
        *((number, pack(bytes(100 * MIB))) for number, pack in PACK.items()),
        (2, codec.snappy.compress(bytes(100 * MIB))),
    ],
    ids=[*CODECS.values(), "snappy in one block"],
)
def test_no_more_is_unpacked_than_the_limit(number: int, packed: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="more than 8,388,608 bytes"):
            unpack(packed, number, limit=8 * MIB)
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()


@every_codec
@given(data=st.data())
def test_what_is_nothing_of_the_codec_is_unreadable_and_nothing_else(number: int, data: st.DataObject) -> None:
    packed = PACK[number](b"a row " * 50)
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))] + data.draw(st.binary(max_size=20))
    with contextlib.suppress(Unreadable):
        assert len(unpack(cut, number, limit=MIB)) <= MIB


def taken(content: bytes, fetch_offset: int) -> tuple[list[Record], int]:
    part: Any = PartitionRows(fetch_offset, TP, MemoryRecords(content), check_crcs=False)
    found: list[Record] = []
    while part:
        found += part.take(1000)
    return found, part.next_fetch_offset


@every_codec
def test_each_record_of_a_batch_that_is_too_large_is_a_dead_letter_that_says_so(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_BATCH_BYTES", 500_000)
    content = batch([Written(b"before")], base=4)
    content += batch([Written(bytes(150_000)) for _ in range(5)], base=5, codec=number)
    content += batch([Written(b"behind")], base=10, codec=number)
    rows, behind = taken(content, 4)
    assert ([row.offset for row in rows], behind) == ([4, 5, 6, 7, 8, 9, 10], 11)
    assert (rows[0].value, rows[-1].value) == (b"before", b"behind")
    assert taken(content, 7) == (rows[3:], 11), "some of the batch were answered before"
    decoded = WireDecoder(Schema(sensors=("x1",))).decode([row.value for row in rows[1:-1]])
    for _, error in decoded.rejects:
        assert error.reason == "not-json"
        assert f"a batch ({CODECS[number]}, offsets 5 to 9, " in str(error)
        assert "unpacks to more than 500,000 bytes" in str(error)
    assert len(decoded.rejects) == 5


@every_codec
def test_a_batch_that_cannot_be_unpacked_stops_nothing(number: int) -> None:
    packed = bytearray(batch([Written(b"row %d" % i * 9) for i in range(3)], base=5, codec=number))
    packed[61:] = b"\xff" * len(packed[61:])
    rows, behind = taken(bytes(packed) + batch([Written(b"behind")], base=8), 5)
    assert ([row.offset for row in rows], behind) == ([5, 6, 7, 8], 9)
    assert all(b"cannot be unpacked" in row.value for row in rows[:3])
    assert rows[3].value == b"behind"


def test_a_poll_ends_when_what_it_unpacked_is_enough(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fetch has all of these batches."""
    topic = broker.create_topics() + "sensor-rows"
    sender = KafkaProducer(bootstrap_servers=broker.address, compression_type="gzip", max_request_size=4 * MIB)
    for _ in range(40):
        sender.send(topic, bytes(2 * MIB), partition=0).get(patience.PATIENCE_S)
    sender.close()
    reader = BulkConsumer(bootstrap_servers=broker.address, group_id=None, auto_offset_reset="earliest")
    reader.assign([TopicPartition(topic, 0)])
    counts: list[int] = []

    def all_came() -> bool:
        counts.extend(len(rows) for rows in reader.poll(500, max_records=1000).values())
        return sum(counts) == 40

    try:
        patience.wait_for(all_came)
    finally:
        reader.close()
    assert max(counts) <= consumer._POLL_BYTES // (2 * MIB) + 1


def test_what_an_operators_action_unpacks_to_is_bounded_for_the_monitor_and_the_desk(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_BATCH_BYTES", 500_000)
    rig = KafkaRig(broker)
    topic = rig.prefix + "operator-actions"
    sender = KafkaProducer(bootstrap_servers=broker.address, compression_type="gzip", max_request_size=4 * MIB)
    sender.send(topic, bytes(2 * MIB), partition=0).get(patience.PATIENCE_S)
    sender.close()
    try:
        (said,) = actions_of(poll_until_said(rig.open(), 1))
    finally:
        rig.tear_down()
    with pytest.raises(RowError, match="unpacks to more than 500,000 bytes"):
        decode_action(said)
    follower = Follower(parse_address(broker.url("x")), topics=[topic])
    try:
        followed = patience.wait_for(lambda: follower.poll(0.5))
    finally:
        follower.close()
    assert [(one.offset, one.value) for one in followed] == [(0, said)]
