"""compare as a program: killed at any moment and started again, on one core or several, it says the same."""

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.data.histories import SCHEMA_TOML, mill_like, write_csv
from tests.support.running.patience import PATIENCE_S
from tests.support.running.program import start, wait_for
from trainer.commands.compare import main

OPTIONS = ["--schema", "plant.toml", "--family", "pca,mean-abs-z"]


def without_seconds(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: without_seconds(value) for name, value in found.items() if name != "seconds"}
    return [without_seconds(value) for value in found] if isinstance(found, list) else found


def test_killed_and_started_again_it_gives_the_same_table_as_undisturbed_on_one_core(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv = write_csv(tmp_path / "mill.csv", mill_like(1100))
    (tmp_path / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    assert main([str(csv), *OPTIONS, "--jobs", "1", "--work", "undisturbed", "--json", "one.json"]) == 0
    expected = capsys.readouterr().out
    work = tmp_path / "compare-work"

    process = start("compare", str(csv), *OPTIONS, "--jobs", "2", "--json", "two.json")
    wait_for(lambda: len(list(work.glob("*.npz"))) >= 5, process)
    os.kill(process.pid, signal.SIGKILL)
    # Returns once nobody holds its output: the processes it started have ended, too.
    process.communicate(timeout=PATIENCE_S)
    finished = sorted(work.glob("*.npz"))
    assert 5 <= len(finished) < 16
    assert not (tmp_path / "two.json").exists()
    finished[0].write_bytes(finished[0].read_bytes()[:-100])

    assert main([str(csv), *OPTIONS, "--jobs", "1", "--json", "two.json"]) == 0
    found = capsys.readouterr()
    assert f"{len(finished) - 1} of 16 are finished" in found.err
    last = "\nseconds to fit"  # how long it took
    assert found.out.partition(last)[0] == expected.partition(last)[0]
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("one.json", "two.json"))
    assert without_seconds(one) == without_seconds(two)
    assert len(list(work.glob("*.npz"))) == 16


def test_what_it_started_ends_with_it_even_in_the_midst_of_a_long_training(tmp_path: Path) -> None:
    csv = write_csv(tmp_path / "mill.csv", mill_like(1100))
    (tmp_path / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    endless = ["--family", "dense", "--set", "epochs=100000", "--set", "patience=100000"]
    process = start("compare", str(csv), "--schema", "plant.toml", *endless, "--jobs", "2")
    wait_for(lambda: _children(process.pid) >= 3, process)  # both, and the one that tracks resources
    os.kill(process.pid, signal.SIGKILL)
    try:
        process.communicate(timeout=PATIENCE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _children(pid: int) -> int:
    """How many processes that one has started."""
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        found += int(fields[1]) == pid
    return found
