"""One history in every form that a plant exports: the same rows come out, bit for bit."""

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zstandard

from sheetbreak.errors import DataError
from sheetbreak.history.doubts import Doubts
from sheetbreak.history.joining import History
from sheetbreak.history.reader import read_history
from sheetbreak.rows import Dialect, RowBatch, Schema
from tests.support.data.workbook import Cell, workbook

PLANT = Schema(time="time", broken="broken", grade="grade", ignore=("remark",))
HEADER = ("time", "broken", "grade", "Temperatur", "s2", "remark")
START = datetime(2026, 3, 14, 23, tzinfo=UTC)
ROWS: list[tuple[datetime, int, str, float, float | None, str]] = [
    (START + timedelta(minutes=2 * i), int(i == 20), "96", 1234.5 + i / 8, None if i == 7 else -0.25 * i, "läuft, gut")
    for i in range(40)
]


def text_of(
    *,
    separator: str = ",",
    number: Callable[[float], str] = repr,
    time: Callable[[datetime], str] = lambda moment: moment.strftime("%Y-%m-%d %H:%M"),
    above: str = "",
    below: str = "",
) -> str:
    def cell(text: str) -> str:
        return f'"{text}"' if separator in text else text

    lines = [separator.join(HEADER)]
    for moment, broken, grade, a, b, remark in ROWS:
        cells = [time(moment), str(broken), grade, number(a), "" if b is None else number(b), remark]
        lines.append(separator.join(map(cell, cells)))
    return above + lines[0] + "\n" + below + "\n".join(lines[1:]) + "\n"


def german(value: float) -> str:
    return f"{value:,.4f}".translate(str.maketrans(",.", ".,"))


def read(*paths: Path, schema: Schema = PLANT) -> History:
    return read_history(paths, schema, doubts=Doubts())


def same(found: RowBatch, expected: RowBatch) -> bool:
    return (
        found.values.tobytes() == expected.values.tobytes()
        and found.times_us.tolist() == expected.times_us.tolist()
        and (found.grades, found.machines) == (expected.grades, expected.machines)
        and found.broken.tolist() == expected.broken.tolist()
    )


@pytest.fixture
def plain() -> RowBatch:
    Path("plain.csv").write_text(text_of(), encoding="utf-8")
    rows = read(Path("plain.csv")).rows
    assert rows.values[0].tolist() == [1234.5, -0.0]
    assert np.isnan(rows.values[7, 1])
    return rows


def frame() -> pd.DataFrame:
    table = pd.DataFrame([(m.replace(tzinfo=None), *rest) for m, *rest in ROWS], columns=list(HEADER))
    return table.assign(grade=table.grade.astype(float))


