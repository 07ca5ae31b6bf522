"""Tables as streams: every form that a history has is a source of the monitor, row for row the same."""

import gzip
import os
import threading
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import zstandard

from sheetbreak.errors import DataError
from sheetbreak.rows import Dialect, RowBatch, Schema
from sheetbreak.streams.open import open_stream
from sheetbreak.streams.protocol import Record
from tests.support.data.workbook import Cell, workbook
from tests.support.running.patience import PATIENCE_S

MODEL = Schema(sensors=("s1", "s2"), time="time", broken="broken", time_format="%d/%m/%Y %H:%M")
START = datetime(2026, 3, 5, tzinfo=UTC)
ROWS = [(START + timedelta(minutes=2 * i), 0, 1000.5 + i, None if i == 3 else -0.25 * i) for i in range(30)]
ALL = frozenset({"scores"})


def text(separator: str = ",", decimal: str = ".", times: str = "%d/%m/%Y %H:%M") -> str:
    lines = [separator.join(("time", "broken", "s1", "s2"))]
    for moment, broken, a, b in ROWS:
        numbers = [("" if value is None else repr(value)).replace(".", decimal) for value in (a, b)]
        lines.append(separator.join([moment.strftime(times), str(broken), *numbers]))
    return "\n".join(lines) + "\n"


def scored(source: str, schema: Schema = MODEL, state: Path | None = None) -> tuple[RowBatch, list[int]]:
    """The rows of a source and the lines they stand on."""
    with Path("out").open("a+b") as out:
        opened = open_stream(source, schema=schema, out=out, emit=ALL, state_dir=state)
        records: list[Record] = []
        ended = False
        while not ended:
            batch = opened.stream.poll(1)
            records += batch.records
            ended = batch.end
            opened.stream.commit(batch, [], [])
        opened.stream.close()
    decoded = opened.decode([r.value for r in records], [r.offset for r in records])
    assert not decoded.rejects
    return decoded.rows, [r.offset for r in records]


@pytest.fixture
def plain() -> RowBatch:
    Path("plain.csv").write_text(text())
    rows, lines = scored("plain.csv")
    assert rows.values[3].tolist()[:1] == [1003.5]
    assert lines == list(range(2, 32))
    return rows


def forms() -> list[tuple[str, bytes]]:
    frame = pd.DataFrame([(m.replace(tzinfo=None), *rest) for m, *rest in ROWS], columns=["time", "broken", "s1", "s2"])
    sheet: list[list[Cell]] = [["PM1"], ["time", "broken", "s1", "s2"]]
    sheet += [[moment.replace(tzinfo=None), *rest] for moment, *rest in ROWS]
    parquet = BytesIO()
    frame.to_parquet(parquet, index=False)
    return [
        ("a.csv", text(";", ",").encode("cp1252")),
        ("b.csv", text("\t").encode("utf-16")),
        ("c.csv", ("Export\n\n" + text(";").replace("s2\n", "s2\n-;-;bar;°C\n")).encode("cp1252")),
        ("d.csv", text().replace("\n", "\r").encode()),
        ("e.tsv", text("\t", times="%Y-%m-%dT%H:%M:%SZ").encode()),
        ("f.csv.gz", gzip.compress(text().encode())),
        ("g.csv.zst", zstandard.compress(text().encode())),
        ("h.parquet", parquet.getvalue()),
        ("i.xlsx", workbook({"rows": sheet})),
    ]


@pytest.mark.parametrize(("name", "content"), forms(), ids=[name for name, _ in forms()])
def test_every_form_is_a_source_and_gives_the_same_rows(name: str, content: bytes, plain: RowBatch) -> None:
    Path(name).write_bytes(content)
    rows, _ = scored(name)
    assert rows.values.tobytes() == plain.values.tobytes()
    assert rows.times_us.tolist() == plain.times_us.tolist()


def test_a_packed_file_goes_on_where_the_state_stands(plain: RowBatch) -> None:
    Path("a.csv.gz").write_bytes(gzip.compress("".join(text().splitlines(keepends=True)[:11]).encode()))
    first, _ = scored("a.csv.gz", state=Path("state"))
    Path("a.csv.gz").write_bytes(gzip.compress(text().encode()))
    rest, lines = scored("a.csv.gz", state=Path("state"))
    assert [*first.times_us, *rest.times_us] == plain.times_us.tolist()
    assert lines[0] == 12


@pytest.mark.parametrize("name", ["rows.csv", "rows.ndjson"])
def test_with_a_state_an_unfinished_line_is_left_to_the_next_start(name: str, caplog: pytest.LogCaptureFixture) -> None:
    row = '{{"machine":"pm1","time":"2026-03-05T00:{0:02}:00Z","values":{{"s1":{1},"s2":{0}}}}}'
    rows = [row.format(m, 284.5805 + m) for m in range(4)]
    if name == "rows.csv":
        rows = ["time,broken,s2,s1", *(f"05/03/2026 00:{m:02},0,{m},{284.5805 + m}" for m in range(4))]
    whole = "\n".join(rows) + "\n"
    Path(name).write_text(whole[:-6])
    first, _ = scored(name, state=Path("state"))
    assert len(first) == 3
    assert "event=unfinished-line source=" in caplog.text
    assert "left to the next start" in caplog.text
    Path(name).write_text(whole)
    rest, _ = scored(name, state=Path("state"))
    assert rest.values.tolist() == [[287.5805, 3.0]]


