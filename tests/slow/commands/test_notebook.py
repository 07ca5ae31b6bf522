"""The notebook of the docs, cell by cell: it runs, and its scores are what the monitor writes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.support.running.services import plain_environment


def cells_of(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_runs_and_its_scores_are_the_monitors_bytes(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = json.loads((checkout / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    commands = [line.split() for line in "".join(cells[0]["source"]).splitlines() if line.startswith("    sheetbreak ")]
    assert [command[1] for command in commands] == ["simulate", "train"]
    for _, *command in commands:
        program = [sys.executable, "-m", "sheetbreak", *command]
        subprocess.run(program, check=True, capture_output=True, env=plain_environment(), cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in cells_of(checkout / "docs" / "notebook.ipynb"):
        exec(compile(cell, "<cell>", "exec"), names)
    monitor = [sys.executable, "-m", "sheetbreak", "monitor", "mill.csv", "--emit", "scores", "--metrics-port", "0"]
    done = subprocess.run(monitor, check=True, capture_output=True, env=plain_environment(), cwd=tmp_path)
    messages = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    scored = names["scored"]
    assert len(messages) == len(scored) > 3000
    for name in ("score", "threshold", "ratio"):
        written = [float("nan") if one[name] is None else one[name] for one in messages]
        np.testing.assert_array_equal(scored[name], written, err_msg=name)
    assert [one["over"] for one in messages] == scored["over"].tolist()
    assert list(names["found"].folds["fold"]) == [*"12345678", "all folds", "last 4 folds"]
    assert all(cell["outputs"] for cell in cells if cell["cell_type"] == "code")
