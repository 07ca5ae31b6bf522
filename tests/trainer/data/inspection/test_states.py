"""Columns that tell how good another one's readings are: none is a sensor, a grade or the labels, each is told."""

from pathlib import Path

import numpy as np
import pytest

from sheetbreak.history.doubts import Doubts
from sheetbreak.history.reader import read_history
from sheetbreak.history.schema_file import load_schema
from sheetbreak.rows import Schema
from trainer.data.inspection.guesses.status import state_of
from trainer.data.inspection.inspection import Inspection, inspect_files
from trainer.data.oddities import odd_sensors

ROWS = 120


def inspected(names: tuple[str, str], good: str, bad: str, *, labels: str = "broken") -> Inspection:
    """Of a table with two sensors, a state beside each. names: of the second sensor and its state."""
    rng = np.random.default_rng(1)
    lines = [f"time,{labels},x1,{names[1].replace('x2', 'x1')},{','.join(names)}"]
    for i in range(ROWS):
        state = bad if i in (33, 71) else good
        time, (x1, x2) = f"2026-01-05 {i // 30:02}:{i % 30 * 2:02}", rng.normal(size=2)
        lines.append(f"{time},{int(i == 50)},{x1:.4f},{good},{x2:.4f},{state}")
    Path("h.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return inspect_files([Path("h.csv")])


@pytest.mark.parametrize("good_bad", [("192", "0"), ("0", "1"), ("Good", "Bad"), ("1", "0")])
@pytest.mark.parametrize(
    "names",
    [
        ("x2", "x2.Quality"),
        ("x2", "x2_status"),
        ("x2", "x2Status"),
        ("x2", "Quality x2"),
        ("x2.Value", "x2.Quality"),
        ("x2", "Quality"),
    ],
)
def test_the_state_of_a_sensor_is_left_out_and_told_with_its_counts(
    names: tuple[str, str], good_bad: tuple[str, str]
) -> None:
    found = inspected(names, *good_bad)
    assert {column.name for column in found.roles.sensors} == {"x1", names[0]}
    assert found.roles.grade is None
    assert found.roles.labels is not None
    assert found.roles.labels.column.name == "broken"
    doubts = [doubt for doubt in found.doubts if doubt.kind == "state-like"]
    assert len(doubts) == 2
    told = next(doubt for doubt in doubts if "(2)" in doubt.what)
    assert told.what == f"the state of {names[0]}: {good_bad[0]} (118), {good_bad[1]} (2)".replace(": ", ", ", 1)
    assert "leave them blank in the export" in told.remedy
    Path("plant.toml").write_text(found.toml, encoding="utf-8")
    assert read_history(Path("h.csv"), load_schema(Path("plant.toml")), doubts=Doubts()).schema.sensors == (
        "x1",
        names[0],
    )


def test_labels_that_are_called_the_state_of_a_sensor_are_labels_where_there_are_no_others() -> None:
    found = inspected(("x2", "x2.Quality"), "192", "0", labels="x1_state")
    assert found.roles.labels is not None
    assert found.roles.labels.column.name == "x1_state"


@pytest.mark.parametrize("name", ["x2", "x2.Temp", "Quality", "x3.Quality", "x1.Quality index"])
def test_a_sensor_is_no_state(name: str) -> None:
    assert state_of(name, ["x1", "x2", "Ash"]) == ""


def test_training_by_a_plant_file_of_ones_own_tells_a_state_that_it_takes_for_a_sensor() -> None:
    inspected(("x2", "x2.Quality"), "192", "0")
    history = read_history(Path("h.csv"), Schema(time="time", broken="broken"), doubts=Doubts())
    told = [doubt for doubt in odd_sensors(history) if doubt.kind == "state-like"]
    assert [doubt.place for doubt in told] == ["h.csv, column x1.Quality", "h.csv, column x2.Quality"]
    assert told[0].remedy == "add it to columns.ignore in --schema"
