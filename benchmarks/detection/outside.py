"""PyOD through `compare --detector`, beside the built-in baselines of the same names.

    .venv/bin/python -m benchmarks.detection.outside mill.csv [--schema plant.toml] [--preset default]

Makes benchmarks/detection/.venv from outside.txt (PyOD is no requirement of the product), which also sees what this
interpreter has. Prints each detector's ROC AUC and breaks warned of within the hour at 5 false alarms a day, over all
folds, and how far every figure of every fold is from the baseline's. Exit code 1 where any differs. ECOD is asked
about one row at a time, since its tails count all rows that it is asked about: that takes minutes. `inf`: one has a
figure, the other none.
"""

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.venv import python_with

HERE = Path(__file__).resolve().parent
REQUIREMENTS, VENV = HERE / "outside.txt", HERE / ".venv"
PAIRS = {"isolation-forest": "pyod.models.iforest:IForest", "ecod": "pyod.models.ecod:ECOD"}


def main() -> int:
    """Compare, print, and say whether what must be equal is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv")
    parser.add_argument("--schema")
    parser.add_argument("--preset", default="default")
    options = parser.parse_args()
    python = python_with(REQUIREMENTS, VENV, name="PyOD", also=_with_ours)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        command = [str(python), "-m", "sheetbreak", "compare", options.csv, "--preset", options.preset]
        command += ["--family", ",".join(PAIRS), "--work", folder, "--json", str(out)]
        command += [word for target in PAIRS.values() for word in ("--detector", target)]
        command += ["--schema", options.schema] if options.schema else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = {one["name"]: one for one in json.loads(out.read_text())["scorers"]}
    print(f"{'':<32}{'AUC':<10}60 min @ 5/day")
    for name in (word for pair in PAIRS.items() for word in pair):
        overall = found[name]["overall"]
        (warned,) = (r for r in overall["recall"] if (r["horizon_rows"], r["false_alarms_per_day"]) == (30, 5))
        print(f"{name:<32}{overall['roc_auc']:<10.6f}{warned['recall']:.6f}")
    most = {name: _most(_numbers(found[name]), _numbers(found[target])) for name, target in PAIRS.items()}
    for name, difference in most.items():
        print(f"{PAIRS[name]} less {name}: at most {difference:g} in any figure of any fold")
    return int(any(most.values()))


def _with_ours(venv: Path) -> None:
    """Have an environment find sheetbreak and what it needs."""
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "sheetbreak.pth").write_text(f"{sysconfig.get_path('purelib')}\n{HERE.parents[1]}\n")


def _numbers(scorer: dict[str, Any]) -> list[float]:
    """Every figure of every fold; thresholds are in the units of the score, which may differ by a constant."""
    found: list[float] = []

    def collect(value: Any, name: str = "") -> None:
        if isinstance(value, dict):
            for key in sorted(value):
                collect(value[key], key)
        elif isinstance(value, list):
            for one in value:
                collect(one, name)
        elif name != "threshold":
            found.append(float("nan") if value is None else float(value))

    collect([scorer[part] for part in ("folds", "overall", "later")])
    return found


def _most(ours: list[float], theirs: list[float]) -> float:
    pairs = list(zip(ours, theirs, strict=True))
    if any((a == a) != (b == b) for a, b in pairs):
        return float("inf")
    return max((abs(a - b) for a, b in pairs if a == a), default=0.0)


if __name__ == "__main__":
    sys.exit(main())
