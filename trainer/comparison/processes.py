"""Processes here that do tasks: joblib's loky, which starts each from scratch and says when one is lost."""

import os
import warnings
from collections.abc import Callable
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool

from trainer.comparison.tasks import Outcome
from trainer.comparison.worker import WorkerLost, begin, do


class LocalWorkers:
    """So many processes; they are started when there is a task for them."""

    def __init__(self, jobs: int, key: str, belongings: bytes) -> None:
        self._jobs, self._key = jobs, key
        initargs = (os.getpid(), key, belongings)
        self._executor = ProcessPoolExecutor(jobs, initializer=begin, initargs=initargs)

    def slots(self) -> int:
        """How many tasks may be at work at once."""
        return self._jobs

    def submit(self, task: bytes, done: Callable[[Any], None]) -> Any:
        """Have a pickled task done; `done` is called with the future, from another thread. Returns the future."""
        future = self._executor.submit(do, task, self._key)
        future.add_done_callback(done)
        return future

    def outcome(self, future: Any) -> Outcome:
        """What a done future holds. Raises WorkerLost, or the error of the task."""
        try:
            outcome: Outcome = future.result()
        except BrokenProcessPool as error:
            raise WorkerLost(str(error).partition("\n")[0]) from error
        return outcome

    def close(self) -> None:
        """End what is at work, at once."""
        with warnings.catch_warnings():  # where no tool can look for children of theirs: there are none
            warnings.simplefilter("ignore")
            self._executor.shutdown(wait=True, kill_workers=True)
