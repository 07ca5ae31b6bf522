"""Results appear whole or not at all, and never in the place of a device or a pipe."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sheetbreak.errors import DataError
from trainer.output.files import csv_cell, replaced, results_to, write_whole


def test_a_failure_leaves_the_file_that_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "out.csv"
    place.write_text("before")
    with pytest.raises(TypeError), replaced(place) as file:
        file.writelines(["half", 2])
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert place.read_text() == "before"
    with results_to(place) as file:
        file.write(b"after")
    assert place.read_text() == "after"


def into_results(place: Path) -> None:
    with results_to(place) as file:
        file.write(b"rows")


@pytest.mark.parametrize("write", [into_results, lambda place: write_whole(place, "rows")])
def test_a_named_pipe_is_written_to_and_stays_one(tmp_path: Path, write: Callable[[Path], None]) -> None:
    pipe, read = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write(pipe)
    if not stat.S_ISFIFO(pipe.stat().st_mode):
        pytest.fail("the pipe was replaced")
    reader.join()
    assert read == [b"rows"]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "no" / "where.csv"):
        with pytest.raises(DataError, match=f"cannot write {place}"), results_to(place):
            pass


@pytest.mark.parametrize(("text", "cell"), [("pm 1", "pm 1"), ("a,b", '"a,b"'), ('5"', '"5"""')])
def test_a_cell_is_quoted_where_it_must_be(text: str, cell: str) -> None:
    assert csv_cell(text) == cell
