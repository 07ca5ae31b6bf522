"""`sheetbreak inspect`: one call says all that is doubtful, and the plant file that it writes needs no hand."""

import json
import os
import threading
import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sheetbreak.errors import DataError
from sheetbreak.history.doubts import Doubts
from sheetbreak.history.reader import read_history
from sheetbreak.history.schema_file import load_schema
from sheetbreak.rows import BROKEN
from trainer.commands.inspect import main

START = datetime(2026, 1, 5, tzinfo=UTC)
ROWS = 2400
Cells = list[list[str]]


def plant(
    path: Path,
    *,
    header: Sequence[str] = ("time", "broken", "s1", "s2", "s3", "s4"),
    start: datetime = START,
    change: Callable[[Cells], Cells | None] = lambda _: None,
    rows: int = ROWS,
    separator: str = ",",
) -> Path:
    """time, broken (a break every 150 rows) and four sensors that wander; change: what is wrong with the cells."""
    draw = np.random.default_rng(3)
    slow = np.apply_along_axis(
        lambda one: np.convolve(one, np.ones(100) / 10, "valid"), 0, draw.normal(size=(rows + 99, 4))
    )
    values = 20.0 * np.arange(1, 5) + slow + 0.4 * draw.normal(size=(rows, 4))
    cells = [
        [
            f"{start + timedelta(minutes=2 * i):%Y-%m-%d %H:%M}",
            str(int(i % 150 == 140)),
            *(f"{v:.3f}" for v in values[i]),
        ]
        for i in range(rows)
    ]
    cells = change(cells) or cells
    path.write_text("\n".join(separator.join(row) for row in [header, *cells]) + "\n", encoding="utf-8")
    return path


