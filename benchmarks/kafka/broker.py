"""Broker of the benchmark: its topics, filling them, and what has been committed to them."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.partitioner.default import murmur2

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kafka-broker"
PARTITIONS = 4


def partition_of(key: bytes) -> int:
    """Where a record with this key goes."""
    return int((murmur2(key) & 0x7FFFFFFF) % PARTITIONS)


class Broker:
    """One broker in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = self.start()

    def start(self) -> str:
        """Start it, or start it again on the same port. Returns host:port once it answers."""
        # Monitors that are started together are one generation of the group: the first of them does not run off alone.
        return self._run("start", "--heap", "512m", "--set", "group.initial.rebalance.delay.ms=3000")

    def kill(self) -> None:
        """An outage: SIGKILL."""
        self._run("stop", "--kill")

    def close(self) -> None:
        """Stop it and remove its folder."""
        self._run("stop", "--kill", "--wipe")

    def url(self, topic: str) -> str:
        return f"kafka://{self.address}/{topic}"

    def create_input(self, topic: str) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.address)
        admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
        admin.close()

    def create_outputs(self, prefix: str) -> None:
        """The monitor's topics under a prefix, by the product's own command."""
        command = [sys.executable, "-m", "sheetbreak", "topics", "create", f"kafka://{self.address}"]
        options = ["--partitions", str(PARTITIONS), "--topic-prefix", prefix]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def write(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Write (key, value) records, to the partitions that their keys say."""
        producer = KafkaProducer(bootstrap_servers=self.address, linger_ms=20, batch_size=512 * 1024)
        for key, value in records:
            producer.send(topic, value, key=key)
        producer.flush()
        producer.close()

    def write_placed(self, topic: str, records: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Write (partition, key, value) records."""
        producer = KafkaProducer(bootstrap_servers=self.address, linger_ms=20, batch_size=512 * 1024)
        for partition, key, value in records:
            producer.send(topic, value, key=key, partition=partition)
        producer.flush()
        producer.close()

    def log_bytes(self, topic: str) -> int:
        """Bytes of a topic's log on the disk, over all partitions."""
        return sum(
            log.stat().st_size
            for partition in range(PARTITIONS)
            for log in (self._folder / "data" / f"{topic}-{partition}").glob("*.log")
        )

    def count(self, topic: str) -> int:
        """Records that a read_committed consumer finds."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.address,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_poll_records=5000,
        )
        partitions = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found = 0
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            found += sum(len(records) for records in consumer.poll(200).values())
        consumer.close()
        return found

    def _run(self, action: str, *options: str) -> str:
        command = [sys.executable, str(SCRIPT), action, "--dir", str(self._folder), *options]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Progress:
    """How many rows of a topic a group has committed; a scored row's offset is committed with its score."""

    def __init__(self, address: str, group: str, topic: str) -> None:
        # read_uncommitted: asked otherwise, the broker says "later" while a transaction is open.
        self._consumer = KafkaConsumer(
            bootstrap_servers=address, group_id=group, enable_auto_commit=False, reconnect_backoff_max_ms=200
        )
        self._partitions = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]

    def rows(self) -> int:
        """Raises errors of kafka-python while the broker is away."""
        return sum(self._consumer.committed(tp, timeout_ms=2000) or 0 for tp in self._partitions)

    def close(self) -> None:
        self._consumer.close(autocommit=False)


class Growth:
    """How many records a topic without transactions holds: what is done by who commits no offsets."""

    def __init__(self, address: str, topic: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
        self._partitions = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]

    def rows(self) -> int:
        return sum(self._consumer.end_offsets(self._partitions).values())

    def close(self) -> None:
        self._consumer.close()
