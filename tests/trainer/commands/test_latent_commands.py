"""encode and generate as a user meets them: the codes that the decoder turns back, rows that train reads."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sheetbreak.artifact import list_versions, load
from sheetbreak.cli.commands import dispatch, run
from sheetbreak.engine.advance import advance
from sheetbreak.errors import DataError
from sheetbreak.history.reader import PROCESSMINER, read_csv
from sheetbreak.history.schema_file import load_schema
from sheetbreak.rows import INTACT, Schema
from sheetbreak.times import parse_time
from tests.support.data.histories import SCHEMA_TOML, mill_like, write_csv
from tests.support.models.making import save_artifact
from tests.support.models.mill import mill_csv, save_model
from trainer.commands.generate import csv_lines, times_of
from trainer.data.history import fold_history
from trainer.data.inputs import compute_inputs
from trainer.latent.model import load_halves


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """two.csv of two machines, and models/ with a pca of one row and (current) one of four; one.csv of one machine, and
    rows/ and windows/ each with a variational model of it.
    """
    folder = tmp_path_factory.mktemp("plant")
    (folder / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    write_csv(folder / "two.csv", mill_like(450, machines=("a", "b")))
    write_csv(folder / "one.csv", mill_like(1000))
    for mill, models, family, window, latent in (
        ("two.csv", "models", "pca", 1, 3),
        ("two.csv", "models", "pca", 4, 3),
        ("one.csv", "rows", "variational", 1, 3),
        ("one.csv", "windows", "variational", 4, 10),  # of two causes in each row of which the next knows nothing
    ):
        where = ["--schema", str(folder / "plant.toml"), "--models", str(folder / models), "--family", family]
        settings = ["--set", f"latent={latent}", "--set", f"window={window}"]
        assert run(dispatch, ["train", str(folder / mill), *where, *settings, "--promote", "always"]) == 0
    return folder


def versions(models: Path) -> list[str]:
    return list_versions(models)


@pytest.mark.parametrize("window", [1, 4])
def test_codes_are_those_of_the_scored_rows_and_decode_to_what_the_monitor_rebuilds(plant: Path, window: int):
    models = plant / "models"
    # By window and not by name: of models of one second the names' order is chance.
    model = next(one for version in versions(models) if (one := load(models, version)).manifest.window == window)
    version = model.version
    out = Path("codes.csv")
    where = ["--models", str(models), "--model", version]
    assert run(dispatch, ["encode", str(plant / "two.csv"), *where, "--out", str(out)]) == 0
    with out.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["row", "time", "machine", "state", "z0", "z1", "z2"]
    _, rows = read_csv(plant / "two.csv", sensors_from=model.manifest.schema)
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
    source = ["encode", str(plant / "two.csv"), "--models", str(plant / "models")]
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


def generate(plant: Path, models: str, out: str, *more: str) -> Path:
    assert run(dispatch, ["generate", "--models", str(plant / models), "--out", out, *more]) == 0
    return Path(out)


def far_apart(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference of the correlations of two tables (rows, sensors) without sensors at rest."""
    moving = (a.std(axis=0) > 0) & (b.std(axis=0) > 0)
    difference = np.corrcoef(a[:, moving].T) - np.corrcoef(b[:, moving].T)
    return float(np.sqrt(np.mean(difference[np.triu_indices(len(difference), 1)] ** 2)))


@pytest.mark.parametrize("models", ["rows", "windows"])
def test_generated_rows_have_the_moments_and_correlations_of_the_training_rows(plant: Path, models: str):
    """As features: levels drift in the mill, and what a model knows is each sensor against its recent past."""
    using = load(plant / models)
    schema = using.manifest.schema
    drawn = read_csv(generate(plant, models, "drawn.csv", "--rows", "3000"), sensors_from=schema)[1]
    real = read_csv(plant / "one.csv", sensors_from=schema)[1].take(slice(0, 600))  # the first 60 %
    folded = [fold_history(rows, using) for rows in (drawn, real)]
    made, true = (using.scorer.scale(one.z[one.warm & (one.run >= 0)]).astype(float) for one in folded)
    between_halves = far_apart(true[::2], true[1::2])
    assert far_apart(made, true) < 0.1 + between_halves
    shuffled = np.column_stack([np.random.default_rng(i).permutation(column) for i, column in enumerate(true.T)])
    assert far_apart(made, true) < far_apart(shuffled, true) / 2
    assert (np.abs(made.mean(axis=0) - true.mean(axis=0)) < 0.5 * true.std(axis=0)).all()
    assert made.std(axis=0) == pytest.approx(true.std(axis=0), rel=0.35)


