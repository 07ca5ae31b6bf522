"""Bulk consumer: the rows of a fetched batch at once, in a third of the time of kafka-python's record after record.

For each record kafka-python reads seven numbers, makes an object, asks it a dozen things and makes another: two thirds
of all it does for a row. Here a batch is one record to it, whose value are the rows. What it knows about batches
(checksums, codecs, transactions that were aborted, where the next fetch begins) stays its own. That leans on its
internals: the version is pinned exactly, and tests/streams/kafka/bulk/test_kafka_fetched.py reads the same bytes both
ways.
"""

# ruff: noqa: SLF001 - see above

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.util import decode_varint

from sheetbreak.streams.kafka.bulk.unpacking import Unreadable, unpack
from sheetbreak.streams.kafka.group.asking import AskingConsumer
from sheetbreak.streams.protocol import Record
from sheetbreak.wire.refusals import UNREAD

_AT_ONCE = 4_096
"""Rows: a batch of many that are empty is taken in parts."""
_BATCH_BYTES = 64 * 1024 * 1024
"""Unpacked, at most. The batches of a fetch are up to 8 MB, a broker's own limit is 1 MB: rows shrink to a tenth."""
_POLL_BYTES = 16 * 1024 * 1024
"""Unpacked, with which a poll ends: a fetch of small batches may be a hundred times as large as it was sent."""
_CODECS = ("", "gzip", "snappy", "lz4", "zstd")
_FIRST_STAMP_MS = 10**12
"""2001: before Kafka was, so no clock said it; -1 is none at all, and 0 a sender's empty field."""


class BulkConsumer(AskingConsumer):
    """A KafkaConsumer whose `poll` gives lists of `Record` by partition. It knows when a broker was heard last."""

    def __init__(self, **settings: Any) -> None:
        """Raises errors of kafka-python."""
        super().__init__(**settings)
        self._heard_at: dict[Any, float] = {}
        self._polled_bytes = 0
        self._fetcher.PartitionRecords = PartitionRows
        self._fetcher._handle_fetch_response = self._hear
        self._fetcher._append = self._append

    def silent_s(self, tp: Any) -> float:
        """Seconds since the partition's leader answered a fetch; infinite where it has answered none."""
        leader = self._cluster.leader_for_partition(tp)
        return time.monotonic() - self._heard_at.get(leader, float("-inf"))

    def _hear(self, node_id: Any, *answer: Any) -> None:
        self._heard_at[node_id] = time.monotonic()
        Fetcher._handle_fetch_response(self._fetcher, node_id, *answer)

    def _append(self, drained: Any, part: Any, max_records: int, update_offsets: bool) -> int:  # noqa: FBT001 - kafka-python's
        """Add the next rows of a part to those of this poll. Returns how many; or, where they are enough, the most."""
        self._polled_bytes = self._polled_bytes if drained else 0
        before = part.bytes_unpacked if part else 0
        taken: int = Fetcher._append(self._fetcher, drained, part, max_records, update_offsets)
        self._polled_bytes += part.bytes_unpacked - before if part else 0
        return taken if self._polled_bytes < _POLL_BYTES else max_records


