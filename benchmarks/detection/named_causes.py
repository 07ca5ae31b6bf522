"""Causes named by alerts, on simulated mills whose causes are known, with the model that `train` makes by default.

    .venv/bin/python -m benchmarks.detection.named_causes [--seeds 1 2 3 4 5] [--days 28]
        [--family dense] [--top 3] [--json FILE]

Each seed is another time of the same mill: simulated, trained on its first 60 %, judged on its last 20 %, which the
training did not look at. Of the breaks with a precursor that an alert was open for within the 30 rows before: how many
have a sensor of their cause among the first TOP of the last event before the break, of the alert's opening, and what
as many sensors drawn at random would hit.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from sheetbreak.artifact import load
from sheetbreak.cli.demo.table import Break, read_causes
from sheetbreak.engine.alerts import WARNED_ROWS, AlertEvent
from sheetbreak.history.reader import read_csv
from trainer.data.history import score_history

TEST_SHARE = 0.2


@dataclass(slots=True)
class Named:
    """Counts over breaks with a precursor on held-out rows."""

    breaks: int = 0
    warned: int = 0
    opening: int = 0
    """Warned ones whose alert's opening names a sensor of the cause..."""
    last: int = 0
    """...and the last event before the break."""
    chance: float = 0.0
    """What as many sensors drawn at random would give, summed over the warned."""

    def add(self, other: "Named") -> None:
        self.breaks += other.breaks
        self.warned += other.warned
        self.opening += other.opening
        self.last += other.last
        self.chance += other.chance

    def line(self, name: str) -> str:
        shares = (f"{100 * n / self.warned:4.0f} %" if self.warned else "   – " for n in (self.last, self.opening))
        chance = f"{100 * self.chance / self.warned:4.0f} %" if self.warned else "   – "
        last, opening = shares
        return f"{name:<8}{self.breaks:>8}{self.warned:>8}{last:>13}{opening:>13}{chance:>10}"


def main() -> int:
    """Print a line a seed and their sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--family", default="dense")
    parser.add_argument("--top", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{'seed':<8}{'breaks':>8}{'warned':>8}{'last event':>13}{'opening':>13}{'chance':>10}")
    whole, found = Named(), {}
    for seed in options.seeds:
        one = measure(seed, days=options.days, family=options.family, top=options.top)
        found[seed] = asdict(one)
        whole.add(one)
        print(one.line(str(seed)), flush=True)
    print(whole.line("all"))
    if options.json:
        options.json.write_text(json.dumps({"seeds": found, "all": asdict(whole)}, indent=2) + "\n")
    return 0


def measure(seed: int, *, days: int, family: str, top: int) -> Named:
    """One seed's counts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mill, models = folder / "mill.csv", folder / "models"
        _sheetbreak("simulate", "--days", str(days), "--seed", str(seed), "--out", str(mill))
        _sheetbreak("train", str(mill), "--family", family, "--models", str(models))
        model, breaks = load(models), read_causes(folder / "mill.causes.csv")
        _, rows = read_csv(mill, sensors_from=model.manifest.schema)
    _, results = score_history(rows, model)
    first = math.ceil(len(rows) * (1 - TEST_SHARE))
    counts = Named()
    for one in breaks:
        if one.row < first or not one.sensors:
            continue
        counts.breaks += 1
        before = warning_events(one, results.alerts)
        if not before:
            continue
        counts.warned += 1
        counts.opening += _names(before[0], one, top)
        counts.last += _names(before[-1], one, top)
        sensors = len(model.manifest.schema.sensors)
        others = sensors - len(one.sensors)
        counts.chance += 1 - math.comb(others, top) / math.comb(sensors, top)
    return counts


def warning_events(one: Break, alerts: list[tuple[int, AlertEvent]]) -> list[AlertEvent]:
    """The opening and the updates, before the break, of the last alert that was open within the 30 rows before it."""
    by_alert: dict[str, list[tuple[int, AlertEvent]]] = {}
    for row, event in alerts:
        by_alert.setdefault(event.alert_id, []).append((row, event))
    warning: list[AlertEvent] = []
    for events in by_alert.values():
        opened = events[0][0]
        closed = events[-1][0] if events[-1][1].kind == "closed" else one.row
        if opened < one.row and closed >= one.row - WARNED_ROWS:
            warning = [event for row, event in events if row < one.row and event.kind != "closed"]
    return warning


def _names(event: AlertEvent, one: Break, top: int) -> bool:
    return any(sensor.sensor in one.sensors for sensor in event.top[:top])


def _sheetbreak(*arguments: str) -> None:
    command = [sys.executable, "-m", "sheetbreak", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)


if __name__ == "__main__":
    sys.exit(main())
