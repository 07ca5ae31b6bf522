"""Where operators' actions go: lines of a file that several add to, whole, and there when `send` returns."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sheetbreak.errors import DataError
from sheetbreak.streams.open import open_actions
from sheetbreak.times import parse_time
from sheetbreak.wire.actions import decode_action, make_action

TIME_US = parse_time("2026-05-01T06:00:00Z")


def test_several_who_add_to_a_file_lose_and_mix_nothing(tmp_path: Path) -> None:
    path = tmp_path / "actions.ndjson"

    def add(who: int) -> None:
        for _ in range(20):
            open_actions(str(path)).send(make_action("pm1", "unshelve", time_us=TIME_US, by=f"shift {who}"))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(4)))
    names = [decode_action(line).by for line in path.read_bytes().splitlines()]
    assert sorted(names) == sorted(f"shift {who}" for who in range(4) for _ in range(20))


def test_an_action_begins_a_line_of_its_own_behind_a_line_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "actions.ndjson"
    path.write_bytes(b'{"half":')
    action = make_action("pm1", "unshelve", time_us=TIME_US, by="Aino")
    open_actions(str(path)).send(action)
    half, line = path.read_bytes().splitlines()
    assert half == b'{"half":'
    assert decode_action(line) == action


def test_a_file_that_cannot_be_written_and_a_target_that_is_none_are_said(tmp_path: Path) -> None:
    action = make_action("pm1", "unshelve", time_us=TIME_US, by="Aino")
    with pytest.raises(DataError, match="Is a directory; name a file"):
        open_actions(str(tmp_path)).send(action)
    with pytest.raises(DataError, match="expected kafka://host:9092, or a file"):
        open_actions("http://host/actions")
    with pytest.raises(DataError, match="from a pipe"):
        open_actions("-")
    with pytest.raises(DataError, match="is not a topic's name"):
        open_actions("kafka://host/a b")
