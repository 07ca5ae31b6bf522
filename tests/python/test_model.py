"""Tables scored from Python: the monitor's bytes for every kind of table, and a clear word for what is none."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.csv
import pytest

import sheetbreak
from sheetbreak.artifact import save
from sheetbreak.errors import ArtifactError, DataError
from sheetbreak.history.reader import PROCESSMINER
from sheetbreak.rows import Schema
from tests.support.models.mill import SENSORS, WARM_UP_ROWS, mill_csv, mill_values, save_model
from tests.support.running.services import plain_environment

BREAKS = (150, 151, 290)
ROWS = 360


def two_machines(path: Path) -> Path:
    """A CSV of two machines, row by row in turn: breaks, blank cells, a row with too few readings, and a late one."""
    first = mill_csv(path, ROWS, breaks=BREAKS).read_text().splitlines()
    second = mill_csv(path, ROWS, machine="pm2", seed=8).read_text().splitlines()
    lines = [line for both in zip(first[1:], second[1:], strict=True) for line in both]
    for i in (200, 201, 333):
        cells = lines[i].split(",")
        cells[4] = ""
        lines[i] = ",".join(cells)
    time, broken, machine, *_ = lines[402].split(",")
    lines[402] = f"{time},{broken},{machine},1.5,,,,,"
    lines.insert(500, lines[480])
    path.write_text("\n".join([first[0], *lines]) + "\n")
    return path


def monitored(csv: Path, models: Path) -> list[dict[str, Any]]:
    """What `sheetbreak monitor` writes of a file: a score or a dead letter a row, in their order."""
    arguments = ["monitor", str(csv), "--models", str(models), "--emit", "scores,dead-letters", "--metrics-port", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "sheetbreak", *arguments], check=True, capture_output=True, env=plain_environment()
    )
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]


def expected(messages: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """The columns that `score` is to give, out of the monitor's messages."""
    nothing = float("nan")
    numbers = {
        name: np.array([nothing if one.get(name) is None else one[name] for one in messages])
        for name in ("score", "threshold", "ratio")
    }
    states = np.array([one.get("state", "dead-letter") for one in messages])
    return {"state": states, **numbers, "over": np.array([one.get("over", False) for one in messages])}