class PartitionRows(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python ships no types
    """What a fetch brought of one partition."""

    def __init__(self, fetch_offset: int, tp: Any, records: Any, **more: Any) -> None:
        """records: kafka-python's, of the fetch."""
        self._rows: list[Record] = []
        self._batches = _Batches(records, tp.partition)
        super().__init__(fetch_offset, tp, self._batches, **more)

    @property
    def bytes_unpacked(self) -> int:
        """Of all batches whose rows have been taken."""
        return self._batches.bytes_unpacked

    def take(self, n: int | None = None) -> list[Record]:
        """Next rows, n at most, of one batch; nothing when there are no more. Raises CorruptRecordError."""
        if not self._rows:
            whole = super().take(1)
            if not whole:
                return []
            self._rows = whole[0].value
            if self._rows[0].offset < self.fetch_offset:  # a batch comes whole, whatever offset was asked for
                self._rows = [row for row in self._rows if row.offset >= self.fetch_offset]
        taken, self._rows = self._rows[:n], self._rows[len(self._rows) if n is None else n :]
        self.next_fetch_offset = taken[-1].offset + 1
        return taken


class _Batches:
    """kafka-python's batches, each to be taken as one record."""

    def __init__(self, records: Any, partition: int) -> None:
        self._records, self._partition = records, partition
        self.bytes_unpacked = 0

    def next_batch(self) -> "_Batch | None":
        batch = self._records.next_batch()
        return None if batch is None else _Batch(batch, self)

    def rows_of(self, batch: Any) -> Iterator[Record]:
        """The batch's rows; what it unpacks to is counted. Raises CorruptRecordError, UnsupportedCodecError."""
        if batch.magic < 2:
            return _read_old_rows(batch, self._partition)
        try:
            content = _unpack(batch)
        except Unreadable as why:
            return _unread(batch, self._partition, str(why))
        self.bytes_unpacked += len(content)
        return _read_rows(batch, content, self._partition)


class _Batch:
    """A batch, one record long."""

    def __init__(self, batch: Any, batches: _Batches) -> None:
        self._batch, self._batches = batch, batches

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        """The first record of a batch that ends a transaction."""
        return next(self._batch)

    def __iter__(self) -> "Iterator[_Whole]":
        rows = self._batches.rows_of(self._batch)
        while some := list(islice(rows, _AT_ONCE)):
            yield _Whole(some)


class _Whole:
    """Rows of a batch, in the form of one of kafka-python's records."""

    key = checksum = None
    headers = ()
    timestamp = timestamp_type = size_in_bytes = 0

    def __init__(self, rows: list[Record]) -> None:
        self.value, self.offset = rows, rows[-1].offset

    def validate_crc(self) -> bool:
        """Its batch was checked."""
        return True


def _unpack(batch: Any) -> bytes:
    """What a batch holds, up to a limit. Raises Unreadable, UnsupportedCodecError."""
    content = bytes(memoryview(batch._buffer)[batch._pos :])
    codec = batch.compression_type
    if codec == batch.CODEC_NONE:
        return content
    batch._assert_has_codec(codec)
    try:
        return unpack(content, codec, limit=_BATCH_BYTES)
    except Unreadable as why:
        offsets = f"offsets {batch.base_offset} to {batch.last_offset}"
        raise Unreadable(f"a batch ({_CODECS[codec]}, {offsets}, {len(content)} bytes) {why}") from why


def _unread(batch: Any, partition: int, why: str) -> Iterator[Record]:
    """In place of each record of a batch that why it was not read. Its checksum is right: it would be no other one
    another time.
    """
    value, stamp = UNREAD + why.encode(), _stamp(batch.max_timestamp)
    end = batch.next_offset
    for offset in range(max(batch.base_offset, end - max(1, batch.records_count)), end):
        yield Record(value, partition, offset, stamp)


def _read_old_rows(batch: Any, partition: int) -> Iterator[Record]:
    """Of Kafka's message formats 0 and 1, which no broker of now keeps."""
    return (Record(one.value or b"", partition, one.offset, _stamp(one.timestamp)) for one in batch)


def _read_rows(batch: Any, buffer: bytes, partition: int) -> Iterator[Record]:
    """The records of a batch of kafka-python's, without keys and headers, by Kafka's protocol (message format 2).

    buffer: what it holds, unpacked. Raises CorruptRecordError.
    """
    at = 0
    first, base = batch.first_timestamp, batch.base_offset
    by_broker, appended = batch.timestamp_type == batch.LOG_APPEND_TIME, _stamp(batch.max_timestamp)
    try:
        for _ in range(batch.records_count):
            length, at = decode_varint(buffer, at)
            end = at + length
            age, at = decode_varint(buffer, at + 1)  # behind a byte of attributes, of which there are none
            number, at = decode_varint(buffer, at)
            key_bytes, at = decode_varint(buffer, at)
            value_bytes, at = decode_varint(buffer, at + max(key_bytes, 0))
            value_end = at + max(value_bytes, 0)
            if not at <= value_end < end <= len(buffer):
                raise CorruptRecordError(f"a record of {length} bytes holds a value of {value_bytes}")
            stamp = appended if by_broker else _stamp(first + age)
            yield Record(buffer[at:value_end], partition, base + number, stamp)
            at = end
    except (IndexError, ValueError) as cut:
        raise CorruptRecordError(f"a record is cut off, or no record: {cut}") from cut


def _stamp(timestamp_ms: int) -> int | None:
    return timestamp_ms if timestamp_ms >= _FIRST_STAMP_MS else None