@pytest.mark.parametrize("models", ["rows", "windows"])
def test_the_same_seed_gives_the_same_bytes_and_fewer_rows_their_beginning(plant: Path, models: str):
    first, again, other = (
        generate(plant, models, f"{name}.csv", "--rows", "50", "--seed", seed).read_bytes()
        for name, seed in (("first", "3"), ("again", "3"), ("other", "4"))
    )
    assert first == again
    assert first != other
    assert len(first.splitlines()) == 51


def test_generated_rows_are_a_history_that_train_and_replay_read(plant: Path):
    drawn = generate(plant, "rows", "drawn.csv", "--rows", "500", "--machine", "b,2", "--from", "1999-12-31T23:56:00Z")
    schema, rows = read_csv(drawn, load_schema(plant / "plant.toml"))
    assert schema.sensors == load(plant / "rows").manifest.schema.sensors
    assert set(rows.machines) == {"b,2"}
    assert rows.times_us.tolist() == [parse_time("1999-12-31T23:56:00Z") + i * 120_000_000 for i in range(500)]
    assert (rows.broken == INTACT).all()
    assert np.isfinite(rows.values).all()
    where = ["--schema", str(plant / "plant.toml")]
    assert run(dispatch, ["train", str(drawn), *where, "--family", "pca"]) == 0
    assert run(dispatch, ["replay", str(drawn), *where, "--speed", "max", "--until", "7", "--to", "out.ndjson"]) == 0
    assert len(Path("out.ndjson").read_bytes().splitlines()) == 7


def test_the_published_layout_is_recognised_in_generated_rows():
    schema = replace(PROCESSMINER, sensors=tuple(f"x{i}" for i in range(1, 61) if i != 28))
    values = np.arange(118.0).reshape(2, 59)
    lines = [*csv_lines(schema, times_of(schema, "2026-01-05T00:00:00Z", 2), values, machine="pm1")]
    Path("drawn.csv").write_bytes(b"".join(lines))
    found, rows = read_csv(Path("drawn.csv"))
    assert replace(found, csv=schema.csv, lost_rows_s=schema.lost_rows_s) == schema  # what only the file itself shows
    assert (rows.values == values).all()
    assert rows.grades == [None, None]


def test_times_are_written_as_the_plant_writes_them_or_refused_where_they_would_be_read_otherwise():
    local = Schema(time="t", time_format="%d.%m.%Y %H:%M", timezone="Europe/Helsinki")
    assert times_of(local, "2026-01-05T00:00:00Z", 2) == ["05.01.2026 02:00", "05.01.2026 02:02"]
    assert times_of(Schema(time="t", period_s=0.5), "2026-01-05T00:00:00Z", 2)[1] == "2026-01-05T00:00:00.500000Z"
    assert times_of(Schema(), "2026-01-05T00:00:00Z", 2) == ["", ""]
    for schema, start, told in (
        (local, "2026-10-25T00:30:00Z", "cannot be told by times like 25.10.2026 03:00"),
        (replace(local, period_s=1.0), "2026-01-05T00:00:00Z", "rows 1 s apart cannot be told"),
        (local, "2026-01-05", "has no time zone"),
        (local, "yesterday", "--from yesterday"),
        (local, "9998-12-31T23:00:00Z", "leave the years 2 to 9998"),
    ):
        with pytest.raises(DataError, match=told):
            times_of(schema, start, 100)
