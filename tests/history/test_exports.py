"""Exports as people make them: what stands around the rows, and numbers with more than digits; each row is read."""

import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from sheetbreak.errors import DataError
from sheetbreak.history.doubts import Doubts
from sheetbreak.history.joining import History
from sheetbreak.history.reader import read_history
from sheetbreak.history.schema_file import load_schema
from sheetbreak.rows import Schema
from sheetbreak.streams.files.table import open_file
from tests.support.data.workbook import Cell, workbook
from trainer.data.inspection.inspection import inspect_files

ROWS = 60
START = datetime(2026, 1, 29, 21)  # noqa: DTZ001 - a spreadsheet's
TIMES = [START + timedelta(minutes=2 * i) for i in range(ROWS)]
VALUES = [[i * i % 17 + 0.25, 1000.5 + i * 7 % 13, i * 5 % 11 - 5.5] for i in range(ROWS)]
LABELS = [int(i % 20 == 19) for i in range(ROWS)]
HEADER = ("Zeit", "Abriss", "Druck", "Temp", "Zug")


def export(
    *,
    above: Sequence[str] = (),
    header: Sequence[str] = HEADER,
    below: Sequence[str] = (),
    footer: Sequence[str] = (),
    number: "str | None" = None,
) -> str:
    def text(value: float) -> str:
        return f"{value:.2f}".replace(".", ",") if number is None else number_text(value, number)

    rows = [
        f"{time:%d.%m.%Y %H:%M};{label};{';'.join(map(text, values))}"
        for time, label, values in zip(TIMES, LABELS, VALUES, strict=True)
    ]
    return "\r\n".join([*above, ";".join(header), *below, *rows, *footer]) + "\r\n"


def number_text(value: float, how: str) -> str:
    size = f"{abs(value):.2f}".replace(".", ",")
    if value >= 0:
        return f"{size} %" if how == "%" else size
    return {"long": f"\N{MINUS SIGN}{size}", "behind": f"{size}-", "brackets": f"({size})", "%": f"-{size} %"}[how]


