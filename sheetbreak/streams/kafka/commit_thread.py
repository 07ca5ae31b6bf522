"""Commit thread: runs transactions one by one; a watchdog ends the process when one of them hangs."""

import contextlib
import logging
import math
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

_TICK_S = 1.0
_CONNECT_S = 1.0
EXIT_CODE = 1

log = logging.getLogger(__name__)


class Watchdog:
    """Has a transaction given up that has hung for `give_up_s` while the broker could be reached; ends the process when
    it still hangs after `limit_s`.

    A broker that is away is waited for, however long: its outage is not counted. Going on after a hang that does not
    end could publish outputs without the offsets that belong to them.
    """

    def __init__(
        self,
        limit_s: float,
        *,
        reachable: Callable[[], bool],
        give_up_s: float = math.inf,
        expire: Callable[[str], None] | None = None,
        tick_s: float = _TICK_S,
    ) -> None:
        self._limit_s, self._give_up_s = limit_s, give_up_s
        self._reachable = reachable
        self._expire = expire or end_process
        self._tick_s = tick_s
        self._wake = threading.Condition()
        self._watched: tuple[float, Callable[[], None]] | None = None
        """Since when, and how it is given up."""
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextlib.contextmanager
    def watching(self, give_up: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Watch over what is inside the `with`. give_up: has it end with an error; called by another thread."""
        self._set((time.monotonic(), give_up))
        try:
            yield
        finally:
            self._set(None)

    def close(self) -> None:
        """Stop watching for good."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def _set(self, watched: tuple[float, Callable[[], None]] | None) -> None:
        self._watched = watched  # one store, seen by the thread at its next tick: no lock in the way of a commit
        if self._thread is None and watched is not None:
            self._thread = threading.Thread(target=self._run, name="kafka-watchdog", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        seen: tuple[float, Callable[[], None]] | None = None
        hung_s, given_up = 0.0, False
        while True:
            with self._wake:
                if self._wake.wait_for(lambda: self._closed, self._tick_s):
                    return
            watched = self._watched
            if watched is None or watched is not seen:
                seen, hung_s, given_up = watched, 0.0, False
                continue
            hung_s = hung_s + self._tick_s if self._reachable() else 0.0
            if self._watched is not watched:
                continue
            if hung_s >= self._limit_s:
                self._expire(f"a Kafka transaction hangs: {hung_s:.0f} s with the broker there")
                return
            if hung_s >= self._give_up_s and not given_up:
                given_up = True
                watched[1]()


def end_process(reason: str) -> None:
    """Log the reason and end at once: no `finally`, nothing that could go on with the transaction."""
    log.critical("event=watchdog reason=%r action=exit code=%d", reason, EXIT_CODE)
    for handler in logging.getLogger().handlers:
        with contextlib.suppress(Exception):
            handler.flush()
    os._exit(EXIT_CODE)


def can_connect(servers: Sequence[str]) -> bool:
    """Whether any of the servers (host:port) accepts a connection."""
    for server in servers:
        host, _, port = server.rpartition(":")
        with (
            contextlib.suppress(OSError),
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S),
        ):
            return True
    return False


class Job:
    """Something that the worker runs once."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run
        self._done = threading.Event()
        self._error: BaseException | None = None

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within `timeout_s`."""
        return self._done.wait(timeout_s)

    def result(self) -> None:
        """Raise what it raised, if it did; to be called after it has ended."""
        if self._error is not None:
            raise self._error

    def execute(self) -> None:
        """Run it; what it raises is kept for `result`."""
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - `result` raises it, whatever it is
            self._error = error
        finally:
            self._done.set()


class Worker:
    """One daemon thread, started with the first job: a hung job holds up neither its caller nor the exit."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, run: Callable[[], None]) -> Job:
        """Run this when all that was started before has ended."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        job = Job(run)
        self._jobs.put(job)
        return job

    def close(self) -> None:
        """End the thread after the job that it is at."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.execute()
