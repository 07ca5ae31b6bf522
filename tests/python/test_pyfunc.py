"""Models exported for MLflow: read as MLflow reads them, without it, and scored to the bit."""

import importlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

import sheetbreak
from sheetbreak.artifact import use
from sheetbreak.cli.models import main
from sheetbreak.errors import ArtifactError, DataError
from tests.support.models.mill import SENSORS, mill_csv, save_model

SOON, LATER = datetime(2026, 5, 1, 10, 15, tzinfo=UTC), datetime(2026, 5, 2, 10, 15, tzinfo=UTC)


@pytest.fixture
def versions(tmp_path: Path) -> list[str]:
    """Two models in ./models; the later one has another level and is current."""
    return [save_model(tmp_path / "models", now=SOON).version, save_model(Path("models"), level=1.2, now=LATER).version]


def loaded(directory: Path) -> Any:
    """What `mlflow.pyfunc.load_model` does with a directory."""
    flavour = msgspec.yaml.decode((directory / "MLmodel").read_bytes())["flavors"]["python_function"]
    return importlib.import_module(flavour["loader_module"])._load_pyfunc(str(directory / flavour["data"]))


@pytest.mark.parametrize("named", [None, 0, 1])
def test_an_exported_model_scores_a_frame_to_the_bit(
    versions: list[str], named: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    version = versions[-1 if named is None else named]
    assert main(["export", *([] if named is None else [version]), "--mlflow", "out/exported"]) == 0
    assert capsys.readouterr().out == f"{version} is in out/exported, in MLflow's format\n"
    frame = pd.read_csv(mill_csv(Path("mill.csv"), 300, breaks=(150,)))
    scored = loaded(Path("out/exported")).predict(frame)
    pd.testing.assert_frame_equal(scored, sheetbreak.load("models", version).score(frame), check_exact=True)
    assert list(scored.columns[-4:]) == ["score", "threshold", "ratio", "over"]
    assert np.isfinite(scored["score"]).sum() > 200


def test_the_directory_is_whole_wherever_it_is_moved_and_holds_no_link(versions: list[str], tmp_path: Path) -> None:
    main(["export", "--mlflow", "exported"])
    (tmp_path / "models").rename("gone")
    moved = Path("exported").rename("moved")
    assert not [path for path in moved.rglob("*") if path.is_symlink()]
    assert loaded(moved).model.version == versions[-1]
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


def test_its_files_are_yaml_and_name_files_that_are_there(versions: list[str]) -> None:
    main(["export", "--mlflow", "exported"])
    described = msgspec.yaml.decode(Path("exported/MLmodel").read_bytes())
    assert described["metadata"]["version"] == versions[-1]
    assert described["metadata"]["sensors"] == list(SENSORS)
    assert datetime.fromisoformat(described["utc_time_created"]) == LATER.replace(tzinfo=None)
    env = described["flavors"]["python_function"]["env"]
    assert msgspec.yaml.decode(Path("exported", env["conda"]).read_bytes())["dependencies"][-1] == {
        "pip": ["-r requirements.txt"]
    }
    assert msgspec.yaml.decode(Path("exported", env["virtualenv"]).read_bytes())["dependencies"] == [
        "-r requirements.txt"
    ]
    assert "sheetbreak[frames]" in Path("exported/requirements.txt").read_text()


def test_names_that_are_special_in_yaml_stay_what_they_are(tmp_path: Path) -> None:
    sensors = ("yes", "1e3", "a: b # c", "{pressure}", "Überdruck °C", "- x", "null", "'")
    save_model(tmp_path / "models", sensors=sensors)
    main(["export", "--mlflow", "exported"])
    described = msgspec.yaml.decode(Path("exported/MLmodel").read_bytes())
    assert described["metadata"]["sensors"] == list(sensors)


def test_a_directory_that_exists_is_refused_and_left_as_it_was(versions: list[str], tmp_path: Path) -> None:
    Path("exported").mkdir()
    Path("dangling").symlink_to("nowhere")
    for name in ("exported", "dangling"):
        with pytest.raises(DataError, match=f"{name} exists; .* name another"):
            main(["export", "--mlflow", name])
    assert not list(Path("exported").iterdir())
    Path("file").write_text("")
    with pytest.raises(DataError, match=r"file/exported: .*; name a directory in a place that can be written"):
        main(["export", "--mlflow", "file/exported"])


def test_what_is_not_sound_is_not_exported(versions: list[str]) -> None:
    with pytest.raises(ArtifactError, match="models holds no model absent"):
        main(["export", "absent", "--mlflow", "exported"])
    use(Path("models"), versions[0])
    (Path("models") / versions[0] / "model.onnx").write_bytes(b"something else")
    with pytest.raises(ArtifactError, match="altered"):
        main(["export", "--mlflow", "exported"])
    assert not Path("exported").exists()


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "manifest.json"])
def test_hashes_are_verified_when_it_is_loaded(versions: list[str], name: str) -> None:
    main(["export", "--mlflow", "exported"])
    file = Path("exported/data") / versions[-1] / name
    file.write_bytes(file.read_bytes().replace(b"trailing:.9", b"trailing:.8")[: -1 if name == "golden.npz" else None])
    if name == "model.onnx":
        file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ArtifactError, match="altered after training"):
        loaded(Path("exported"))
