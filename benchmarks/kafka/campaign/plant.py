"""Plant of a campaign: topics, machines whose rows go in by the clock, and two monitors on them."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import KafkaError

from sheetbreak.errors import SheetbreakError
from sheetbreak.streams.kafka.group.asking import AskingConsumer
from sheetbreak.streams.open import open_actions
from sheetbreak.wire.actions import make_action
from sheetbreak.wire.topics import ACTIONS, ROWS, SCORES
from tests.support.kafka.broker import Broker
from tests.support.models.mill import START_US, mill_rows, save_model
from tests.support.programs.monitor_process import command
from tests.support.running.services import plain_environment

MACHINES = 6
PARTITIONS = 2
SESSION_S, TRANSACTION_S = 6.0, 10.0
"""The least session that a broker allows; both are outlived by frozen monitors."""
PATIENCE_S = 420.0
_BACKLOG = 6_000
"""Rows that may wait for their scores before the feed waits: whatever is down, a campaign ends soon after it."""
_TICK_S = 0.05


class Stuck(Exception):
    """What must come did not, however long it was waited for."""


class Plant:
    """One installation under a prefix of its own."""

    def __init__(self, broker: Broker, folder: Path, *, rows: int, minutes: float, seed: int) -> None:
        """rows: of all machines together, spread over the minutes."""
        self.broker, self.folder = broker, folder
        self.draw = random.Random(seed)  # noqa: S311 - faults, no secrets
        self.prefix = broker.create_topics(partitions=PARTITIONS)
        self.partitions = PARTITIONS
        self.grown: list[Mapping[str, Mapping[int, int]]] = []
        """At each growth: by topic, where its partitions ended."""
        self.models = folder / "models"
        self.first_model = save_model(self.models).version
        each = rows // MACHINES
        self.rows = {f"pm{m}": mill_rows(each, machine=f"pm{m}", seed=seed + m, breaks=(300,)) for m in range(MACHINES)}
        self.written = Written(self)
        self.feed = Feed(self, rows_per_s=rows / (60 * minutes))
        self.monitors = {name: Monitor(self, name) for name in "ab"}
        self._actions = open_actions(broker.url(), prefix=self.prefix)

    @property
    def group(self) -> str:
        """The monitors'."""
        return self.prefix + "group"

    def act(self, machine: str, action: str, sensor: str) -> None:
        """An operator's action."""
        self._actions.send(make_action(machine, action, time_us=START_US, by="Aino", sensor=sensor))

    def wait(self, condition: Callable[[], bool], *, patience_s: float = PATIENCE_S, nap_s: float = 0.05) -> bool:
        """Until it holds; False where the patience is at its end. A broker that does not answer is asked again."""
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            with suppress(KafkaError):
                if condition():
                    return True
            time.sleep(nap_s)
        return False

    def wait_until_answered(self) -> None:
        """All that was written is committed. Raises Stuck, with what the monitors said last."""
        if not self.wait(lambda: self.unread() == 0, nap_s=0.5):
            raise Stuck(f"rows are not answered after {PATIENCE_S:.0f} s; unread: {self._unread_now()}\n{self.logs()}")

    def _unread_now(self) -> object:
        try:
            return self.unread()
        except KafkaError as error:
            return repr(error)

    def unread(self) -> int:
        """Records of rows and actions behind what the group has committed, read committed; -1: not known yet.

        Raises errors of kafka-python.
        """
        consumer = KafkaConsumer(
            bootstrap_servers=self.broker.address,
            group_id=self.group,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        try:
            asked = [
                TopicPartition(self.prefix + topic, p) for topic in (ROWS, ACTIONS) for p in range(self.partitions)
            ]
            consumer.assign(asked)
            for tp in asked:
                consumer.seek(tp, consumer.committed(tp, timeout_ms=5_000) or 0)
            with self.watcher() as watcher:
                ends = watcher.end_offsets(asked, timeout_ms=5_000)
            found, until = 0, time.monotonic() + 20
            while any((consumer.position(tp, timeout_ms=5_000) or 0) < ends[tp] for tp in asked):
                found += sum(len(records) for records in consumer.poll(100).values())
                if time.monotonic() > until:
                    return found or -1
            return found
        finally:
            consumer.close(autocommit=False)

    @contextmanager
    def watcher(self) -> Iterator[Any]:
        """A consumer of nothing, to ask for offsets: those of all that is written."""
        consumer = AskingConsumer(bootstrap_servers=self.broker.address)
        try:
            yield consumer
        finally:
            consumer.close()

    def committed(self, topic: str) -> dict[int, list[Any]]:
        """All records of a topic that a read_committed consumer sees, by partition. Raises Stuck."""
        try:
            records = self.broker.read(self.prefix + topic)
        except AssertionError as stands:
            raise Stuck(f"reading stands before an open transaction: {stands}\n{self.logs()}") from stands
        found: dict[int, list[Any]] = {partition: [] for partition in range(self.partitions)}
        for record in records:
            found[record.partition].append(record)
        return found

    def stop_monitors(self) -> None:
        """In good order, and out of the group."""
        for monitor in self.monitors.values():
            monitor.stop()
        admin = KafkaAdminClient(bootstrap_servers=self.broker.address)
        try:
            for name in self.monitors:
                with suppress(KafkaError):  # its session may be over already
                    admin.remove_group_members(self.group, [MemberToRemove(group_instance_id=name)])
        finally:
            admin.close()

    def has_grown(self, partitions: int, ends: Mapping[str, Mapping[int, int]]) -> None:
        """Go on with so many. ends: by topic, where its partitions ended."""
        self.grown.append(ends)
        self.partitions = partitions
        self._actions.close()  # it would go on with the number of partitions that it knows
        self._actions = open_actions(self.broker.url(), prefix=self.prefix)

    def logs(self) -> str:
        """The end of what each monitor said."""
        return "\n".join(f"--- {name}\n{monitor.log()[-2500:]}" for name, monitor in self.monitors.items())

    def close(self) -> None:
        """Stop all but the broker."""
        self.feed.close()
        for monitor in self.monitors.values():
            monitor.kill()
        with suppress(SheetbreakError, KafkaError):
            self._actions.close()
        self.written.close()


class Written:
    """Up to where the scores are written, committed or not: cheap to ask often. For one thread at a time."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._consumer: Any = None

    def __call__(self) -> int:
        """Raises errors of kafka-python."""
        partitions = [TopicPartition(self._plant.prefix + SCORES, p) for p in range(self._plant.partitions)]
        try:
            if self._consumer is None:
                self._consumer = AskingConsumer(bootstrap_servers=self._plant.broker.address)
            return sum(self._consumer.end_offsets(partitions, timeout_ms=3_000).values())
        except KafkaError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the broker."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(KafkaError):
                consumer.close()


class Feed:
    """Rows of every machine, interleaved, by the clock; a thread of its own."""

    def __init__(self, plant: Plant, *, rows_per_s: float) -> None:
        self._plant, self._rows_per_s = plant, rows_per_s
        self.sent = 0
        """Rows of every machine."""
        self.resent = 0
        self._pause, self._end = threading.Event(), threading.Event()
        self._idle = threading.Event()
        self._resend: list[tuple[str, int]] = []
        self._thread = threading.Thread(target=self._work, name="feed", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; what was handed over is sent first, within reason."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(120)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No row goes in meanwhile."""
        self._idle.clear()
        self._pause.set()
        try:
            if not self._idle.wait(PATIENCE_S):
                raise Stuck("the feed does not come to rest")
            yield
        finally:
            self._pause.clear()

    def resend(self, machine: str, count: int) -> None:
        """The last rows of a machine, once more."""
        self._resend.append((machine, count))

    def _work(self) -> None:
        producer, seen, looked, written = self._producer(), 0, 0.0, Written(self._plant)
        whole = len(next(iter(self._plant.rows.values())))
        began, rested_s = time.monotonic(), 0.0
        while not self._end.wait(_TICK_S):
            if self._pause.is_set():
                since = time.monotonic()
                _close(producer)
                self._idle.set()
                while self._pause.is_set() and not self._end.wait(_TICK_S):
                    pass
                producer = self._producer()  # a new one: the topic may have grown meanwhile
                rested_s += time.monotonic() - since
                continue
            due = min(whole, int((time.monotonic() - began - rested_s) * self._rows_per_s / MACHINES))
            if (self.sent + 20) * MACHINES - seen > _BACKLOG:
                if time.monotonic() - looked > 0.5:
                    looked = time.monotonic()
                    with suppress(KafkaError):
                        seen = written()
                continue
            producer = self._send(producer, min(due, self.sent + 200))
        _close(producer)
        written.close()

    def _send(self, producer: Any, due: int) -> Any:
        """Returns the producer to go on with. What is lost is lost to the topic, too: no row is waited for."""
        topic = self._plant.prefix + ROWS
        try:
            for row in range(self.sent, due):
                self.sent = row + 1
                for machine, rows in self._plant.rows.items():
                    producer.send(topic, rows[row], key=machine.encode())
            while self._resend:
                machine, count = self._resend.pop()
                for row in range(max(0, self.sent - count), self.sent):
                    producer.send(topic, self._plant.rows[machine][row], key=machine.encode())
                    self.resent += 1
        except KafkaError:
            with suppress(KafkaError):
                producer.close(timeout=0)
            return self._producer()
        return producer

    def _producer(self) -> Any:
        while True:
            try:
                return KafkaProducer(bootstrap_servers=self._plant.broker.address, linger_ms=5, max_block_ms=60_000)
            except KafkaError:
                if self._end.wait(0.5):
                    raise


def _close(producer: Any) -> None:
    with suppress(KafkaError):
        producer.flush(timeout=60)
    with suppress(KafkaError):
        producer.close(timeout=10)


class Monitor:
    """One of the monitors, over all its processes."""

    def __init__(self, plant: Plant, name: str) -> None:
        self._plant, self._name = plant, name
        self.process: subprocess.Popen[bytes] | None = None
        self._path = plant.folder / f"monitor-{name}.log"
        self.exits: list[int] = []
        """Codes of processes that ended by themselves."""

    def start(self) -> None:
        """A process, unless one runs."""
        if self.process is not None:
            if self.process.poll() is None:
                return
            self.exits.append(self.process.returncode)
        plant = self._plant
        options = ["--models", str(plant.models), "--topic-prefix", plant.prefix, "--group", plant.group]
        options += ["--session-timeout", f"{SESSION_S:g}", "--transaction-timeout", f"{TRANSACTION_S:g}"]
        options += ["--latency-ms", "10", "--instance-id", self._name]
        source = plant.broker.url(plant.prefix + ROWS)
        with self._path.open("ab") as log:
            self.process = subprocess.Popen(
                command(source, *options), stdout=subprocess.DEVNULL, stderr=log, env=plain_environment()
            )

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """To the process, if there is one."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, also of one that is frozen."""
        process, self.process = self.process, None
        if process is not None:
            if process.poll() is not None:
                self.exits.append(process.returncode)
            process.kill()
            process.wait()

    def stop(self) -> None:
        """SIGTERM. Raises Stuck."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            code = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired as late:
            process.kill()
            process.wait()
            raise Stuck(f"monitor {self._name} does not end on SIGTERM\n{self.log()[-2500:]}") from late
        if code:
            self.exits.append(code)

    def log(self) -> str:
        """All that it said so far."""
        return self._path.read_text(errors="replace") if self._path.exists() else ""


def run_sheetbreak(*arguments: str) -> "subprocess.Popen[bytes]":
    """A command of ours, begun."""
    return subprocess.Popen(
        [sys.executable, "-m", "sheetbreak", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
