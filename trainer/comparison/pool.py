"""Processes that do tasks, a core each; one alone works in this process. Which did what changes no bit of a result.

A process of its own for TensorFlow's sake: it must not be forked, and it holds on to what it allocates. The processes
are started from scratch, end with their parent whatever becomes of it, and leave interrupts to it.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from types import FrameType, TracebackType
from typing import Any, Self

from sheetbreak.errors import DataError
from trainer.comparison.ledger import Ledger
from trainer.comparison.tasks import Ground, Task, run_task
from trainer.comparison.worker import Answer, work

_TICK_S = 1.0


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """A context that does tasks and has them written to the ledger."""

    def __init__(self, ground: Ground, ledger: Ledger, *, jobs: int) -> None:
        self._ground, self._ledger, self._jobs = ground, ledger, jobs
        self._processes: dict[Connection, BaseProcess] = {}
        self._at_work: dict[Connection, Task] = {}
        self._interrupted = False
        self._handler: Any = None

    def __enter__(self) -> Self:
        # Not where SIGINT is ignored, as it is for a job in the background of a shell.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._handler = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        for connection, process in self._processes.items():
            process.kill()  # a half-done task leaves no trace
            process.join()
            connection.close()
        self._processes.clear()

    def run(self, tasks: Sequence[Task], *, tick: Callable[[], None] = lambda: None) -> Iterator[Task]:
        """Do all tasks, begun in this order; yields each as soon as it is in the ledger.

        tick: called once a second while waiting. Who stops asking leaves tasks undone. Raises the error of a task, and
        DataError where a process was killed.
        """
        self._look_for_interrupt()
        if self._jobs == 1:
            yield from self._here(tasks)
            return
        waiting, wanted = list(reversed(tasks)), {task.place for task in tasks}
        while wanted:
            self._hand_out(waiting)
            ready = wait(list(self._at_work), timeout=_TICK_S)
            self._look_for_interrupt()
            if not ready:
                tick()
            for connection in ready:
                assert isinstance(connection, Connection)
                task = self._at_work.pop(connection)
                self._check(connection, task, wanted=task.place in wanted)
                if task.place in wanted:
                    wanted.discard(task.place)
                    self._hand_out(waiting)
                    yield task

    def _here(self, tasks: Sequence[Task]) -> Iterator[Task]:
        import keras  # seconds that a comparison of finished tasks need not wait for

        for task in tasks:
            self._ledger.write(task, run_task(task, self._ground))
            keras.backend.clear_session()
            self._look_for_interrupt()
            yield task

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, and remember: raised while Keras cleans up, in a weak reference's callback, Python
        would print and forget it.
        """
        self._interrupted = True
        signal.default_int_handler(number, frame)

    def _look_for_interrupt(self) -> None:
        if self._interrupted:
            raise KeyboardInterrupt

    def _hand_out(self, waiting: list[Task]) -> None:
        """Give every idle process a task; start one where there are fewer than allowed."""
        while waiting:
            idle = next((one for one in self._processes if one not in self._at_work), None)
            if idle is None and len(self._processes) < self._jobs:
                idle = self._start()
            if idle is None:
                return
            task = waiting.pop()
            idle.send(task)
            self._at_work[idle] = task

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        # As bytes: a process unpickles what it is given before it has a chance to set up TensorFlow.
        belongings = bytes(ForkingPickler.dumps((self._ground, self._ledger)))
        process = context.Process(target=work, args=(theirs, belongings), daemon=True)
        process.start()
        theirs.close()
        self._processes[ours] = process
        return ours

    def _check(self, connection: Connection, task: Task, *, wanted: bool) -> None:
        """Take the answer of a process. Raises what it says, if anybody wants the task still."""
        try:
            answer: Answer = connection.recv()
        except (EOFError, ConnectionError):
            process = self._processes.pop(connection)
            process.join()
            raise DataError(
                f"{task}: its process ended with code {process.exitcode}, as it does for want of memory; the same "
                "command goes on from what is finished, with --jobs 1 if need be"
            ) from None
        if wanted and isinstance(answer, Exception):
            raise answer
        if wanted and answer is not None:
            raise RuntimeError(f"{task}:\n{answer}")