def inspect(*arguments: Path | str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def kinds(found: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for doubt in found["doubts"]:
        by_kind.setdefault(doubt["kind"], []).append(doubt)
    return by_kind


def test_a_sound_file_has_its_period_labels_and_breaks_told_and_nothing_but_its_zone_in_doubt(tmp_path, capsys):
    found = inspect(plant(tmp_path / "h.csv"), capsys=capsys)
    assert set(kinds(found)) == {"time-zone"}
    assert (found["rows"], found["lines"]) == (ROWS, ROWS)
    assert found["sampling"]["period_s"] == 120
    assert (found["labels"]["rows"], found["labels"]["breaks"]) == (16, 16)
    assert [sensor["name"] for sensor in found["sensors"]] == ["s1", "s2", "s3", "s4"]


def test_every_fault_of_a_file_is_told_at_once_with_count_line_and_remedy(tmp_path, capsys):
    header = ("nr", "time", "broken", "code", "s1", "s2", "s3", "s4", "flat", "copy", "remark")

    def spoil(cells: Cells) -> Cells:
        for i in range(5, ROWS, 100):
            cells[i][2] = "-9999"
        for i in range(1200, ROWS):
            cells[i][3] = f"{float(cells[i][3]) * 1.8 + 32:.3f}"
        for i in range(500, 800):
            cells[i][4] = cells[500][4]
        for i in range(100, 112):
            cells[i][5] = "Bad"
        for i in range(40, 46):
            cells[i][5] = "Umbau"
        cells[77][4] = "99.5e4"
        wide = [
            [str(i), row[0], row[1], "7" if row[1] == "1" else "0", *row[2:], "1.5", row[2], f"text {i}"]
            for i, row in enumerate(cells)
        ]
        wide[300][1] = "gestern"
        wide[400] = wide[400][:5]
        wide[1700][1] = wide[1699][1]
        return wide

    found = inspect(plant(tmp_path / "h.csv", header=header, change=spoil), capsys=capsys)
    doubts = kinds(found)
    for kind, count, place in [
        ("bad-time", 1, "line 302"),
        ("ragged-line", 1, "line 402"),
        ("time-repeats", 1, "line 1702"),
        ("sentinel-like", 24, "line 7, column s1"),
        ("level-step", None, "column s2"),
        ("sensor-stuck", 1, "s3"),
        ("absurd-value", 1, "line 79, column s3"),
        ("no-number", 18, "line 42, column s4"),
        ("unknown-word", 6, "line 42, column s4"),
        ("index-like", 1, "column nr"),
        ("outcome-like", 1, "column code"),
        ("sensor-constant", 1, "flat"),
        ("sensor-same", 1, "copy (as s1)"),
        ("column-text", 1, "column remark"),
    ]:
        (doubt, *_) = doubts.get(kind, [None])
        assert doubt is not None, kind
        assert place in doubt["place"], kind
        assert count in (None, doubt["count"]), kind
        assert doubt["remedy"] or kind == "no-number", kind
    fatal = [doubt["kind"] for doubt in found["doubts"] if doubt["fatal"]]
    assert sorted(fatal) == ["bad-time", "ragged-line", "time-repeats"]
    assert [doubt["kind"] for doubt in found["doubts"][:3]] == fatal
    assert found["lines"] - found["rows"] == sum(doubt["count"] for doubt in found["doubts"] if doubt["fatal"]) == 3
    assert found["ignored"].keys() == {"nr", "code", "remark"}
    assert sorted(found["schema"]["values"]["missing"]) == ["-9999", "Umbau"]
    (step,) = [sensor["step"] for sensor in found["sensors"] if sensor["step"]]
    assert abs(step["line"] - 1202) <= 3
    assert step["units"] == "as °C that became °F"


def test_the_page_is_80_columns_wide_and_names_every_doubt(tmp_path, capsys):
    path = plant(
        tmp_path / "h.csv",
        change=lambda cells: [[*row[:3], "-9999" if i % 9 == 0 else row[3], *row[4:]] for i, row in enumerate(cells)],
    )
    assert main([str(path)]) == 0
    page = capsys.readouterr().out
    assert max(map(len, page.splitlines())) <= 80
    assert "sentinel-like" in page
    assert "h.csv line 2, column s2" in page
    assert page.index("2,400 rows") < page.index("What to look at") < page.index("Sensors with a remark")


def test_what_is_written_reads_every_row_and_what_was_there_is_kept(tmp_path, capsys):
    path = plant(tmp_path / "h.csv")
    target = tmp_path / "plant.toml"
    target.write_text("# mended by hand\n")
    assert main([str(path), "--write", str(target)]) == 0
    assert (tmp_path / "plant.toml.1").read_text() == "# mended by hand\n"
    assert "plant.toml.1" in capsys.readouterr().err
    assert main([str(path), "--write", str(target)]) == 0
    assert not (tmp_path / "plant.toml.2").exists()  # the same text: nothing to keep
    history = read_history(path, load_schema(target), doubts=Doubts())
    assert len(history.rows) == ROWS
    assert (history.rows.broken == BROKEN).sum() == 16


def test_what_a_schema_file_gives_stands_and_what_it_gets_wrong_is_told(tmp_path, capsys):
    def mix(cells: Cells) -> Cells:
        return [[str(i), row[0], row[1], "7" if row[1] == "1" else "0", *row[2:]] for i, row in enumerate(cells)]

    path = plant(tmp_path / "h.csv", header=("nr", "time", "broken", "code", "s1", "s2", "s3", "s4"), change=mix)
    given = tmp_path / "given.toml"
    given.write_text(
        '[columns]\ntime = "time"\nbroken = "broken"\nignore = ["s4"]\n'
        '[sampling]\ntimezone = "Europe/Berlin"\nperiod_s = 60\n'
    )
    found = inspect(path, "--schema", given, capsys=capsys)
    doubts = kinds(found)
    assert (found["schema"]["sampling"]["timezone"], found["ignored"].keys()) == ("Europe/Berlin", {"s4"})
    assert "columns.ignore" in doubts["outcome-like"][0]["remedy"]
    assert "columns.ignore" in doubts["index-like"][0]["remedy"]
    assert "120" in doubts["sampling"][0]["remedy"]
    assert doubts["sampling"][0]["fatal"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"time,broken,s1\n", "no rows"),
        (b"time,broken,s1\n1,2\n1,2\n", "line"),
        (b"a,b\nx,y\nu,v\n", "no numeric column"),
        (b"PK\x03\x04nonsense", "workbook"),
        (b"\x1f\x8bnonsense", "damaged"),
    ],
)
def test_a_file_without_a_table_is_refused_with_one_line_that_names_it(tmp_path, content, said):
    path = tmp_path / "h.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"h\.csv") as refused:
        main([str(path)])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_pipe_is_read_whole_though_it_is_read_once(tmp_path, capsys):
    content = plant(tmp_path / "h.csv").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    found = inspect(pipe, capsys=capsys)
    writer.join()
    assert found["rows"] == ROWS


