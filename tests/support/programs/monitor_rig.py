"""Rig of the monitor's loop, in memory: a stream without a broker, a clock that only sleeping moves."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from monitor.health import Health
from monitor.loop import Loop
from monitor.machines import MAX_NEW
from monitor.metrics.metrics import Metrics
from monitor.reload import ModelWatch
from sheetbreak.artifact import load
from sheetbreak.engine.state import State
from sheetbreak.streams.memory import CommitPoint, MemoryStream, MemoryTopic
from sheetbreak.streams.open import Opened
from sheetbreak.streams.protocol import Batch, Output
from sheetbreak.wire.rows import WireDecoder

ALL = frozenset({"scores", "alerts", "dead-letters"})


class FakeClock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class FakeSignals:
    """Signals that a test raises."""

    def __init__(self) -> None:
        self.stopping = False
        self.reload = False

    def take_reload(self) -> bool:
        asked, self.reload = self.reload, False
        return asked


@dataclass
class Monitor:
    """One process's worth of monitor over a topic in memory."""

    topic: MemoryTopic
    models: Path
    at_commit: Callable[[CommitPoint], None] | None = None
    max_records: int = 25
    partitions: Sequence[int] | None = None
    history: Mapping[str, State] = field(default_factory=dict)
    at_poll: Callable[[Batch], None] | None = None
    emit: frozenset[str] = ALL
    max_machines: int = MAX_NEW
    clock: FakeClock = field(default_factory=FakeClock)
    signals: FakeSignals = field(default_factory=FakeSignals)
    streams: list[MemoryStream] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    """How long each poll might wait."""

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry()
        self.model = load(self.models)
        self.metrics = Metrics(self.registry, sensors=self.model.manifest.schema.sensors, clock=self.clock.monotonic)
        self.health = Health(self.clock.monotonic)
        self.watch = ModelWatch(self.models, self.model, metrics=self.metrics, clock=self.clock.monotonic)
        self.loop = Loop(
            self.open,
            self.watch,
            metrics=self.metrics,
            health=self.health,
            clock=self.clock,
            signals=self.signals,
            history=self.history,
            max_machines=self.max_machines,
        )

    def open(self) -> Opened:
        stream = _Watched(self)
        self.streams.append(stream)
        decoder = WireDecoder(self.model.manifest.schema)
        return Opened(stream, decoder.decode, lambda r: {"partition": r.partition, "offset": r.offset}, self.emit)

    def run(self) -> "Monitor":
        self.loop.run()
        return self

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


class _Watched(MemoryStream):
    """A MemoryStream whose polls a test sees."""

    def __init__(self, monitor: Monitor) -> None:
        super().__init__(
            monitor.topic,
            partitions=monitor.partitions,
            max_records=monitor.max_records,
            at_commit=monitor.at_commit,
        )
        self._monitor = monitor

    def poll(self, timeout_s: float) -> Batch:
        self._monitor.waits_s.append(timeout_s)
        batch = super().poll(timeout_s)
        if self._monitor.at_poll is not None:
            self._monitor.at_poll(batch)
        return batch


class Crash(BaseException):
    """The process ends here."""


class CrashAt:
    """Ends the process at one point of one commit, once."""

    def __init__(self, commit: int, point: CommitPoint) -> None:
        self.left, self.point = commit, point

    def __call__(self, point: CommitPoint) -> None:
        if point == self.point:
            self.left -= 1
            if self.left == -1:
                raise Crash


def outputs_of(topic: MemoryTopic, kind: str) -> list[dict[str, Any]]:
    return [message(output) for output in topic.outputs if output.topic == kind]


def message(output: Output) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(output.value)
    return decoded


def topic_of(*partitions: Sequence[bytes], ended: bool = True) -> MemoryTopic:
    topic = MemoryTopic(partitions=len(partitions))
    for number, values in enumerate(partitions):
        topic.feed(values, partition=number, timestamp_ms=1_700_000_900_000)
    topic.ended = ended
    return topic


def with_cell(row: bytes, sensor: str, cell: Any) -> bytes:
    """The wire row with something else in a sensor's cell."""
    fields = json.loads(row)
    fields["values"][sensor] = cell
    return json.dumps(fields).encode()
