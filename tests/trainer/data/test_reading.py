"""Numbers that stand for no reading: found in a history, told, and missing from then on, live too."""

from pathlib import Path

import numpy as np
import pytest

from sheetbreak.history.doubts import Doubt, Doubts
from sheetbreak.history.joining import History
from sheetbreak.history.reader import read_history
from sheetbreak.history.schema_file import load_schema
from tests.support.data.histories import SCHEMA_TOML, mill_like, with_values, write_csv
from trainer.data.reading import without_sentinels

ROWS, SENSORS = 400, 6
EVERY = slice(11, None, 97)


def read(values: np.ndarray, *, plant: str = "") -> tuple[History, list[Doubt]]:
    """A history with such values as `train` reads it, and what it told."""
    path = write_csv(Path("h.csv"), with_values(mill_like(ROWS, sensors=SENSORS), values))
    Path("plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2) + plant, encoding="utf-8")
    told: list[Doubt] = []
    found = read_history(path, load_schema(Path("plant.toml")), doubts=Doubts())
    return without_sentinels(found, tell=told.append), told


def sound() -> np.ndarray:
    return mill_like(ROWS, sensors=SENSORS).values + 20


@pytest.mark.parametrize(
    ("number", "text"),
    [(-9999, "-9999"), (1e35, "1e+35"), (4294967295, "4294967295"), (-999.25, "-999.25"), (3.402823466e38, None)],
)
def test_a_number_that_is_no_reading_is_missing_and_its_place_is_told(number: float, text: str | None) -> None:
    values = sound()
    values[EVERY, 2] = number
    history, (told,) = read(values)
    assert np.flatnonzero(np.isnan(history.rows.values).any(axis=1)).tolist() == list(range(ROWS))[EVERY]
    assert history.schema.missing == (text or repr(number),)
    assert (told.place, told.count) == ("h.csv line 13, column s2", len(range(ROWS)[EVERY]))
    live = read_history(Path("h.csv"), sensors_from=history.schema, doubts=Doubts())
    np.testing.assert_array_equal(live.rows.values, history.rows.values)


@pytest.mark.parametrize("listed", ["", '"Defekt"'])
def test_a_plant_file_that_lists_what_is_missing_decides(listed: str) -> None:
    values = sound()
    values[EVERY, 2] = -9999
    history, told = read(values, plant=f"[values]\nmissing = [{listed}]\n")
    assert told == []
    assert not np.isnan(history.rows.values).any()


def test_a_number_that_another_sensor_reads_is_a_reading() -> None:
    values = sound()
    values[EVERY, 2] = 9999
    values[:, 3] = np.arange(ROWS) % 50 + 9970
    history, told = read(values)
    assert (history.schema.missing, told) == ((), [])


def test_a_sensor_that_rests_has_them_too() -> None:
    values = sound()
    values[:, 1], values[:, 2] = 80.0, np.arange(ROWS) % 2
    values[EVERY, 1] = values[200, 2] = -9999
    history, told = read(values)
    assert history.schema.missing == ("-9999",)
    assert [doubt.place for doubt in told] == ["h.csv line 13, column s1", "h.csv line 202, column s2"]


def test_rows_of_nothing_else_are_told_as_never_scored() -> None:
    values = sound()
    values[50:80] = -9999
    _, told = read(values)
    assert told[-1].what.startswith("30 of 400 rows lack more than a fifth of the sensors")