def test_several_files_are_one_history_and_each_doubt_names_its_file(tmp_path, capsys):
    def bad(cells: Cells) -> None:
        cells[10][3] = "-9999"
        cells[11][3] = "-9999"

    plant(tmp_path / "b.csv")
    plant(tmp_path / "a.csv", start=START + timedelta(minutes=2 * ROWS), change=bad)
    found = inspect(tmp_path, capsys=capsys)
    assert found["rows"] == 2 * ROWS
    assert kinds(found)["sentinel-like"][0]["place"] == "a.csv line 12, column s2"
    assert found["schema"]["sampling"]["period_s"] == 120


def test_a_grade_in_two_spellings_is_told_and_machines_are_told_apart_by_their_times(tmp_path, capsys):
    def mix(cells: Cells) -> Cells:
        grades = ["96", "96.0", "A1", "a1"]
        return [
            [row[0], row[1], f"{side}", grades[i * 4 // ROWS], *row[2:]] for i, row in enumerate(cells) for side in "LR"
        ]

    header = ("time", "broken", "side", "Sorte", "s1", "s2", "s3", "s4")
    found = inspect(plant(tmp_path / "h.csv", header=header, change=mix), capsys=capsys)
    assert found["machines"] == {"L": ROWS, "R": ROWS}
    assert found["grades"]["96"] == ROWS
    assert len(kinds(found)["grade-spellings"]) == len(kinds(found)["grade-alike"]) == 1


def test_a_grade_whose_spelling_changes_from_row_to_row_is_one(tmp_path, capsys):
    def mix(cells: Cells) -> Cells:
        grades = [["96", "96.0"], ["112", "112.00"]]
        return [[*row[:2], grades[i * 2 // ROWS][i % 2], *row[2:]] for i, row in enumerate(cells)]

    header = ("time", "broken", "grade", "s1", "s2", "s3", "s4")
    found = inspect(plant(tmp_path / "h.csv", header=header, change=mix), capsys=capsys)
    assert found["grades"] == {"96": ROWS // 2, "112": ROWS // 2}


def test_a_level_that_steps_on_one_of_two_machines_is_told_with_its_machine_and_line(tmp_path, capsys):
    def heat(cells: Cells) -> Cells:
        other = [
            [*row[:2], "B", *row[2:5], f"{float(row[5]) + 60 * (i >= ROWS // 2):.4f}"] for i, row in enumerate(cells)
        ]
        return [one for row, b in zip(cells, other, strict=True) for one in ([*row[:2], "A", *row[2:]], b)]

    header = ("time", "broken", "machine", "s1", "s2", "s3", "s4")
    found = inspect(plant(tmp_path / "h.csv", header=header, change=heat), capsys=capsys)
    [doubt] = kinds(found)["level-step"]
    assert doubt["place"].endswith("column s4, machine B")
    [step] = next(sensor["steps"] for sensor in found["sensors"] if sensor["name"] == "s4")
    assert (step["machine"], abs(step["line"] - (ROWS + 3)) <= 12) == ("B", True)


def test_the_json_is_the_page_and_the_plant_file_in_it_is_the_one_written(tmp_path, capsys):
    path, target = plant(tmp_path / "h.csv"), tmp_path / "plant.toml"
    found = inspect(path, "--write", target, capsys=capsys)
    assert found["toml"] == target.read_text(encoding="utf-8")
    assert found["schema"] == tomllib.loads(found["toml"])
    assert main([str(path)]) == 0
    page = capsys.readouterr().out
    assert all(doubt["kind"] in page for doubt in found["doubts"])
