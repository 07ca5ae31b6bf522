"""Election of one among several by a consumer group: who holds partition 0 of a topic that all of them know."""

from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from sheetbreak.streams.kafka.clients import new_elector
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.group.membership import is_stable, unstick
from sheetbreak.streams.kafka.options import Address, environment_security


class Election:
    """One candidate. `holds` is to be asked every few seconds: who does not ask is taken for dead. Not thread-safe."""

    def __init__(self, address: Address, *, group: str, topic: str) -> None:
        """Raises StreamError."""
        self._name = str(address)
        self._partition = TopicPartition(topic, 0)
        try:
            self._consumer: Any = new_elector(address, environment_security(), group=group)
            self._consumer.subscribe([topic])
        except KafkaError as error:
            raise stream_error(error, self._name) from error

    def holds(self) -> bool:
        """Whether this candidate is the one. Raises StreamUnavailable while the brokers are away."""
        try:
            self._consumer.poll(200)
            group = self._consumer.group_metadata()
            if not is_stable(group):
                unstick(self._consumer, group)
            assigned = self._consumer.assignment()
            self._consumer.pause(*assigned)  # nothing is read: the partition is a token
            return self._partition in assigned
        except KafkaError as error:
            raise stream_error(error, self._name) from error

    def close(self) -> None:
        """Leave; another one is elected at once."""
        self._consumer.close()
