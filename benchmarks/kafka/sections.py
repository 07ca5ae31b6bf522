"""Sections of the Kafka benchmark; each adds its lines to the report."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from statistics import median

import msgspec
from kafka.errors import KafkaError

from benchmarks.kafka.broker import PARTITIONS, Broker, Progress, partition_of
from benchmarks.kafka.latency import paced
from benchmarks.kafka.mill import Mill, machine_name
from benchmarks.kafka.rate import Process, Rate, measure, monitor
from benchmarks.kafka.report import Report
from benchmarks.kafka.rivals import NAIVE_OUTPUT
from sheetbreak.streams.kafka.group.state_topic import wrap

MANY = 1000
RATE = 200.0
"""Rows a second at which latency is measured."""


class Bench:
    """A broker, a mill and how much of everything."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder = folder
        self.rounds = 1 if quick else 3
        self.rows, self.skip = (15_000, 4_000) if quick else (40_000, 8_000)
        self.paced_s = 8 if quick else 25
        self.outage_s = 5 if quick else 15
        self.mill = Mill(folder)
        self.broker = Broker(folder / "kafka")
        self.filled: dict[str, int] = {}
        """Rows by input topic."""

    def close(self) -> None:
        self.broker.close()

    @cached_property
    def state_file(self) -> Path:
        """A machine's state parts, for quix-streams."""
        path = self.folder / "state.msgpack"
        path.write_bytes(msgspec.msgpack.encode(self.mill.parts(0)))
        return path

    def topic(self, machines: int) -> str:
        """An input with enough rows of so many machines for every section that reads it."""
        name = f"rows-of-{machines}"
        if name not in self.filled:
            self.broker.create_input(name)
            # A monitor that is stopped has gone on a while: half a run more.
            count = (self.rounds + 1) * (self.rows + self.skip) * 3 // 2
            self.broker.write(name, self.mill.rows(machines, count))
            self.filled[name] = count
        return name

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
        """A program of kafka_rivals."""
        command = [sys.executable, "-m", "benchmarks.kafka.rivals", name, self.broker.address, topic, str(rows)]
        done = subprocess.run(
            [*command, str(self.mill.models)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return Rate(**json.loads(done.stdout))

    @contextlib.contextmanager
    def monitors(self, topic: str, prefix: str, *, count: int = 1) -> Iterator[list[Process]]:
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

    def scored(self, topic: str, prefix: str, *, count: int = 1) -> tuple[Rate, list[float]]:
        """The rate of monitors over the next rows, and how long each took to restore its state."""
        progress = self.progress(prefix, topic)
        with self.monitors(topic, prefix, count=count) as running:
            if count > 1:
                _wait_until_shared(running)
            rate = measure(progress.rows, [p.pid for p in running], skip=self.skip, rows=self.rows)
        progress.close()
        return rate, [restore_s(process) for process in running]


def one_machine(bench: Bench, report: Report) -> None:
    """One machine: against poll and decode, in turns."""
    topic, prefix = bench.topic(1), bench.outputs("one.", 1)
    limits, rates = [], []
    for _ in range(bench.rounds):
        limits.append(bench.decode(topic))
        rates.append(bench.scored(topic, prefix)[0])
    _against_limit(report, "1 machine", limits, rates, least=0.5)


def many_machines(bench: Bench, report: Report) -> None:
    """1,000 machines, one and two monitors; bytes of state; restore."""
    topic = bench.topic(MANY)
    single, double = bench.outputs("single.", MANY), bench.outputs("double.", MANY)
    limits, ones, twos, restores = [], [], [], []
    state = f"{single}monitor-state"
    before = bench.broker.log_bytes(state)
    state_share = 0.0
    for _ in range(bench.rounds):
        limits.append(bench.decode(topic))
        rate, seconds = bench.scored(topic, single)
        ones.append(rate)
        restores += seconds
        if not state_share:  # later on the broker may have compacted some of it
            share_read = bench.committed(single, topic) / bench.filled[topic]
            state_share = (bench.broker.log_bytes(state) - before) / (bench.broker.log_bytes(topic) * share_read)
        twos.append(bench.scored(topic, double, count=2)[0])
    _against_limit(report, f"{MANY:,} machines", limits, ones, least=0.3)
    report.add(f"{MANY:,} machines: state written over rows read", state_share, "×", most=1.0)
    ratios = [two.cpu_us_per_row / one.cpu_us_per_row for one, two in zip(ones, twos, strict=True)]
    report.add("two monitors: rows/s", median(r.rows_per_s for r in twos), "rows/s", raw=_raw(twos))
    report.add("two monitors: CPU per row over one's", median(ratios), "×", most=1.15, raw=ratios)
    report.add(f"restore of {MANY:,} machines, worst", max(restores), "s", most=5.0, raw=restores)


def latency(bench: Bench, report: Report) -> None:
    """A steady 200 rows/s of 1,000 machines."""
    prefix, topic = bench.outputs("paced.", MANY), "rows-paced"
    bench.broker.create_input(topic)
    before = bench.broker.log_bytes(f"{prefix}monitor-state")
    skip = int(4 * RATE)
    count = skip + int(bench.paced_s * RATE)
    bench.broker.create_input("rows-alone")
    rows = list(bench.mill.rows(MANY, count))
    with bench.monitors(topic, prefix) as (process,):
        _wait_for(process, "partition-assigned", PARTITIONS)
        found = paced(
            bench.broker.address, topic, scores=f"{prefix}scores", rows=rows, rate=RATE, skip=skip, pid=process.pid
        )
    # The same sender and reader without a monitor in between: what broker and machine take of it today.
    alone = paced(
        bench.broker.address,
        "rows-alone",
        scores="rows-alone",
        rows=rows[: len(rows) // 2],
        rate=RATE,
        skip=skip,
        pid=os.getpid(),
    )
    report.add("200 rows/s: p99 from sender to a reader of the rows", alone.p99_ms, "ms")
    report.add("200 rows/s: p50 from sender to reader", found.p50_ms, "ms")
    report.add("200 rows/s: p99 from sender to reader", found.p99_ms, "ms", most=100)
    written = bench.broker.log_bytes(f"{prefix}monitor-state") - before
    report.add("200 rows/s: state written over rows read", written / bench.broker.log_bytes(topic), "×", most=1.0)
    report.add("200 rows/s: CPU", found.cpu_share * 100, "% of a core", most=30)


def outage(bench: Bench, report: Report) -> None:
    """The broker is killed at work and comes back: until the next commit, and whether every score is there once."""
    topic, prefix = bench.topic(1), bench.outputs("outage.", 1)
    with bench.monitors(topic, prefix):
        progress = bench.progress(prefix, topic)
        measure(progress.rows, [], skip=bench.skip // 4, rows=1)
        bench.broker.kill()
        time.sleep(bench.outage_s)
        bench.broker.start()
        back = time.monotonic()
        before = _patient_rows(progress)
        while _patient_rows(progress) == before:
            time.sleep(0.05)
        recovery_s = time.monotonic() - back
    progress.close()
    rows, scores = bench.committed(prefix, topic), bench.broker.count(f"{prefix}scores")
    report.add(f"outage of {bench.outage_s} s: first score after the broker's return", recovery_s, "s", most=10)
    report.add("outage: scores over rows", scores / rows, "×", least=1, raw={"rows": rows, "scores": scores})


def quix(bench: Bench, report: Report) -> None:
    """quix-streams, exactly once."""
    from benchmarks.kafka.venv import quix_python

    python = quix_python()
    for machines in (1, MANY):
        topic = bench.topic(machines)
        ours = report.value(f"{_named(machines)}: rows/s")
        for work in ("score", "lean"):
            group = f"quix-{work}-{machines}"
            state = [str(bench.state_file), str(bench.folder / "quix")]
            arguments = [work, bench.broker.address, topic, group, str(bench.mill.models), *state]
            progress = Progress(bench.broker.address, group, topic)
            log = bench.folder / f"{group}.log"
            with Process([str(python), "-m", "benchmarks.kafka.quix", *arguments], log=log) as process:
                rows = bench.rows // 4 if work == "score" else bench.rows
                rate = measure(progress.rows, [process.pid], skip=bench.skip // 4, rows=rows)
            progress.close()
            name = f"{_named(machines)}: quix-streams, {'same work' if work == 'score' else 'lean by hand'}"
            report.add(f"{name}, rows/s", rate.rows_per_s, "rows/s", raw=_raw([rate]))
            if ours:
                report.add(f"{name}: monitor's rows/s over it", ours / rate.rows_per_s, "×", least=1)


def naive(bench: Bench, report: Report) -> None:
    """What people write today."""
    topic = bench.topic(1)
    bench.broker.create_input(NAIVE_OUTPUT)
    rate = bench.rival("naive", topic, 100 if bench.rounds == 1 else 200)
    report.add("the loop people write today: rows/s", rate.rows_per_s, "rows/s", raw=_raw([rate]))
    ours = report.value(f"{_named(1)}: rows/s")
    if ours:
        report.add("monitor's rows/s over it", ours / rate.rows_per_s, "×", least=500)


SECTIONS: dict[str, Callable[[Bench, Report], None]] = {
    "one": one_machine,
    "many": many_machines,
    "latency": latency,
    "outage": outage,
    "quix": quix,
    "naive": naive,
}


def restore_s(process: Process) -> float:
    """From the assignment of partitions to the last of them restored, by the monitor's own log."""
    assigned = [at for at, line in process.events("rebalanced") if "assigned=()" not in line]
    restored = [at for at, _ in process.events("partition-assigned")]
    first = assigned[0]
    following = assigned[1] if len(assigned) > 1 else float("inf")
    return max(at for at in restored if first <= at <= following) - first


def _named(machines: int) -> str:
    return f"{machines:,} machine" + ("s" if machines > 1 else "")


def _against_limit(report: Report, name: str, limits: Sequence[Rate], rates: Sequence[Rate], *, least: float) -> None:
    ratios = [rate.rows_per_s / limit.rows_per_s for limit, rate in zip(limits, rates, strict=True)]
    report.add(
        f"{name}: poll and decode alone, rows/s", median(r.rows_per_s for r in limits), "rows/s", raw=_raw(limits)
    )
    report.add(f"{name}: rows/s", median(r.rows_per_s for r in rates), "rows/s", raw=_raw(rates))
    report.add(f"{name}: poll and decode alone, CPU per row", median(r.cpu_us_per_row for r in limits), "µs")
    report.add(f"{name}: CPU per row", median(r.cpu_us_per_row for r in rates), "µs")
    report.add(f"{name}: of poll and decode", median(ratios), "×", least=least, raw=ratios)


def _raw(rates: Sequence[Rate]) -> list[dict[str, float]]:
    return [{"rows_per_s": round(r.rows_per_s, 1), "cpu_us_per_row": round(r.cpu_us_per_row, 1)} for r in rates]


def _wait_for(process: Process, event: str, count: int) -> None:
    end = time.monotonic() + 60
    while len(process.events(event)) < count:
        if time.monotonic() > end:
            raise RuntimeError(f"no {event} in a minute; the log: {process.log.read_text()}")
        time.sleep(0.1)


def _wait_until_shared(running: Sequence[Process]) -> None:
    """Until every monitor has scored something: each has partitions, and the group has settled."""
    for process in running:
        _wait_for(process, "first-batch", 1)


def _patient_rows(progress: Progress) -> int:
    while True:
        try:
            return progress.rows()
        except KafkaError:
            time.sleep(0.1)
