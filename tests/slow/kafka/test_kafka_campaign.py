"""A short campaign of faults: monitors that are killed while they write, and every byte that came out checked."""

from pathlib import Path

import pytest

from benchmarks.kafka.campaign.faults import act, kill_both, kill_while_it_writes
from benchmarks.kafka.chaos import campaign
from tests.support.kafka.broker import Broker

ROWS, MINUTES = 12_000, 2.0
"""More than are sent until the last fault is done: the feed goes by the clock, and ends with the faults."""


def test_monitors_that_are_killed_while_they_write_answer_every_row_once_with_the_same_bytes(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = [kill_while_it_writes, act, kill_both]
    code = campaign(broker, tmp_path, minutes=MINUTES, seed=1, rows=ROWS, faults=faults)
    said = capsys.readouterr().out
    assert code == 0, said
    assert "nothing is wrong" in said
    assert "kills 3  outages 0  rows 0" not in said
    assert "kills 3  outages 0  rows " in said
