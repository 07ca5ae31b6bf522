"""The topic of the machines' state: what a record in it holds, and reading a partition of it to its end."""

import logging
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from sheetbreak.streams.kafka.clients import new_reader
from sheetbreak.streams.kafka.options import Address, Security

_HEAD = struct.Struct(">BQ")
_FORMAT = 1
_POLL_MS = 200
_ASK_MS = 2_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a partition of the state topic holds."""

    parts: Mapping[bytes, bytes]
    """Snapshot parts by key, as they were given to `commit`."""
    position: int
    """The offset of the input that the newest of them belongs to; 0 where there is none. What was overwritten
    does not count: it may be newer, where the offsets were once set back."""


def wrap(value: bytes, position: int) -> bytes:
    """A snapshot part with the input's offset that it belongs to: the next one to be read after it."""
    return _HEAD.pack(_FORMAT, position) + value


def read_state(address: Address, security: Security, *, topic: str, partition: int, patience_s: float) -> Kept:
    """The last value of every key of one partition of the state topic, as of now.

    A transaction still open in it (a former owner's) is waited for. Raises KafkaTimeoutError when nothing
    moved for `patience_s`, and other errors of kafka-python.
    """
    tp = TopicPartition(topic, partition)
    with new_reader(address, security, isolation_level="read_uncommitted") as reader:
        # What read_committed calls the end lies before a transaction still open.
        end = reader.end_offsets([tp], timeout_ms=_ASK_MS)[tp]
    with new_reader(address, security) as reader:
        return _read_to(end, reader, tp, patience_s)


def _read_to(end: int, reader: Any, tp: TopicPartition, patience_s: float) -> Kept:
    reader.assign([tp])
    reader.seek_to_beginning(tp)
    found: dict[bytes, bytes] = {}
    at, moved = -1, time.monotonic()
    # The last record's offset is never end - 1: markers of commits and holes of compaction lie between, and
    # position() steps over them.
    while (now_at := reader.position(tp, timeout_ms=_POLL_MS)) is None or now_at < end:
        if now_at != at:
            at, moved = now_at, time.monotonic()
        elif time.monotonic() - moved > patience_s:
            raise KafkaTimeoutError(f"{tp.topic} {tp.partition}: stuck at {at}, end {end}")
        for records in reader.poll(_POLL_MS).values():
            for record in records:
                _take(record, found)
    parts = {key: value[_HEAD.size :] for key, value in found.items()}
    return Kept(parts, max((_HEAD.unpack_from(value)[1] for value in found.values()), default=0))


def _take(record: Any, found: dict[bytes, bytes]) -> None:
    if record.value is None:
        found.pop(record.key, None)
    elif len(record.value) < _HEAD.size or record.value[0] != _FORMAT:
        log.warning("event=state-part-ignored partition=%s offset=%s", record.partition, record.offset)
    else:
        found[record.key] = record.value
