"""A Dask cluster on this machine: a scheduler and workers as processes of their own, as a site would run them."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from tests.support.services import need, plain_environment

PATIENCE_S = 120.0


class Cluster:
    """A context with `workers` worker processes of one thread each; no nanny, so that a killed worker stays away."""

    def __init__(self, folder: Path, *, workers: int = 2) -> None:
        try:
            import distributed  # noqa: F401 - is it there?
        except ModuleNotFoundError:
            need(condition=False, message="no distributed; pip install 'sheetbreak[cluster]'")
        self._folder, self._wanted = folder, workers
        self.address = ""
        self.workers: list[subprocess.Popen[bytes]] = []
        self._scheduler: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        said = self._folder / "scheduler.json"
        self._scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--scheduler-file", str(said))
        end = time.monotonic() + PATIENCE_S
        while not self.address:
            assert self._scheduler.poll() is None, "the scheduler has ended; its words are in scheduler.log"
            assert time.monotonic() < end, "the scheduler says no address"
            time.sleep(0.1)
            if said.exists() and said.stat().st_size:
                self.address = json.loads(said.read_text())["address"]
        for _ in range(self._wanted):
            self.add_worker()
        return self

    def add_worker(self) -> None:
        self.workers.append(self._start("dask_worker", self.address, "--no-nanny", "--nthreads", "1"))

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self._scheduler):
            if process is not None:
                process.kill()
                process.wait()

    def _start(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        port = ["--port", "0"] if program == "dask_scheduler" else []
        with (self._folder / f"{program}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", *arguments, *port, "--no-dashboard"],
                stdout=log,
                stderr=log,
                env=plain_environment(),
            )
