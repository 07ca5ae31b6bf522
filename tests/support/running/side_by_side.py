"""Tests in four processes at a time (`pytest -n 4`): which of them go together, and which come first.

Most of the time that the tests of a broker take they wait; the others have the processor meanwhile.
"""

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).resolve().parents[2]


@cache
def group_of(file: Path) -> str:
    """Files of one group run in one process, in order."""
    text = file.read_text(encoding="utf-8")
    if re.search(r"^from tests\.support\.kafka\.(broker|mill|rig) ", text, re.MULTILINE):
        return f"broker for {file.parent}"  # a process has its own, which nobody else uses when a test kills it
    if shared := re.search(r"^from (tests\.\S+) import .* - the fixture$", text, re.MULTILINE):
        file = TESTS.parent.joinpath(*shared[1].split(".")).with_suffix(".py")
    return str(file)  # what its fixtures have trained is used by all its tests


def turn_of(file: Path) -> int:
    """The longest groups begin first, so that no process ends long after the others."""
    if group_of(file).startswith("broker"):
        return 0 if "kafka" in file.parts else 1
    return 2 if {"slow", "trainer"} & set(file.parts) else 3


class InGroups(LoadScopeScheduling):
    """Hands out whole groups, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(TESTS.parent / nodeid.partition("::")[0])
