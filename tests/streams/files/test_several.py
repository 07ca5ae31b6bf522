"""Several files as one stream: in the order of time, each row once, and gone on with as files grow and are added."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sheetbreak.errors import DataError
from sheetbreak.rows import Decoded, Schema
from sheetbreak.streams.open import open_stream
from sheetbreak.streams.protocol import Record

MODEL = Schema(sensors=("s1", "s2"), time="time", broken="broken", machine="pm", time_format="%Y-%m-%d %H:%M")
START = datetime(2026, 3, 5, tzinfo=UTC)


def table(first: int, last: int, *, machine: str = "a", separator: str = ",") -> str:
    """Rows first to last, two minutes apart; s1 is the row's number."""
    moments = {i: START + timedelta(minutes=2 * i) for i in range(first, last)}
    lines = [[f"{moment:%Y-%m-%d %H:%M}", "0", machine, str(i), "0.5"] for i, moment in moments.items()]
    return "".join(separator.join(cells) + "\n" for cells in [["time", "broken", "pm", "s1", "s2"], *lines])


def read(
    source: str, *more: str, state: str | None = None, batches: int | None = None
) -> tuple[Decoded, list[dict[str, str | int]]]:
    """What a monitor would decode until the end, or of so many batches, and where it says that each record is from."""
    with Path("out").open("a+b") as out:
        opened = open_stream(
            source, more=more, schema=MODEL, out=out, emit=frozenset(), state_dir=Path(state) if state else None
        )
        records: list[Record] = []
        while batches is None or batches > 0:
            batch = opened.stream.poll(1)
            records += batch.records
            opened.stream.commit(batch, [], [])
            batches = None if batches is None else batches - 1
            if batch.end:
                break
        decoded = opened.decode([r.value for r in records], [r.offset for r in records])
        origins = [dict(opened.origin(record)) for record in records]
        opened.stream.close()
    return decoded, origins


def test_the_files_of_a_folder_are_one_stream_in_the_order_of_time() -> None:
    Path("mill").mkdir()
    Path("mill/b.csv").write_text(table(0, 10))
    Path("mill/a.csv.gz").write_bytes(gzip.compress(table(10, 20, separator=";").encode()))
    Path("mill/other.csv").write_text(table(0, 20, machine="z"))
    Path("mill/notes.md").write_text("no history")
    decoded, origins = read("mill")
    assert not decoded.rejects
    assert (decoded.rows.times_us[1:] >= decoded.rows.times_us[:-1]).all()
    of_a = [int(v) for v, name in zip(decoded.rows.values[:, 0], decoded.rows.machines, strict=True) if name == "a"]
    assert of_a == list(range(20))
    assert decoded.rows.machines.count("z") == 20
    assert {"file": "mill/a.csv.gz", "line": 2} in origins


def test_a_row_that_two_files_have_is_taken_once_and_told(caplog: pytest.LogCaptureFixture) -> None:
    Path("1.csv").write_text(table(0, 10))
    Path("2.csv").write_text(table(8, 20))
    decoded, _ = read("1.csv", "2.csv")
    assert decoded.rows.values[:, 0].tolist() == list(range(20))
    assert "kind=files-overlap count=2 place='2.csv line 2'" in caplog.text


def test_a_line_that_is_no_row_stays_behind_the_row_before_it() -> None:
    Path("1.csv").write_text(table(0, 3) + "nonsense\n" + table(3, 5).split("\n", 1)[1])
    Path("2.csv").write_text(table(5, 9))
    decoded, origins = read("2.csv", "1.csv")
    assert decoded.rows.values[:, 0].tolist() == list(range(9))
    assert [place for place, _ in decoded.rejects] == [3]
    assert origins[3] == {"file": "1.csv", "line": 5}


def test_a_restart_goes_on_in_grown_and_new_files_and_no_row_comes_twice() -> None:
    Path("mill").mkdir()
    Path("mill/1.csv").write_text(table(0, 700))
    Path("mill/2.csv").write_text(table(700, 800)[:-4])
    first, _ = read("mill", state="state", batches=1)
    second, _ = read("mill", state="state")
    Path("mill/2.csv").write_text(table(700, 900))
    Path("mill/3.csv").write_text(table(900, 950))
    Path("mill/1.csv").rename("mill/first.csv")
    third, _ = read("mill", state="state")
    fourth, _ = read("mill", state="state")
    assert [len(one.rows) for one in (first, second, third, fourth)] == [500, 299, 151, 0]
    numbers = [n for one in (first, second, third) for n in one.rows.values[:, 0].tolist()]
    assert numbers == list(range(950))


def test_a_state_that_followed_one_file_is_gone_on_with_in_its_folder() -> None:
    Path("mill").mkdir()
    Path("mill/1.csv").write_text(table(0, 10))
    read("mill/1.csv", state="state")
    Path("mill/2.csv").write_text(table(10, 15))
    rest, _ = read("mill", state="state")
    assert rest.rows.values[:, 0].tolist() == list(range(10, 15))


@pytest.mark.parametrize("other", ["-", "kafka://localhost:9092/rows"])
def test_a_pipe_or_topic_stands_alone(other: str) -> None:
    Path("1.csv").write_text(table(0, 3))
    with pytest.raises(DataError, match="stands alone"):
        read("1.csv", other)
