"""Cost of a row in the engine: decode, advance and encode in one process, beside the loop that people write today.

    .venv/bin/python -m benchmarks.engine [--seconds 5] [--memory-rows 1000000] [--json FILE]

Simulates a mill and trains on it with the project's own commands, then measures in one run: rows a second for 1, 10
and 1000 interleaved machines with each stage's share; `json.loads` and Keras's `model.predict` on one row; whether
the scores are the same bits however the rows are batched; the size of a machine's state; how soon a monitor answers its
first row; its resident memory over many rows. Rates are
per CPU second of the process (its threads included), so that other work on the machine does not count; the first answer
is wall-clock. Compare within a run, as ratios.
"""

import argparse
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from monitor.runtime import keep_freed_memory, rarely_look_for_garbage
from sheetbreak.artifact import load
from sheetbreak.engine.advance import advance
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import DEAD_LETTER, State
from sheetbreak.history.reader import read_csv
from sheetbreak.rows import BROKEN, RowBatch
from sheetbreak.wire.messages import encode_alert, encode_score
from sheetbreak.wire.rows import WireDecoder, encode_row
from sheetbreak.wire.state import StateCodec

BATCH = 500
SHEETBREAK = [sys.executable, "-m", "sheetbreak"]
STAGES = ("decode", "advance", "encode", "state")


def main() -> int:
    """Run all sections and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="per measurement")
    parser.add_argument("--memory-rows", type=int, default=1_000_000, help="rows through the monitor's pipe")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        model, rows = _mill(home)
        found: dict[str, Any] = {"sensors": len(model.manifest.schema.sensors)}
        naive = _naive_rows_per_second(home, rows, model, seconds=options.seconds)
        print(f"the usual loop (json.loads, model.predict on one row): {naive:.1f} rows/s")
        found["usual_loop_rows_per_s"] = naive
        rarely_look_for_garbage()  # as the monitor does
        keep_freed_memory()
        for machines in (1, 10, 1000):
            spent, count = _stages(model, rows, machines=machines, seconds=options.seconds)
            scored = sum(spent[stage] for stage in STAGES[:3])
            shares = "  ".join(f"{s} {1e6 * spent[s] / count:.1f} µs ({spent[s] / scored:.0%})" for s in STAGES[:3])
            print(
                f"{machines:>5} machines: {count / scored:>8,.0f} rows/s, {count / scored / naive:,.0f} times the "
                f"usual loop; {shares}; state to bytes besides {1e6 * spent['state'] / count:.1f} µs"
            )
            found[f"{machines}_machines"] = {"rows_per_s": count / scored} | {s: spent[s] / count for s in STAGES}
        found["same_bits"] = len({_digest(model, rows[:3000], batch) for batch in (1, 7, 500, 3000)}) == 1
        print(f"the same bytes in batches of 1, 7, 500 and 3000 rows: {found['same_bits']}")
        found["state_bytes"] = _state_bytes(model, rows)
        print(f"a machine's state, full: {found['state_bytes']:,} bytes")
        found["first_row_s"] = _first_row_s(home, rows[0])
        print(f"the monitor's first answer after its start: {found['first_row_s']:.2f} s")
        memory = _resident_mb(home, rows, count=options.memory_rows)
        found["resident_mb"] = memory
        print(f"the monitor's resident memory over {options.memory_rows:,} rows: {min(memory)} to {max(memory)} MB")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if found["same_bits"] else 1


def _mill(home: Path) -> tuple[Artifact, list[bytes]]:
    """A model of a simulated mill, and the mill's wire rows."""
    for arguments in (["simulate", "--days", "10", "--out", "mill.csv"], ["train", "mill.csv"]):
        subprocess.run([*SHEETBREAK, *arguments], cwd=home, check=True, stdout=subprocess.DEVNULL)
    model = load(home / "models")
    schema, rows = read_csv(home / "mill.csv")
    return model, [_wire(rows, i, schema.sensors) for i in range(len(rows))]


def _wire(rows: RowBatch, i: int, sensors: tuple[str, ...]) -> bytes:
    values = dict(zip(sensors, rows.values[i].tolist(), strict=True))
    return encode_row(
        "pm1", int(rows.times_us[i]), values=values, grade=rows.grades[i], broken=bool(rows.broken[i] == BROKEN)
    )


