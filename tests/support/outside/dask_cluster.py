"""A Dask cluster on this machine: a scheduler and workers as processes of their own, as a site would run them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.support.running.patience import wait_for
from tests.support.running.services import need, plain_environment


class Cluster:
    """A context with `workers` worker processes of one thread each; no nanny, so that a killed worker stays away."""

    def __init__(self, folder: Path, *, workers: int = 2) -> None:
        try:
            import distributed  # noqa: F401 - is it there?
        except ModuleNotFoundError:
            need(condition=False, message="no distributed; pip install 'sheetbreak[cluster]'")
        self._folder, self._wanted, self._said = folder, workers, folder / "scheduler.json"
        self.address = ""
        self.workers: list[subprocess.Popen[bytes]] = []
        self._scheduler: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--scheduler-file", str(self._said))
        try:
            self.address = wait_for(self._address, says=lambda: self._log("dask_scheduler"))
            for _ in range(self._wanted):
                self.workers.append(self._start("dask_worker", self.address, "--no-nanny", "--nthreads", "1"))
            # A command waits ten seconds for the first of them, which on a busy machine may not do.
            wait_for(self._all_there, says=lambda: self._log("dask_worker"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def _address(self) -> str:
        assert self._scheduler is not None
        assert self._scheduler.poll() is None, self._log("dask_scheduler")
        try:
            return str(json.loads(self._said.read_text())["address"])
        except (FileNotFoundError, json.JSONDecodeError):  # it is being written
            return ""

    def _all_there(self) -> bool:
        return self._log("dask_worker").count("Registered to:") == self._wanted

    def _log(self, program: str) -> str:
        log = self._folder / f"{program}.log"
        return log.read_text() if log.exists() else ""

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
