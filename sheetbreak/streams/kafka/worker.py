"""A thread that runs one thing after another for a caller who will not wait for ever."""

import queue
import threading
from collections.abc import Callable


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