def _naive_rows_per_second(home: Path, rows: list[bytes], model: Artifact, *, seconds: float) -> float:
    import keras

    net = keras.models.load_model(home / "models" / model.version / "model.keras")
    sensors = model.manifest.schema.sensors
    count, begin = 0, 0.0
    for line in itertools.chain(rows[:3], rows):
        if count == 3:
            begin = time.process_time()  # the first calls compile
        values = json.loads(line)["values"]
        scaled = np.array([[[values[s] for s in sensors]]], np.float32)
        rebuilt = net.predict(scaled, verbose=0)
        json.dumps({"score": float(((scaled - rebuilt) ** 2).mean())})
        count += 1
        if count > 3 and time.process_time() - begin > seconds:
            break
    return (count - 3) / (time.process_time() - begin)


def _stages(model: Artifact, rows: list[bytes], *, machines: int, seconds: float) -> tuple[dict[str, float], int]:
    """Seconds by stage and rows, counted once every machine's rows are scored."""
    decoder, codec = WireDecoder(model.manifest.schema), StateCodec(model.manifest.schema)
    spent, count = dict.fromkeys(STAGES, 0.0), 0
    states: dict[str, State] = {}
    feed = _interleaved(rows, machines)
    warm = model.features.warm_up_rows * machines
    for first in itertools.count(0, BATCH):
        lines = list(itertools.islice(feed, BATCH))
        if len(lines) < BATCH or sum(spent.values()) > seconds:
            return spent, count
        t0 = time.process_time()
        decoded = decoder.decode(lines)
        t1 = time.process_time()
        after, results = advance(states, decoded.rows, model)
        t2 = time.process_time()
        for place in range(BATCH):
            if results.outcome[place] != DEAD_LETTER:
                encode_score(decoded.rows, results, place, model=model.version)
        for _, event in results.alerts:
            encode_alert(event)
        t3 = time.process_time()
        for machine, state in after.items():
            codec.dump(machine, states.get(machine), state)
        t4 = time.process_time()
        states |= after
        if first >= warm:
            count += BATCH
            for stage, duration in zip(STAGES, (t1 - t0, t2 - t1, t3 - t2, t4 - t3), strict=True):
                spent[stage] += duration
    raise AssertionError("unreachable: itertools.count does not end")


def _interleaved(rows: list[bytes], machines: int) -> Iterator[bytes]:
    """Every row once for each machine, machine after machine."""
    names = [f'"m{i:04d}"'.encode() for i in range(machines)]
    return (line.replace(b'"pm1"', name, 1) for line in rows for name in names)


def _digest(model: Artifact, rows: list[bytes], batch: int) -> str:
    decoder, digest = WireDecoder(model.manifest.schema), hashlib.sha256()
    states: dict[str, State] = {}
    for first in range(0, len(rows), batch):
        decoded = decoder.decode(rows[first : first + batch])
        after, results = advance(states, decoded.rows, model)
        states |= after
        for place in range(len(decoded.rows)):
            digest.update(encode_score(decoded.rows, results, place, model=model.version))
    return digest.hexdigest()


def _state_bytes(model: Artifact, rows: list[bytes]) -> int:
    states, _ = advance({}, WireDecoder(model.manifest.schema).decode(rows).rows, model)
    parts = StateCodec(model.manifest.schema).dump("pm1", None, states["pm1"])
    return sum(len(key) + len(value) for key, value in parts.items())


def _monitor(home: Path) -> "subprocess.Popen[bytes]":
    command = [*SHEETBREAK, "monitor", "-", "--emit", "scores", "--metrics-port", "0"]
    return subprocess.Popen(command, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _first_row_s(home: Path, row: bytes) -> float:
    begin = time.perf_counter()
    with _monitor(home) as monitor:
        assert monitor.stdin is not None
        assert monitor.stdout is not None
        monitor.stdin.write(row + b"\n")
        monitor.stdin.flush()
        monitor.stdout.readline()
        answered = time.perf_counter() - begin
        monitor.stdin.close()
        monitor.stdout.read()
    return answered


def _resident_mb(home: Path, rows: list[bytes], *, count: int) -> list[int]:
    """Resident memory at ten points while `count` rows go through a monitor's pipe, after its first tenth."""
    seen: list[int] = []
    with _monitor(home) as monitor:
        assert monitor.stdin is not None
        assert monitor.stdout is not None
        feeder = threading.Thread(target=_feed, args=(monitor.stdin, _interleaved(rows, 1 + count // len(rows)), count))
        feeder.start()
        for number, _ in enumerate(monitor.stdout, start=1):
            if number % (count // 10) == 0:
                pages = int(Path(f"/proc/{monitor.pid}/statm").read_text().split()[1])
                seen.append(pages * os.sysconf("SC_PAGE_SIZE") // 2**20)
        feeder.join()
    return seen


def _feed(pipe: IO[bytes], rows: Iterable[bytes], count: int) -> None:
    with pipe:
        for line in itertools.islice(rows, count):
            pipe.write(line + b"\n")


if __name__ == "__main__":
    sys.exit(main())
