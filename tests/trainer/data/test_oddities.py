"""What is odd about a history's sensors is told before a training, with the line of its file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sheetbreak.errors import SheetbreakError
from sheetbreak.history.doubts import Doubts
from sheetbreak.history.joining import History
from sheetbreak.history.reader import read_history
from sheetbreak.rows import Schema
from trainer.commands import backtest, compare, train, tune
from trainer.data.inspection.inspection import inspect_files
from trainer.data.oddities import odd_sensors

PLANT = Schema(time="time", broken="broken", machine="pm")
ROWS = 400


def history(values: np.ndarray, *, machines: tuple[str, ...] = ("a",), files: int = 1) -> History:
    """Rows (machines, ROWS, sensors) read from as many files, in order of time."""
    moments = [datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=2 * i) for i in range(ROWS)]
    lines = [
        f"{moment:%Y-%m-%d %H:%M},0,{machine}," + ",".join(f"{value:.6g}" for value in values[m, i])
        for i, moment in enumerate(moments)
        for m, machine in enumerate(machines)
    ]
    header = "time,broken,pm," + ",".join(f"s{i + 1}" for i in range(values.shape[2]))
    for number, part in enumerate(np.array_split(lines, files)):
        Path(f"{number}.csv").write_text("\n".join([header, *part]) + "\n")
    return read_history([Path(f"{number}.csv") for number in range(files)], PLANT, doubts=Doubts())


def sound(machines: int = 1, sensors: int = 3) -> np.ndarray:
    return np.random.default_rng(5).normal(20, 1, (machines, ROWS, sensors))


@pytest.mark.parametrize("absurd", [-9999, 1e35, 1e200])
def test_one_absurd_cell_is_told_with_its_line_and_column(absurd: float) -> None:
    values = sound()
    values[0, 57, 2] = absurd
    (told,) = odd_sensors(history(values))
    assert told.kind == "far-cells"
    assert str(told).startswith(f"0.csv line 59, column s3: {absurd:g} is absurdly far from its other values")
    assert f'values.missing = ["{absurd:g}"]' in told.remedy


def test_absurd_cells_of_many_values_are_no_word_for_a_missing_one() -> None:
    values = sound()
    values[0, 57:60, 2] = [-608.373, -600, 512]
    (told,) = odd_sensors(history(values))
    assert (told.count, told.remedy.split()[0]) == (3, "mend")


@pytest.mark.parametrize(("every", "kinds"), [(97, ["far-cells"]), (399, [])])
def test_noughts_that_are_no_reading_are_told_where_they_are_so_many_that_they_would_blind(
    every: int, kinds: list[str]
) -> None:
    values = sound()
    values[0, 11::every, 1] = 0
    told = [*odd_sensors(history(values))]
    assert [doubt.kind for doubt in told] == kinds
    assert all("no reading, and not learned from" in doubt.what for doubt in told)


def test_of_several_files_the_line_is_that_of_the_cells_own_file() -> None:
    values = sound()
    values[0, 200 + 57, 2] = -9999
    (told,) = odd_sensors(history(values, files=2))
    assert told.place == "1.csv line 59, column s3"


def test_a_level_that_steps_is_told_with_time_before_and_after() -> None:
    values = sound()
    values[0, 250:, 1] = 1.8 * values[0, 250:, 1] + 32
    (told,) = odd_sensors(history(values))
    assert (told.kind, told.count) == ("level-step", ROWS - 250)
    assert told.place == "0.csv line 252, column s2"
    assert "at 2026-01-05T08:20:00Z (as °C that became °F)" in told.what
    assert [*odd_sensors(history(values), rows=250)] == []


def test_a_step_of_one_machine_is_seen_among_others() -> None:
    values = sound(machines=2)
    values[1, 250:, 0] += 100
    (told,) = odd_sensors(history(values, machines=("a", "b")))
    assert told.place == "0.csv line 503, column s1, machine b"


def test_many_sensors_do_not_fill_the_page_and_a_sound_history_says_nothing() -> None:
    values = sound(sensors=9)
    assert [*odd_sensors(history(values))] == []
    values[0, 250:] += 100
    told = [*odd_sensors(history(values))]
    assert [doubt.count for doubt in told] == [*[ROWS - 250] * 5, 4]
    assert told[-1].place == "sensors s6, s7, s8, s9"


@pytest.mark.parametrize(("tag", "levels", "is_told"), [("Tag", 2, True), ("pm", 4, True), ("pm", 1, False)])
def test_tags_in_a_column_with_one_value_a_row_are_told_as_no_machines(tag: str, levels: int, is_told: bool) -> None:
    """Machines of one kind read much the same."""
    lines = [
        f"2026-01-05 {i // 30:02}:{2 * (i % 30):02},{name},{10 ** (m % levels) + i * 7 % 11 / 10}"
        for i in range(ROWS)
        for m, name in enumerate(("PI101", "TI102", "FI103", "SI104"))
    ]
    Path("long.csv").write_text("\n".join([f"time,{tag},value", *lines]) + "\n")
    read = read_history(Path("long.csv"), Schema(time="time", machine=tag), doubts=Doubts())
    assert ([doubt.kind for doubt in odd_sensors(read)] == ["long-table"]) is is_told
    assert ("long-table" in {doubt.kind for doubt in inspect_files([Path("long.csv")]).doubts}) is is_told


@pytest.mark.parametrize("sensors", [1, 2])
def test_nothing_is_odd_about_sensors_that_read_nothing(sensors: int) -> None:
    values = np.full((3, ROWS, sensors), np.nan)
    assert [*odd_sensors(history(values, machines=("a", "b", "c")))] == []


def test_drop_outs_are_told_as_not_learned_from_and_a_state_that_lasts_as_what_blinds() -> None:
    values = sound(sensors=5) + 10
    values[0, 3::50, 0] = 0
    values[0, 100:108, 1:3] = 0
    values[0, 200:208, 3] = 0
    found = {doubt.place: doubt for doubt in odd_sensors(history(values)) if doubt.kind == "far-cells"}
    assert len(found) == 4
    alone = found["0.csv line 202, column s4"]
    assert alone.count == 8
    assert "as are 7 cells more, while all other sensors read as usual: no reading, and not learned from" in alone.what
    assert alone.remedy.endswith('values.missing = ["0"]')
    single, lasting = found["0.csv line 5, column s1"], found["0.csv line 102, column s2"]
    assert single.count == 8
    assert "no reading, and not learned from" in single.what
    assert single.remedy.endswith('values.missing = ["0"]')
    assert "see faults of this sensor late" in lasting.what


@pytest.mark.parametrize(("rows", "sensors"), [(60, 1), (36, 2)])
def test_a_number_that_stands_in_many_rows_is_told_beside_what_the_others_are(rows: int, sensors: int) -> None:
    values = sound() + 10
    values[0, 100 : 100 + rows, :sensors] = 0
    found = [doubt for doubt in odd_sensors(history(values)) if doubt.kind == "far-cells"]
    assert [(doubt.place, doubt.count) for doubt in found] == [
        (f"0.csv line 102, column s{i + 1}", rows) for i in range(sensors)
    ]
    assert all("see faults of this sensor late" in doubt.what and "lie between 28" in doubt.what for doubt in found)


def test_a_sensor_without_values_at_the_end_is_told_with_its_last_line_and_one_that_comes_back_is_not() -> None:
    values = sound()
    values[0, 250:, 1] = np.nan
    values[0, 250:390, 2] = np.nan
    (told,) = [doubt for doubt in odd_sensors(history(values)) if doubt.kind == "sensor-ended"]
    assert told.place == "0.csv line 251, column s2"
    assert told.count == ROWS - 250
    assert "columns.ignore" in told.remedy
    assert any(doubt.kind == "sensor-ended" for doubt in inspect_files([Path("0.csv")]).doubts)


def test_rows_that_come_at_another_period_from_somewhere_on_are_told() -> None:
    history(sound())
    header, *lines = Path("0.csv").read_text().splitlines()
    moments = [
        datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=2 * min(i, 300) + max(i - 300, 0)) for i in range(ROWS)
    ]
    cells = [line.partition(",")[2] for line in lines]
    text = [f"{moment:%Y-%m-%d %H:%M},{rest}" for moment, rest in zip(moments, cells, strict=True)]
    Path("0.csv").write_text("\n".join([header, *text]) + "\n")
    changed = read_history([Path("0.csv")], PLANT, doubts=Doubts())
    assert changed.schema.period_s == 120
    (told,) = [doubt for doubt in odd_sensors(changed) if doubt.kind == "other-period"]
    assert "every 1 min" in told.what
    assert 280 < int(told.place.removeprefix("0.csv line ")) < 320
    assert any(doubt.kind == "other-period" for doubt in inspect_files([Path("0.csv")]).doubts)


@pytest.mark.parametrize("command", [train, backtest, compare, tune])
def test_each_command_that_fits_models_tells_them_first(
    command: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.random.default_rng(1).normal(300.0, 5.0, (60, 3))
    values[20:30, 1] = 0.0
    rows = "".join(f"{a:.2f},{b:.2f},{c:.2f},{int(i == 40)}\n" for i, (a, b, c) in enumerate(values))
    (tmp_path / "mill.csv").write_text("s1,s2,s3,broken\n" + rows)
    (tmp_path / "plant.toml").write_text('[columns]\nbroken = "broken"\n')
    with pytest.raises(SheetbreakError):  # so few rows are for no model
        command.main([str(tmp_path / "mill.csv"), "--schema", str(tmp_path / "plant.toml")])
    assert "column s2: 0 is far from its other values" in " ".join(capsys.readouterr().err.split())


def test_inspection_tells_a_sensor_that_was_dead_for_a_while_and_noisy() -> None:
    values = sound()
    values[:, :, 0] = 300 + 5 * values[:, :, 0]
    values[0, 200:220, 0] = 0.01 * np.random.default_rng(2).normal(size=20)
    history(values)
    found = [doubt for doubt in inspect_files([Path("0.csv")]).doubts if doubt.kind == "far-cells"]
    assert [(doubt.place, doubt.count) for doubt in found] == [("0.csv line 202, column s1", 20)]
