"""The life of a process of trainer/comparison/pool.py; imports nothing heavy before TensorFlow has its settings."""

import multiprocessing
import os
import signal
import threading
import traceback
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler

from sheetbreak.errors import SheetbreakError

Answer = Exception | str | None
"""Of a task. None: done and in the ledger; an error of ours; or the traceback of a bug."""


def work(connection: Connection, belongings: bytes) -> None:
    """Do tasks until the parent has no more. belongings: the pickled ground and ledger."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees to it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from trainer.training.backend import configure_tensorflow

    configure_tensorflow()
    import keras

    from trainer.comparison.tasks import run_task

    ground, ledger = ForkingPickler.loads(belongings)
    while True:
        try:
            task = connection.recv()
        except (EOFError, ConnectionError):
            return
        answer: Answer = None
        try:
            ledger.write(task, run_task(task, ground))
        except SheetbreakError as error:
            answer = error
        except Exception:  # noqa: BLE001 - the parent shows it as the bug that it is
            answer = traceback.format_exc()
        connection.send(answer)
        keras.backend.clear_session()  # or each model's graph stays for good


def _end_with_parent() -> None:
    """A parent that was killed cannot say so, and nobody would wait for the rest of a long training."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
