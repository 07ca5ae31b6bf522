"""Exports of mills in several countries: times, names, labels and encodings as they write them, read without a word."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from sheetbreak.errors import DataError
from sheetbreak.history.doubts import Doubts
from sheetbreak.history.reader import read_history
from sheetbreak.history.schema_file import load_schema
from sheetbreak.history.source import recognise_encoding
from sheetbreak.history.times.words import without_words
from sheetbreak.rows import Dialect, RowBatch, Schema
from sheetbreak.streams.files.table import open_file
from trainer.data.inspection.inspection import inspect_files

ROWS = 60
START = datetime(2026, 1, 29, 22, 30)  # noqa: DTZ001 - a mill's own clock
TIMES = [START + timedelta(minutes=2 * i) for i in range(ROWS)]
VALUES = [[i * i % 17 + 0.25, 1000.5 + i * 7 % 13, i * 5 % 11 - 5.5] for i in range(ROWS)]
LABELS = [int(i % 20 == 19) for i in range(ROWS)]
ENGLISH = ("Time", "Break", "Steam", "Flow", "Draw")
JAPANESE = ("日時", "断紙", "流量", "温度", "圧力")
Clock = Callable[[datetime], str]
Label = Callable[[int], str]


def iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def table(
    clock: Clock = iso,
    *,
    header: Sequence[str] = ENGLISH,
    label: Label = str,
    lines: Sequence[Sequence[str]] = (),
    separator: str = ",",
) -> str:
    rows = [[clock(t), label(b), *map(str, v)] for t, b, v in zip(TIMES, LABELS, VALUES, strict=True)]
    return "".join(separator.join(row) + "\n" for row in [*lines, header, *rows])


def read(path: Path) -> tuple[RowBatch, Schema]:
    """Rows with the plant file that `inspect` writes, the same from a stream."""
    plant = path.with_suffix(".toml")
    plant.write_text(inspect_files([path]).toml, encoding="utf-8")
    history = read_history(path, load_schema(plant), doubts=Doubts())
    with path.with_suffix(".out").open("wb") as out:
        stream, decode, _ = open_file(str(path), schema=history.schema, out=out, emit=frozenset(), state_dir=None)
        batch = stream.poll(0)
        stream.close()
    decoded = decode([r.value for r in batch.records], [r.offset for r in batch.records])
    assert not decoded.rejects
    assert decoded.rows.values.tobytes() == history.rows.values.tobytes()
    assert decoded.rows.times_us.tolist() == history.rows.times_us.tolist()
    return history.rows, history.schema


def assert_whole(rows: RowBatch) -> None:
    assert rows.values.tolist() == VALUES
    assert rows.broken.tolist() == LABELS
    expected = [int(moment.replace(tzinfo=UTC).timestamp() * 1e6) for moment in TIMES]
    assert rows.times_us.tolist() == expected


def half_day(moment: datetime) -> str:
    return f"{'午前' if moment.hour < 12 else '午後'}{moment.hour % 12}:{moment:%M}"


TIMES_OF_COUNTRIES: dict[str, Clock] = {
    "japan": lambda t: f"{t.year}年{t.month}月{t.day}日 {t:%H:%M}",
    "japan-signs": lambda t: f"{t.year}年{t.month:02}月{t.day:02}日{t.hour}時{t.minute:02}分{t.second:02}秒",
    "japan-halves": lambda t: f"{t:%Y/%m/%d} {half_day(t)}",
    "japan-weekday": lambda t: f"{t:%Y/%m/%d}({'月火水木金土日'[t.weekday()]}) {t:%H:%M}",
    "china": lambda t: f"{t.year}年{t.month}月{t.day}日 {'上午' if t.hour < 12 else '下午'}{t.hour % 12}:{t:%M:%S}",
    "korea": lambda t: f"{t.year}년 {t.month}월 {t.day}일 {'오전' if t.hour < 12 else '오후'} {t.hour % 12}:{t:%M}",
    "brazil": lambda t: f"{t.day:02}/{('jan', 'fev')[t.month - 1]}/{t:%Y %H:%M}",
    "france": lambda t: f"{t:%d/%m/%Y} {t.hour}h{t:%M}",
    "oracle": lambda t: f"{t:%d-%b-%y %I.%M.%S}.000000000 {t:%p}".upper(),
    "oracle-comma": lambda t: f"{t:%d.%m.%y %H:%M:%S},000000000",
    "iso-week": lambda t: f"{t.isocalendar()[0]}W{t.isocalendar()[1]:02}{t.isoweekday()}T{t:%H%M%S}",
    "spreadsheet-text": lambda t: f'="{iso(t)}"',
}


@pytest.mark.parametrize("country", TIMES_OF_COUNTRIES)
def test_times_of_a_country_are_read(tmp_path: Path, country: str) -> None:
    path = tmp_path / "h.csv"
    path.write_text(table(TIMES_OF_COUNTRIES[country], separator=";"), encoding="utf-8")
    assert_whole(read(path)[0])


def test_a_half_of_the_day_has_its_twelve_first() -> None:
    assert without_words("2026/1/29 午前12:05") == "2026/1/29 00:05"
    assert without_words("2026年1月29日 午後12時5分") == "2026-01-29 12:05"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp932", "utf-16"])
def test_a_japanese_table_has_its_names_and_labels(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "h.csv"
    words = table(TIMES_OF_COUNTRIES["japan"], header=JAPANESE, label=("正常", "断紙").__getitem__)
    path.write_bytes(words.encode(encoding))
    rows, schema = read(path)
    assert_whole(rows)
    assert (schema.time, schema.broken, schema.sensors) == ("日時", "断紙", JAPANESE[2:])


@pytest.mark.parametrize("text", ["Störung;Übergröße", "Ø 12 µm – “Naßpartie” €", "Straße… été", "Žižkov"])
def test_letters_of_western_europe_are_not_taken_for_japanese(text: str) -> None:
    assert recognise_encoding(f"{text};1,5\n".encode("cp1252")) == "cp1252"


def test_a_one_or_nothing_is_a_label(tmp_path: Path) -> None:
    path = tmp_path / "h.csv"
    path.write_text(table(label=("", "1").__getitem__), encoding="utf-8")
    assert_whole(read(path)[0])


@pytest.mark.parametrize("above", [True, False])
def test_columns_of_one_name_are_told_apart_by_their_units(tmp_path: Path, above: bool) -> None:
    units = ["", "", "t/h", "°C", "bar"]
    header = ["Time", "Break", *["Steam"] * 3]
    text = table(header=header, lines=[units]) if above else table(header=units, lines=[header])
    path = tmp_path / "h.csv"
    path.write_text(text, encoding="utf-8")
    rows, schema = read(path)
    assert_whole(rows)
    assert len(set(schema.sensors)) == 3
    assert all("Steam" in sensor and unit in sensor for sensor, unit in zip(schema.sensors, units[2:], strict=True))


@pytest.mark.parametrize("units", [["", "", "bar", "bar", ""], None])
def test_columns_of_one_name_and_one_unit_are_numbered_and_told(tmp_path: Path, units: list[str] | None) -> None:
    path = tmp_path / "h.csv"
    path.write_text(table(header=["Time", "Break", "p", "p", "q"], lines=[units] if units else []), encoding="utf-8")
    rows, schema = read(path)
    assert_whole(rows)
    assert schema.sensors == ((f"{units[2]} p", f"{units[2]} p (2)", "q") if units else ("p", "p (2)", "q"))
    (doubt,) = [doubt for doubt in inspect_files([path]).doubts if doubt.kind == "names-again"]
    assert schema.sensors[1] in doubt.what
    assert doubt.place == f"h.csv line {2 if units else 1}"
    with pytest.raises(DataError, match=r'p" stands there twice; .* csv.same_names = "number"'):
        read_history(path, replace(schema, csv=Dialect(), sensors=()), doubts=Doubts())


@pytest.mark.parametrize("name", ["h.txt", "h.dat", "export"])
def test_a_table_is_one_whatever_its_files_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(table(separator="\t"), encoding="utf-8")
    assert_whole(read(path)[0])


def test_messages_are_messages_whatever_their_files_name(tmp_path: Path) -> None:
    rows = [f'{{"machine":"a","time":"{iso(t).replace(" ", "T")}:00Z","values":{{"s":1,"t":2}}}}\n' for t in TIMES]
    schema = Schema(sensors=("s", "t"))
    for name, first in [("rows.txt", ""), ("rows.log", "\n"), ("rows.ndjson", "1,2,3\n4,5,6\n")]:
        path = tmp_path / name
        path.write_text(first + "".join(rows))
        with (tmp_path / "out").open("wb") as out:
            stream, decode, _ = open_file(str(path), schema=schema, out=out, emit=frozenset(), state_dir=None)
            batch = stream.poll(0)
            stream.close()
        decoded = decode([r.value for r in batch.records], [r.offset for r in batch.records])
        assert len(decoded.rows) == ROWS
        assert np.all(decoded.rows.values == [1, 2])
