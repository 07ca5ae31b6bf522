"""Bench of the Kafka benchmark: a broker, a mill, topics filled as far as is needed, and monitors on them."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

import msgspec

from benchmarks.kafka.broker import Broker, Progress, partition_of
from benchmarks.kafka.mill import Mill, machine_name
from benchmarks.kafka.rate import Process, Rate, measure, monitor
from sheetbreak.streams.kafka.group.state_topic import wrap

MANY = 1000


class Bench:
    """A broker, a mill and how much of everything."""

    def __init__(self, folder: Path, *, quick: bool, against: Path | None = None) -> None:
        """against: another checkout, whose monitor is measured in the same minutes."""
        self.folder, self.against = folder, against
        self.rounds = 1 if quick else 3
        self.rows, self.skip = (15_000, 4_000) if quick else (40_000, 8_000)
        self.paced_s, self.rest_s = (8, 30) if quick else (25, 60)
        self.outage_s = 5 if quick else 15
        self.mill = Mill(folder)
        self.broker = Broker(folder / "kafka")
        self.filled: dict[str, int] = {}
        """Rows by input topic."""

    def close(self) -> None:
        self.broker.close()

    @cached_property
    def state_file(self) -> Path:
        """A machine's state parts, for other engines."""
        path = self.folder / "state.msgpack"
        path.write_bytes(msgspec.msgpack.encode(self.mill.parts(0)))
        return path

    def topic(self, machines: int) -> str:
        """An input with enough rows of so many machines for whoever reads it from its start."""
        name = f"rows-of-{machines}"
        if name not in self.filled:
            self.broker.create_input(name)
            self.filled[name] = 0
            self._fill(name, machines, rows=0)
        return name

    def _fill(self, topic: str, machines: int, *, rows: int) -> None:
        """More rows of so many machines, where a reader that is at `rows` would come to the end within its run."""
        # A monitor that is stopped, or waits for a second one, has gone on a while: a run more.
        missing = rows + 2 * (self.rows + self.skip) - self.filled[topic]
        if missing > 0:
            written = self.filled[topic]
            self.broker.write(topic, islice(self.mill.rows(machines, written + missing), written, None))
            self.filled[topic] += missing

    def outputs(self, prefix: str, machines: int) -> str:
        """The monitor's topics, with the state of machines that have their history behind them."""
        self.broker.create_outputs(prefix)
        parts = ((n, key, value) for n in range(machines) for key, value in self.mill.parts(n).items())
        records = ((partition_of(machine_name(n).encode()), key, wrap(value, 0)) for n, key, value in parts)
        self.broker.write_placed(f"{prefix}monitor-state", records)
        return prefix

    def decode(self, topic: str) -> Rate:
        """Poll and decode alone."""
        return self.rival("decode", topic, self.skip + self.rows)

    def rival(self, name: str, topic: str, rows: int) -> Rate:
        """A program of rivals/plain.py."""
        command = [sys.executable, "-m", "benchmarks.kafka.rivals.plain", name, self.broker.address, topic, str(rows)]
        done = subprocess.run(
            [*command, str(self.mill.models)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return Rate(**json.loads(done.stdout))

    @contextlib.contextmanager
    def monitors(
        self, topic: str, prefix: str, *, count: int = 1, checkout: Path | None = None
    ) -> Iterator[list[Process]]:
        """So many monitors, sharing the partitions."""
        with contextlib.ExitStack() as stack:
            yield [
                stack.enter_context(
                    monitor(
                        self.broker.url(topic),
                        models=self.mill.models,
                        prefix=prefix,
                        instance=instance,
                        log=self.folder / f"{prefix}{instance}.log",
                        checkout=checkout,
                    )
                )
                for instance in "ab"[:count]
            ]

    def progress(self, prefix: str, topic: str) -> Progress:
        return Progress(self.broker.address, f"{prefix}group", topic)

    def committed(self, prefix: str, topic: str) -> int:
        """Rows that the monitors of a prefix have committed."""
        progress = self.progress(prefix, topic)
        rows = progress.rows()
        progress.close()
        return rows

    def scored(self, machines: int, prefix: str, *, count: int = 1) -> tuple[Rate, list[float]]:
        """The rate of monitors over the next rows, and how long each took to restore its state."""
        topic = self.topic(machines)
        progress = self.progress(prefix, topic)
        first = progress.rows()
        self._fill(topic, machines, rows=first)
        with self.monitors(topic, prefix, count=count) as running:
            if count > 1:
                wait_until_shared(running)
                first = progress.rows()
            rate = measure(progress.rows, [p.pid for p in running], skip=self.skip, rows=self.rows, first=first)
        progress.close()
        return rate, [restore_s(process) for process in running]


def restore_s(process: Process) -> float:
    """From the assignment of partitions to the last of them restored, by the monitor's own log."""
    assigned = [at for at, line in process.events("rebalanced") if "assigned=()" not in line]
    restored = [at for at, _ in process.events("partition-assigned")]
    first = assigned[0]
    following = assigned[1] if len(assigned) > 1 else float("inf")
    return max(at for at in restored if first <= at <= following) - first


def wait_for(process: Process, event: str, count: int) -> None:
    end = time.monotonic() + 60
    while len(process.events(event)) < count:
        if time.monotonic() > end:
            raise RuntimeError(f"no {event} in a minute; the log: {process.log.read_text()}")
        time.sleep(0.1)


def wait_until_shared(running: Sequence[Process]) -> None:
    """Until every monitor has scored something: each has partitions, and the group has settled."""
    for process in running:
        wait_for(process, "first-batch", 1)
