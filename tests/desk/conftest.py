"""Desk of a test, closed afterwards."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs.desk_rig import DeskRig


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[Callable[..., DeskRig]]:
    rigs: list[DeskRig] = []

    def open_one(name: str = "desk", **access: Any) -> DeskRig:
        rigs.append(DeskRig(tmp_path / name, **access))
        return rigs[-1]

    yield open_one
    for rig in rigs:
        rig.close()


@pytest.fixture
def rig(open_desk: Callable[..., DeskRig]) -> DeskRig:
    return open_desk()
