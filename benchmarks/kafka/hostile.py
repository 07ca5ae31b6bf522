"""Hostile input: a monitor's peak of memory, and how long its metrics take to read, while a sender does its worst.

    python -m benchmarks.kafka.hostile [--records 3000] [--names 200000]

First records of a megabyte that are no rows, then rows of so many machines that each come once. All are answered: a
dead letter each, or a score that is none yet.
"""

import argparse
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.kafka.bench import Bench, wait_for
from benchmarks.kafka.broker import PARTITIONS
from benchmarks.kafka.rate import memory_mib, monitor
from tests.support.running.ports import free_port

_MEGABYTE = 1_000_000
_LOOK_S = 0.5
_STALLED_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=3_000, metavar="N")
    parser.add_argument("--names", type=int, default=200_000, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sheetbreak-hostile-") as folder:
        bench = Bench(Path(folder), quick=True)
        try:
            print(
                _seen(bench, "undecodable-records-of-1-MB", _undecodable(options.records), options.records), flush=True
            )
            print(_seen(bench, "machines-named-once", _once(bench, options.names), options.names), flush=True)
        finally:
            bench.close()
    print(f"load {os.getloadavg()}, {os.cpu_count()} cores")


def _undecodable(count: int) -> Iterator[tuple[bytes, bytes]]:
    """Of every byte that may begin a JSON text, and of others."""
    return ((b"%d" % (number % 64), bytes([33 + number % 90]) * _MEGABYTE) for number in range(count))


def _once(bench: Bench, count: int) -> Iterator[tuple[bytes, bytes]]:
    return bench.mill.rows(count, count)


def _seen(bench: Bench, kind: str, records: Iterable[tuple[bytes, bytes]], count: int) -> str:
    """What a monitor took while it answered them. Raises RuntimeError when it stands still."""
    bench.broker.create_input(kind)
    bench.broker.write(kind, records)
    prefix = f"of-{kind}."
    bench.broker.create_outputs(prefix)
    progress = bench.progress(prefix, kind)
    port = free_port()
    log, url = bench.folder / f"{kind}.log", bench.broker.url(kind)
    slowest_s, done, started = 0.0, 0, time.monotonic()
    moved = started
    with monitor(url, models=bench.mill.models, prefix=prefix, instance="a", log=log, metrics_port=port) as process:
        wait_for(process, "partition-assigned", PARTITIONS)
        while done < count:
            if time.monotonic() - moved > _STALLED_S:
                raise RuntimeError(f"{kind}: stuck at {done} of {count}")
            time.sleep(_LOOK_S)
            asked = time.monotonic()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_STALLED_S) as answer:
                length = len(answer.read())
            slowest_s = max(slowest_s, time.monotonic() - asked)
            before, done = done, progress.rows()
            moved = time.monotonic() if done != before else moved
        took_s, peak_mb = time.monotonic() - started, memory_mib(process.pid, "VmHWM")
    progress.close()
    scrape = f"slowest scrape {slowest_s:.2f} s, {length:,} bytes"
    return f"{kind}: {done:,} answered in {took_s:.0f} s, peak {peak_mb:.0f} MB, {scrape}"


if __name__ == "__main__":
    main()