def rows_of_a_sheet() -> list[list[Cell]]:
    rows: list[list[Cell]] = [[m.replace(tzinfo=None), y, g, a, b, text] for m, y, g, a, b, text in ROWS]
    title: list[list[Cell]] = [["PM1, March"], [], [*HEADER]]
    return [*title, *rows]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(text_of(separator=";").encode(), id="semicolon"),
        pytest.param(text_of(separator="\t").encode(), id="tab"),
        pytest.param(text_of(separator=";", number=lambda v: repr(v).replace(".", ",")).encode(), id="decimal comma"),
        pytest.param(text_of(separator=";", number=german).encode(), id="decimal comma, thousands"),
        pytest.param(text_of(number=lambda v: f"{v:,.4f}").encode(), id="thousands in quotes"),
        pytest.param(text_of(number=lambda v: repr(v).replace(".", ",")).encode(), id="decimal comma in quotes"),
        pytest.param(text_of(number=lambda v: f"{v:,.4f}".replace(",", "\u202f")).encode(), id="narrow spaces"),
        pytest.param(text_of().encode("utf-8-sig"), id="byte order mark"),
        pytest.param(text_of().encode("utf-16"), id="UTF-16"),
        pytest.param(text_of(separator="\t").encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param(text_of(separator=";").encode("cp1252"), id="cp1252"),
        pytest.param(text_of().replace("\n", "\r\n").encode(), id="CR LF"),
        pytest.param(text_of().replace("\n", "\r").encode(), id="CR"),
        pytest.param(text_of(above="Export of PM1\n\n", below="UTC,-,-,°C,bar,-\n").encode(), id="title, units"),
        pytest.param(text_of(above=";;;°C;bar;\n", separator=";").encode(), id="units above"),
        pytest.param(text_of(time=lambda m: m.strftime("%d.%m.%Y %H:%M:%S")).encode(), id="day first"),
        pytest.param(text_of(time=lambda m: m.strftime("%d-%b-%y %H:%M")).encode(), id="named months"),
        pytest.param(text_of(time=lambda m: m.strftime("%m/%d/%Y %I:%M:%S.000 %p")).encode(), id="am, pm"),
        pytest.param(text_of(time=lambda m: str(int(m.timestamp()))).encode(), id="epoch seconds"),
        pytest.param(text_of(time=lambda m: str(int(m.timestamp() * 1000))).encode(), id="epoch milliseconds"),
        pytest.param(gzip.compress(text_of().encode()), id="gzip"),
        pytest.param(zstandard.compress(text_of().encode()), id="zstd"),
        pytest.param(frame().to_parquet(index=False), id="Parquet"),
    ],
)
def test_the_same_rows_come_out_of_every_form(content: bytes, plain: RowBatch) -> None:
    Path("other.csv").write_bytes(content)
    assert same(read(Path("other.csv")).rows, plain)


def test_the_first_sheet_with_a_table_is_read_or_the_one_that_is_named(plain: RowBatch) -> None:
    sheets: dict[str, list[list[Cell]]] = {
        "notes": [["made by the historian"]],
        "March": rows_of_a_sheet(),
        "other": [["x"], ["y"], ["z"]],
    }
    Path("book.xlsx").write_bytes(workbook(sheets))
    assert same(read(Path("book.xlsx")).rows, plain)
    assert same(read(Path("book.xlsx"), schema=replace(PLANT, csv=Dialect(sheet="March"))).rows, plain)
    with pytest.raises(DataError, match=r'no sheet "April"; its sheets are notes, March, other'):
        read(Path("book.xlsx"), schema=replace(PLANT, csv=Dialect(sheet="April")))


def test_date_and_time_of_day_may_stand_in_two_columns(plain: RowBatch) -> None:
    joined = text_of(time=lambda m: m.strftime("%m/%d/%Y@%I:%M:%S.000 %p"))
    content = joined.replace("time,", "Date,Time,", 1).replace("@", ",")
    Path("two.csv").write_text(content, encoding="utf-8")
    schema = Schema(time="Date", clock="Time", broken="broken", grade="grade", ignore=("remark",))
    assert same(read(Path("two.csv"), schema=schema).rows, plain)
    with pytest.raises(DataError, match=r'columns.time = \["Date", "Time"\]'):
        read(Path("two.csv"), schema=Schema(time="Date", broken="broken", grade="grade", ignore=("remark", "Time")))
    with pytest.raises(DataError, match="a time of day needs its date"):
        read(Path("two.csv"), schema=Schema(time="Time", broken="broken", grade="grade", ignore=("remark", "Date")))


def test_units_are_kept_from_their_row(plain: RowBatch) -> None:
    Path("units.csv").write_text(text_of(below="-,-,-,[°C],bar,-\n"), encoding="utf-8")
    history = read(Path("units.csv"))
    assert history.schema.units == {"Temperatur": "°C", "s2": "bar"}
    [told] = [doubt for doubt in history.doubts if doubt.kind == "units-row"]
    assert told.place == "units.csv line 2"


