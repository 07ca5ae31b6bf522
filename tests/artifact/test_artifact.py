"""The artifact's promises that are not a command's: what loading leaves alone, and what it refuses."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sheetbreak.artifact import check_writable, current_version
from sheetbreak.errors import ArtifactError
from tests.support.models.mill import save_model


def test_scoring_leaves_no_trace_of_this_machine_in_its_users_home(tmp_path: Path) -> None:
    """ONNX Runtime's telemetry starts with an id in ~/.cache; a mill's network is nobody else's business."""
    home, models = tmp_path / "home", tmp_path / "models"
    home.mkdir()
    save_model(models)
    program = "import sys; from pathlib import Path; from sheetbreak.artifact import load; load(Path(sys.argv[1]))"
    # A clean environment: the variables of a CI runner silence the telemetry, too.
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", program, str(models)], check=True, env=environment)
    assert [path.name for path in home.rglob("*")] == []


def test_a_directory_that_cannot_be_written_is_told_before_a_training_and_is_left_as_it_was(tmp_path: Path) -> None:
    check_writable(tmp_path / "models")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="--models names a directory that can be written"):
        check_writable(tmp_path / "file" / "models")


def test_an_artifact_that_could_not_be_written_whole_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = save_model(tmp_path)
    before = sorted(path.name for path in tmp_path.rglob("*"))

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ArtifactError, match="No space left on device"):
        save_model(tmp_path, level=2.5)
    with pytest.raises(ArtifactError, match="No space left on device"):
        check_writable(tmp_path)
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert current_version(tmp_path) == first.version
