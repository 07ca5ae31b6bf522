"""Mill on a real broker: machines whose rows go in, monitors that work on them, and what came out of them."""

import contextlib
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaProducer, TopicPartition

from sheetbreak.streams.kafka.group.asking import AskingConsumer
from tests.support.kafka.broker import Broker, ends_of
from tests.support.models.mill import mill_rows, save_model
from tests.support.programs.monitor_process import ALL, command, messages, run
from tests.support.running.beside import beside
from tests.support.running.patience import PATIENCE_S
from tests.support.running.services import plain_environment

Messages = dict[str, list[dict[str, Any]]]
"""By machine, in order."""


class KafkaMill:
    """`machines` machines of `rows` rows each, on topics of their own."""

    def __init__(self, broker: Broker, folder: Path, *, machines: int, rows: int, partitions: int) -> None:
        self.broker, self.folder, self.partitions = broker, folder, partitions
        self.prefix = broker.create_topics(partitions=partitions)
        self.models = folder / "models"
        save_model(self.models)
        self.rows = {f"pm{m}": mill_rows(rows, machine=f"pm{m}", seed=m, breaks=(300,)) for m in range(machines)}
        self.sent = 0
        """Rows of every machine."""
        self.monitors: list[subprocess.Popen[bytes]] = []
        self._watcher: Any = None

    def send(self, count: int) -> None:
        """The next `count` rows of every machine, interleaved."""
        producer = self._producer()
        self._send(producer, count)
        producer.close()

    def _producer(self) -> Any:
        return KafkaProducer(bootstrap_servers=self.broker.address, linger_ms=2)

    def _send(self, producer: Any, count: int) -> None:
        sent = []
        for row in range(self.sent, self.sent + count):
            for machine, rows in self.rows.items():
                sent.append(producer.send(self.prefix + "sensor-rows", rows[row], key=machine.encode()))
        producer.flush()
        for one in sent:
            one.get(PATIENCE_S)  # raises what kept it from being written
        self.sent += count

    @contextlib.contextmanager
    def sending(self, count: int, *, pause_s: float) -> Iterator[None]:
        """Rows of every machine go in, `count` at a time, until the end of the `with`.

        They wait while 50 times as many are not answered: however slow the machine, the rows last, and every monitor
        finds some that wait for it. `count` of each machine are left for whoever sends more.
        """
        whole = len(next(iter(self.rows.values())))

        def work(stop: threading.Event) -> None:
            producer, watcher = self._producer(), self._consumer()
            while not stop.wait(pause_s) and self.sent + 2 * count <= whole:
                if (self.sent - 50 * count) * len(self.rows) < self._written(watcher):
                    self._send(producer, count)
            producer.close()
            watcher.close()

        with beside(work):
            yield

    def start(self, instance: str = "one") -> "subprocess.Popen[bytes]":
        source = self.broker.url(self.prefix + "sensor-rows")
        options = ["--models", str(self.models), "--topic-prefix", self.prefix, "--group", self.prefix + "group"]
        with self._log(len(self.monitors)).open("wb") as log:
            monitor = subprocess.Popen(
                command(source, *options, "--instance-id", instance),
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=plain_environment(),
            )
        self.monitors.append(monitor)
        return monitor

    def log(self, monitor: "subprocess.Popen[bytes]") -> str:
        return self._log(self.monitors.index(monitor)).read_text()

    def logs(self) -> str:
        return "\n".join(f"--- {i}\n{self._log(i).read_text()[-1500:]}" for i in range(len(self.monitors))[-4:])

    def _log(self, number: int) -> Path:
        return self.folder / f"monitor-{number}.log"

    def written(self) -> int:
        """Up to where the topic of scores is written, committed or not: cheap to ask often."""
        if self._watcher is None:
            self._watcher = self._consumer()
        return self._written(self._watcher)

    def _consumer(self) -> Any:
        return AskingConsumer(bootstrap_servers=self.broker.address)

    def _written(self, watcher: Any) -> int:
        topic = self.prefix + "scores"
        # Not asked of the broker: a busy one's metadata may lack some for a moment.
        partitions = [TopicPartition(topic, p) for p in range(self.partitions)]
        return sum(ends_of(watcher, partitions).values())

    def has_written_more(self, before: int) -> bool:
        """More than `written` told before."""
        return self.written() > before

    def answered(self) -> int:
        return sum(len(self.broker.read(self.prefix + name)) for name in ("scores", "dead-letters"))

    def read(self, name: str) -> Messages:
        """What a read_committed consumer sees of one topic."""
        return _by_machine(messages(b"\n".join(self.broker.values(self.prefix + name))))

    def undisturbed(self) -> tuple[Messages, Messages]:
        """The scores and the alerts of a monitor that reads the same rows from a file."""
        path = self.folder / "rows.ndjson"
        rows = [row for some in zip(*self.rows.values(), strict=True) for row in some]
        path.write_bytes(b"\n".join(rows[: self.sent * len(self.rows)]))
        done = run(str(path), "--models", str(self.models), "--emit", ALL)
        assert done.returncode == 0, done.stderr
        said = messages(done.stdout)
        scores, alerts = ([one for one in said if one["topic"] == topic] for topic in ("scores", "alerts"))
        return _by_machine(scores), _by_machine(alerts)

    def tear_down(self) -> None:
        for monitor in self.monitors:
            monitor.kill()
            monitor.wait()
        if self._watcher is not None:
            self._watcher.close()


def _by_machine(all_messages: Sequence[dict[str, Any]]) -> Messages:
    found = defaultdict(list)
    for message in all_messages:
        found[message["machine"]].append(message)
    return dict(found)
