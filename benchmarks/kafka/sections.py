"""Sections of the Kafka benchmark; each adds its lines to the report."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from kafka.errors import KafkaError

from benchmarks.kafka import rivals
from benchmarks.kafka.bench import MANY, Bench
from benchmarks.kafka.broker import Growth, Progress
from benchmarks.kafka.latency import latency
from benchmarks.kafka.rate import Process, Rate, measure
from benchmarks.kafka.report import Report
from benchmarks.kafka.rivals.plain import NAIVE_OUTPUT
from benchmarks.kafka.rivals.work import Task
from benchmarks.venv import python_with


def one_machine(bench: Bench, report: Report) -> None:
    """One machine: against poll and decode, in turns."""
    topic, prefix = bench.topic(1), bench.outputs("one.", 1)
    limits, rates = [], []
    for _ in range(bench.rounds):
        limits.append(bench.decode(topic))
        rates.append(bench.scored(1, prefix)[0])
    _against_limit(report, "1 machine", limits, rates, least=0.6)


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
    _against_limit(report, f"{MANY:,} machines", limits, ones, least=0.45)
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

    def progress(task: Task) -> Progress:
        return Progress(task.server, task.name, task.topic)

    _engine(bench, report, "quix-streams", "quix", progress_of=progress, rows=bench.rows // 4)


def bytewax(bench: Bench, report: Report) -> None:
    """bytewax, at least once."""

    def progress(task: Task) -> Growth:
        return Growth(task.server, task.scores)

    if sys.version_info >= (3, 13):
        print("bytewax has no wheel for Python 3.13: left out", file=sys.stderr)
    else:
        _engine(bench, report, "bytewax", "bytewax_flow", progress_of=progress, rows=bench.rows)


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
    "bytewax": bytewax,
    "naive": naive,
}


def _engine(
    bench: Bench,
    report: Report,
    name: str,
    module: str,
    *,
    progress_of: Callable[[Task], Progress | Growth],
    rows: int,
) -> None:
    """Another engine at both kinds of work, the monitor beside it in turns. rows: of a turn at the same work."""
    here = Path(rivals.__file__).resolve().parent
    python = python_with(here / "requirements.txt", here / ".venv", name="other engines")
    works = {"score": ("same work", rows), "lean": ("lean by hand", bench.rows)}
    for machines in (1, MANY):
        topic, prefix = bench.topic(machines), bench.outputs(f"beside-{module}-{machines}.", machines)
        ours, theirs = list[Rate](), {work: list[Rate]() for work in works}
        for turn in range(bench.rounds):
            ours.append(bench.scored(machines, prefix)[0])
            for work, (_, count) in works.items():
                folder = bench.folder / f"{module}-{work}-{machines}-{turn}"
                folder.mkdir()
                task = Task(work, folder.name, bench.broker.address, topic, bench.mill.models, bench.state_file, folder)
                bench.broker.create_input(task.scores)
                progress = progress_of(task)
                command = [str(python), "-m", f"{rivals.__name__}.{module}", *map(str, task)]
                with Process(command, log=folder.with_suffix(".log")) as process:
                    theirs[work].append(measure(progress.rows, [process.pid], skip=bench.skip // 4, rows=count))
                progress.close()
        for work, (described, _) in works.items():
            pairs = list(zip(ours, theirs[work], strict=True))
            line = f"{_named(machines)}: {name}, {described}"
            speed = [our.rows_per_s / their.rows_per_s for our, their in pairs]
            cost = [their.cpu_us_per_row / our.cpu_us_per_row for our, their in pairs]
            raw = _raw(theirs[work])
            report.add(f"{line}, rows/s", median(rate.rows_per_s for rate in theirs[work]), "rows/s", raw=raw)
            report.add(f"{line}: monitor's rows/s over it", median(speed), "×", least=1, raw=speed)
            report.add(f"{line}: its CPU per row over the monitor's", median(cost), "×", raw=cost)


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
