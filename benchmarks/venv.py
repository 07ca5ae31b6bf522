"""Virtual environments for what is measured beside the product: its requirements are none of ours."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def python_with(requirements: Path, venv: Path, *, name: str, also: Callable[[Path], None] = lambda _: None) -> Path:
    """An interpreter with what a hash-pinned file lists; made when it is not there or the file has changed.

    name: what is installed, for people. also: what else is done to the environment as it is made.
    """
    python, stamp = venv / "bin" / "python", venv / ".requirements.txt"
    wanted = requirements.read_text()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"{name}: making {venv}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
        subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(requirements)], check=True)
        also(venv)
        stamp.write_text(wanted)
    return python
