"""Virtual environment for quix-streams: its requirements are no part of the product's."""

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "requirements.txt"
VENV = Path(__file__).resolve().parent / ".venv"


def quix_python() -> Path:
    """Its interpreter; the environment is made when it is not there or the requirements have changed."""
    python, stamp = VENV / "bin" / "python", VENV / ".requirements.txt"
    wanted = REQUIREMENTS.read_text()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"quix-streams: making {VENV}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
        subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(REQUIREMENTS)], check=True)
        stamp.write_text(wanted)
    return python
