"""Promises of `train --promote`: what becomes of the model, where that is written, and that a kill harms nothing."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sheetbreak.artifact import current_version, list_versions, load, read_manifest
from sheetbreak.artifact.promotion import read_decisions
from sheetbreak.cli.models import main as models_main
from tests.support.data.histories import SCHEMA_TOML, mill_like, write_csv
from tests.support.running.patience import PATIENCE_S
from tests.support.running.services import plain_environment
from trainer.commands.train import main
from trainer.output.text import WIDTH

MODELS = Path("models")
CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mill.csv, and noise.csv with the same names, times and breaks, whose sensors say nothing."""
    folder = tmp_path_factory.mktemp("histories")
    (folder / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    rows = mill_like(2400)
    write_csv(folder / "mill.csv", rows)
    rows.values[:] = np.random.default_rng(3).normal(size=rows.values.shape)
    write_csv(folder / "noise.csv", rows)
    return folder


def train(histories: Path, name: str, *arguments: str) -> str:
    """The version that was made."""
    before = set(list_versions(MODELS))
    schema = str(histories / "plant.toml")
    assert main([str(histories / name), "--schema", schema, "--family", "pca", *arguments]) == 0
    (made,) = set(list_versions(MODELS)) - before
    return made


def test_noise_never_replaces_a_model_that_knows_something_and_is_replaced_by_one(
    histories: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(histories, "mill.csv")
    assert current_version(MODELS) == first
    said = " ".join(capsys.readouterr().out.split())
    assert f"{first} (pca, preset default, threshold rate:5) is current in models" in said
    noise = train(histories, "noise.csv")
    lines = capsys.readouterr().out.splitlines()
    assert current_version(MODELS) == first
    assert max(map(len, lines)) <= WIDTH
    assert lines[-1] == f"  sheetbreak models promote {noise} --models models"
    said = " ".join(" ".join(lines).split())
    assert f"is a candidate in models; {first} stays current: no better than chance" in said
    assert "?. " not in said
    models_main(["promote", noise])
    better = train(histories, "mill.csv", "--seed", "1")
    assert current_version(MODELS) == better
    why = load(MODELS, better).manifest.training["promotion"]["gate"]
    assert why["compared_with"] == noise
    assert why["candidate"]["roc_auc"] > why["current"]["roc_auc"]
    capsys.readouterr()
    models_main(["show", noise])
    card = capsys.readouterr().out
    assert "| chance | **failed** | no better than chance" in card
    assert f"{better} promoted by if-better: not worse than {noise}" in card
    models_main(["verify"])
    assert "BAD" not in capsys.readouterr().out


def test_always_never_and_no_later_rows(histories: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(histories, "mill.csv", "--promote", "never")
    assert not (MODELS / "current").exists()
    first = train(histories, "mill.csv", "--split", "80/20/0")
    assert current_version(MODELS) == first
    blind = train(histories, "mill.csv")
    assert current_version(MODELS) == first
    assert "no row is later than what it and" in read_manifest(MODELS / blind).training["promotion"]["why"]
    capsys.readouterr()
    last = train(histories, "noise.csv", "--promote", "always", "--json")
    assert json.loads(capsys.readouterr().out)["training"]["promotion"]["by"] == "always"
    assert current_version(MODELS) == last
    found = [(one.by, one.decision) for one in read_decisions(MODELS)]
    assert found == [("never", "candidate"), ("first", "promoted"), ("if-better", "candidate"), ("always", "promoted")]


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
from sheetbreak.artifact import MODEL, current_version, load, write
from tests.support.models.making import low_rank_graph, make_manifest
from trainer.commands.parts.promotion import carry_out, decide_promotion

models = Path("models")
WRITES = {"open", "os.rename", "os.symlink", "os.mkdir", "os.remove"}

def save(seed):
    golden = np.random.default_rng(1).normal(size=(4, 1, 6)).astype(np.float32)
    files = {MODEL: low_rank_graph(6, seed=seed), "evaluation/scores.csv": b"row\\n"}
    promotion = decide_promotion("always", models, None, None, asked_per_day=None)
    made = write(models, make_manifest(), files=files, golden=golden, now=datetime.now(UTC))
    return carry_out(models, made, promotion)

def in_child(action, *arguments):
    # This process has never run a model: threads that one has started would not be there after a fork.
    child = os.fork()
    if not child:
        action(*arguments)
        os._exit(0)
    return os.waitpid(child, 0)[1]

def killed(n):
    left = [n]
    def count(event, _arguments):
        if event in WRITES or event == "os.replace":
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
    save(1)

assert in_child(save, 0) == 0
before = current_version(models)
found, n = before, 0
while found == before:
    n += 1
    in_child(killed, n)
    found = current_version(models)
    assert in_child(load, models) == 0
print(n, before, found)
"""


def test_a_kill_at_any_step_leaves_the_old_model_current_and_whole_or_the_new_one() -> None:
    """A process is killed at its first, second, … operation on a file, until one lives to make its model current."""
    command, environment = [sys.executable, "-c", KILLED], plain_environment(PYTHONPATH=str(CHECKOUT))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S, env=environment)
    assert done.returncode == 0, done.stderr
    steps, before, found = done.stdout.split()
    assert int(steps) > 10
    assert found != before
    assert load(MODELS).version == found
    assert {one.decision for one in read_decisions(MODELS)} == {"promoted"}
