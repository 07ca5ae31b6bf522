"""The last values of a topic, for a feed that goes on where the last one ended."""

from kafka import TopicPartition
from kafka.errors import KafkaError

from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.clients import new_reader
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.options import environment_security, parse_address

_BACK = 10
"""Offsets to look back over: the last ones may be a transaction's markers, which are no records."""
_POLL_MS = 500


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
