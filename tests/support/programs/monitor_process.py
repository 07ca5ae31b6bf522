"""Monitor as a process: what a user starts, feeds, signals and kills."""

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.support.running.patience import PATIENCE_S

ALL = "alerts,scores,dead-letters"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "monitor", *arguments, "--metrics-port", "0"]


def run(*arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run to the end."""
    return subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        check=False,
    )


def messages(output: bytes) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in output.splitlines()]


class Running:
    """A monitor on a pipe; use as a context."""

    def __init__(self, arguments: Sequence[str], *, stderr: Path) -> None:
        self._log = stderr.open("wb")
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
        )
        self.stderr = stderr

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self._log):
            if file is not None:
                file.close()

    def send(self, *rows: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(row + b"\n" for row in rows))

    def answer(self) -> dict[str, Any]:
        """The next line that comes out."""
        assert self.process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
            assert ready, f"no answer; it said: {self.stderr.read_text()}"
            byte = os.read(self.process.stdout.fileno(), 1)
            assert byte, f"ended; it said: {self.stderr.read_text()}"
            line += byte
        decoded: dict[str, Any] = msgspec.json.decode(line)
        return decoded

    def wait(self) -> int:
        """Its exit code."""
        return self.process.wait(PATIENCE_S)
