"""The artifact's promises that are not a command's: what loading leaves alone, and what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.mill import save_model


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
