"""Folders of histories: tables are read, whatever else is in them is told by its name and left out."""

import gzip
import logging
from pathlib import Path

import pytest

from sheetbreak.errors import DataError
from sheetbreak.history.doubts import Doubts
from sheetbreak.history.reader import read_history
from sheetbreak.rows import Schema
from sheetbreak.streams.files.table import open_file
from trainer.data.inspection.inspection import inspect_files

PLANT = Schema(time="time", broken="broken")
HEADER = "time,broken,s1,s2\n"
DAYS = [
    "".join(f"2026-01-{day:02} 00:{i:02},0,{i * i % 7},{i % 5}.5\n" for i in range(0, 60, 2)) for day in range(5, 8)
]
OTHERS = {
    "readme.txt": b"This folder holds the exports of machine 4, a day each.\nMade by Ana, who can be asked.\n",
    ".DS_Store": b"\x00\x00\x00\x01Bud1",
    "~$export.xlsx": b"\x03Ana" + bytes(160),
    "Thumbs.db": b"\xd0\xcf\x11\xe0" + bytes(64),
    "dump.sql": b"INSERT INTO rows VALUES (1, 2, 3);\n",
    "tomorrow.csv": b"",
    "today.csv": HEADER.encode(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "exports"
    (path / "old").mkdir(parents=True)
    for number, text in enumerate(DAYS):
        content = (HEADER + text).encode()
        (path / f"{number}.csv{'.gz' if number == 1 else ''}").write_bytes(
            gzip.compress(content) if number == 1 else content
        )
    for name, content in OTHERS.items():
        (path / name).write_bytes(content)
    return path


def test_what_is_no_table_in_a_folder_is_left_out_and_told_by_name(folder: Path) -> None:
    history = read_history(folder, PLANT, doubts=Doubts())
    assert len(history.rows) == 90
    [told] = [doubt for doubt in history.doubts if doubt.kind == "no-table"]
    assert told.count == len(OTHERS) + 1
    assert all(f"{name} (" in told.what for name in [*OTHERS, "old"])
    assert not told.fatal


def test_inspect_and_a_stream_leave_out_the_same(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    inspection = inspect_files([folder])
    assert len(inspection.history.rows) == 90
    assert [doubt.count for doubt in inspection.doubts if doubt.kind == "no-table"] == [len(OTHERS) + 1]
    with caplog.at_level(logging.WARNING), folder.with_suffix(".out").open("wb") as out:
        schema = inspection.history.schema
        stream, decode, _ = open_file(str(folder), schema=schema, out=out, emit=frozenset(), state_dir=None)
    batch = stream.poll(0)
    stream.close()
    assert len(decode([r.value for r in batch.records], [r.offset for r in batch.records]).rows) == 90
    [told] = [record.getMessage() for record in caplog.records if "no-table" in record.getMessage()]
    assert all(name in told for name in OTHERS)


def test_a_folder_without_a_table_is_refused_with_what_is_in_it(folder: Path) -> None:
    for path in folder.glob("[0-9].csv*"):
        path.unlink()
    with pytest.raises(DataError, match=r"exports: Is a directory without a history: no table among .*readme\.txt \("):
        read_history(folder, PLANT, doubts=Doubts())
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="without a history: nothing in it; expected files that end in"):
        read_history(folder / "empty", PLANT, doubts=Doubts())


@pytest.mark.parametrize("damage", ["cut", "renamed"])
def test_a_table_that_cannot_be_read_is_refused_and_not_left_out(folder: Path, damage: str) -> None:
    if damage == "cut":
        whole = (folder / "1.csv.gz").read_bytes()
        (folder / "1.csv.gz").write_bytes(whole[:-20])
    else:
        (folder / "2.csv").write_text((HEADER + DAYS[2]).replace("time", "when"))
    with pytest.raises(DataError, match=r"damaged or cut short|column \"time\" is missing"):
        read_history(folder, PLANT, doubts=Doubts())


def test_a_table_below_many_titles_is_a_table(tmp_path: Path) -> None:
    titles = "".join(f"Line {i} of the query, as the historian tells it\n" for i in range(25))
    (tmp_path / "a.csv").write_text(titles + HEADER + DAYS[0])
    history = read_history(tmp_path, PLANT, doubts=Doubts())
    assert len(history.rows) == 30
    assert not history.doubts
