"""Rates of processes, in rows a second and CPU, by what they have committed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_SAMPLE_S = 0.05
_STALLED_S = 60.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What was seen between two commits."""

    rows: int
    seconds: float
    cpu_s: float
    """Of all the processes, user and system."""

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds

    @property
    def cpu_us_per_row(self) -> float:
        return self.cpu_s / self.rows * 1e6


def measure(done: Callable[[], int], pids: Sequence[int], *, skip: int, rows: int, first: int | None = None) -> Rate:
    """The rate over at least `rows` rows, after the first `skip` from `first` on (default: from now on).

    From commit to commit, so that it does not matter how many rows a commit has. Raises RuntimeError when
    nothing moves for a minute.
    """
    if first is None:
        first = done()
    start: tuple[int, float, float] | None = None
    at, moved = first, time.monotonic()
    while True:
        now_at, now = done(), time.monotonic()
        if now_at != at:
            at, moved = now_at, now
            if start is None and at - first >= skip:
                start = at, now, cpu_seconds(pids)
            elif start is not None and at - start[0] >= rows:
                return Rate(at - start[0], now - start[1], cpu_seconds(pids) - start[2])
        elif now - moved > _STALLED_S:
            raise RuntimeError(f"stuck at row {at} of {first + skip + rows}")
        time.sleep(_SAMPLE_S)


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time that processes have used so far (Linux)."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, what: str = "VmRSS") -> float:
    """What a process holds now; VmHWM: the most that it has held so far (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024


class Process:
    """A program that runs until it is stopped; use as a context."""

    def __init__(self, command: Sequence[str], *, log: Path, checkout: Path | None = None) -> None:
        """checkout: where its code is; default: here."""
        self.log = log
        self._stderr = log.open("wb")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SHEETBREAK_")}
        code = checkout or Path(__file__).resolve().parents[2]
        environment = {**clean, "PYTHONPATH": str(code), "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._stderr, stderr=self._stderr, env=environment, cwd=log.parent
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            print(f"{self.log.name} ends with\n" + "\n".join(self._lines()[-15:]), file=sys.stderr)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def _lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    def events(self, event: str) -> list[tuple[float, str]]:
        """(seconds since 1970, line) of each log line of the monitor about an event."""
        return [
            (datetime.fromisoformat(line[5:28]).replace(tzinfo=UTC).timestamp(), line)
            for line in self._lines()
            if re.match(r"time=\S+ level=\S+ event=" + re.escape(event) + r"(?: |$)", line)
        ]


def monitor(
    url: str,
    *,
    models: Path,
    prefix: str,
    instance: str,
    log: Path,
    checkout: Path | None = None,
    metrics_port: int = 0,
) -> Process:
    """The real monitor as a process; its group and its topics have the prefix. metrics_port: 0 is none."""
    command = [sys.executable, "-m", "monitor", url, "--models", str(models), "--metrics-port", str(metrics_port)]
    options = ["--group", prefix + "group", "--instance-id", instance, "--topic-prefix", prefix]
    return Process([*command, *options], log=log, checkout=checkout)
