"""Rig of the Kafka stream, for the checks that all streams share."""

from collections.abc import Sequence

from sheetbreak.streams.kafka.options import KafkaOptions, Security
from sheetbreak.streams.kafka.stream import KafkaStream, open_kafka
from sheetbreak.wire.topics import OUTPUTS
from tests.support.kafka.broker import Broker
from tests.support.kafka.operator import Operator
from tests.support.running.patience import PATIENCE_S

SESSION_S = 6.0
"""The least that a broker allows: a quarter of it is how soon a member hears of another."""


class KafkaRig:
    """A stream over topics of its own; a reader that is opened again takes the place of the last one."""

    rewinds, ends, waits = True, False, True

    def __init__(self, broker: Broker, *, partitions: int = 1) -> None:
        self.broker, self.operator = broker, Operator(broker.address)
        self.prefix = broker.create_topics(partitions=partitions)
        self.streams: list[KafkaStream] = []

    @property
    def url(self) -> str:
        return self.broker.url(self.prefix + "sensor-rows")

    def leave(self, instance: str) -> None:
        """A static member leaves only after its session."""
        self.operator.dismiss(self.prefix + "group", instance)

    def feed(self, values: Sequence[bytes], *, partition: int = 0) -> None:
        self.broker.write(self.prefix + "sensor-rows", values, partition=partition)

    def say(self, values: Sequence[bytes], *, partition: int = 0) -> None:
        self.broker.write(self.prefix + "operator-actions", values, partition=partition)

    def finish(self) -> None:
        """A topic has no end."""

    def open(
        self,
        *,
        max_records: int = 500,
        instance: str = "one",
        latency_s: float = 0.05,
        session_s: float = SESSION_S,
    ) -> KafkaStream:
        options = KafkaOptions(
            group=self.prefix + "group",
            instance_id=instance,
            topic_prefix=self.prefix,
            max_rows=max_records,
            session_timeout_s=session_s,
            latency_s=latency_s,
            # A slow machine's transactions are slow, not dead.
            transaction_timeout_s=2 * PATIENCE_S,
            hang_limit_s=2 * PATIENCE_S,
            security=Security(),
        )
        _, stream = open_kafka(self.url, emit=OUTPUTS, options=options)
        self.streams.append(stream)
        return stream

    def published(self) -> list[bytes]:
        return [
            value for name in ("scores", "alerts", "dead-letters") for value in self.broker.values(self.prefix + name)
        ]

    def tear_down(self) -> None:
        for stream in self.streams:
            stream.close()
