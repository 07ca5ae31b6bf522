"""Fleet of simulated machines on one broker: what monitors score, hold and restore, and what larger fleets would take.

    python -m benchmarks.kafka.fleet [--machines 1,1000,10000] [--monitors 1,2] [--json FILE] [--against CHECKOUT]

Every machine has its history behind it; a backlog of all of them in turn is scored. What is extrapolated is said with
its formula. Memory is a monitor's own peak, which a backlog makes; processor time is that of all monitors.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.kafka.bench import Bench, restore_s, wait_until_shared
from benchmarks.kafka.rate import measure, memory_mib

_PERIOD_S = 120.0
"""Of a mill: the rate of a fleet is its machines over this."""
_FLEETS = (10, 1_000, 100_000)
_CATCH_UP_S = 3600.0
"""Within so long after an outage of as long the rows that waited are scored: twice the steady rate."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One number of machines on one number of monitors."""

    machines: int
    monitors: int
    rows_per_s: float
    cpu_us_per_row: float
    state_bytes: float
    """Of a machine."""
    peak_mb: float
    """Of the monitor that held most."""
    restore_s: float
    """Of the slowest, from the assignment to the last partition."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", default="1,1000,10000", metavar="N,…")
    parser.add_argument("--monitors", default="1,2", metavar="N,…")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="measure another one beside it")
    options = parser.parse_args()
    found: list[Seen] = []
    with tempfile.TemporaryDirectory(prefix="sheetbreak-fleet-") as folder:
        bench = Bench(Path(folder), quick=True)
        try:
            for machines in map(int, options.machines.split(",")):
                for monitors in map(int, options.monitors.split(",")):
                    print(f"{machines} machines, {monitors} monitors …", file=sys.stderr, flush=True)
                    found.append(see(bench, machines, monitors))
                    print(_line(found[-1]), flush=True)
                    if options.against:
                        before = see(bench, machines, monitors, checkout=options.against.resolve())
                        print(f"before: {_line(before)}", flush=True)
        finally:
            bench.close()
    print(f"load {os.getloadavg()}, {os.cpu_count()} cores")
    print("\n".join(extrapolated(found)))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n")


def see(bench: Bench, machines: int, monitors: int, *, checkout: Path | None = None) -> Seen:
    """Score a backlog, with the monitors of a checkout (default: this one)."""
    topic = bench.topic(machines)
    prefix = bench.outputs(f"fleet-{machines}-{monitors}{'-before' if checkout else ''}.", machines)
    progress = bench.progress(prefix, topic)
    first = progress.rows()
    with bench.monitors(topic, prefix, count=monitors, checkout=checkout) as running:
        if monitors > 1:
            wait_until_shared(running)
            first = progress.rows()
        rate = measure(progress.rows, [p.pid for p in running], skip=bench.skip, rows=bench.rows, first=first)
        peak_mb = max(memory_mib(process.pid, "VmHWM") for process in running)
    progress.close()
    sample = [bench.mill.parts(n) for n in range(min(machines, 8))]
    state = sum(len(key) + len(value) for parts in sample for key, value in parts.items()) / len(sample)
    slowest_s = max(restore_s(process) for process in running)
    return Seen(machines, monitors, rate.rows_per_s, rate.cpu_us_per_row, state, peak_mb, slowest_s)


def extrapolated(found: Sequence[Seen]) -> list[str]:
    """What fleets of other sizes would take, by straight lines through what one monitor was seen to take."""
    ones = sorted((one for one in found if one.monitors == 1), key=lambda one: one.machines)
    if len(ones) < 2:
        return ["two numbers of machines on one monitor are needed to extrapolate"]
    least, most = ones[0], ones[-1]
    apart = most.machines - least.machines
    machine_kb = (most.peak_mb - least.peak_mb) / apart * 1024
    restore_ms = (most.restore_s - least.restore_s) / apart * 1000
    lines = [
        f"memory of a monitor: {least.peak_mb:.0f} MB + {machine_kb:.1f} kB a machine",
        f"restore: {restore_ms:.2f} ms a machine",
        f"processor: {most.cpu_us_per_row:.0f} µs a row of a backlog",
    ]
    for machines in _FLEETS:
        rate = machines / _PERIOD_S
        catching_up = 2 * rate
        cores = catching_up * most.cpu_us_per_row / 1e6
        memory = least.peak_mb + machine_kb * machines / 1024
        state_mb = most.state_bytes * machines / 1e6
        lines.append(
            f"{machines:>7,} machines, a row in {_PERIOD_S:.0f} s each: {rate:,.1f} rows/s; catching up within "
            f"{_CATCH_UP_S / 3600:.0f} h: {cores:.3f} cores; on one monitor {memory:,.0f} MB, restore "
            f"{restore_ms * machines / 1000:,.0f} s; state {state_mb:,.0f} MB"
        )
    return lines


def _line(seen: Seen) -> str:
    speed = f"{seen.rows_per_s:,.0f} rows/s, {seen.cpu_us_per_row:.0f} µs a row"
    held = f"peak {seen.peak_mb:.0f} MB, restore {seen.restore_s:.2f} s, state {seen.state_bytes:,.0f} bytes a machine"
    return f"{seen.machines:>7,} machines on {seen.monitors}: {speed}, {held}"


if __name__ == "__main__":
    main()
