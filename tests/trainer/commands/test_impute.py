"""Imputation of histories: as the monitor estimates, only blanks change, and what cannot be estimated is told."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.artifact import load
from sheetbreak.cli.commands import dispatch, run
from sheetbreak.engine.advance import advance
from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Float32s, Scaler
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.history.reader import read_csv
from sheetbreak.rows import RowBatch
from tests.support.data.histories import mill_like, schema_of, with_values
from tests.support.models.making import make_artifact, make_manifest
from tests.support.models.mill import mill_csv, save_model
from trainer.commands.impute import fill_cells
from trainer.data.history import fold_history
from trainer.latent.imputation import MODEL, SHORT_RUN, STOPPED, WARMING_UP, hold_last, impute, windows_around

SENSORS = 6
NAN = float("nan")


def holed(rows: RowBatch, share: float = 0.1, *, seed: int = 1) -> RowBatch:
    """The rows with a cell missing in some of them, of one sensor at a time."""
    rng, values = np.random.default_rng(seed), rows.values.copy()
    gone = rng.random(len(rows)) < share
    values[gone, rng.integers(rows.values.shape[1], size=int(gone.sum()))] = NAN
    return with_values(rows, values)


HISTORY = holed(mill_like(300, sensors=SENSORS, machines=("a", "b")))


def model(window: int = 1, **changes: Any) -> Artifact:
    return make_artifact(schema_of(SENSORS), window=window, **changes)


# The fold and the windows


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("break_is_stop", [True, False])
def test_a_history_is_folded_as_the_engine_folds_it(window: int, break_is_stop: bool):
    using, asked = model(window, break_is_stop=break_is_stop), list[Float32s]()

    def spy(windows: Float32s) -> Float32s:
        asked.append(windows.copy())
        return windows

    folded = fold_history(HISTORY, using)
    for machine in ("a", "b"):
        own = np.flatnonzero(np.array(HISTORY.machines) == machine)
        _, results = advance({}, HISTORY.take(own), Artifact.of(using.manifest, spy))
        outcome = np.array(results.outcome)
        assert (folded.stopped[own] == (outcome == "stopped")).all()
        assert (folded.run[own] >= 0).tolist() == (~np.isin(outcome, ["stopped", "dead_letter"])).tolist()
        ends = own[np.isin(outcome, ["scored", "restarting"])]
        assert folded.warm[ends].all()
        run_of = {run: np.flatnonzero(folded.run == run) for run in np.unique(folded.run)}
        windows = np.concatenate(asked)  # of one batch, in the order of its rows, however many calls it took
        asked.clear()
        for end, seen in zip(ends, windows, strict=True):
            run = run_of[folded.run[end]]
            last = int(np.searchsorted(run, end))
            assert using.scorer.scale(folded.z[run[last - window + 1 : last + 1]]) == pytest.approx(seen, abs=1e-6)
    taken = folded.run >= 0
    back = (folded.centre + folded.z * folded.spread)[taken]
    seen_values = HISTORY.values[taken]
    assert back[~np.isnan(seen_values)] == pytest.approx(seen_values[~np.isnan(seen_values)], abs=1e-9)


@pytest.mark.parametrize("window", [1, 4, 5, 59, 60])
def test_a_window_lies_within_its_run_and_has_its_row_as_near_the_middle_as_can_be(window: int):
    folded = fold_history(HISTORY, model())
    wanted = np.arange(len(HISTORY))
    able, windows, place = windows_around(folded, wanted, window)
    length = {run: int((folded.run == run).sum()) for run in np.unique(folded.run)}
    assert able.tolist() == [row for row in wanted if folded.run[row] >= 0 and length[folded.run[row]] >= window]
    for row, about, at in zip(able, windows, place, strict=True):
        run = np.flatnonzero(folded.run == folded.run[row])
        where = int(np.searchsorted(run, row))
        first = int(np.searchsorted(run, about[0]))
        assert about.tolist() == run[first : first + window].tolist()
        assert about[at] == row
        best = min(range(len(run) - window + 1), key=lambda start: abs(where - start - window // 2))
        assert abs(at - window // 2) == abs(where - best - window // 2)


def test_hold_last_is_what_pandas_calls_forward_fill_on_each_machine():
    fallback = np.arange(SENSORS, dtype=np.float64)
    values = HISTORY.values.copy()
    values[:7, 1] = NAN  # nothing to hold yet
    table = pd.DataFrame(values).groupby(np.array(HISTORY.machines)).ffill()
    expected = table.fillna(dict(enumerate(fallback.tolist()))).to_numpy()
    assert (hold_last(with_values(HISTORY, values), fallback) == expected).all()


# The values


def test_a_row_model_imputes_what_the_monitor_shows_live_as_the_estimate():
    schema = schema_of(5)  # as many as `top` names, and one of five may be missing
    rows = holed(mill_like(200, sensors=5))
    using = make_artifact(schema, threshold=Threshold(0.0, "fixed"))
    found = impute(rows, using)
    _, live = advance({}, rows, using, missing="model")
    compared = 0
    for row, names in live.imputed.items():
        if live.outcome[row] not in ("scored", "restarting"):
            assert found.by[row] == WARMING_UP
            continue
        shown = {top.sensor: top.observed for top in live.top[row]}
        for name in names:
            assert found.values[row, schema.sensors.index(name)] == pytest.approx(shown[name], rel=1e-6)
            compared += 1
        assert found.by[row] == MODEL
    assert compared > 10


def test_where_sensors_have_common_causes_the_error_is_that_of_the_regression_on_the_others():
    """Independent rows of two causes and noise: the least-squares fit errs by the noise and by its own uncertainty,
    sigma² (1 + leverage); a sensor's past says nothing, so the last value and interpolation err by its whole spread.
    """
    rng, noise, n = np.random.default_rng(0), 0.2, 4000
    causes = rng.normal(size=(SENSORS, 2))
    projection = (causes @ np.linalg.pinv(causes)).astype(np.float32)
    plain = make_manifest(
        schema_of(SENSORS),
        features=FeatureParams("identity", (0.0,) * SENSORS),
        scaler=Scaler((0.0,) * SENSORS, (1.0,) * SENSORS),
    )
    true = rng.normal(size=(n, 2)) @ causes.T + noise * rng.normal(size=(n, SENSORS))
    masked = holed(with_values(mill_like(n, sensors=SENSORS, break_every=None), true), 0.5)
    found = impute(masked, Artifact.of(plain, lambda windows: windows @ projection))
    linear = pd.DataFrame(masked.values).interpolate().to_numpy()
    held = hold_last(masked, np.zeros(SENSORS))
    for sensor in range(SENSORS):
        others = np.delete(causes, sensor, axis=0)
        leverage = causes[sensor] @ np.linalg.inv(others.T @ others) @ causes[sensor]
        gone = found.missing[:, sensor]
        error, of_linear, of_held = (
            float(np.sqrt(np.mean((values[gone, sensor] - true[gone, sensor]) ** 2)))
            for values in (found.values, linear, held)
        )
        assert error == pytest.approx(noise * np.sqrt(1 + leverage), rel=0.15)  # some 330 cells: 4 % is one sd
        assert of_held == pytest.approx(np.sqrt(2) * true[:, sensor].std(), rel=0.15)
        assert error < of_linear < of_held


def test_what_the_model_cannot_fill_keeps_the_last_value_and_says_why():
    rows = mill_like(90, sensors=SENSORS, break_every=30)
    values = rows.values.copy()
    places = {5: WARMING_UP, 29: STOPPED, 40: MODEL, 65: MODEL}
    values[list(places), 2] = NAN
    values[70, :2] = NAN  # more than a fifth: the engine takes such a row for a dead letter
    found = impute(with_values(rows, values), model())
    assert {row: found.by[row] for row in places} == places
    assert found.by[70] == "too many missing"
    assert found.values[29, 2] == values[28, 2]
    assert (found.values[70, :2] == values[69, :2]).all()
    assert found.values[40, 2] != values[39, 2]
    assert not np.isnan(found.values).any()
    seen = ~np.isnan(values)
    assert (found.values[seen] == values[seen]).all()
    short = impute(with_values(rows, values), model(window=30))
    assert (short.by[40], short.by[65], short.by[5]) == (SHORT_RUN, SHORT_RUN, WARMING_UP)


# The file

cell = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=4)


@given(st.lists(st.tuples(cell, st.booleans()), min_size=1, max_size=8), st.data(), st.sampled_from(["", "\r", "\r\n"]))
def test_filling_cells_leaves_every_other_byte(cells: list[tuple[str, bool]], data: st.DataObject, end: str):
    raw = ['"' + text.replace('"', '""') + '"' if quoted or set(text) & set(',"') else text for text, quoted in cells]
    places = data.draw(st.sets(st.integers(0, len(raw) - 1)))
    line = (",".join(raw) + end).encode()
    filled = fill_cells(line, dict.fromkeys(places, b"1.5"))
    assert filled == (",".join("1.5" if i in places else text for i, text in enumerate(raw)) + end).encode()
    if not end:
        read = next(csv.reader([filled.decode()], strict=True)) or [""]
        assert read == ["1.5" if i in places else text for i, (text, _) in enumerate(cells)]


def odd_csv() -> bytes:
    """Byte order mark, CRLF, quotation, a column of text, a blank line, no newline at the end."""
    lines = ["\ufeffx1,time,note,broken,machine,x2,x3,x4,x5,x6"]
    for i in range(30):
        x1, x2 = "" if i == 27 else f"{i % 3}.0", '""' if i == 28 else " 2"
        lines.append(f'{x1},2026-01-01T00:{2 * i:02d}:00Z,"a ""b"", c",0,pm1,{x2},1.50,"4",0.1,7')
    lines.insert(10, "")
    return "\r\n".join(lines).encode()


def test_a_file_keeps_its_bytes_but_for_the_blank_cells(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]):
    save_model(tmp_path / "models")
    Path("odd.csv").write_bytes(odd_csv())
    assert run(dispatch, ["impute", "odd.csv", "--flags", "flags.csv"]) == 0
    out, err = capsysbinary.readouterr()
    before, after = odd_csv().split(b"\n"), out.split(b"\n")
    assert [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == [29, 30]
    assert err == b"odd.csv: 2 missing cells filled, 2 by the model\n"
    flags = list(csv.DictReader(Path("flags.csv").read_text().splitlines()))
    assert [(flag["row"], flag["sensor"], flag["by"]) for flag in flags] == [
        ("27", "x1", "model"),
        ("28", "x2", "model"),
    ]
    assert after[29] == flags[0]["value"].encode() + before[29]
    x2 = flags[1]["value"].encode()
    assert after[30] == before[30].replace(b'pm1,""', b"pm1," + x2)
    Path("filled.csv").write_bytes(out)
    assert not np.isnan(
        read_csv(Path("filled.csv"), sensors_from=load(tmp_path / "models").manifest.schema)[1].values
    ).any()
    assert run(dispatch, ["impute", "filled.csv", "--out", "again.csv"]) == 0
    assert Path("again.csv").read_bytes() == out
    assert capsysbinary.readouterr() == (b"", b"filled.csv: nothing is missing\n")


def test_a_table_whose_lines_stand_in_quotes_as_a_whole_does_so_filled(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    def quoted(table: bytes) -> bytes:
        lines = [line.replace(b'"', b'""') for line in table.split(b"\r\n")]
        return b"\r\n".join(b'"' + line + b'"' if line else line for line in lines)

    save_model(tmp_path / "models")
    plain = odd_csv().decode("utf-8-sig").encode()
    Path("plain.csv").write_bytes(plain)
    Path("quoted.csv").write_bytes(quoted(plain))
    assert run(dispatch, ["impute", "plain.csv"]) == run(dispatch, ["impute", "quoted.csv", "--out", "filled.csv"]) == 0
    out, err = capsysbinary.readouterr()
    assert Path("filled.csv").read_bytes() == quoted(out)
    assert b"30 lines stand in quotes as a whole" in err


def test_what_the_user_must_change_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_model(tmp_path / "models")
    mill_csv(tmp_path / "mill.csv", 40)
    for arguments, told in (
        (
            ["impute", "mill.csv", "--model", "none"],
            "models holds no model none; sheetbreak models lists those it holds",
        ),
        (["impute", "mill.csv", "--models", "."], "holds no current model; run sheetbreak train"),
        (["impute", "mill.csv", "--out", "no/where.csv"], "cannot write no/where.csv: No such file or directory"),
        (["impute", "mill.csv", "--out", "a", "--flags", "a"], "--flags and --out both name a"),
    ):
        assert run(dispatch, arguments) == 2
        assert told in capsys.readouterr().err
    (tmp_path / "models" / "current" / "model.onnx").write_bytes(b"other")
    assert run(dispatch, ["impute", "mill.csv"]) == 2
    assert "model.onnx was altered after training" in capsys.readouterr().err
