"""A mill's own export becomes a model and scores in three commands, without a hand on any file, and no row is lost."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.support.data.exports import Export, mill_export, write_csv_export, write_workbook
from tests.support.running.services import plain_environment

Writer = Callable[[Path, Export], Path]


def sheetbreak(*arguments: Path | str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-m", "sheetbreak", *map(str, arguments)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=plain_environment())
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "mill.csv"
    sheetbreak("simulate", "--days", "8", "--seed", "3", "--out", path)
    return path


@pytest.mark.parametrize(
    ("name", "write", "zone"),
    [("export.csv", write_csv_export, "Europe/Helsinki"), ("export.xlsx", write_workbook, "Europe/Berlin")],
)
def test_an_export_is_inspected_trained_on_and_scored_in_three_commands(
    tmp_path: Path, simulated: Path, name: str, write: Writer, zone: str
) -> None:
    export = mill_export(simulated, zone=zone, sensors=12)
    path, plant, models = write(tmp_path / name, export), tmp_path / "plant.toml", tmp_path / "models"
    page = sheetbreak("inspect", path, "--write", plant).stdout
    assert f'timezone = "{zone}"' in plant.read_text(encoding="utf-8")
    assert "Training stops" not in page
    told = sheetbreak("train", path, "--schema", plant, "--models", models, "--family", "pca").stderr
    assert told.count("loading TensorFlow") == 1
    out = sheetbreak("monitor", path, "--models", models, "--emit", "scores,dead-letters", "--metrics-port", "0").stdout
    messages = [msgspec.json.decode(line) for line in out.splitlines()]
    assert Counter(message["topic"] for message in messages) == {"scores": len(export.rows)}
    breaks = sum(row[1] == "Abriss" for row in export.rows)
    assert sum(message["state"] == "stopped" for message in messages) == breaks > 3
    assert [message["time"] for message in messages] == sorted({message["time"] for message in messages})
