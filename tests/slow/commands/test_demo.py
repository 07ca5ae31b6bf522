"""The demo as a new user runs it: real programs, a small mill."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running.services import plain_environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> "subprocess.CompletedProcess[str]":
    (folder / "bin").mkdir()
    (folder / "bin" / "sheetbreak").symlink_to(Path(sys.executable).with_name("sheetbreak"))
    environment = plain_environment() | {"PATH": "/usr/bin:/bin"}  # as `make demo`: nothing is activated
    command = ["bin/sheetbreak", "demo", "--days", "10", "--play-seconds", "2"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_demo_ends_in_a_table_of_breaks_and_warnings(demo: "subprocess.CompletedProcess[str]") -> None:
    assert demo.returncode == 0, demo.stderr
    figures = r"^(breaks in the replayed period|  warned .*?|false alarms a day.*?) {2,}([\d.]+)"
    found = dict(re.findall(figures, demo.stdout, re.MULTILINE))
    breaks, warned, false = (float(number) for number in found.values())
    assert breaks > 2
    assert 0 < warned <= breaks
    assert false < 20


def test_the_demo_ends_by_saying_how_to_see_its_run_in_the_desk(
    demo: "subprocess.CompletedProcess[str]", folder: Path
) -> None:
    ((program, command),) = re.findall(r"^  (\S+) (desk demo/\S+ --actions demo/\S+)$", demo.stdout, re.MULTILINE)
    assert shutil.which(folder / program)
    said = (folder / command.split()[1]).read_bytes()
    assert said.count(b'"topic":"scores"') > 1000
    assert said.count(b'"kind":"opened"') > 0


def test_the_demo_shows_alerts_with_a_sentence_each(demo: "subprocess.CompletedProcess[str]") -> None:
    assert re.search(r"opened +pm1: .* x\d+ reads .* where .* is expected", demo.stderr)


def test_log_lines_do_not_come_between_the_live_view(demo: "subprocess.CompletedProcess[str]") -> None:
    assert "event=" not in demo.stderr


def test_a_demo_whose_program_fails_says_which_and_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "models").write_text("in the way of the models directory")
    command = [sys.executable, "-m", "sheetbreak", "demo", "--days", "7"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "sheetbreak train ended with exit code" in done.stderr
