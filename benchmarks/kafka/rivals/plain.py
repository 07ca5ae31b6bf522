"""Comparisons in our own environment: poll and decode alone, as the limit, and the loop that people write today.

    python -m benchmarks.kafka.rivals.plain decode|naive SERVER TOPIC ROWS MODELS

Prints {"rows": …, "seconds": …, "cpu_s": …} of the rows after the first tenth.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer

MAX_POLL_RECORDS = 4000
"""As many as the monitor takes at once."""
NAIVE_OUTPUT = "naive-scores"


def decode(server: str, topic: str, rows: int, models: Path) -> Iterator[int]:
    """Poll with kafka-python's default fetch sizes and decode with the monitor's decoder; nothing else."""
    from sheetbreak.artifact import read_manifest
    from sheetbreak.wire.rows import WireDecoder

    decoder = WireDecoder(read_manifest(models / "current").schema)
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=server,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=MAX_POLL_RECORDS,
    )
    seen = 0
    while seen < rows:
        for records in consumer.poll(200).values():
            decoder.decode([record.value for record in records])
            seen += len(records)
        yield seen
    consumer.close()


def naive(server: str, topic: str, rows: int, models: Path) -> Iterator[int]:
    """Consumer, `model.predict` on one row, send: scaled values in, mean squared error out; no state."""
    import keras
    import numpy as np

    from sheetbreak.artifact import read_manifest

    sensors = read_manifest(models / "current").schema.sensors
    layers = [keras.layers.Dense(units, "tanh") for units in (32, 16, 32)]
    model = keras.Sequential([keras.layers.Input((len(sensors),)), *layers, keras.layers.Dense(len(sensors))])
    consumer = KafkaConsumer(
        topic, bootstrap_servers=server, auto_offset_reset="earliest", value_deserializer=json.loads
    )
    producer = KafkaProducer(bootstrap_servers=server, value_serializer=lambda score: json.dumps(score).encode())
    for seen, record in enumerate(consumer, 1):
        row = np.array([[record.value["values"][sensor] for sensor in sensors]], np.float32)
        rebuilt = model.predict(row, verbose=0)
        score = float(np.mean((row - rebuilt) ** 2))
        producer.send(NAIVE_OUTPUT, {"machine": record.value["machine"], "score": score})
        yield seen
        if seen >= rows:
            break
    producer.close()
    consumer.close()


def main() -> None:
    name, server, topic, count, models = sys.argv[1:]
    rows = int(count)
    run = {"decode": decode, "naive": naive}[name]
    start: tuple[int, float, float] | None = None
    for seen in run(server, topic, rows, Path(models)):
        if start is None and seen >= rows // 10:
            start = seen, time.monotonic(), time.process_time()
        if seen >= rows and start is not None:
            seconds, cpu_s = time.monotonic() - start[1], time.process_time() - start[2]
            print(json.dumps({"rows": seen - start[0], "seconds": seconds, "cpu_s": cpu_s}), flush=True)


if __name__ == "__main__":
    main()
