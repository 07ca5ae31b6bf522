"""Reading a topic for people: everything in it, then what comes, without a group."""

import logging
from collections.abc import Iterator
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


def last_values(url: str) -> list[bytes]:
    """The last record's value of each partition of `kafka://host:9092/topic`; of an empty partition none.

    Raises DataError where there is no such topic or Kafka refuses us, StreamUnavailable where no broker answers.
    """
    address = parse_address(url)
    try:
        reader = new_reader(address, environment_security())
        try:
            numbers = reader.partitions_for_topic(address.topic)
            if not numbers:
                raise DataError(f"{url}: there is no topic {address.topic}; sheetbreak topics create makes the five")
            partitions = [TopicPartition(address.topic, number) for number in sorted(numbers)]
            reader.assign(partitions)
            begins, ends = reader.beginning_offsets(partitions), reader.end_offsets(partitions)
            for partition in partitions:
                reader.seek(partition, max(begins[partition], ends[partition] - _BACK))
            found: dict[TopicPartition, bytes] = {}
            while any(reader.position(partition) < ends[partition] for partition in partitions):
                for partition, records in reader.poll(_POLL_MS).items():
                    found[partition] = records[-1].value or b""
            return list(found.values())
        finally:
            reader.close()
    except KafkaError as error:
        raise stream_error(error, url) from error
