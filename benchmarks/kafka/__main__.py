"""Throughput, latency, restore and outage of the monitor on a real broker, beside what it is to be held against.

    python -m benchmarks.kafka [--quick] [--json FILE] [--only NAMES] [--against CHECKOUT]

Starts its own broker (scripts/kafka-broker: Java 17), makes a virtual environment for quix-streams and bytewax
(benchmarks/kafka/rivals/requirements.txt) unless --only leaves both out, and leaves nothing running. What is compared
runs one after another in the same minutes, in turns; compare numbers within a run only.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.kafka.bench import Bench
from benchmarks.kafka.report import Report, show
from benchmarks.kafka.sections import SECTIONS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows and one round: a third of the time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(SECTIONS)}")
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="latency: measure another checkout's monitor too"
    )
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(SECTIONS)
    unknown = set(names) - SECTIONS.keys()
    if unknown:
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(SECTIONS)}")
    report = Report()
    with tempfile.TemporaryDirectory(prefix="sheetbreak-bench-") as folder:
        bench = Bench(Path(folder), quick=options.quick, against=options.against and options.against.resolve())
        try:
            for name in SECTIONS:
                if name in names:
                    print(f"{name} …", file=sys.stderr, flush=True)
                    SECTIONS[name](bench, report)
        finally:
            bench.close()
            print(show(report))
    if options.json:
        options.json.write_text(json.dumps(report.as_json(), indent=2) + "\n")


if __name__ == "__main__":
    main()
