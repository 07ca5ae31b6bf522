"""Sections of the Kafka benchmark; each adds its lines to the report."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from kafka.errors import KafkaError

from benchmarks.kafka.bench import MANY, Bench
from benchmarks.kafka.broker import Progress
from benchmarks.kafka.latency import latency
from benchmarks.kafka.rate import Process, Rate, measure
from benchmarks.kafka.report import Report
from benchmarks.kafka.rivals import NAIVE_OUTPUT
from benchmarks.venv import python_with


def one_machine(bench: Bench, report: Report) -> None:
    """One machine: against poll and decode, in turns."""
    topic, prefix = bench.topic(1), bench.outputs("one.", 1)
    limits, rates = [], []
    for _ in range(bench.rounds):
        limits.append(bench.decode(topic))
        rates.append(bench.scored(1, prefix)[0])
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
        rate, seconds = bench.scored(MANY, single)
        ones.append(rate)
        restores += seconds
        if not state_share:  # later on the broker may have compacted some of it
            share_read = bench.committed(single, topic) / bench.filled[topic]
            state_share = (bench.broker.log_bytes(state) - before) / (bench.broker.log_bytes(topic) * share_read)
        twos.append(bench.scored(MANY, double, count=2)[0])
    _against_limit(report, f"{MANY:,} machines", limits, ones, least=0.3)
    report.add(f"{MANY:,} machines: state written over rows read", state_share, "×", most=1.0)
    ratios = [two.cpu_us_per_row / one.cpu_us_per_row for one, two in zip(ones, twos, strict=True)]
    report.add("two monitors: rows/s", median(r.rows_per_s for r in twos), "rows/s", raw=_raw(twos))
    report.add("two monitors: CPU per row over one's", median(ratios), "×", most=1.15, raw=ratios)
    report.add(f"restore of {MANY:,} machines, worst", max(restores), "s", most=5.0, raw=restores)


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
    here = Path(__file__).resolve().parent
    python = python_with(here / "requirements.txt", here / ".venv", name="quix-streams")
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


def _patient_rows(progress: Progress) -> int:
    while True:
        try:
            return progress.rows()
        except KafkaError:
            time.sleep(0.1)