def inspected(path: Path, content: str | bytes) -> History:
    """Read with the plant file that `inspect` writes, as `train` does."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    plant = path.with_suffix(".toml")
    plant.write_text(inspect_files([path]).toml, encoding="utf-8")
    return read_history(path, load_schema(plant), doubts=Doubts())


def streamed(path: Path, schema: Schema) -> tuple[int, int]:
    """Rows and dead letters of `monitor FILE`."""
    with Path("out").open("wb", buffering=0) as out:
        stream, decode, _ = open_file(
            str(path), schema=schema, out=io.BufferedWriter(out), emit=frozenset(), state_dir=None
        )
        rows = refused = 0
        while True:
            batch = stream.poll(1.0)
            decoded = decode([r.value for r in batch.records], [r.offset for r in batch.records])
            rows, refused = rows + len(decoded.rows), refused + len(decoded.rejects)
            if batch.end:
                stream.close()
                return rows, refused


def is_whole(history: History, sensors: int = 3) -> bool:
    steps = {int(b - a) for a, b in zip(history.rows.times_us, history.rows.times_us[1:], strict=False)}
    return (
        history.rows.values.tolist() == VALUES
        and history.rows.broken.tolist() == LABELS
        and steps == {120_000_000}
        and len(history.schema.sensors) == sensors
    )


@pytest.mark.parametrize(
    "below",
    [
        [";;bar;;"],
        ["Zeit;Status;Druck Stoffauflauf;Temperatur;Zug Presse", ";;bar;°C;N/m"],
        [";;bar;0-100 %;N/m2"],
        ["Tag;;PI101;TI102;ZI103", "Unit;;bar;°C;kN/m", "Type;;float;float;float"],
        ["----------------;------;-----;-----;-----"],
    ],
)
def test_what_stands_between_the_header_and_the_rows_is_left_out_and_units_are_kept(below: list[str]) -> None:
    history = inspected(Path("h.csv"), export(below=below))
    assert is_whole(history)
    assert history.schema.units.get("Druck", "bar") == "bar"
    assert streamed(Path("h.csv"), history.schema) == (ROWS, 0)


@pytest.mark.parametrize(
    ("footer", "refused"),
    [
        (["Summe;;1;2;3"], 1),
        (["", "Mittelwert;;1,5;2;3", "Maximum;;1;2;3"], 2),
        (["Ende des Berichts"], 1),
        (["", "(60 rows affected)"], 1),
        ([";;;;", "Erstellt am 30.01.2026 von PI DataLink"], 2),
    ],
)
def test_totals_and_notes_behind_the_rows_are_told_and_left_out(footer: list[str], refused: int) -> None:
    history = inspected(Path("h.csv"), export(footer=footer))
    assert is_whole(history)
    doubts = {doubt.kind: doubt for doubt in history.doubts}
    assert doubts["no-row"].place.startswith("h.csv line 6")
    assert sum(doubts[kind].count for kind in ("no-row", "blank-lines") if kind in doubts) == refused
    assert streamed(Path("h.csv"), history.schema) == (ROWS, refused)


@pytest.mark.parametrize("below", [True, False])
def test_a_header_that_stands_again_at_either_end_is_no_row_and_no_word_of_a_label_or_a_sensor(below: bool) -> None:
    again = [";".join(HEADER)]
    history = inspected(Path("h.csv"), export(below=again) if below else export(footer=again))
    assert is_whole(history)
    (doubt,) = [doubt for doubt in history.doubts if doubt.kind == "no-row"]
    assert doubt.place == f"h.csv line {2 if below else ROWS + 2}"
    assert history.schema.broken_values == ()
    assert "missing" not in Path("h.toml").read_text(encoding="utf-8")
    assert streamed(Path("h.csv"), history.schema) == (ROWS, 1)


def test_a_header_that_stands_again_among_the_rows_is_refused_by_its_line_and_misleads_no_guess() -> None:
    header, *rows = export().splitlines()
    Path("h.csv").write_text("\n".join([header, *rows[:2], header, *rows[2:], ""]), encoding="utf-8")
    found = inspect_files([Path("h.csv")])
    (doubt,) = [doubt for doubt in found.doubts if doubt.fatal]
    assert (doubt.kind, doubt.place) == ("header-again", "h.csv line 4")
    assert "give them one by one" in doubt.remedy
    assert "missing" not in found.toml
    assert "broken_values" not in found.toml


UNITS = ";;bar;C;kN/m"
JOINED = {
    "with a mark of UTF-8": (["\ufeffZeit;Abriss;Druck;Temp;Zug"], "the header stands here again"),
    "in capitals": (["ZEIT;ABRISS;DRUCK;TEMP;ZUG"], "the header stands here again"),
    "in quotes": (['"Zeit";"Abriss";"Druck";"Temp";"Zug"'], "the header stands here again"),
    "with its units": (["Zeit;Abriss;Druck;Temp;Zug", UNITS], "the header stands here again"),
    "units alone": ([UNITS], "the row of units stands here again"),
    "one column less": (["Zeit;Abriss;Druck;Temp"], "a header of 4 columns stands here, and one of 5 in line 1"),
    "one column more": (["Zeit;Abriss;Druck;Temp;Zug;Q"], "a header of 6 columns stands here, and one of 5 in line 1"),
    "another separator": (["Zeit,Abriss,Druck,Temp,Zug"], 'a header stands here with "," between its cells'),
}


@pytest.mark.parametrize("kind", JOINED)
def test_what_stands_above_the_rows_of_a_second_file_is_named_and_costs_no_row(kind: str) -> None:
    between, said = JOINED[kind]
    header, *rows = export(below=[UNITS]).splitlines()
    Path("h.csv").write_text("\n".join([header, *rows[:30], *between, *rows[30:], ""]), encoding="utf-8")
    found = inspect_files([Path("h.csv")])
    told = {doubt.place: doubt for doubt in found.doubts if doubt.fatal}
    assert said in told["h.csv line 32"].what
    assert "missing" not in found.toml
    Path("h.toml").write_text(found.toml, encoding="utf-8")
    schema = load_schema(Path("h.toml"))
    with pytest.raises(DataError, match=rf"h.csv line 32: {said}"):
        read_history(Path("h.csv"), schema, doubts=Doubts())
    Path("whole.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    model = read_history(Path("whole.csv"), schema, doubts=Doubts()).schema
    assert streamed(Path("h.csv"), model) == (ROWS, len(between))


@pytest.mark.parametrize(
    ("other", "odd"), [("Zeit;Abriss;Temp;Druck;Zug", ("Temp", "Druck")), ("Zeit;Abriss;Druck;Temp;Q", ("Q", "Zug"))]
)
def test_rows_below_a_header_of_other_columns_are_never_taken_for_those_of_the_first(
    other: str, odd: tuple[str, str]
) -> None:
    header, *rows = export().splitlines()
    Path("whole.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    Path("h.csv").write_text("\n".join([header, *rows[:30], other, *rows[30:], ""]), encoding="utf-8")
    schema = Schema(time="Zeit", broken="Abriss")
    said = f'h.csv line 32: a header stands here with "{odd[0]}" where line 1 has "{odd[1]}"; .*give them one by one'
    with pytest.raises(DataError, match=said):
        read_history(Path("h.csv"), schema, doubts=Doubts())
    assert [doubt.kind for doubt in inspect_files([Path("h.csv")]).doubts if doubt.fatal] == ["other-header"]
    with pytest.raises(DataError, match=said):
        streamed(Path("h.csv"), read_history(Path("whole.csv"), schema, doubts=Doubts()).schema)


@pytest.mark.parametrize(
    "last", ["30.01.2026 2", "30.01.2026 23:00;0;1,2", "31.02.2026 23:00;0;1,2;3;4", "gestern;0;1,2;3;4"]
)
def test_a_last_line_that_is_cut_or_has_a_bad_time_is_no_note(last: str) -> None:
    Path("h.csv").write_text(export(footer=[last]), encoding="utf-8")
    schema = Schema(time="Zeit", broken="Abriss")
    with pytest.raises(DataError, match=r"h\.csv line 62"):
        read_history(Path("h.csv"), schema, doubts=Doubts())


def test_names_may_run_over_lines_and_names_that_come_twice_are_told_apart_by_their_group() -> None:
    names = ["Zeit", "Abriss", '"Druck\r\n[bar]"', '"Temp\n2"', "Zug"]
    history = inspected(Path("h.csv"), export(header=names))
    assert is_whole(history)
    assert history.schema.sensors == ("Druck [bar]", "Temp 2", "Zug")
    assert streamed(Path("h.csv"), history.schema) == (ROWS, 0)
    grouped = export(above=[";;Presse;;Trockner"], header=["Zeit", "Abriss", "Druck", "Temp", "Druck"])
    history = inspected(Path("g.csv"), grouped)
    assert history.schema.sensors == ("Presse Druck", "Temp", "Trockner Druck")
    assert streamed(Path("g.csv"), history.schema) == (ROWS, 0)


@pytest.mark.parametrize("how", ["long", "behind", "brackets", "%"])
def test_a_sign_or_a_unit_in_the_cell_does_not_make_it_a_text(how: str) -> None:
    history = inspected(Path("h.csv"), export(number=how))
    assert is_whole(history)
    assert streamed(Path("h.csv"), history.schema) == (ROWS, 0)


def graded(rows: Sequence[int], word: str, bad: str) -> str:
    """An export with a quality behind each number, a bad one in the first column of some rows."""
    header, *lines = export().splitlines()
    found = [header]
    for i, line in enumerate(lines):
        time, label, *cells = line.split(";")
        cells = [f"{cell}{bad if i in rows and not at else word}" for at, cell in enumerate(cells)]
        found.append(";".join([time, label, *cells]))
    return "\n".join(found) + "\n"


@pytest.mark.parametrize(
    ("word", "bad"), [(" Good", " Bad"), ("|192", "|24"), (" (G)", " (B)"), ("", "*"), (" gut", " ?")]
)
def test_a_quality_behind_a_number_keeps_the_good_ones_and_counts_the_others(word: str, bad: str) -> None:
    history = inspected(Path("h.csv"), graded((7, 9), word, bad))
    assert np.isnan(history.rows.values[[7, 9], 0]).all()
    whole = history.rows.values.copy()
    whole[[7, 9], 0] = [VALUES[i][0] for i in (7, 9)]
    assert whole.tolist() == VALUES
    (doubt,) = [doubt for doubt in history.doubts if doubt.kind == "no-number"]
    assert (doubt.count, doubt.place) == (2, "h.csv line 9, column Druck")
    assert streamed(Path("h.csv"), history.schema) == (ROWS, 0)


def test_a_sensor_whose_every_number_is_marked_is_not_left_out_in_silence() -> None:
    Path("h.csv").write_text(graded(range(ROWS), "", "*"), encoding="utf-8")
    (doubt,) = [doubt for doubt in inspect_files([Path("h.csv")]).doubts if doubt.kind == "column-marked"]
    assert doubt.place == "h.csv, column Druck"
    assert doubt.remedy == "if they are, export them without the mark"


def test_an_unknown_word_behind_numbers_is_named_once_without_them() -> None:
    history = inspected(Path("h.csv"), graded((7, 9), "", " Wartung"))
    assert 'missing = ["Wartung"]' in Path("h.toml").read_text(encoding="utf-8")
    assert np.flatnonzero(np.isnan(history.rows.values[:, 0])).tolist() == [7, 9]


def test_a_table_without_names_is_refused_and_not_read_from_its_second_row() -> None:
    Path("h.csv").write_text("".join(export().splitlines(keepends=True)[1:]), encoding="utf-8")
    with pytest.raises(DataError, match=r"h.csv line 1: the first line .* no names; put a line above"):
        inspect_files([Path("h.csv")])


def test_a_cover_sheet_is_no_history_and_sheets_that_are_not_read_are_told() -> None:
    rows: list[list[Cell]] = [
        [time, float(label), *values] for time, label, values in zip(TIMES, LABELS, VALUES, strict=True)
    ]
    sheet: list[list[Cell]] = [[*HEADER], *rows]
    path = Path("h.xlsx")
    history = inspected(
        path, workbook({"Cover": [["Report of PM4"], ["by", "me"]], "January": sheet, "February": sheet})
    )
    assert is_whole(history)
    [doubt] = [doubt for doubt in history.doubts if doubt.kind == "other-sheets"]
    assert "sheets February are not read" in doubt.what


def test_a_workbook_with_a_date_and_a_clock_in_two_columns_is_one_time() -> None:
    rows: list[list[Cell]] = [
        [time.replace(hour=0, minute=0), f"{time:%H:%M}", float(label), *values]
        for time, label, values in zip(TIMES, LABELS, VALUES, strict=True)
    ]
    assert is_whole(inspected(Path("h.xlsx"), workbook({"Export": [["Datum", "Uhrzeit", *HEADER[1:]], *rows]})))


@pytest.mark.parametrize("above", [";;bar;°C;kN/m", ";;[bar];[°C];[kN/m]", ";;Presse;Presse;Presse", ";;bar;bar;bar"])
def test_a_line_of_units_or_groups_above_the_names_is_not_taken_for_them(above: str) -> None:
    history = inspected(Path("h.csv"), export(above=["Bericht PM4", above]))
    assert is_whole(history)
    assert history.schema.sensors == ("Druck", "Temp", "Zug")
    assert streamed(Path("h.csv"), history.schema) == (ROWS, 0)


def test_files_of_one_folder_may_be_written_in_different_ways() -> None:
    text = export()
    header, *rows = text.splitlines()
    points = [row.replace(",", ".").replace(";", ",") for row in rows[ROWS // 2 :]]
    Path("a").mkdir()
    Path("a/1.csv").write_text("\n".join([header, *rows[: ROWS // 2]]) + "\n", encoding="utf-16")
    Path("a/2.csv").write_text("\n".join([header.replace(";", ","), *points]) + "\n", encoding="utf-8")
    found = inspect_files([Path("a")])
    assert {column.name for column in found.roles.sensors} == {"Druck", "Temp", "Zug"}
    Path("plant.toml").write_text(found.toml, encoding="utf-8")
    history = read_history(Path("a"), load_schema(Path("plant.toml")), doubts=Doubts())
    assert is_whole(history)
    assert [streamed(Path(f"a/{i}.csv"), history.schema) for i in (1, 2)] == [(ROWS // 2, 0)] * 2


def test_files_of_one_folder_may_write_their_times_in_different_ways() -> None:
    header, *rows = export().splitlines()
    Path("a").mkdir()
    Path("a/1.csv").write_text("\n".join([header, *rows[: ROWS // 2]]) + "\n", encoding="utf-8")
    iso = [
        f"{t.isoformat()};{row.partition(';')[2]}" for t, row in zip(TIMES[ROWS // 2 :], rows[ROWS // 2 :], strict=True)
    ]
    Path("a/2.csv").write_text("\n".join([header, *iso]) + "\n", encoding="utf-8")
    found = inspect_files([Path("a")])
    assert not [doubt for doubt in found.doubts if doubt.fatal]
    Path("plant.toml").write_text(found.toml, encoding="utf-8")
    assert is_whole(read_history(Path("a"), load_schema(Path("plant.toml")), doubts=Doubts()))


def test_a_file_of_a_folder_without_one_sound_row_is_told_and_the_others_are_inspected() -> None:
    header, *rows = export().splitlines()
    Path("a").mkdir()
    Path("a/1.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    Path("a/2.csv").write_text(
        "\n".join([header, *(row.replace("2026", "xx26") for row in rows)]) + "\n", encoding="utf-8"
    )
    Path("plant.toml").write_text(
        '[columns]\ntime = "Zeit"\nbroken = "Abriss"\n[sampling]\ntime_format = "%d.%m.%Y %H:%M"\n'
    )
    found = inspect_files([Path("a")], load_schema(Path("plant.toml")))
    (doubt,) = [doubt for doubt in found.doubts if doubt.fatal]
    assert (doubt.kind, doubt.place, doubt.count) == ("bad-time", "2.csv line 2, column Zeit", ROWS)
    assert len(found.history.rows) == ROWS


@pytest.mark.parametrize("point", [".", ","])
def test_a_table_whose_columns_stand_at_fixed_places_is_refused_in_words(point: str) -> None:
    lines = [f"{'Zeit':<18}{'Abriss':>8}{'Druck':>10}{'Temp':>10}"]
    for time, label, (pressure, temperature, _) in zip(TIMES, LABELS, VALUES, strict=True):
        lines.append(f"{time:%Y-%m-%d %H:%M}  {label:>8}{pressure:>10.2f}{temperature:>10.2f}".replace(".", point))
    Path("h.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"h\.txt: its columns are set apart by blanks alone.* save it with a comma"):
        inspect_files([Path("h.txt")])
    padded = export().replace(";", ";   ")
    Path("h.txt").write_text(padded, encoding="utf-8")
    assert len(inspect_files([Path("h.txt")]).history.rows) == ROWS
