"""kill -9 at random moments, with --state: the output is the same bytes as if nothing had happened."""

import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.support.models.mill import mill_csv, mill_rows, save_model
from tests.support.programs.monitor_process import ALL, command, run
from tests.support.running.patience import PATIENCE_S
from tests.support.running.services import plain_environment

ROWS = 12_000


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A model, and the same rows as NDJSON (two machines, garbage) and as CSV."""
    save_model(tmp_path / "models")
    first, second = mill_rows(ROWS // 2, breaks=(2000,)), mill_rows(ROWS // 2, machine="pm2", seed=8)
    lines = [line for pair in zip(first, second, strict=True) for line in pair]
    lines[5000:5000] = [b"{", b"", b"not a row"]
    (tmp_path / "rows.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    mill_csv(tmp_path / "rows.csv", ROWS, breaks=(2000,))
    return tmp_path


@pytest.mark.parametrize(("name", "mode"), [("rows.csv", ">>"), ("rows.ndjson", ">")])
def test_a_monitor_killed_at_random_moments_loses_and_repeats_no_output(sources: Path, name: str, mode: str) -> None:
    """`>`: one descriptor for all, as in `while ! monitor ...; do :; done > out`."""
    expected = run(name, "--emit", ALL).stdout
    assert expected.count(b"\n") > ROWS
    rng = random.Random(5)
    out, sizes = sources / "out", list[int]()
    for _ in range(10):  # where this process comes too late, the monitor has done its work before it is killed
        with out.open("ab" if mode == ">>" else "wb") as shared:
            sizes = _killed_sizes(name, out, shared, rng)
        assert out.read_bytes() == expected
        if len(set(sizes)) > 2:
            break
        out.unlink()
        shutil.rmtree(sources / "state")
    assert len(set(sizes)) > 2, "it was never killed at work"


def test_a_finished_monitor_started_again_says_nothing_more(sources: Path) -> None:
    first = run("rows.csv", "--emit", ALL, "--state", "state")
    assert first.returncode == 0
    again = run("rows.csv", "--emit", ALL, "--state", "state")
    assert (again.returncode, again.stdout) == (0, b"")
    assert b"event=resumed source=rows.csv line=12001" in again.stderr


def test_rows_appended_later_are_scored_as_if_they_had_been_there(sources: Path) -> None:
    whole = (sources / "rows.csv").read_bytes().splitlines(keepends=True)
    expected = run("rows.csv", "--emit", ALL).stdout
    grown = sources / "grown.csv"
    grown.write_bytes(b"".join(whole[:5000]))
    first = run("grown.csv", "--emit", ALL, "--state", "state").stdout
    with grown.open("ab") as file:
        file.writelines(whole[5000:])
    second = run("grown.csv", "--emit", ALL, "--state", "state").stdout
    assert first + second == expected


def test_a_stopped_pipe_goes_on_with_the_machines_states(sources: Path) -> None:
    rows = mill_rows(400)
    expected = run("-", "--emit", ALL, stdin=b"\n".join(rows)).stdout
    first = run("-", "--emit", ALL, "--state", "state", stdin=b"\n".join(rows[:150])).stdout
    second = run("-", "--emit", ALL, "--state", "state", stdin=b"\n".join(rows[150:])).stdout
    assert first + second == expected


def test_two_monitors_on_one_state_are_refused(sources: Path) -> None:
    with subprocess.Popen(
        command("-", "--state", "state"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=plain_environment(),
    ) as process:
        assert process.stderr is not None
        while b"partition-assigned" not in (line := process.stderr.readline()):
            assert line, "it has ended"
        other = run("rows.csv", "--state", "state")
        assert other.returncode == 2
        assert b"in use by another monitor" in other.stderr
        process.kill()
        process.communicate()


def _killed_sizes(name: str, out: Path, shared: BinaryIO, rng: random.Random) -> list[int]:
    """Start a monitor until it comes to the end, and kill the first eight at work. How much was out after each kill."""
    sizes: list[int] = []
    while True:
        process = subprocess.Popen(
            command(name, "--emit", ALL, "--state", "state"),
            stdout=shared,
            stderr=subprocess.DEVNULL,
            env=plain_environment(),
        )
        if len(sizes) < 8:
            try:  # not before it works, and then at any moment of its half second of work
                _wait_for_growth(out, process)
                if len(sizes) % 2:  # half of them at once: between a commit's output and its state, with luck
                    process.wait(rng.uniform(0.0, 0.08))
                raise subprocess.TimeoutExpired([], 0)
            except subprocess.TimeoutExpired:
                process.kill()
        code = process.wait(PATIENCE_S)
        if code == 0:
            return sizes
        assert code == -signal.SIGKILL, "it has ended by itself"
        sizes.append(out.stat().st_size)


def _wait_for_growth(out: Path, process: "subprocess.Popen[bytes]") -> None:
    """Until it has written something, or ended."""
    before = out.stat().st_size
    while process.poll() is None and out.stat().st_size <= before:
        time.sleep(0.0005)  # on one core a wait that never sleeps would take the time of what it waits for
