"""The pool: does tasks in this process, in processes here (joblib's loky) or on a Dask cluster, and keeps the outcomes.

Who did what changes no bit of a result. A lost worker's tasks are done again. Processes here are started from scratch,
since TensorFlow must not be forked; they end with their parent, whatever becomes of it, and leave interrupts to it.
"""

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Protocol, Self

from sheetbreak.cli.commands import Interrupts
from sheetbreak.errors import DataError
from trainer.comparison.ledger import Ledger
from trainer.comparison.sources import running_versions
from trainer.comparison.tasks import Ground, Outcome, Task, run_task
from trainer.comparison.worker import WorkerLost

_TICK_S = 1.0
_LOSSES = 3
"""So many times in a row may workers be lost before we give up: then it is the task that ends them."""


class Workers(Protocol):
    """Processes that do tasks: here, or on a cluster."""

    def slots(self) -> int:
        """How many tasks may be at work at once."""

    def submit(self, task: bytes, done: Callable[[Any], None]) -> Any:
        """Have a pickled task done; `done` is called with the future, from another thread. Returns the future."""

    def outcome(self, future: Any) -> Outcome:
        """What a done future holds. Raises WorkerLost, or the error of the task."""

    def close(self) -> None:
        """End what is at work, at once."""


class Pool:
    """A context that does tasks and writes what they gave to the ledger."""

    def __init__(self, ground: Ground, ledger: Ledger, *, jobs: int, cluster: str | None = None) -> None:
        """jobs: tasks at once at most; 1 without a cluster: in this process. cluster: a Dask scheduler's address.

        Raises DataError where that cannot be used.
        """
        self._ground, self._ledger = ground, ledger
        self._jobs, self._cluster = jobs, cluster
        self._workers: Workers | None = None
        self._belongings = pickle.dumps((ground, running_versions()))
        self._at_work: dict[Any, Task] = {}
        self._done: SimpleQueue[Any] = SimpleQueue()
        self._interrupts = Interrupts()
        if cluster:
            self._open()

    @property
    def jobs(self) -> int:
        """How many tasks are done at once."""
        return self._jobs if self._workers is None else min(self._jobs, self._workers.slots())

    def __enter__(self) -> Self:
        self._interrupts.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._interrupts.__exit__(kind, error, at)
        self._close()

    def run(self, tasks: Sequence[Task], *, tick: Callable[[], None] = lambda: None) -> Iterator[Task]:
        """Do all tasks, begun in this order; yields each as soon as it is in the ledger.

        tick: called once a second while waiting. Who stops asking leaves tasks undone. Raises the error of a task, and
        DataError where workers are lost again and again.
        """
        self._interrupts.look()
        if self._jobs == 1 and not self._cluster:
            yield from self._here(tasks)
            return
        begun = {task.place for task in self._at_work.values()}
        wanted = {task.place for task in tasks}
        waiting = [task for task in reversed(tasks) if task.place not in begun]
        losses = 0
        while wanted:
            self._hand_out(waiting)
            try:
                future = self._done.get(timeout=_TICK_S)
            except Empty:
                self._interrupts.look()
                tick()
                continue
            self._interrupts.look()
            task = self._at_work.pop(future, None)
            if task is None:  # of workers that are no more
                continue
            try:
                outcome = self._open().outcome(future)
            except WorkerLost as lost:
                losses += 1
                if losses >= _LOSSES:
                    raise DataError(
                        f"{task}: its worker was lost {losses} times ({lost}), as happens for want of memory; the same "
                        "command goes on from what is finished, with --jobs 1 if need be"
                    ) from lost
                again = [task, *self._at_work.values()]
                self._close()
                waiting += reversed([one for one in again if one.place in wanted])
                continue
            except Exception:
                if task.place in wanted:
                    raise
                continue
            losses = 0
            self._ledger.write(task, outcome)
            if task.place in wanted:
                wanted.discard(task.place)
                self._hand_out(waiting)
                yield task

    def _here(self, tasks: Sequence[Task]) -> Iterator[Task]:
        import keras  # seconds that a comparison of finished tasks need not wait for

        for task in tasks:
            self._ledger.write(task, run_task(task, self._ground))
            keras.backend.clear_session()
            self._interrupts.look()
            yield task

    def _hand_out(self, waiting: list[Task]) -> None:
        """Give every idle worker a task; no more, so that what nobody asks for any longer is never begun."""
        if not waiting:
            return
        workers = self._open()
        free = self.jobs - len(self._at_work)
        while waiting and free > 0:
            free -= 1
            task = waiting.pop()
            self._at_work[workers.submit(pickle.dumps(task), self._done.put)] = task

    def _open(self) -> Workers:
        if self._workers is None:
            key = hashlib.sha256(self._belongings).hexdigest()
            if self._cluster:
                from trainer.comparison.cluster import ClusterWorkers

                self._workers = ClusterWorkers(self._cluster, key, self._belongings)
            else:
                from trainer.comparison.processes import LocalWorkers

                self._workers = LocalWorkers(self._jobs, key, self._belongings)
        return self._workers

    def _close(self) -> None:
        """A half-done task leaves no trace."""
        self._at_work.clear()
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()
        with suppress(Empty):
            while True:
                self._done.get_nowait()


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