def test_several_files_and_folders_are_one_history_and_a_row_twice_is_one(plain: RowBatch, tmp_path: Path) -> None:
    lines = text_of().splitlines(keepends=True)
    (tmp_path / "folder").mkdir()
    Path("folder/b.csv").write_text("".join(lines[:1] + lines[18:]), encoding="utf-8")
    Path("folder/a.csv.gz").write_bytes(gzip.compress("".join(lines[:22]).encode()))
    Path("folder/notes.md").write_text("no history")
    history = read(Path("folder"))
    assert same(history.rows, plain)
    assert history.name == "a.csv.gz and 1 more"
    [told] = [doubt for doubt in history.doubts if doubt.kind == "files-overlap"]
    assert told.count == 4
    assert told.place == "b.csv line 2"
    Path("folder/b.csv").write_text("".join(lines[:1] + lines[18:]).replace("1236.625", "7"), encoding="utf-8")
    with pytest.raises(DataError, match=r"b.csv line 2: 1 rows have the machine and time of a row of another file"):
        read(Path("folder"))


def test_a_sensor_that_one_file_lacks_is_missing_in_its_rows_and_told(plain: RowBatch) -> None:
    Path("early.csv").write_text("time,broken,grade,Temperatur,remark\n2026-03-14 22:58,0,96,1,\n", encoding="utf-8")
    history = read(Path("plain.csv"), Path("early.csv"))
    assert np.array_equal(history.rows.values[0], [1, np.nan], equal_nan=True)
    assert len(history.rows) == len(plain) + 1
    assert any("lacks 1 sensors of the other files (s2)" in str(doubt) for doubt in history.doubts)


def test_what_is_recognised_is_in_the_schema() -> None:
    content = text_of(separator=";", number=german, time=lambda m: m.strftime("%d.%m.%Y %H:%M")).encode("cp1252")
    Path("export.csv").write_bytes(content)
    schema = read(Path("export.csv")).schema
    assert schema.time_format == "%d.%m.%Y %H:%M"
    assert (schema.csv.separator, schema.csv.decimal, schema.csv.thousands) == (";", ",", ".")
    assert schema.csv.encoding == "cp1252"


def archive(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as into:
        for name in names:
            into.writestr(name, "time,a\n2026-01-05,1\n")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b"time,broken\n" * 99, mtime=0)[:-20], "the compressed file is damaged or cut short"),
        (b"\x28\xb5\x2f\xfd garbage", "the compressed file is damaged or cut short"),
        (b"PAR1 garbage PAR1", "not a sound Parquet file"),
        (b"PK\x03\x04 garbage", "not a workbook that can be read"),
        (b"\xff\xfe\x00\xd8", "not UTF-16 at byte"),
        (b"<html><table><tr><td>time</td></tr>\n<tr><td>2026-01-05</td></tr></table></html>\n", "it is HTML or XML"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<Workbook>\n</Workbook>\n', "it is HTML or XML"),
        (b'[{"time":"2026-01-05","a":1},\n{"time":"2026-01-06","a":2}]\n', "it is JSON; export a table"),
        (b'{"time":"2026-01-05","values":{"a":1}}\n' * 3, "it is JSON; export a table"),
        (archive("a.csv", "b.csv", "c.csv", "d.csv"), "an archive of a.csv, b.csv, c.csv…; unpack it"),
    ],
)
def test_a_damaged_file_is_told_by_what_it_is(content: bytes, says: str) -> None:
    Path("odd.csv").write_bytes(content)
    with pytest.raises(DataError, match=says):
        read(Path("odd.csv"))


def test_a_number_that_can_be_read_in_two_ways_is_not_guessed() -> None:
    Path("odd.csv").write_text('time,a\n2026-01-05,"1,234"\n2026-01-06,"1,236"\n')
    with pytest.raises(DataError, match=r'column a: "1,234" can be read in two ways; set csv.decimal'):
        read(Path("odd.csv"), schema=Schema(time="time"))
