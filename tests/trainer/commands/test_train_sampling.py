"""Promises of `sheetbreak train` about sampling: learned, held against the rows, and no model that watches nothing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sheetbreak.artifact import load
from sheetbreak.cli.commands import run
from sheetbreak.engine.advance import advance
from sheetbreak.history.reader import read_csv
from sheetbreak.rows import RowBatch
from tests.support.data.histories import mill_like, write_csv
from trainer.commands.train import main

PLANT = '[columns]\ntime = "time"\nbroken = "broken"\nmachine = "machine"\n'


def train(rows: RowBatch, sampling: str = "") -> int:
    Path("plant.toml").write_text(f"{PLANT}[sampling]\n{sampling}\n")
    write_csv(Path("mill.csv"), rows)
    return run(main, ["mill.csv", "--schema", "plant.toml", "--family", "pca"])


def schema_of_model() -> dict:
    found: dict = json.loads(Path("models/current/manifest.json").read_bytes())["schema"]
    return found


def slower(rows: RowBatch, times: int) -> RowBatch:
    return replace(rows, times_us=rows.times_us * times)


def test_rows_of_ten_minutes_are_trained_on_without_a_word_about_sampling(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(slower(mill_like(900), 5)) == 0
    assert (schema_of_model()["period_s"], schema_of_model()["stop_gap_s"]) == (600.0, 900.0)
    assert "a row every 10 min (found); a gap longer than 15 min is a stop (learned)" in capsys.readouterr().out


def test_two_rows_in_a_hundred_lost_hardly_leave_the_machine_unwatched() -> None:
    rows = mill_like(1500)
    kept = np.flatnonzero(np.random.default_rng(0).random(len(rows)) >= 0.02)
    outcomes = {}
    for name, some in (("clean", rows), ("lossy", rows.take(kept))):
        assert train(some) == 0
        model = load(Path("models"))
        _, read = read_csv(Path("mill.csv"), sensors_from=model.manifest.schema)
        outcomes[name] = advance({}, read, model)[1].outcome.count("restarting")
    assert outcomes["lossy"] <= 1.08 * outcomes["clean"]


@pytest.mark.parametrize(("given_s", "factor"), [(120, 5), (600, 1)])
def test_a_period_that_the_rows_do_not_have_is_refused(
    given_s: int, factor: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(slower(mill_like(900), factor), f"period_s = {given_s}") == 2
    error = capsys.readouterr().err
    assert f"sampling.period_s = {given_s} in --schema, but the rows are {120 * factor} s apart" in error
    assert not Path("models").exists()


def test_a_model_that_would_watch_nothing_does_not_become_current(capsys: pytest.CaptureFixture[str]) -> None:
    rows = mill_like(900)
    assert train(rows) == 0
    before = Path("models/current").readlink()
    jitter = np.random.default_rng(0).integers(-40, 40, len(rows)) * 1_000_000
    assert train(replace(rows, times_us=rows.times_us + jitter), "period_s = 120\nstop_gap_s = 121") == 2
    error = capsys.readouterr().err
    assert "mill.csv: the model would watch nothing: none of its 900 rows can open an alert" in error
    assert "a gap longer than 121 s is a stop" in error
    assert Path("models/current").readlink() == before


def test_nor_does_one_that_watches_no_row_before_a_break(capsys: pytest.CaptureFixture[str]) -> None:
    rows = mill_like(900, break_every=None)
    broken = np.zeros(len(rows), np.int8)
    broken[3:300:8] = 1  # then none: each row before a break comes within fifteen after another
    assert train(replace(rows, broken=broken)) == 2
    error = capsys.readouterr().err
    assert "rows before a break can open an alert" in error
    assert "shortly after a stop" in error
