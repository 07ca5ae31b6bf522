"""Start-up of the monitor: its imports, its first answer and each later one, beside an interpreter with numpy alone.

    .venv/bin/python -m benchmarks.start_up [--times 10] [--json FILE]

Simulates a mill and trains on it with the project's own commands. Each figure is the best of `--times` pairs that are
measured in turn; imports are in CPU seconds, so that other work on the machine counts little. Compare the ratios:
seconds hang on the machine, ratios hardly. Ends with 1 when a ratio is above what was promised.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sheetbreak.history.reader import read_csv
from sheetbreak.rows import BROKEN, RowBatch
from sheetbreak.wire.rows import encode_row

MOST_IMPORT = 7.0
"""Times the imports of numpy alone; 4.6 were measured on two cores with a dozen programs beside."""
MOST_FIRST_ANSWER = 8.0
"""Times an interpreter that imports numpy and ends; 2.2 were measured, in the same run."""
MOST_ANSWER_S = 0.1
"""A row that waited for the end of a poll would take 0.5 s on any machine."""
ROOT = Path(__file__).resolve().parent.parent
CPU_OF = "import sys, time\nfor name in sys.argv[1:]:\n    __import__(name)\nprint(time.process_time())"


def main() -> int:
    """Measure, print the table, and judge it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10, help="pairs measured, of which the best counts")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = _mill(Path(folder))
        needed = ["onnxruntime", *_modules("sheetbreak"), *_modules("monitor")]
        numpy_s, imports_s = _best(options.times, lambda: _cpu_s("numpy"), lambda: _cpu_s(*needed))
        bare_s, first_s = _best(options.times, lambda: _wall_s("numpy"), lambda: _answers_s(Path(folder), rows[:1])[0])
        (later_s,) = _best(options.times, lambda: min(_answers_s(Path(folder), rows[:20])[1:]))
    found = {
        "imports_s": imports_s,
        "imports_times_numpy": imports_s / numpy_s,
        "first_answer_s": first_s,
        "first_answer_times_bare": first_s / bare_s,
        "later_answer_s": later_s,
    }
    ratios = imports_s / numpy_s, first_s / bare_s
    print(f"imports of the monitor    {imports_s:6.3f} s CPU   {ratios[0]:5.1f} times numpy's ({numpy_s:.3f} s)")
    print(f"first answer after start  {first_s:6.3f} s       {ratios[1]:5.1f} times python with numpy ({bare_s:.3f} s)")
    print(f"each later answer         {later_s * 1000:6.1f} ms")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    kept = imports_s <= MOST_IMPORT * numpy_s and first_s <= MOST_FIRST_ANSWER * bare_s and later_s <= MOST_ANSWER_S
    print("as promised" if kept else f"more than promised: {MOST_IMPORT}, {MOST_FIRST_ANSWER} times, {MOST_ANSWER_S} s")
    return 0 if kept else 1


def _mill(home: Path) -> list[bytes]:
    """Trains a model of a simulated mill; the mill's wire rows."""
    for arguments in (["simulate", "--days", "5", "--out", "mill.csv"], ["train", "mill.csv", "--family", "pca"]):
        command = [sys.executable, "-m", "sheetbreak", *arguments]
        subprocess.run(command, cwd=home, env=_environment(), check=True, stdout=subprocess.DEVNULL)
    schema, rows = read_csv(home / "mill.csv")
    return [_wire(rows, i, schema.sensors) for i in range(20)]


def _wire(rows: RowBatch, i: int, sensors: tuple[str, ...]) -> bytes:
    values = dict(zip(sensors, rows.values[i].tolist(), strict=True))
    return encode_row(
        "pm1", int(rows.times_us[i]), values=values, grade=rows.grades[i], broken=bool(rows.broken[i] == BROKEN)
    )


def _modules(package: str) -> list[str]:
    files = (path for path in sorted((ROOT / package).rglob("*.py")) if path.name != "__main__.py")
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files)
    return [name.removesuffix(".__init__") for name in names]


def _best(times: int, *measures: Callable[[], float]) -> list[float]:
    """The least of each measure; measured in turn, so that all meet the same machine."""
    found = [[measure() for measure in measures] for _ in range(times)]
    return [min(values) for values in zip(*found, strict=True)]


def _cpu_s(*modules: str) -> float:
    done = subprocess.run([sys.executable, "-c", CPU_OF, *modules], env=_environment(), check=True, capture_output=True)
    return float(done.stdout)


def _wall_s(*modules: str) -> float:
    begin = time.perf_counter()
    _cpu_s(*modules)
    return time.perf_counter() - begin


def _answers_s(home: Path, rows: list[bytes]) -> list[float]:
    """Seconds from the start to the first answer, then from each row to its own."""
    command = [sys.executable, "-m", "sheetbreak", "monitor", "-", "--emit", "scores", "--metrics-port", "0"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    answers: list[float] = []
    begin = time.perf_counter()
    with subprocess.Popen(command, cwd=home, env=_environment(), bufsize=0, **pipes) as monitor:
        assert monitor.stdin is not None
        assert monitor.stdout is not None
        for row in rows:
            monitor.stdin.write(row + b"\n")
            assert monitor.stdout.readline()
            answers.append(time.perf_counter() - begin)
            begin = time.perf_counter()
        monitor.stdin.close()
    return answers


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


if __name__ == "__main__":
    sys.exit(main())
