"""Doubts about a history: each is told once, with its number, its place and the remedy that fits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sheetbreak.errors import DataError
from sheetbreak.history.doubts import Doubt, Doubts
from sheetbreak.history.joining import History
from sheetbreak.history.reader import read_history
from sheetbreak.rows import BROKEN, INTACT, Schema

PLANT = Schema(time="time", broken="broken", learned=("period_s", "stop_gap_s"))


def table(*rows: str, header: str = "time,broken,s1,s2") -> Path:
    path = Path("h.csv")
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def rows_with(cells: list[str], more: int = 30) -> list[str]:
    every = [*cells, *(f"{i * i % 11}.5" for i in range(more))]
    return [f"2026-01-05 {i // 30:02}:{i % 30 * 2:02},0,{cell},{i * i % 13}" for i, cell in enumerate(every)]


def read(path: Path, schema: Schema = PLANT, *, keeps_going: bool = False) -> History:
    return read_history(path, schema, doubts=Doubts(keeps_going=keeps_going))


def told(history: History, kind: str) -> Doubt:
    [doubt] = [doubt for doubt in history.doubts if doubt.kind == kind]
    return doubt


def test_a_cell_without_a_number_is_a_missing_one_counted_by_sensor_and_word() -> None:
    history = read(table(*rows_with(["Bad", "1.5", "Bad", "I/O Timeout", "", "x?"])))
    assert np.isnan(history.rows.values[[0, 2, 3, 4, 5], 0]).all()
    assert len(history.rows) == 36
    doubt = told(history, "no-number")
    assert (doubt.place, doubt.count) == ("h.csv line 2, column s1", 4)
    assert '"Bad" (2), "I/O Timeout" (1), "x?" (1)' in doubt.what
    assert '"x?" is no known word' in doubt.remedy


@pytest.mark.parametrize("bad", ["nan", "-inf", "1e999", "1_0", "#WERT!"])
def test_what_float_takes_and_a_sensor_never_reads_is_missing(bad: str) -> None:
    history = read(table(*rows_with([bad])))
    assert np.isnan(history.rows.values[0, 0])
    assert told(history, "no-number").count == 1


def test_a_sensor_whose_first_readings_are_bad_is_a_sensor() -> None:
    history = read(table(*rows_with(["Bad Input"] * 700, more=5)))
    assert history.schema.sensors == ("s1", "s2")
    assert told(history, "no-number").count == 700


def test_words_and_exact_numbers_of_the_schema_are_missing_values() -> None:
    schema = Schema(time="time", broken="broken", missing=("Wartung", "-9999"))
    history = read(table(*rows_with(["Wartung", "-9999", "-9999.0", "-9998"])), schema)
    assert np.isnan(history.rows.values[:3, 0]).all()
    assert history.rows.values[3, 0] == -9998
    assert told(history, "sentinel").count == 2
    assert told(history, "no-number").remedy == ""


def test_a_code_among_numbers_is_refused_above_the_share_that_is_named() -> None:
    says = r'line 3, column s1: "A12" is not a number, nor are 9 of 39 cells there \(23%; up to 20% count as missing'
    with pytest.raises(DataError, match=says) as caught:
        read(table(*rows_with(["17", *["A12"] * 9], more=29)))
    assert "columns.ignore" in str(caught.value)
    assert "columns.grade" in str(caught.value)


def test_a_comma_in_a_number_gets_a_remedy_of_its_own() -> None:
    with pytest.raises(DataError, match=r'line 3, column s1: "1,6" is not a number.* set csv.decimal = ","'):
        read(table("2026-01-05,0,2,2", '2026-01-06,0,"1,6",3'))


def test_a_column_of_text_is_left_out_and_one_with_nan_among_words_is_refused() -> None:
    history = read(table(*rows_with(["a", "b", ""], more=0)))
    assert history.schema.sensors == ("s2",)
    assert told(history, "text-column").place == "h.csv, column s1"
    with pytest.raises(DataError, match=r'column s1: holds "AUTO" and NaN.* add "s1" to columns.ignore'):
        read(table(*rows_with(["nan", "AUTO"], more=0)))


def test_a_column_without_a_reading_or_a_name_and_one_that_counts_rows_are_told() -> None:
    header = ",time,broken,s1,s2,n"
    path = table(*(f"{i},{row},{i + 5}" for i, row in enumerate(rows_with(["Bad"] * 30, more=0))), header=header)
    history = read(path)
    assert history.schema.sensors == ("s1", "s2", "n")
    assert "not one of 30 cells" in told(history, "no-reading").what
    assert told(history, "column-without-name").place == "h.csv line 1, column 1"
    assert told(history, "index-column").remedy == 'add "n" to columns.ignore in --schema'


def test_rows_that_lack_too_much_to_be_scored_are_told_with_their_number_and_the_sensor() -> None:
    lines = [f"2026-01-05 00:{m:02},0,{'' if m % 5 < 3 else m * m % 7},{m % 4},{m % 3},{m % 9}" for m in range(40)]
    history = read(table(*lines, header="time,broken,s1,s2,s3,s4"))
    doubt = told(history, "sparse-rows")
    assert doubt.count == 24
    assert "24 of 40 rows lack more than a fifth of the sensors" in doubt.what
    assert '"s1" lacks most (24 of 40 rows)' in doubt.remedy


def test_an_ignored_column_that_is_not_there_is_refused_with_the_name_that_is() -> None:
    schema = Schema(time="time", broken="broken", ignore=("s_2",))
    with pytest.raises(DataError, match=r'columns.ignore names "s_2", which is not among the columns; "s2" is'):
        read(table(*rows_with([])), schema)


@pytest.mark.parametrize(
    ("column", "remedy"),
    [("a\\b", "leave the backslash out"), ('"a""b"', "leave the quotation mark out"), ("a\u200bb", "U\\+200B")],
)
def test_a_name_that_cannot_be_a_sensors_gets_the_remedy_that_fits(column: str, remedy: str) -> None:
    with pytest.raises(DataError, match=remedy):
        read(table(*rows_with([]), header=f"time,broken,{column},s2"))


@pytest.mark.parametrize("column", ["Dampf\xa0Druck", "µ-Temp °C (温)", "Flow main", '"Temp\n(C)"'])
def test_names_with_blanks_signs_and_line_breaks_are_read(column: str) -> None:
    name = column.strip('"').replace("\n", " ")
    assert read(table(*rows_with([]), header=f"time,broken,{column},s2")).schema.sensors == (name, "s2")


@pytest.mark.parametrize("label", ["1.00", "1", "1.0", " 1 "])
def test_a_label_has_many_spellings_and_one_meaning(label: str) -> None:
    history = read(table("2026-01-05,0.00,1,2", f"2026-01-06,{label},1,2"))
    assert history.rows.broken.tolist() == [INTACT, BROKEN]


def test_labels_may_be_words() -> None:
    schema = Schema(time="time", broken="broken", broken_values=("Abriss", "7"))
    lines = ["2026-01-05,Lauf,1,2", "2026-01-06,abriss,1,2", "2026-01-07,,1,2", "2026-01-08,7.0,1,2"]
    history = read(table(*lines), schema)
    assert history.rows.broken.tolist() == [INTACT, BROKEN, INTACT, BROKEN]
    history = read(table("2026-01-05,Lauf,1,2"), schema)
    assert '"lauf" (1)' in told(history, "no-break-word").what
    numbers = read(table("2026-01-05,0.000,1,2", "2026-01-06,1.000,1,2"), replace(schema, broken_values=("1.000",)))
    assert numbers.rows.broken.tolist() == [INTACT, BROKEN]
    assert [doubt.kind for doubt in numbers.doubts if doubt.kind == "no-break-word"] == []
    with pytest.raises(DataError, match=r'"Abriss" is not a label; 0 or 1 is expected.*columns.broken_values'):
        read(table("2026-01-05,Abriss,1,2"))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["2026-01-05 00:00,0,1,2", "2026-01-05 00:00,0,3,2"], "if the export cut the seconds"),
        (["2026-01-05 00:00:07,0,1,2", "2026-01-05 00:00:07,0,1,3"], "mend the time of one, or drop it"),
        (["2026-01-05,0,1,2", "time,broken,s1,s2", "2026-01-06,0,1,2"], "the header stands here again; drop that line"),
        (
            [f"2026-01-05 0{h}:00,0,1,{i}" for i, h in enumerate((0, 1, 2, 3, 4, 2, 3, 4))],
            "if files were joined, give them one by one",
        ),
    ],
)
def test_the_remedy_fits_the_cause(lines: list[str], says: str) -> None:
    with pytest.raises(DataError) as caught:
        read(table(*lines))
    assert says in str(caught.value)


def test_lines_that_all_end_in_a_separator_are_read_and_one_that_holds_more_is_not() -> None:
    lines = [f"2026-01-0{day},0,1,2," for day in (5, 6, 7)]
    assert read(table(*lines)).rows.values.tolist() == [[1, 2]] * 3
    with pytest.raises(DataError, match="line 5: 5 cells where the header has 4"):
        read(table(*lines, "2026-01-08,0,1,2,9"))


def test_a_remark_over_two_lines_is_one_row() -> None:
    schema = Schema(time="time", broken="broken", ignore=("remark",))
    path = table('2026-01-05,0,1,"wire\nchanged"', '2026-01-06,0,2,a 5" pipe', header="time,broken,s1,remark")
    history = read(path, schema)
    assert history.rows.values.tolist() == [[1], [2]]
    assert history.lines.tolist() == [2, 4]


def test_all_doubts_are_found_at_once_where_the_reader_keeps_going() -> None:
    lines = ["2026-01-05,0,Bad,2", "2026-01-06,no,1,2", "2026-01-06,0,1", "2026-01-04,0,1,2", "2026-01-07,0,1,2"]
    history = read(table(*lines), keeps_going=True)
    kinds = ["not-a-label", "ragged-line", "no-number", "time-goes-back", "sparse-rows"]
    assert [doubt.kind for doubt in history.doubts] == kinds
    assert history.lines.tolist() == [2, 6]


@pytest.mark.parametrize(("end", "told"), [("7.1", True), ("7.1234", False), ("7.1\n", False)])
def test_a_file_that_ends_within_its_last_cell_is_told(end: str, told: bool):
    rows = [f"2026-01-05 {i // 30:02}:{i % 30 * 2:02},0,{i * i % 13},{i * i % 11}.{1000 + i}" for i in range(30)]
    path = table(*rows)
    path.write_text(f"{path.read_text(encoding='utf-8')}2026-01-05 01:00,0,3,{end}", encoding="utf-8")
    found = [str(doubt) for doubt in read(path).doubts if doubt.kind == "unfinished-line"]
    assert len(found) == told
    assert all(text.startswith("h.csv line 32, column s2: the file ends within this line, it seems") for text in found)
