"""Rows taken of a fetch by the batch are those that kafka-python takes record by record."""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher, IsolationLevel
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder

from sheetbreak.streams.kafka.bulk import consumer
from sheetbreak.streams.kafka.bulk.consumer import PartitionRows
from sheetbreak.streams.protocol import Record

NOW_MS = 1_790_000_000_000
TP = TopicPartition("sensor-rows", 3)


class Written(NamedTuple):
    """A record as a producer writes it."""

    value: bytes | None
    key: bytes | None = None
    stamp_ms: int = NOW_MS
    headers: Sequence[tuple[str, bytes | None]] = ()
    skipped: int = 0
    """Offsets before it whose records were compacted away."""


def batch(records: Sequence[Written], *, base: int, codec: int = 0, appended_ms: int | None = None) -> bytes:
    """appended_ms: the broker's clock, which the topic has as its records' time."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 20)
    number = -1
    for one in records:
        number += 1 + one.skipped
        builder.append(number, one.stamp_ms, one.key, one.value, list(one.headers))
    content = bytearray(builder.build())
    struct.pack_into(">q", content, 0, base)
    if appended_ms is not None:
        content[22] |= 0x08
        struct.pack_into(">q", content, 35, appended_ms)
    return bytes(content)


def one_by_one(content: bytes, fetch_offset: int) -> tuple[list[Record], int]:
    """kafka-python's records, and where it would fetch next."""
    part = Fetcher.PartitionRecords(fetch_offset, TP, MemoryRecords(content), check_crcs=False)
    found: list[Any] = []
    while part:
        found += part.take(1000)
    rows = [
        Record(one.value or b"", TP.partition, one.offset, one.timestamp if one.timestamp >= 10**12 else None)
        for one in found
    ]
    return rows, part.next_fetch_offset


def by_the_batch(content: bytes, fetch_offset: int, n: int) -> tuple[list[Record], int]:
    """Ours, n at a time."""
    part: Any = PartitionRows(fetch_offset, TP, MemoryRecords(content), check_crcs=False)
    found: list[Record] = []
    while part:
        taken = part.take(n)
        assert len(taken) <= n
        if taken:
            assert part.next_fetch_offset == taken[-1].offset + 1
        found += taken
    return found, part.next_fetch_offset


written = st.builds(
    Written,
    st.none() | st.binary(max_size=300),
    st.none() | st.binary(max_size=70),
    st.sampled_from([-1, 0, NOW_MS, NOW_MS + 1, NOW_MS + 10**7, NOW_MS - 5]),
    st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2),
    st.integers(0, 70),
)
batches = st.lists(
    st.tuples(
        st.lists(written, min_size=1, max_size=80), st.sampled_from([0, 1]), st.sampled_from([None, -1, NOW_MS + 7])
    ),
    max_size=4,
)


@given(batches, st.integers(0, 300), st.integers(1, 90))
def test_rows_offsets_and_times_are_those_of_kafka_python(
    contents: list[tuple[list[Written], int, int | None]], fetch_offset: int, n: int
) -> None:
    content, base = b"", 0
    for records, codec, appended_ms in contents:
        content += batch(records, base=base, codec=codec, appended_ms=appended_ms)
        base += sum(1 + one.skipped for one in records)
    assert by_the_batch(content, fetch_offset, n) == one_by_one(content, fetch_offset)


def test_a_batch_of_very_many_is_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "_AT_ONCE", 3)
    content = batch([Written(b"%d" % i) for i in range(10)], base=5)
    assert by_the_batch(content, 9, 100) == one_by_one(content, 9)
    assert [len(by_the_batch(content, 0, n)[0]) for n in (1, 2, 3, 4, 100)] == [10] * 5


@given(st.binary(max_size=40), st.integers(1, 12), st.data())
def test_a_batch_that_is_none_is_refused_or_read_as_kafka_python_reads_it(
    garbage: bytes, count: int, data: st.DataObject
) -> None:
    """Its checksum is right: a sender's fault, or a hostile one's."""
    content = bytearray(batch([Written(b"x" * 20, b"key") for _ in range(count)], base=0))
    at = data.draw(st.integers(61, len(content) - 1))
    content[at : at + len(garbage)] = garbage
    struct.pack_into(">i", content, 8, len(content) - 12)
    try:
        ours = by_the_batch(bytes(content), 0, 5)
    except CorruptRecordError:
        return
    try:
        theirs = one_by_one(bytes(content), 0)
    except (CorruptRecordError, UnicodeDecodeError):  # headers, which we pass over
        return
    assert ours == theirs


def test_rows_of_a_transaction_that_was_aborted_are_no_rows() -> None:
    """Of another writer's they are, and what ends a transaction is none."""

    class Aborted(NamedTuple):
        producer_id: int
        first_offset: int

    def of(producer: int, base: int, value: bytes) -> bytes:
        builder = DefaultRecordBatchBuilder(2, 0, True, producer, 0, 0, 1 << 20)
        builder.append(0, NOW_MS, b"pm1", value, [])
        content = bytearray(builder.build())
        struct.pack_into(">q", content, 0, base)
        return bytes(content)

    def end(producer: int, base: int, *, commits: bool) -> bytes:
        builder = DefaultRecordBatchBuilder(2, 0, True, producer, 0, 0, 1 << 20)
        builder.append(0, NOW_MS, struct.pack(">hh", 0, int(commits)), b"\0\0\0\0\0\0", [])
        content = bytearray(builder.build())
        content[22] |= 0x20
        struct.pack_into(">q", content, 0, base)
        return bytes(content)

    content = of(1, 0, b"lost") + of(2, 1, b"kept") + end(1, 2, commits=False) + end(2, 3, commits=True)
    content += of(1, 4, b"kept, too") + end(1, 5, commits=True)
    part: Any = PartitionRows(
        0,
        TP,
        MemoryRecords(content),
        check_crcs=False,
        isolation_level=IsolationLevel.READ_COMMITTED,
        aborted_transactions=[Aborted(1, 0)],
    )
    found: list[Record] = []
    while part:
        found += part.take(10)
    assert [row.value for row in found] == [b"kept", b"kept, too"]
    assert part.next_fetch_offset == 6
