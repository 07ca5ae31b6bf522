"""encode and generate as a user meets them: the codes that the decoder turns back, rows that train reads."""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sheetbreak.artifact import load
from sheetbreak.cli import dispatch, run
from sheetbreak.csvrows import read_csv
from sheetbreak.engine import advance
from tests.histories import SCHEMA_TOML, mill_like, write_csv
from tests.making import save_artifact
from tests.mill import mill_csv, save_model
from trainer.inputs import compute_inputs
from trainer.latent_model import load_halves


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mill.csv of two machines, and models/ with a pca of one row and (current) one of four rows."""
    folder = tmp_path_factory.mktemp("plant")
    (folder / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    write_csv(folder / "mill.csv", mill_like(500, machines=("a", "b")))
    arguments = [str(folder / "mill.csv"), "--schema", str(folder / "plant.toml"), "--models", str(folder / "models")]
    for more in ([], ["--set", "window=4"]):
        assert run(dispatch, ["train", *arguments, "--family", "pca", "--set", "latent=3", *more]) == 0
    return folder


def versions(models: Path) -> list[str]:
    return sorted(path.name for path in models.iterdir() if not path.is_symlink())


@pytest.mark.parametrize("window", [1, 4])
def test_codes_are_those_of_the_scored_rows_and_decode_to_what_the_monitor_rebuilds(plant: Path, window: int):
    models = plant / "models"
    version = versions(models)[0 if window == 1 else 1]
    model = load(models, version)
    assert model.manifest.window == window
    out = Path("codes.csv")
    where = ["--models", str(models), "--model", version]
    assert run(dispatch, ["encode", str(plant / "mill.csv"), *where, "--out", str(out)]) == 0
    with out.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["row", "time", "machine", "state", "z0", "z1", "z2"]
    _, rows = read_csv(plant / "mill.csv", sensors_from=model.manifest.schema)
    outcome = advance({}, rows, model)[1].outcome
    scored = [row for row, what in enumerate(outcome) if what in ("scored", "restarting")]
    assert [int(line["row"]) for line in lines] == scored
    assert [line["state"] for line in lines] == [outcome[row] for row in scored]
    assert [line["machine"] for line in lines] == [rows.machines[row] for row in scored]
    codes = np.array([[float(line[f"z{i}"]) for i in range(3)] for line in lines], np.float32)
    inputs = compute_inputs(
        rows, model.manifest.schema, features=model.manifest.features, window=window, break_is_stop=True
    )
    windows = inputs.windows(np.array(scored), model.manifest.scaler).gather()
    rebuilt = np.asarray(load_halves(models, model).decoder(codes))
    assert np.abs(rebuilt - model.reconstruct(windows)).max() < 1e-4


def test_parquet_and_standard_output_hold_the_same(plant: Path, capsys: pytest.CaptureFixture[str]):
    source = ["encode", str(plant / "mill.csv"), "--models", str(plant / "models")]
    assert run(dispatch, source) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert run(dispatch, [*source, "--out", "codes.parquet"]) == 0
    stored = pd.read_parquet("codes.parquet")
    assert (stored["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ") == printed["time"]).all()
    assert {str(stored[name].dtype) for name in ("z0", "z1", "z2")} == {"float32"}
    for name in ("row", "machine", "state"):
        assert (stored[name] == printed[name]).all()
    for name in ("z0", "z1", "z2"):
        assert (stored[name] == printed[name].astype(np.float32)).all(), "printed so that nothing is lost"


def test_a_model_that_was_altered_or_has_no_halves_or_brings_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    import keras

    plain = keras.Sequential([keras.Input((1, 6)), keras.layers.Dense(6)])
    code = keras.Sequential([keras.Input((1, 6)), keras.layers.Lambda(lambda x: x * 2)])
    for name, model in (("plain", plain), ("code", code)):
        model.save(f"{name}.keras")
    mill_csv(tmp_path / "mill.csv", 60)
    schema = save_model(tmp_path / "without").schema
    for models, content in (("plain", "plain"), ("code", "code"), ("altered", "plain")):
        save_artifact(tmp_path / models, schema, extra={"model.keras": Path(f"{content}.keras").read_bytes()})
    with Path("altered/current/model.keras").open("ab") as file:
        file.write(b"!")
    for models, told in (
        ("without", "the manifest lists no model.keras; train again"),
        ("plain", "no encoder and decoder that can be loaded: No such layer: encoder"),
        ("code", "no encoder and decoder that can be loaded: Requested the deserialization of a"),
        ("altered", "model.keras was altered after training"),
    ):
        assert run(dispatch, ["encode", "mill.csv", "--models", models]) == 2
        assert told in capsys.readouterr().err
    assert run(dispatch, ["encode", "mill.csv", "--models", "plain", "--out", "codes.txt"]) == 2
    assert "ends in .csv or .parquet" in capsys.readouterr().err


def test_nothing_can_be_drawn_from_a_family_without_a_prior(plant: Path, capsys: pytest.CaptureFixture[str]):
    assert run(dispatch, ["generate", "--rows", "5", "--models", str(plant / "models")]) == 2
    told = capsys.readouterr().err
    assert "is of family pca, which nothing can be drawn from; train one with --family variational or" in told
