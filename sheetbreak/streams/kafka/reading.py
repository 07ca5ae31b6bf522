"""Reading a topic for people: everything in it, then what comes, without a group."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from sheetbreak.errors import DataError, StreamUnavailable
from sheetbreak.streams.kafka.clients import new_reader
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.options import environment_security, parse_address

_BACK = 10
"""Offsets to look back over: the last ones may be a transaction's markers, which are no records."""

_POLL_MS = 500

log = logging.getLogger(__name__)


def follow(source: str) -> Iterator[bytes]:
    """The values of `kafka://host:9092/topic` from its start on, for ever; only what is committed.

    A broker that goes away is waited for. Raises DataError where there is no such topic or Kafka refuses us,
    StreamUnavailable where no broker answers at the start.
    """
    address = parse_address(source)
    try:
        reader = new_reader(address, environment_security())
    except KafkaError as error:
        raise stream_error(error, source) from error
    try:
        partitions = reader.partitions_for_topic(address.topic)
        if not partitions:
            raise DataError(f"{source}: there is no topic {address.topic}; sheetbreak topics create makes the five")
        reader.assign([TopicPartition(address.topic, partition) for partition in partitions])
        reader.seek_to_beginning()
        while True:
            yield from _poll(reader, source)
    finally:
        reader.close()


def _poll(reader: Any, source: str) -> list[bytes]:
    try:
        polled = reader.poll(_POLL_MS)
    except KafkaError as error:
        mapped = stream_error(error, source)
        if not isinstance(mapped, StreamUnavailable):
            raise mapped from error
        log.warning("event=stream-away reason=%r", str(error))
        return []
    return [record.value or b"" for records in polled.values() for record in records]


def last_values(url: str, *, accept: Callable[[bytes], bool]) -> list[bytes]:
    """The last value of each partition of `kafka://host:9092/topic` that is accepted; of an empty partition none.

    Tombstones, records that are not accepted and those of aborted transactions are looked over, further and further
    back. Raises DataError where there is no such topic or Kafka refuses us, StreamUnavailable where no broker answers.
    """
    address = parse_address(url)
    try:
        reader = new_reader(address, environment_security())
        try:
            numbers = reader.partitions_for_topic(address.topic)
            if not numbers:
                raise DataError(f"{url}: there is no topic {address.topic}; sheetbreak topics create makes the five")
            partitions = [TopicPartition(address.topic, number) for number in sorted(numbers)]
            begins, ends = reader.beginning_offsets(partitions), reader.end_offsets(partitions)
            found: dict[TopicPartition, bytes] = {}
            back, left = _BACK, [tp for tp in partitions if begins[tp] < ends[tp]]
            while left:
                starts = {tp: max(begins[tp], ends[tp] - back) for tp in left}
                found |= _last_accepted(reader, starts, ends, accept)
                left = [tp for tp in left if tp not in found and starts[tp] > begins[tp]]
                back *= 10
            return list(found.values())
        finally:
            reader.close()
    except KafkaError as error:
        raise stream_error(error, url) from error


def _last_accepted(
    reader: Any, starts: Mapping[Any, int], ends: Mapping[Any, int], accept: Callable[[bytes], bool]
) -> dict[Any, bytes]:
    """The last accepted value of each partition between where it is to start and its end."""
    reader.assign(list(starts))
    for tp, start in starts.items():
        reader.seek(tp, start)
    found = {}
    while any(reader.position(tp) < ends[tp] for tp in starts):
        for tp, records in reader.poll(_POLL_MS).items():
            accepted = (record.value for record in reversed(records) if record.value and accept(record.value))
            last = next(accepted, None)
            if last is not None:
                found[tp] = last
    return found
