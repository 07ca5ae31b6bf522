"""The same rows once more: rows that stand twice in a file, and tables whose lines stand in quotes as a whole."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sheetbreak.errors import DataError
from sheetbreak.history.doubts import Doubts
from sheetbreak.history.joining import History
from sheetbreak.history.reader import read_history
from sheetbreak.history.times.sampling import PERIOD, STOP_GAP
from sheetbreak.rows import RowBatch, Schema
from sheetbreak.streams.files.table import open_file
from trainer.data.inspection.inspection import inspect_files

PLANT = Schema(
    time="time",
    broken="broken",
    machine="pm",
    ignore=("remark",),
    timezone="Europe/Helsinki",
    time_format="%Y-%m-%d %H:%M",
    learned=(PERIOD, STOP_GAP),
)
HEADER = ["time", "broken", "pm", "s1", "s2", "remark"]
Row = list[str]


def rows_of(machines: int, count: int, *, start: datetime = datetime(2026, 10, 24, 23, tzinfo=UTC)) -> list[Row]:
    """Rows in local time over the hour that comes twice, so that it matters what is read in which order."""
    rows: list[Row] = []
    for i in range(count):
        local = (start + timedelta(minutes=4 * i)).astimezone(ZoneInfo("Europe/Helsinki"))
        remark = 'Sieb "A"; gut' if i % 9 == 4 else ""
        cells = [f"{i % 7}.25", f"{-i}.5", remark]
        rows += [[f"{local:%Y-%m-%d %H:%M}", "0", f"pm{machine}", *cells] for machine in range(machines)]
    return rows


def text_of(rows: Sequence[Row], separator: str, decimal: str = ".") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerows([HEADER, *[[cell.replace(".", decimal) for cell in row] for row in rows]])
    return out.getvalue()


def in_quotes(text: str, *, all_lines: bool) -> str:
    """As a spreadsheet writes a table that it has in one column, with quotes where there is a comma or a quote."""
    lines = text.splitlines()
    quoted = [f'"{line.replace(chr(34), chr(34) * 2)}"' for line in lines]
    bare = [not all_lines and not set(line) & {",", '"'} for line in lines]
    return "\n".join(line if free else q for line, q, free in zip(lines, quoted, bare, strict=True)) + "\n"


def read(path: Path, text: str) -> History:
    path.write_text(text, encoding="utf-8")
    return read_history(path, PLANT, doubts=Doubts())


def streamed(path: Path, schema: Schema) -> RowBatch:
    with path.with_suffix(".out").open("wb") as out:
        stream, decode, _ = open_file(str(path), schema=schema, out=out, emit=frozenset(), state_dir=None)
        batch = stream.poll(0)
        stream.close()
    decoded = decode([r.value for r in batch.records], [r.offset for r in batch.records])
    assert not decoded.rejects
    return decoded.rows


def same(found: RowBatch, expected: RowBatch) -> bool:
    return (
        found.values.tobytes() == expected.values.tobytes()
        and found.times_us.tolist() == expected.times_us.tolist()
        and found.machines == expected.machines
        and found.broken.tolist() == expected.broken.tolist()
    )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 2),
    st.integers(20, 30),
    st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", ",")]),
    st.booleans(),
)
def test_a_table_whose_lines_stand_in_quotes_is_the_table_within(
    tmp_path_factory: pytest.TempPathFactory,
    machines: int,
    count: int,
    signs: tuple[str, str],
    all_lines: bool,
) -> None:
    tmp_path = tmp_path_factory.mktemp("quoted")
    text = text_of(rows_of(machines, count), *signs)
    if signs[0] == ",":
        all_lines = True
    plain = read(tmp_path / "plain.csv", text)
    quoted = read(tmp_path / "quoted.csv", in_quotes(text, all_lines=all_lines))
    assert same(quoted.rows, plain.rows)
    assert quoted.lines.tolist() == plain.lines.tolist()
    told = [doubt for doubt in quoted.doubts if doubt.kind == "quoted-lines"]
    assert len(told) == 1
    assert same(streamed(tmp_path / "quoted.csv", plain.schema), plain.rows)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2), st.integers(20, 30), st.data())
def test_rows_that_stand_twice_are_taken_once_and_told(
    tmp_path_factory: pytest.TempPathFactory, machines: int, count: int, data: st.DataObject
) -> None:
    tmp_path = tmp_path_factory.mktemp("twice")
    rows = rows_of(machines, count)
    places = data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1, max_size=5))
    twice = [row for place, row in enumerate(rows) for _ in range(1 + (place in places))]
    plain = read(tmp_path / "plain.csv", text_of(rows, ","))
    found = read(tmp_path / "twice.csv", text_of(twice, ","))
    assert same(found.rows, plain.rows)
    [told] = [doubt for doubt in found.doubts if doubt.kind == "rows-twice"]
    assert told.count == len(places)
    assert told.place == f"twice.csv line {min(places) + 3}"


def test_a_stretch_that_stands_there_again_goes_back_in_time_and_is_refused(tmp_path: Path) -> None:
    # As where two exports that overlap were put into one file: given as two, they are joined.
    rows = rows_of(2, 40, start=datetime(2026, 5, 5, tzinfo=UTC))
    with pytest.raises(DataError, match=r"h.csv line 62: the time goes back .* if files were joined, give them one by"):
        read(tmp_path / "h.csv", text_of([*rows[:60], *rows[30:]], ","))


def test_a_row_that_stands_there_many_times_is_taken_once(tmp_path: Path) -> None:
    rows = rows_of(1, 20)
    found = read(tmp_path / "h.csv", text_of([*rows[:5], *[rows[4]] * 4, *rows[5:]], ","))
    assert same(found.rows, read(tmp_path / "plain.csv", text_of(rows, ",")).rows)
    [told] = [doubt for doubt in found.doubts if doubt.kind == "rows-twice"]
    assert (told.count, told.place) == (4, "h.csv line 7")
    assert "(lines 7, 8, 9 …)" in told.what


def test_rows_of_one_time_that_differ_are_refused(tmp_path: Path) -> None:
    rows = rows_of(1, 10)
    with pytest.raises(DataError, match=r"h.csv line 6: the time repeats that of pm0's row before"):
        read(tmp_path / "h.csv", text_of([*rows[:4], [*rows[3][:-1], "other"], *rows[4:]], ","))


def test_hours_that_say_the_same_in_the_night_in_which_the_clock_is_set_back_are_two(tmp_path: Path) -> None:
    start = datetime(2026, 10, 24, 20, tzinfo=UTC)
    moments = [(start + timedelta(hours=i)).astimezone(ZoneInfo("Europe/Helsinki")) for i in range(12)]
    rows = [[f"{moment:%Y-%m-%d %H:%M}", "0", "pm0", "1.5", "2", ""] for moment in moments]
    assert set(np.diff(read(tmp_path / "h.csv", text_of(rows, ",")).rows.times_us)) == {3_600_000_000}


def test_inspect_reads_rows_twice_and_lines_in_quotes(tmp_path: Path) -> None:
    rows = rows_of(1, 60)
    text = in_quotes(text_of([*rows[:20], rows[19], *rows[20:]], ";", ","), all_lines=True)
    (tmp_path / "h.csv").write_text(text, encoding="utf-8")
    inspection = inspect_files([tmp_path / "h.csv"])
    assert {doubt.kind for doubt in inspection.doubts} >= {"rows-twice", "quoted-lines"}
    assert len(inspection.history.rows) == 60
    assert not any(doubt.fatal for doubt in inspection.doubts)
