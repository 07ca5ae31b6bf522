"""docs/other-data.md does what it says: its commands run, and print what it shows."""

import re
import subprocess
import sys
from os import environ, pathsep
from pathlib import Path

import pytest

from tests.support.running.services import plain_environment

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "other-data.md").read_text(encoding="utf-8")
NUMBER = r"\d[\d,]*(?:\.\d+)?|\.\d+"
ROUNDING = 0.03
"""Relative to the larger number: another processor trains another net by the last digits."""


def steps(page: str) -> list[tuple[str, str]]:
    """Each command of the page's console blocks and what is shown under it."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = step.partition("\n")
            found.append((command, shown))
    return found


def without_version(text: str) -> str:
    return re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{4}", "VERSION", text)


def test_the_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}{pathsep}{environ['PATH']}"
    commands = steps(PAGE)
    assert len(commands) >= 8
    for command, shown in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            check=False,
            cwd=tmp_path,
            env=plain_environment(PATH=path),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (command, done.stderr)
        said, shown = without_version(done.stdout), without_version(shown)
        words = [re.sub(NUMBER, "#", text).split() for text in (said, shown)]
        assert words[0] == words[1], command
        numbers = [[float(n.replace(",", "")) for n in re.findall(NUMBER, text)] for text in (said, shown)]
        # Counts of rare rows may differ by a few.
        assert numbers[0] == pytest.approx(numbers[1], rel=ROUNDING, abs=4), command
        areas = [[float(n) for n in re.findall(r"(?<![\d,])\.\d+", text)] for text in (said, shown)]
        assert areas[0] == pytest.approx(areas[1], abs=ROUNDING), command


def test_the_examples_write_the_same_bytes_every_time(tmp_path: Path) -> None:
    for script, names in (("heartbeats", ("normal.csv", "test.csv")), ("bearing", ("bearing.csv",))):
        for folder in ("one", "two"):
            subprocess.run([sys.executable, ROOT / "examples" / f"{script}.py", tmp_path / folder], check=True)
        for name in names:
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
