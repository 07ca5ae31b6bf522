"""Latency of a row from its sender to a reader of its score at a steady rate, and what a monitor costs at rest."""

import contextlib
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from benchmarks.kafka.bench import MANY, Bench, wait_for
from benchmarks.kafka.broker import PARTITIONS
from benchmarks.kafka.rate import cpu_seconds
from benchmarks.kafka.report import Report

RATE = 200.0
"""Rows a second at which latency is measured."""
_SETTLE_S = 5.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Of rows sent at a steady rate."""

    rows: int
    p50_ms: float
    p99_ms: float
    cpu_share: float
    """Of one core, used by the monitor."""


class _Key(msgspec.Struct):
    machine: str
    time: str


def latency(bench: Bench, report: Report) -> None:
    """A steady 200 rows/s of 1,000 machines; one row a minute. With --against, the other checkout's monitor too."""
    skip = int(4 * RATE)
    rows = list(bench.mill.rows(MANY, skip + int(bench.paced_s * RATE)))
    # The same sender and reader without a monitor in between: what broker and machine take of it today.
    bench.broker.create_input("rows-alone")
    some = rows[: len(rows) // 2]
    alone = paced(bench, "rows-alone", scores="rows-alone", rows=some, skip=skip, pid=os.getpid())
    report.add("200 rows/s: p99 from sender to a reader of the rows", alone.p99_ms, "ms")
    turns = _contenders(bench)
    if bench.against:  # the first one meets a broker that is not warm yet: each is first once
        turns += reversed(turns)
    found: dict[str, list[_Steady]] = {}
    for turn, (name, code) in enumerate(turns):
        found.setdefault(name, []).append(_steady(bench, turn, code, rows=rows, skip=skip))
    means = {name: _mean(seen) for name, seen in found.items()}
    for name, seen in means.items():
        report.add(f"{name}200 rows/s: p50 from sender to reader", seen.p50_ms, "ms")
        report.add(f"{name}200 rows/s: p99 from sender to reader", seen.p99_ms, "ms", most=100)
        report.add(f"{name}200 rows/s: state written over rows read", seen.state_share, "×", most=1.0)
        report.add(f"{name}200 rows/s: CPU", seen.cpu_share * 100, "% of a core", most=15)
    shares = _at_rest(bench)
    for name, share in shares.items():
        report.add(f"{name}one row in {bench.rest_s} s: CPU", share * 100, "% of a core", most=0.5)
    if bench.against:
        now, before = means[""], means[_BEFORE]
        report.add("200 rows/s: CPU over before's", now.cpu_share / before.cpu_share, "×")
        report.add("200 rows/s: p99 over before's", now.p99_ms / before.p99_ms, "×")
        report.add("one row a minute: CPU over before's", shares[""] / shares[_BEFORE], "×")


_BEFORE = "before: "


def _contenders(bench: Bench) -> list[tuple[str, Path | None]]:
    """(name, checkout) of each monitor that is measured."""
    return [("", None), (_BEFORE, bench.against)] if bench.against else [("", None)]


class _Steady(NamedTuple):
    """What a monitor needed for the rows of a steady rate."""

    p50_ms: float
    p99_ms: float
    cpu_share: float
    """Of one core."""
    state_share: float
    """Bytes of state over bytes of rows."""


def _mean(seen: list[_Steady]) -> _Steady:
    return _Steady(*(sum(values) / len(values) for values in zip(*seen, strict=True)))


def _steady(bench: Bench, turn: int, checkout: Path | None, *, rows: list[tuple[bytes, bytes]], skip: int) -> _Steady:
    """One monitor at 200 rows/s, with topics of its own."""
    prefix, topic = bench.outputs(f"paced-{turn}.", MANY), f"rows-paced-{turn}"
    bench.broker.create_input(topic)
    before = bench.broker.log_bytes(f"{prefix}monitor-state")
    with bench.monitors(topic, prefix, checkout=checkout) as (process,):
        wait_for(process, "partition-assigned", PARTITIONS)
        found = paced(bench, topic, scores=f"{prefix}scores", rows=rows, skip=skip, pid=process.pid)
    written = bench.broker.log_bytes(f"{prefix}monitor-state") - before
    return _Steady(found.p50_ms, found.p99_ms, found.cpu_share, written / bench.broker.log_bytes(topic))


def _at_rest(bench: Bench) -> dict[str, float]:
    """Share of a core by contender, all at the same time, while one row comes."""
    topic = "rows-at-rest"
    bench.broker.create_input(topic)
    with contextlib.ExitStack() as stack:
        running = {}
        for name, checkout in _contenders(bench):
            prefix = bench.outputs(f"rest-{'before' if name else 'now'}.", 1)
            (running[name],) = stack.enter_context(bench.monitors(topic, prefix, checkout=checkout))
        for process in running.values():
            wait_for(process, "partition-assigned", PARTITIONS)
        time.sleep(_SETTLE_S)
        used, started = {name: cpu_seconds([p.pid]) for name, p in running.items()}, time.monotonic()
        time.sleep(bench.rest_s / 2)
        bench.broker.write(topic, bench.mill.rows(1, 1))
        time.sleep(bench.rest_s / 2)
        took_s = time.monotonic() - started
        return {name: (cpu_seconds([p.pid]) - used[name]) / took_s for name, p in running.items()}


def paced(
    bench: Bench,
    topic: str,
    *,
    scores: str,
    rows: Iterable[tuple[bytes, bytes]],
    skip: int,
    pid: int,
) -> Latency:
    """Send (key, row) pairs at 200 a second and time each until a read_committed reader has its score.

    skip: rows sent first that do not count. Raises RuntimeError when scores do not come.
    """
    address = bench.broker.address
    sent: dict[tuple[str, str], float] = {}
    seen: dict[tuple[str, str], float] = {}
    ended = threading.Event()
    ready = threading.Event()
    reader = threading.Thread(target=_read, args=(address, scores, seen, ready, ended), daemon=True)
    reader.start()
    ready.wait(30)
    producer = KafkaProducer(bootstrap_servers=address)
    decoder = msgspec.json.Decoder(_Key)
    started, cpu_from = time.monotonic(), (0.0, 0.0)
    for number, (key, row) in enumerate(rows):
        if number == skip:
            cpu_from = time.monotonic(), cpu_seconds([pid])
        time.sleep(max(0.0, started + number / RATE - time.monotonic()))
        about = decoder.decode(row)
        if number >= skip:
            sent[about.machine, about.time] = time.monotonic()
        producer.send(topic, row, key=key)
    cpu_share = (cpu_seconds([pid]) - cpu_from[1]) / (time.monotonic() - cpu_from[0])
    producer.close()
    end = time.monotonic() + 15
    while not sent.keys() <= seen.keys():
        if time.monotonic() > end:
            raise RuntimeError(f"{len(sent.keys() - seen.keys())} of {len(sent)} scores did not come")
        time.sleep(0.05)
    ended.set()
    reader.join(10)
    p50, p99 = np.percentile([(seen[key] - at) * 1000 for key, at in sent.items()], [50, 99])
    return Latency(len(sent), float(p50), float(p99), cpu_share)


def _read(
    address: str,
    topic: str,
    seen: dict[tuple[str, str], float],
    ready: threading.Event,
    ended: threading.Event,
) -> None:
    consumer = KafkaConsumer(bootstrap_servers=address, isolation_level="read_committed", enable_auto_commit=False)
    partitions = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_end()
    for tp in partitions:
        consumer.position(tp)
    ready.set()
    decoder = msgspec.json.Decoder(_Key)
    while not ended.is_set():
        polled = consumer.poll(100)
        now = time.monotonic()
        for records in polled.values():
            for record in records:
                about = decoder.decode(record.value)
                seen[about.machine, about.time] = now
    consumer.close()