def same(scored: Any, messages: list[dict[str, Any]]) -> None:
    """Every bit, NaN where the monitor has null."""
    for name, column in expected(messages).items():
        np.testing.assert_array_equal(np.asarray(scored[name]), column, err_msg=name, strict=name != "state")


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models/ and mill.csv."""
    folder = tmp_path_factory.mktemp("mill")
    save_model(folder / "models")
    two_machines(folder / "mill.csv")
    return folder


@pytest.fixture(scope="module")
def messages(mill: Path) -> list[dict[str, Any]]:
    return monitored(mill / "mill.csv", mill / "models")


@pytest.fixture(scope="module")
def model(mill: Path) -> sheetbreak.Model:
    return sheetbreak.load(mill / "models")


def with_time_index(csv: Path) -> pd.DataFrame:
    frame = pd.read_csv(csv)
    return frame.set_index(pd.DatetimeIndex(pd.to_datetime(frame.pop("time"))))


READERS: dict[str, Callable[[Path], Any]] = {
    "pandas": pd.read_csv,
    "pandas-times": lambda csv: pd.read_csv(csv, parse_dates=["time"]),
    "pandas-nullable": lambda csv: pd.read_csv(csv, dtype_backend="numpy_nullable"),
    "pandas-texts": lambda csv: pd.read_csv(csv, dtype=str),
    "pandas-index-of-times": with_time_index,
    "pandas-index-of-machines-and-times": lambda csv: pd.read_csv(csv).set_index(["machine", "time"]),
    "polars": pl.read_csv,
    "polars-times": lambda csv: pl.read_csv(csv, try_parse_dates=True),
    "arrow": pyarrow.csv.read_csv,
    "mapping": lambda csv: {name: column.to_numpy() for name, column in pd.read_csv(csv).items()},
    "mapping-of-lists": lambda csv: pl.read_csv(csv).to_dict(as_series=False),
}


@pytest.mark.parametrize("kind", READERS)
def test_the_scores_are_the_monitors_to_the_bit_in_a_table_of_the_same_kind(
    mill: Path, model: sheetbreak.Model, messages: list[dict[str, Any]], kind: str
) -> None:
    frame = READERS[kind](mill / "mill.csv")
    scored = model.score(frame)
    assert {one.get("state", one["topic"]) for one in messages} == {
        *("scored", "warming-up", "restarting", "stopped", "dead-letters")
    }
    assert type(scored) is type(frame)
    same(scored, messages)
    if kind.startswith("pandas"):
        assert scored.index.equals(frame.index)
    kept = {"pandas-index-of-times": ["machine"], "pandas-index-of-machines-and-times": []}.get(
        kind, ["machine", "time"]
    )
    for name in kept:
        assert list(scored[name]) == list(frame[name])


def test_an_array_gives_the_scores_of_one_machine_without_times(tmp_path: Path) -> None:
    save_model(tmp_path / "models")
    model = sheetbreak.load()
    values = mill_values(300)
    scored = model.score(values)
    assert scored.shape == (300,)
    assert scored.dtype.names == ("state", "score", "threshold", "ratio", "over")
    same(scored, monitored(mill_csv(tmp_path / "rows.csv", 300), tmp_path / "models"))
    assert list(scored["state"][: WARM_UP_ROWS + 1]) == [*["warming-up"] * WARM_UP_ROWS, "scored"]


def test_what_a_sensor_was_and_was_expected_to_be_is_what_the_monitor_says_of_its_rows(
    mill: Path, model: sheetbreak.Model, messages: list[dict[str, Any]]
) -> None:
    frame = pd.read_csv(mill / "mill.csv")
    explained, leading = model.explain(frame), model.explain(frame, leading=5)
    tops = [(row, one["top"]) for row, one in enumerate(messages) if one.get("top")]
    assert len(tops) > 20
    for row, top in tops:
        for rank, one in enumerate(top, 1):
            assert explained[f"{one['sensor']} observed"][row] == one["observed"]
            assert explained[f"{one['sensor']} expected"][row] == one["expected"]
            for what in ("sensor", "share", "observed", "expected"):
                assert leading[f"{what} {rank}"][row] == one[what]
    unscored = np.array([one.get("score") is None for one in messages])
    assert explained["x1 expected"].isna().equals(pd.Series(unscored))
    assert (leading["sensor 1"][unscored] == "").all()
    assert list(explained.columns[:4]) == ["machine", "time", "x1 observed", "x1 expected"]
    assert isinstance(model.explain(pl.from_pandas(frame), leading=1), pl.DataFrame)


def test_how_many_rows_are_advanced_at_once_changes_no_bit(
    mill: Path, model: sheetbreak.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.read_csv(mill / "mill.csv")
    whole = model.score(frame), model.explain(frame)
    monkeypatch.setattr("sheetbreak.python.model._AT_ONCE_ROWS", 37)
    pd.testing.assert_frame_equal(model.score(frame), whole[0], check_exact=True)
    pd.testing.assert_frame_equal(model.explain(frame), whole[1], check_exact=True)


def plant_model(models: Path, schema: Schema) -> sheetbreak.Model:
    """The mill's model for another plant's rows."""
    made = save_model(models, sensors=schema.sensors)
    folder = models / made.version
    with np.load(folder / "golden.npz") as golden:
        windows = golden["windows"]
    files = {"model.onnx": (folder / "model.onnx").read_bytes()}
    save(models, msgspec.structs.replace(made, schema=schema), files=files, golden=windows, now=datetime.now(UTC))
    return sheetbreak.load(models)


def test_times_without_a_zone_are_the_plants_also_in_the_hour_that_comes_twice(tmp_path: Path) -> None:
    """One row every two minutes over the end of summer time, texts and naive datetimes alike."""
    model = plant_model(
        tmp_path / "models",
        Schema(sensors=SENSORS, time="time", timezone="Europe/Helsinki", time_format="%d.%m.%Y %H:%M"),
    )
    start = datetime(2026, 10, 24, 23, 0, tzinfo=UTC)
    moments = [start + timedelta(minutes=2 * i) for i in range(120)]
    values = dict(zip(SENSORS, mill_values(120).T, strict=True))
    in_utc = model.score({"time": moments, **values})
    local = [moment.astimezone(ZoneInfo("Europe/Helsinki")) for moment in moments]
    naive = [moment.replace(tzinfo=None, fold=0) for moment in local]
    for times in (
        naive,
        np.array(naive, "M8[s]"),
        [moment.strftime("%d.%m.%Y %H:%M") for moment in local],
        pd.Series(pd.to_datetime(naive)).to_numpy(),
    ):
        scored = model.score({"time": times, **values})
        np.testing.assert_array_equal(scored["score"], in_utc["score"])
        assert "dead-letter" not in scored["state"]
    assert in_utc["state"][-1] == "scored"


def test_a_table_without_times_is_numbered_at_the_period_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_model(tmp_path / "models")
    model, values = sheetbreak.load(), mill_values(100)
    table = {"machine": ["pm1"] * 100, **dict(zip(SENSORS, values.T, strict=True))}
    np.testing.assert_array_equal(model.score(table)["score"], model.score(values)["score"])
    assert "event=no-time column='time' period_s=120" in caplog.text


def test_refused_rows_are_told_by_their_reason(
    mill: Path, model: sheetbreak.Model, caplog: pytest.LogCaptureFixture
) -> None:
    scored = model.score(pl.read_csv(mill / "mill.csv"))
    assert (scored["state"] == "dead-letter").sum() == 2
    assert "event=rows-refused reason=late count=1 of=721" in caplog.text
    assert "sort the table by time" in caplog.text


def test_a_word_or_a_number_for_a_missing_value_is_one(tmp_path: Path) -> None:
    model = plant_model(tmp_path / "models", Schema(sensors=SENSORS, missing=("-999",)))
    values = mill_values(60)
    whole = dict(zip(SENSORS, values.T.tolist(), strict=True))
    gone = whole | {"x3": [None if i == 40 else value for i, value in enumerate(whole["x3"])]}
    blank = model.score(gone)
    assert not np.array_equal(blank["score"], model.score(whole)["score"], equal_nan=True)
    for word in ("Bad Input", float("nan"), float("inf"), -999.0, "-999", "", pd.NA, pd.NaT):
        told = gone | {"x3": [word if i == 40 else value for i, value in enumerate(whole["x3"])]}
        np.testing.assert_array_equal(model.score(told)["score"], blank["score"])


GOOD: dict[str, Any] = {"machine": ["a", "a"], "time": ["2026-01-01T00:00:00Z", "2026-01-01T00:02:00Z"]}
GOOD |= {sensor: [1.0, 2.0] for sensor in SENSORS}


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({name: column for name, column in GOOD.items() if name != "x4"}, r'column "x4" is missing; .*machine, time'),
        (pd.DataFrame(GOOD).rename(columns={"x4": "X4"}), r'column "x4" is missing'),
        (pl.DataFrame({"time": []}), r"6 columns are missing: x1, x2, x3, x4, x5, x6"),
        (GOOD | {"x2": [1.0, "1_0"]}, r'row 1 \(from 0\), column x2: "1_0" is not a number'),
        (GOOD | {"x2": np.array(["2026-01-01", "2026-01-02"], "M8[s]")}, r"column x2 holds datetime64\[s\], expected"),
        (GOOD | {"x2": [1.0]}, r"different lengths: machine 2, .*x2 1"),
        (GOOD | {"x2": np.ones((2, 2))}, r"column x2: of shape \(2, 2\)"),
        (GOOD | {"time": ["2026-01-01T00:00:00Z", "noon"]}, r'row 1 \(from 0\), column time: "noon" is not a time'),
        (
            pd.DataFrame(GOOD | {"time": np.array(["2026-01-01", "NaT"], "M8[us]")}),
            r"row 1 .*column time: nothing is not",
        ),
        (GOOD | {"machine": ["a", ""]}, r"row 1 .*column machine: \"\" is not a machine's name"),
        (GOOD | {"broken": [0, 2]}, r'row 1 .*column broken: "2" is not a label'),
        (np.ones((4, 5)), r"of shape \(4, 5\), expected \(rows, 6\)"),
        (np.ones(6), r"of shape \(6,\), expected \(rows, 6\)"),
        ([[1.0] * 6], r"a list is no table of rows; a pandas or polars DataFrame"),
        ("rows.csv", r"a str is no table of rows"),
        (pl.LazyFrame(GOOD), r"a lazy frame has no rows yet: collect\(\) it"),
        (object(), r"a builtins object is no table that can be read"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_its_column_row_and_remedy(
    model: sheetbreak.Model, frame: Any, said: str
) -> None:
    for call in (model.score, model.explain):
        with pytest.raises(DataError, match=said):
            call(frame)


def test_a_model_or_an_option_that_is_not_there_is_told(model: sheetbreak.Model, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no current model"):
        sheetbreak.load(tmp_path / "none")
    with pytest.raises(DataError, match="leading is 7, expected 1 to 6"):
        model.explain(GOOD, leading=7)
    with pytest.raises(DataError, match="missing is 'drop', expected"):
        model.score(GOOD, missing="drop")  # type: ignore[call-overload]
    with pytest.raises(AttributeError, match="has no attribute 'lead'"):
        _ = sheetbreak.lead


def test_no_row_at_all_gives_an_empty_table_of_the_same_columns(model: sheetbreak.Model) -> None:
    frame = pd.DataFrame(GOOD)
    none = model.score(frame[:0])
    assert list(none.columns) == list(model.score(frame).columns)
    assert len(none) == 0
    assert len(model.score(np.empty((0, 6)))) == 0


def test_the_real_file_scores_as_in_the_monitor(real_csv: Path, tmp_path: Path) -> None:
    csv = tmp_path / "real.csv"
    csv.write_text("".join(real_csv.read_text().splitlines(keepends=True)[:1500]))
    frame = pd.read_csv(csv)
    sensors = tuple(name for name in frame.columns if name not in ("time", "y", "x28", "x61"))
    model = plant_model(tmp_path / "models", replace(PROCESSMINER, sensors=sensors))
    scored = model.score(frame)
    same(scored, monitored(csv, tmp_path / "models"))
    assert (scored["state"] == "scored").sum() > 1000
    assert (scored["state"] == "stopped").any()


def test_the_example_of_the_page_runs_as_it_stands(
    mill: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example, *_ = re.findall(r"```python\n(.*?)```", (checkout / "docs" / "python.md").read_text(), re.DOTALL)
    monkeypatch.chdir(mill)
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["unusual"]["over"].all()
    assert len(names["unusual"]) > 20
    assert list(names["why"].index) == list(names["unusual"].index)
    assert names["why"]["sensor 1"].iloc[0] in capsys.readouterr().out
    assert len(names["curves"]) == len(names["frame"])


def test_arrays_are_scored_without_any_library_of_tables_or_learning(mill: Path) -> None:
    program = """
import sys
import sheetbreak
first = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
import numpy as np
scored = sheetbreak.load("models").score({f"x{i}": np.arange(40.0) for i in range(1, 7)})
heavy = {"pandas", "narwhals", "tensorflow", "trainer"} & set(sys.modules)
print(len(scored["score"]), "numpy" in first, sorted(heavy))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=mill, check=True, capture_output=True, text=True, env=plain_environment()
    )
    assert done.stdout == "40 False []\n"


def test_a_version_that_is_not_there_is_told_with_those_that_are(mill: Path) -> None:
    (there,) = (path.name for path in (mill / "models").iterdir() if not path.is_symlink())
    with pytest.raises(ArtifactError, match=rf"models holds no model v9; it holds {there}$"):
        sheetbreak.load(mill / "models", "v9")
