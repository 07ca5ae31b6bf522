"""A row has one score: in training, from a file, through a pipe."""

import csv
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.support.running.services import plain_environment

SHEETBREAK = [sys.executable, "-m", "sheetbreak"]
EMIT = ["--emit", "alerts,scores,dead-letters", "--metrics-port", "0"]


RECIPES = [
    ["--preset", "default", "--family", "pca"],
    ["--preset", "rows", "--family", "pca"],
    ["--preset", "article", "--family", "pca"],
    ["--family", "lstm-variational", "--set", "window=5", "--set", "epochs=3"],
]


@pytest.fixture(scope="module", params=RECIPES, ids=" ".join)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with mill.csv (two machines) and models/, trained by the recipe."""
    folder = tmp_path_factory.mktemp("mill")
    for arguments in (
        ["simulate", "--days", "8", "--machines", "2", "--out", "mill.csv"],
        ["train", "mill.csv", *request.param],
    ):
        subprocess.run([*SHEETBREAK, *arguments], cwd=folder, check=True, capture_output=True, env=plain_environment())
    return folder


def test_replay_into_the_monitor_gives_the_bytes_that_the_file_gives_and_the_scores_of_the_training(
    trained: Path,
) -> None:
    from_file = _output(trained, ["monitor", "mill.csv", *EMIT])
    replayed = _output(trained, ["replay", "mill.csv", "--speed", "max"])
    from_pipe = _output(trained, ["monitor", "-", *EMIT], fed=replayed)
    assert from_file == from_pipe
    scores = {}
    for line in from_pipe.splitlines():
        message = msgspec.json.decode(line)
        if message["topic"] == "scores":
            scores[message["machine"], message["time"]] = message
    with next((trained / "models").glob("2*/evaluation/scores.csv")).open(newline="") as file:
        stored = list(csv.DictReader(file))
    assert len(stored) > 500
    for row in stored:
        live = scores[row["machine"], row["time"]]
        if not row["score"]:
            assert live["score"] is None
            continue
        assert live["score"] == pytest.approx(float(row["score"]), rel=1e-5)
        assert live["threshold"] == pytest.approx(float(row["threshold"]), rel=1e-5)
        assert live["over"] == (row["over"] == "1")


def _output(folder: Path, arguments: list[str], *, fed: bytes | None = None) -> bytes:
    done = subprocess.run(
        [*SHEETBREAK, *arguments],
        cwd=folder,
        input=fed,
        capture_output=True,
        check=True,
        env=plain_environment(),
    )
    return done.stdout
