"""Bulk producer: many records for a partition at once, in a tenth of the time of kafka-python's `send` for each.

`send` costs 13 µs a record, as much as reading and decoding one, and a row of an interleaved topic brings three
(its score, two parts of its state). Here the bytes of a batch are put together in one go and handed to kafka-python
as the batch that `send` would have made; all that follows (transaction, sequence, retries) is its own. That leans
on its internals: the version is pinned exactly, and tests/streams/kafka/bulk/test_kafka_bulk.py reads back what both
ways write.
"""

# ruff: noqa: SLF001 - see above; elsewhere (clients.py, membership.py) single lines do, each with its reason

import time
import zlib
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError
from kafka.partitioner.default import murmur2
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.memory_records import MemoryRecordsBuilder

KeyAndValue = tuple[bytes | None, bytes | None]

_MAGIC = 2
_HEADER_BYTES = 61
_NULL = b"\x01"
"""The length -1 as a varint."""
_REMEMBERED_KEYS = 100_000
_LOOK_MS = 100


def _varint(number: int) -> bytes:
    """A number ≥ 0 as Kafka's zigzag varint."""
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL = [_varint(number) for number in range(4096)]


class BulkProducer(KafkaProducer):  # type: ignore[misc]  # kafka-python ships no types
    """A KafkaProducer with `send_many`, whose transaction can be given up."""

    given_up = False

    def __init__(self, **settings: Any) -> None:
        """As kafka-python's. Raises errors of kafka-python."""
        super().__init__(**settings)
        self._sender._maybe_send_pending_request = partial(_send_pending, self._sender)

    @property
    def identity(self) -> tuple[int, int]:
        """What the broker knows it by: the producer's id, and how often its transactional id was taken over."""
        known = self._transaction_manager.producer_id_and_epoch
        return known.producer_id, known.epoch

    def give_up(self) -> None:
        """Have the open transaction's wait for the broker raise KafkaTimeoutError: kafka-python's own has no end.

        To be called on another thread; the producer is of no further use.
        """
        self.given_up = True

    def send_offsets_to_transaction(self, offsets: Any, group_metadata: Any) -> None:
        """As kafka-python's. Raises KafkaTimeoutError when it is given up, too."""
        self._wait(self._transaction_manager.send_offsets_to_transaction(offsets, group_metadata))

    def commit_transaction(self) -> None:
        """As kafka-python's. Raises KafkaTimeoutError when it is given up, too."""
        self._wait(self._transaction_manager.begin_commit())

    def _wait(self, result: Any) -> None:
        self._sender.wakeup()
        while not result.wait(timeout_ms=_LOOK_MS):
            if self.given_up:
                raise KafkaTimeoutError("the transaction has not come to its end in time and is given up")

    def add_partitions(self, partitions: Iterable[Any]) -> None:
        """Say beforehand what the open transaction will write, so that one request tells the broker of all.

        Left to `send_many`, the first partition goes alone, and the others wait for its answer: a round trip more.
        Raises errors of kafka-python.
        """
        for tp in partitions:
            self.partitions_for(tp.topic)  # waits for the metadata, as send does
            self._transaction_manager.maybe_add_partition_to_transaction(tp)

    def send_many(self, topic: str, partition: int, records: Sequence[KeyAndValue]) -> list[Any]:
        """Append records to a partition within the open transaction; the order is kept.

        Returns a future for each batch they make. The caller sees to it that each record is within the limits.
        Raises errors of kafka-python.
        """
        tp = TopicPartition(topic, partition)
        self.add_partitions([tp])
        now_ms = int(time.time() * 1000)
        futures = []
        accumulator = self._accumulator
        for body, count, first in _bodies(records, self.config["batch_size"]):
            batch, future = self._batch(tp, first, body, count, now_ms)
            futures.append(future)
            with accumulator._tp_lock(tp):
                accumulator._batches[tp].append(batch)
                accumulator._incomplete.add(batch)
        self._sender.wakeup()
        return futures

    def _batch(self, tp: Any, first: KeyAndValue, body: bytes, count: int, now_ms: int) -> tuple[Any, Any]:
        """A batch as `send` makes it: its first record by kafka-python itself, for the future that comes with it."""
        records = MemoryRecordsBuilder(_MAGIC, self.config["compression_attrs"], self.config["batch_size"])
        batch = ProducerBatch(tp, records)
        future = batch.try_append(now_ms, *first, [])
        builder = records._builder
        builder._buffer += body
        builder._num_records = count
        builder._last_offset = count - 1
        records._next_offset = count
        return batch, future


def _send_pending(sender: Any) -> bool:
    """Send the transaction's next request as kafka-python's sender does, and with it the records that may go.

    It waits for the answer before it looks at records: a commit was five round trips one after the other, and is four.
    """
    sent = type(sender)._maybe_send_pending_request(sender)
    manager = sender._transaction_manager
    if sent and not manager.has_error() and not manager.is_bumping_epoch() and manager.has_producer_id():
        sender._send_producer_data()
    return bool(sent)


def _bodies(records: Iterable[KeyAndValue], batch_bytes: int) -> Iterable[tuple[bytes, int, KeyAndValue]]:
    """Batches of at most `batch_bytes`: the bytes of all records but the first, their number with it, the first."""
    pieces: list[bytes] = []
    size = count = 0
    first: KeyAndValue = (None, None)
    for key, value in records:
        key_part = _NULL if key is None else _length(key) + key
        value_part = _NULL if value is None else _length(value) + value
        if count:
            number = _SMALL[count] if count < len(_SMALL) else _varint(count)
            # attributes 0, timestamp delta 0, offset delta, key, value, no headers
            length = 3 + len(number) + len(key_part) + len(value_part)
            length_part = _SMALL[length] if length < len(_SMALL) else _varint(length)
            added = length + len(length_part)
            if size + added <= batch_bytes:
                pieces += (length_part, b"\0\0", number, key_part, value_part, b"\0")
                size += added
                count += 1
                continue
            yield b"".join(pieces), count, first
            pieces.clear()
        first, count = (key, value), 1
        size = _HEADER_BYTES + 12 + len(key_part) + len(value_part)
    if count:
        yield b"".join(pieces), count, first


def _length(text: bytes) -> bytes:
    size = len(text)
    return _SMALL[size] if size < len(_SMALL) else _varint(size)


class Partitioner:
    """The partition that Kafka's clients give a key, remembered: the hash costs more than all else about a record."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._known: dict[bytes, int] = {}

    def __call__(self, key: bytes | None, value: bytes | None) -> int:
        """The partition of a record; one without a key goes anywhere."""
        if key is None:
            return zlib.crc32(value or b"") % self._partitions
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _REMEMBERED_KEYS:
                self._known.clear()
            known = self._known[key] = (murmur2(key) & 0x7FFFFFFF) % self._partitions
        return known
