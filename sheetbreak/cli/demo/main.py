"""Command `sheetbreak demo`: simulates a mill, trains on its first weeks, replays the rest into the monitor.

It runs the same programs that a user would type, as processes joined by a pipe; no broker. What it prints at the end
is measured against the causes that the simulator wrote down, which the trainer and the monitor never see.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from sheetbreak.cli.demo.live_view import LiveView
from sheetbreak.cli.demo.table import Break, demo_table, read_causes
from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.errors import DataError
from sheetbreak.history.reader import read_csv
from sheetbreak.rows import RowBatch, Schema

OUTPUT = "monitor.ndjson"
"""What the monitor said in the demo: scores and alerts."""
TRAINED_SHARE = 0.75
"""Of the simulated rows; the rest is replayed."""
DAYS = 21
OTHER_SEEDS = (
    "Another seed is other weeks of the same mill: 7 to 10 warned of 11 of 16 breaks\n"
    "(by chance 5), 20 of 31 (11), 14 of 27 (8) and 17 of 29 (10), at 4 to 5 false\n"
    "alarms a day."
)
"""Measured with `sheetbreak demo --seed N`, so that one flattering table is not taken for all."""


def main(argv: Sequence[str]) -> int:
    """Run the demo. Raises DataError when one of its programs fails."""
    parser = OptionParser(
        "sheetbreak demo",
        "Simulate a mill, train on its first three quarters, replay the rest into the monitor, count what was warned.",
        example="sheetbreak demo --days 21 --seed 7",
    )
    parser.add_argument("--days", type=whole_number(minimum=7), default=DAYS, help="days to simulate")
    parser.add_argument("--seed", type=whole_number(), default=7, help="another seed: other days of the same mill")
    parser.add_argument("--dir", type=Path, default=Path("demo"), help="where CSV and model are left")
    parser.add_argument("--play-seconds", type=whole_number(minimum=1), default=40, help="how long the replay takes")
    options = parser.parse_args(argv)
    folder: Path = options.dir
    folder.mkdir(parents=True, exist_ok=True)
    mill, models = folder / "mill.csv", folder / "models"

    _say(f"1. simulate {options.days} days of a mill")
    _run("simulate", "--days", str(options.days), "--seed", str(options.seed), "--out", str(mill))
    schema, rows = read_csv(mill)
    first = int(len(rows) * TRAINED_SHARE)
    _say(f"2. train on its first {first:,} rows")
    _run("train", str(mill), "--until", str(first), "--models", str(models), "--promote", "always")
    history = folder / "history.csv"
    with mill.open("rb") as source:
        history.write_bytes(b"".join(line for line, _ in zip(source, range(first + 1), strict=False)))

    played = rows.take(slice(first, None))
    days = float(played.times_us[-1] - played.times_us[0]) / 86_400e6
    _say(f"3. replay the other {len(played):,} rows ({days:.1f} days) into the monitor")
    events = _play(mill, history, models, first=first, speed=days * 86_400 / options.play_seconds)
    breaks = [b for b in read_causes(folder / "mill.causes.csv") if b.row >= first]
    print(demo_table(_with_times(breaks, rows), events, operating_days=_operating_days(played, schema)))
    if options.days == DAYS:
        print(f"\n{OTHER_SEEDS}")
    print(f"\nThe mill, its causes, the model, the monitor's output and its log are in {folder}/.")
    print(
        "See this run as the shift would, at http://127.0.0.1:8080 (Ctrl-C ends it):\n"
        f"  {_called()} desk {folder / OUTPUT} --actions {folder / 'actions.ndjson'}"
    )
    return 0


def _called() -> str:
    """What to write for this program: `make demo` has no virtual environment activated."""
    program = Path(sys.argv[0])
    return str(program) if program.name == "sheetbreak" and not shutil.which("sheetbreak") else "sheetbreak"


def _play(mill: Path, history: Path, models: Path, *, first: int, speed: float) -> list[dict[str, Any]]:
    """Alert events of the replay through the monitor, shown live while they come.

    The monitor's log lines go to a file: between two redraws they would push the picture off its place.
    """
    log = models.parent / "monitor.log"
    replay = subprocess.Popen(
        _command("replay", str(mill), "--from", str(first), "--speed", f"{speed:.0f}x"), stdout=subprocess.PIPE
    )
    with log.open("wb") as log_file:
        monitor = subprocess.Popen(
            _command(
                "monitor", "-", "--models", str(models), "--history", str(history), "--emit", "alerts,scores",
                "--metrics-port", "0",
            ),
            stdin=replay.stdout,
            stdout=subprocess.PIPE,
            stderr=log_file,
        )  # fmt: skip
    assert replay.stdout is not None
    assert monitor.stdout is not None
    replay.stdout.close()  # the monitor has it; the replay then notices when the monitor is gone
    try:
        with (models.parent / OUTPUT).open("wb") as kept:
            events = _watch(monitor.stdout, kept)
    finally:
        for program in (replay, monitor):
            program.terminate() if program.poll() is None and sys.exc_info()[0] else None
            program.wait()
    if monitor.returncode:
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))
    for name, program in (("replay", replay), ("monitor", monitor)):
        if program.returncode:
            raise DataError(f"sheetbreak {name} ended with exit code {program.returncode}; its message stands above")
    return events


def _watch(lines: IO[bytes], kept: IO[bytes]) -> list[dict[str, Any]]:
    """The alerts, shown live with the scores; every line is kept."""
    view = LiveView(sys.stderr, clock=time.monotonic)
    alerts = []
    for line in lines:
        kept.write(line)
        message = msgspec.json.decode(line)
        if message["topic"] == "alerts":
            alerts.append(message)
            view.alert(message)
        else:
            view.score(message)
    view.close()
    return alerts


def _with_times(breaks: Sequence[Break], rows: RowBatch) -> list[Break]:
    return [b.at(int(rows.times_us[b.row])) for b in breaks]


def _operating_days(rows: RowBatch, schema: Schema) -> float:
    return len(rows) * schema.period_s / 86_400


def _run(*arguments: str) -> None:
    code = subprocess.run(_command(*arguments), check=False).returncode
    if code:
        raise DataError(f"sheetbreak {arguments[0]} ended with exit code {code}; its message stands above")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sheetbreak", *arguments]


def _say(step: str) -> None:
    print(f"\n== {step}", file=sys.stderr, flush=True)