def test_without_a_state_an_unfinished_line_is_taken_and_told(caplog: pytest.LogCaptureFixture) -> None:
    Path("rows.csv").write_text(text()[:-1])
    rows, _ = scored("rows.csv")
    assert len(rows) == len(ROWS)
    assert "event=unfinished-line source=rows.csv" in caplog.text
    assert "taken as a row" in caplog.text


def test_titles_through_a_pipe_are_no_rows(plain: RowBatch) -> None:
    os.mkfifo("pipe.csv")
    content = b"Export of PM1\nmade by the historian\n" + text(";").encode()

    def feed() -> None:
        with Path("pipe.csv").open("wb") as pipe:
            pipe.write(content)

    feeder = threading.Thread(target=feed)
    feeder.start()
    rows, lines = scored("pipe.csv")
    feeder.join()
    assert rows.values.tobytes() == plain.values.tobytes()
    assert lines[0] == 4


@pytest.mark.parametrize("content", ["", "\n\n"], ids=["nothing", "blank lines"])
def test_a_table_without_a_line_is_told_to_be_empty(content: str) -> None:
    Path("folder").mkdir()
    Path("folder/rows.csv").write_text(content)
    with pytest.raises(DataError, match=r"folder/rows.csv is empty; expected a header line and one row"):
        scored("folder/rows.csv")
    with pytest.raises(DataError, match=r"folder: .*no table among rows.csv \(empty\); expected files that end in"):
        scored("folder")


def test_a_pipe_is_opened_once(plain: RowBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    # Opened for a look and closed again, its writer is killed, or what it wrote in between is lost.
    os.mkfifo("pipe.csv")
    opened: list[str] = []
    really = os.open

    def counting(path: str, flags: int, *more: int, **named: int) -> int:
        opened.extend([path] if path == "pipe.csv" else [])
        return really(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", counting)
    feeder = threading.Thread(target=lambda: Path("pipe.csv").write_text(text()), daemon=True)
    feeder.start()
    rows, _ = scored("pipe.csv")
    feeder.join(PATIENCE_S)
    assert opened == ["pipe.csv"]
    assert rows.values.tobytes() == plain.values.tobytes()


def test_packed_bytes_through_a_pipe_are_refused_by_what_they_are() -> None:
    os.mkfifo("pipe.csv")
    feeder = threading.Thread(target=lambda: Path("pipe.csv").write_bytes(gzip.compress(text().encode())))
    feeder.start()
    with pytest.raises(DataError, match="packed bytes come through the pipe; unpack them first"):
        scored("pipe.csv")
    feeder.join()


def test_a_start_in_the_hour_that_comes_twice_goes_on_in_it() -> None:
    first = datetime(2026, 10, 25, 0, tzinfo=UTC)
    moments = [first + timedelta(minutes=2 * i) for i in range(60)]
    texts = [moment.astimezone(ZoneInfo("Europe/Helsinki")).strftime("%Y-%m-%d %H:%M") for moment in moments]
    lines = ["time,broken,s1,s2", *(f"{text},0,{i},2" for i, text in enumerate(texts))]
    schema = Schema(sensors=("s1", "s2"), time="time", broken="broken", timezone="Europe/Helsinki")
    Path("h.csv").write_text("\n".join(lines[:41]) + "\n")
    before, _ = scored("h.csv", schema, state=Path("state"))
    Path("h.csv").write_text("\n".join(lines) + "\n")
    after, _ = scored("h.csv", schema, state=Path("state"))
    assert set(np.diff([*before.times_us, *after.times_us])) == {120_000_000}


def test_a_cell_without_a_number_is_logged_once_a_sensor(caplog: pytest.LogCaptureFixture) -> None:
    Path("rows.csv").write_text(text().replace("1000.5", "Bad").replace("1001.5", "Bad").replace("-0.5", "x"))
    rows, _ = scored("rows.csv")
    assert np.isnan(rows.values[:2, 0]).all()
    assert caplog.text.count("event=no-number") == 2
    assert "sensor='s1' text='Bad' line=2" in caplog.text


def test_what_training_recognised_decides_what_the_file_leaves_open() -> None:
    schema = Schema(sensors=("s1",), time="time", time_format="%d/%m/%Y %H:%M", csv=Dialect(decimal=","))
    Path("rows.csv").write_text("time;s1\n05/03/2026 00:00;1.234\n05/03/2026 00:02;1.235\n")
    rows, _ = scored("rows.csv", schema)
    assert rows.values.tolist() == [[1234.0], [1235.0]]
    assert rows.times_us[0] == int(START.timestamp()) * 1_000_000
