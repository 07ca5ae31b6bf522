"""Command `sheetbreak simulate`: a simulated mill in the historical format, and the causes of its breaks.

What it is and what it is not: docs/simulator.md.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.errors import DataError
from trainer.simulation.files import causes_path, write_mill
from trainer.simulation.mill import simulate_machine

MAX_MACHINE_DAYS = 5000
"""All machines are in memory at once, 0.34 MB a day each."""


def main(argv: Sequence[str]) -> int:
    """Write the CSV and its causes. Raises DataError for a bad option or a file that cannot be written."""
    parser = OptionParser(
        "sheetbreak simulate",
        "Write a simulated mill in the historical CSV format and, beside it, the causes of its breaks\n"
        "(mill.causes.csv). The same seed gives the same bytes.",
        example="sheetbreak simulate --days 14 --seed 7 --out mill.csv",
    )
    parser.add_argument("--days", type=whole_number(1, 730), default=14, metavar="N", help="days to simulate")
    machines_help = "machines pm1…pmN; several have a column that names them"
    parser.add_argument("--machines", type=whole_number(1, 500), default=1, metavar="N", help=machines_help)
    seed_help = "decides what happens; the mill itself is always the same"
    parser.add_argument("--seed", type=whole_number(), default=7, metavar="N", help=seed_help)
    parser.add_argument("--out", type=Path, default=Path("mill.csv"), metavar="CSV", help="file to write")
    options = parser.parse_args(argv)
    if options.days * options.machines > MAX_MACHINE_DAYS:
        raise DataError(
            f"{options.machines} machines for {options.days} days are more than {MAX_MACHINE_DAYS} "
            "machine-days; simulate fewer at a time, each with its own --seed"
        )
    numbers = tqdm(range(options.machines), "simulating", unit="machine", disable=not sys.stderr.isatty())
    machines = [simulate_machine(number, days=options.days, seed=options.seed) for number in numbers]
    rows, breaks = write_mill(machines, options.out)
    print(f"{options.out}: {rows:,} rows, {breaks} breaks; causes: {causes_path(options.out)}", file=sys.stderr)
    return 0
