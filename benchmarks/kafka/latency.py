"""Latency of a row from its sender to a reader of its score, at a steady rate."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from benchmarks.kafka.broker import PARTITIONS
from benchmarks.kafka.rate import cpu_seconds


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


def paced(
    address: str,
    topic: str,
    *,
    scores: str,
    rows: Iterable[tuple[bytes, bytes]],
    rate: float,
    skip: int,
    pid: int,
) -> Latency:
    """Send (key, row) pairs at `rate` a second and time each until a read_committed reader has its score.

    skip: rows sent first that do not count. Raises RuntimeError when scores do not come.
    """
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
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
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
