"""Broker, a real one: the session's own, on a free port, and what tests do with it."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from sheetbreak.cli.topics import main as topics
from sheetbreak.streams.kafka.group.asking import AskingConsumer
from sheetbreak.wire.topics import ROWS, TOPICS
from tests.support.running.patience import PATIENCE_S, patiently, wait_for
from tests.support.running.ports import free_port
from tests.support.running.services import need

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "kafka-broker"
HEAP = "256m"
COMPILED_ONCE = "-XX:TieredStopAtLevel=1"
"""A broker that lives for a test or two is there two seconds sooner if Java compiles nothing a second time."""
MANY_TESTS = 100
"""They start some two dozen brokers: it is worth to have Java keep the classes that a broker loads."""
READER_S = 60.0
"""Without a record: a reader that stands so long before the end is told, and another one tries."""
_serial = itertools.count()


class Broker:
    """One broker in a folder of its own; it comes back on the same port."""

    java: ClassVar[str] = COMPILED_ONCE
    """Options of Java's for all brokers."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder
        self.port = ["--port", str(port)] if port else []
        self.settings: list[str] = []
        self.address = ""
        self.tls_port = 0
        """Of the listener with TLS, where a test gave it one."""

    @staticmethod
    def as_options(properties: Mapping[str, str]) -> list[str]:
        return [word for key, value in properties.items() for word in ("--set", f"{key}={value}")]

    @staticmethod
    def free_port() -> int:
        return free_port()

    def start(self) -> None:
        self.address = self._run("start", "--heap", HEAP, "--wait", str(PATIENCE_S), *self.port, *self.settings)

    @classmethod
    def keep_classes(cls, folder: Path) -> None:
        """Have Java keep what a broker loads: each start from now on takes half of the processor time."""
        kept, once = folder / "classes.jsa", cls(folder)
        try:
            cls.java = f"{COMPILED_ONCE} -XX:ArchiveClassesAtExit={kept}"
            once.start()
            once.stop()
        finally:
            cls.java = COMPILED_ONCE
        if kept.exists():  # a busy machine may be too slow for it
            cls.java += f" -XX:SharedArchiveFile={kept}"

    def stop(self, *, kill: bool = False) -> None:
        self._run("stop", *(["--kill"] if kill else []))

    def kill(self) -> None:
        """An outage: SIGKILL."""
        self.stop(kill=True)

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    def url(self, topic: str = "") -> str:
        return f"kafka://{self.address}" + (f"/{topic}" if topic else "")

    def create_topics(self, *, partitions: int = 1) -> str:
        """The five topics under a prefix that no other test has. Returns the prefix."""
        prefix = f"t{next(_serial)}."
        self.run_topics("create", "--partitions", str(partitions), "--topic-prefix", prefix)
        return prefix

    def run_topics(self, action: str, *options: str) -> None:
        """`sheetbreak topics`."""
        assert patiently(lambda: topics([action, self.url(), *options])) == 0

    def write(
        self, topic: str, values: Sequence[bytes], *, partition: int | None = None, key: bytes | None = None
    ) -> None:
        producer = KafkaProducer(bootstrap_servers=self.address)
        sent = [producer.send(topic, value, key=key, partition=partition) for value in values]
        producer.flush()
        producer.close()
        for one in sent:
            one.get(PATIENCE_S)  # raises what kept it from being written

    def read(self, topic: str, *, committed: bool = True) -> list[Any]:
        """All records that a consumer sees now, partition by partition, in order."""
        with self._consumer("read_uncommitted") as consumer:
            known = wait_for(lambda: consumer.partitions_for_topic(topic))
            partitions = [TopicPartition(topic, p) for p in sorted(known)]
            # Of a transaction that has just been committed the markers come a moment later: they are waited for.
            ends = ends_of(consumer, partitions)
        level = "read_committed" if committed else "read_uncommitted"
        found: list[Any] = []
        wait_for(lambda: self._read_up_to(ends, level, found), says=partial(self._where, partitions))
        return found

    def _read_up_to(self, ends: Mapping[TopicPartition, int], level: str, into: list[Any]) -> bool:
        """All records before the ends; False where they do not come: the next client may have more luck."""
        found: dict[TopicPartition, list[Any]] = {tp: [] for tp in ends}
        until = time.monotonic() + READER_S
        with suppress(KafkaError), self._consumer(level) as consumer:
            consumer.assign(list(ends))
            consumer.seek_to_beginning()
            while any(consumer.position(tp) < end for tp, end in ends.items()):
                if time.monotonic() > until:
                    print(f"a reader saw less than there is: {self._where(list(ends))}")
                    return False
                for tp, records in consumer.poll(100).items():
                    found[tp] += records
                    until = time.monotonic() + READER_S
            into += [record for records in found.values() for record in records]
            return True
        return False

    def _where(self, partitions: Sequence[TopicPartition]) -> str:
        ends = {}
        for level in ("read_committed", "read_uncommitted"):
            with self._consumer(level) as consumer:
                ends[level] = {tp.partition: end for tp, end in consumer.end_offsets(list(partitions)).items()}
        return f"{partitions[0].topic}, ends by partition: {ends}"

    def _consumer(self, isolation_level: str) -> Any:
        return AskingConsumer(
            bootstrap_servers=self.address,
            isolation_level=isolation_level,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )

    def values(self, topic: str) -> list[bytes]:
        return [record.value for record in self.read(topic)]

    def _run(self, action: str, *options: str) -> str:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), action, "--dir", str(self.folder), *options],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"JDK_JAVA_OPTIONS": self.java},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def ends_of(consumer: AskingConsumer, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Up to where the partitions are written; asked again while a broker that is busy, or just back, does not say."""

    def asked() -> dict[TopicPartition, int]:
        with suppress(KafkaError):
            return dict(consumer.end_offsets(partitions))
        return {}

    return wait_for(asked)


class Cluster(Broker):
    """Three brokers, of which one at a time may be stopped."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.settings = ["--brokers", "3"]

    def stop_node(self, node: int, *, kill: bool = False) -> None:
        """In good order, so that it hands over what it leads; or by SIGKILL."""
        self._run("stop", "--node", str(node), *(["--kill"] if kill else []))

    def pid_of(self, node: int) -> int:
        return int((self.folder / str(node) / "pid").read_text())

    def start_node(self, node: int) -> None:
        self._run("start", "--node", str(node), "--heap", HEAP, "--wait", str(PATIENCE_S))


def need_java() -> None:
    """Java to run a broker, and Maven where its jars are not there yet."""
    need(shutil.which("java"), "a real Kafka broker needs Java 17 or later on the PATH")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sheetbreak"
    need(shutil.which("mvn") or any(cache.glob("kafka-*")), "the broker's jars are fetched by Maven: no mvn")


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The session's broker; a test that kills it starts it again."""
    need_java()
    if sum("broker" in getattr(item, "fixturenames", ()) for item in request.session.items) > MANY_TESTS:
        Broker.keep_classes(tmp_path_factory.mktemp("classes"))
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.kill()


__all__ = ["ROWS", "TOPICS", "Broker", "Cluster", "broker", "ends_of", "need_java"]
