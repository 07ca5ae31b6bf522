"""A worker: a process that does tasks for a comparison, here or on a Dask cluster, one at a time.

This file imports nothing heavy before TensorFlow has its settings, and what a worker is given comes as bytes, for the
same reason: unpickling a task loads Keras.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from sheetbreak.errors import DataError

if TYPE_CHECKING:
    from trainer.comparison.tasks import Outcome

_PARENT_POLL_S = 0.5
_ONE_AT_A_TIME = threading.Lock()
"""A Dask worker of several threads does one task at a time all the same."""
_child: "subprocess.Popen[bytes] | None" = None
"""Where a Dask worker has its tasks done."""
_ground: tuple[str, Any] | None = None
"""What the tasks run over, by its key: unpickled once a process."""


class WorkerLost(Exception):
    """A worker has gone and its task with it."""


def begin(parent: int, key: str, belongings: bytes) -> None:
    """Set up a process of our own. belongings: the pickled ground and versions."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees to it
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    _take(key, belongings)


def do(task: bytes, key: str, belongings: bytes | None = None) -> "Outcome":
    """Do a pickled task. belongings: where `begin` was not called. Raises SheetbreakError like run_task."""
    ground = _take(key, belongings)
    import keras

    from trainer.comparison.tasks import run_task

    try:
        return run_task(pickle.loads(task), ground)  # noqa: S301 - from whoever started the comparison
    finally:
        keras.backend.clear_session()  # or each model's graph stays for good


def do_apart(task: bytes, key: str, belongings: bytes) -> bytes:
    """In a Dask worker: have a process of its own do the task. Returns the pickled outcome, or the error.

    Dask's threads draw from the random numbers that Keras seeds its layers by: done among them, a task gave another
    threshold. Raises ConnectionError where that process was lost.
    """
    global _child  # noqa: PLW0603 - a worker has one
    with _ONE_AT_A_TIME:
        if _child is None or _child.poll() is not None:
            command = [sys.executable, "-m", "trainer.comparison.worker"]
            _child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert _child.stdin
        assert _child.stdout
        try:
            pickle.dump((task, key, belongings), _child.stdin)
            _child.stdin.flush()
            answer: bytes = pickle.load(_child.stdout)  # noqa: S301 - our own process's
        except (EOFError, OSError) as error:
            _child.kill()
            raise ConnectionError(f"its process ended with code {_child.wait()}") from error
        return answer


def answer_tasks() -> None:
    """The life of the process beside a Dask worker: tasks come on standard input until that ends."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # whatever prints: answers alone go to whoever asked
        while True:
            try:
                task, key, belongings = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own worker's
            except EOFError:
                return
            answer: Any
            try:
                answer = do(task, key, belongings)
            except Exception as error:  # noqa: BLE001 - whoever started the comparison shows it
                answer = error
            pickle.dump(pickle.dumps(answer), answers)
            answers.flush()


def _take(key: str, belongings: bytes | None) -> Any:
    """The ground of that key. Raises DataError where this process could give other figures than the one that asks."""
    global _ground  # noqa: PLW0603 - a process has one
    if _ground is None or _ground[0] != key:
        assert belongings is not None
        _configure()
        ground, versions = pickle.loads(belongings)  # noqa: S301 - from whoever started the comparison
        _check(versions)
        _ground = key, ground
    return _ground[1]


def _configure() -> None:
    from trainer.training.backend import configure_tensorflow

    try:
        if "tensorflow" in sys.modules and os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0":
            raise RuntimeError("it was loaded before its settings")
        configure_tensorflow()
    except RuntimeError as cause:  # of TensorFlow, too, where something was computed already
        raise DataError(
            f"process {os.getpid()} has TensorFlow in use with other settings ({cause}), and sums would be ordered "
            "otherwise; give the comparison Dask workers of its own"
        ) from cause


def _check(versions: dict[str, Any]) -> None:
    from trainer.comparison.sources import running_versions

    ours = running_versions()
    for name in versions.keys() | ours.keys():
        if versions.get(name) != ours.get(name):
            what = "another version of sheetbreak's code"
            if name != "code":
                what = f"{name} {ours.get(name)} instead of {versions.get(name)}"
            raise DataError(f"a worker has {what}: its figures would not be comparable; install the same there")


def _end_with_parent(parent: int) -> None:
    """A parent that was killed cannot say so, and nobody would wait for the rest of a long training."""
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    os._exit(1)


if __name__ == "__main__":
    answer_tasks()
