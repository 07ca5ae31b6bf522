"""Tests in two processes at a time (`pytest -n 2`): which of them go together, and which of them run alone.

Most of the time that the tests of the broker take they wait; the others have the processor meanwhile.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).resolve().parents[1]
ALONE = TESTS / "alone"


@cache
def group_of(file: Path) -> str:
    """Files of one group run in one process, in order."""
    if file.is_relative_to(ALONE):
        return "alone"
    if re.search(r"^from tests\.support\.kafka_(broker|mill|rig) ", file.read_text(encoding="utf-8"), re.MULTILINE):
        return "broker"  # one is enough, and what is timed on it is not disturbed by what kills it
    return str(file)  # what its fixtures have trained is used by all its tests


def turn_of(file: Path) -> int:
    """The groups in which nothing can run side by side begin first."""
    return {"alone": 0, "broker": 1}.get(group_of(file), 2)


class InGroups(LoadScopeScheduling):
    """Hands out whole groups, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(TESTS.parent / nodeid.partition("::")[0])


@contextmanager
def room(*, alone: bool) -> Iterator[None]:
    """Held while a test runs: together with others, or alone. While one waits to be alone nobody enters before it."""
    with ExitStack() as held:
        with _locked(ALONE, fcntl.LOCK_EX):  # the door
            held.enter_context(_locked(TESTS, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        yield


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a process forked meanwhile has the descriptor, too
        os.close(descriptor)
