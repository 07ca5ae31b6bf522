"""Watching of monitors from outside: whether any is in their group, and whether rows wait for it."""

from typing import NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError

from sheetbreak.streams.kafka.clients import new_admin, new_reader
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.group.watch import members_of
from sheetbreak.streams.kafka.options import Address, environment_security


class Watched(NamedTuple):
    """What the brokers say of a group and its input."""

    members: int
    """Monitors that are in the group now."""
    waiting: int
    """Rows that none of them has answered."""
    answered: int
    """How far all partitions are answered, together: it grows with every commit."""


class MonitorsWatch:
    """Asks about one group and the topic that it reads. Not thread-safe. Raises StreamError, opened or asked."""

    def __init__(self, address: Address, *, group: str, topic: str) -> None:
        self._name, self._group, self._topic = str(address), group, topic
        security = environment_security()
        try:
            self._admin = new_admin(address, security)
            try:
                self._reader = new_reader(address, security)
            except BaseException:
                self._admin.close()
                raise
        except KafkaError as error:
            raise stream_error(error, self._name) from error

    def look(self) -> Watched:
        """Now. A partition of which nothing is committed waits as a whole."""
        try:
            members = members_of(self._admin, self._group)
            numbers = self._reader.partitions_for_topic(self._topic) or set()
            partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
            committed = self._admin.list_group_offsets({self._group: partitions})[self._group] if partitions else {}
            begins = self._reader.beginning_offsets(partitions)
            ends = self._reader.end_offsets(partitions)
        except KafkaError as error:
            raise stream_error(error, self._name) from error
        waiting = answered = 0
        for tp in partitions:
            place = committed.get(tp)
            offset = place.offset if place is not None and place.offset >= 0 else begins[tp]
            waiting += max(ends[tp] - offset, 0)
            answered += offset
        return Watched(len(members), waiting, answered)

    def close(self) -> None:
        """Release what is held."""
        self._admin.close()
        self._reader.close()
