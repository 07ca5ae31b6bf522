"""A Dask cluster that does tasks: whoever runs it, we connect to its scheduler and leave its processes alone."""

import logging
import pickle
import re
import warnings
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from sheetbreak.errors import DataError
from trainer.comparison.worker import WorkerLost, do_apart

if TYPE_CHECKING:
    from trainer.comparison.tasks import Outcome

_CONNECT_S = 5
_ANSWER_S = 2
_WORKERS_S = 10
_CLOSE_S = 2
_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://[^\s/]+:\d+")


class ClusterWorkers:
    """The workers of an existing cluster, a task at a time each, whatever their threads."""

    def __init__(self, address: str, key: str, belongings: bytes) -> None:
        """Raises DataError where no scheduler answers, or where it has no worker."""
        self._address, self._key = address, key
        self._client = _connect(address)
        self._belongings = self._client.scatter(belongings, broadcast=True)
        self._busy: dict[str, str] = {}
        """Worker by a future's key."""

    def slots(self) -> int:
        """How many tasks may be at work at once: one a worker."""
        return len(self._addresses()) or 1

    def submit(self, task: bytes, done: Callable[[Any], None]) -> Any:
        """Have a pickled task done; `done` is called with the future, from another thread. Returns the future."""
        idle = [one for one in self._addresses() if one not in self._busy.values()]
        place = {"workers": idle[:1], "allow_other_workers": True} if idle else {}
        future = self._client.submit(do_apart, task, self._key, self._belongings, pure=False, **place)
        if idle:
            self._busy[future.key] = idle[0]
        future.add_done_callback(done)
        return future

    def outcome(self, future: Any) -> "Outcome":
        """What a done future holds. Raises WorkerLost, or the error of the task."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        self._busy.pop(future.key, None)
        try:
            answer = pickle.loads(future.result())  # noqa: S301 - from a worker of the cluster that we were told of
        except ModuleNotFoundError as error:
            raise DataError(
                f"--cluster {self._address}: a worker has no {error.name}; install sheetbreak[trainer,cluster] there"
            ) from error
        except (CancelledError, KilledWorker, OSError) as error:
            raise WorkerLost(str(error) or "the scheduler has gone") from error
        if isinstance(answer, BaseException):
            raise answer
        outcome: Outcome = answer
        return outcome

    def close(self) -> None:
        """Have nothing begun that nobody waits for; the workers stay."""
        self._client.close(timeout=_CLOSE_S)

    def _addresses(self) -> list[str]:
        try:
            return list(self._client.nthreads())
        except OSError as cause:
            raise DataError(
                f"--cluster {self._address}: the scheduler has gone ({cause}); what is finished is kept: the same "
                "command goes on from there once it is back"
            ) from cause


def check_cluster(address: str) -> None:
    """Raises DataError where no scheduler answers at the address, or where it has no worker."""
    _connect(address).close(timeout=_CLOSE_S)


def _connect(address: str) -> Any:
    """A client of the scheduler."""
    if not _ADDRESS.fullmatch(address):
        raise DataError(f"--cluster {address}: expected a Dask scheduler's address such as tcp://host:8786")
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise DataError(f"--cluster: {error.name} is not installed: pip install 'sheetbreak[cluster]'") from error
    # What Dask's client says of a scheduler that goes away is said by us, once. An interrupt that meets one of its
    # questions before that is asked makes a traceback of its own on its thread.
    for name in ("distributed", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # In a thread: the client waits for ever for a server that takes its connection and never answers.
    made: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_make_client, args=(Client, address, made), daemon=True).start()
    cause: BaseException | None = None
    try:
        client = made.get(timeout=_CONNECT_S + _ANSWER_S)
    except Empty as silence:
        client, cause = None, silence
    if client is None or isinstance(client, BaseException):
        raise DataError(
            f"--cluster {address}: no Dask scheduler answers there within {_CONNECT_S} s; start one with "
            "dask scheduler, or leave --cluster out"
        ) from (client or cause)
    try:
        client.wait_for_workers(1, timeout=_WORKERS_S)
    except TimeoutError as cause:
        client.close(timeout=_CLOSE_S)
        raise DataError(
            f"--cluster {address}: its scheduler has no worker; start some with dask worker {address}"
        ) from cause
    return client


def _make_client(client_class: Any, address: str, made: "SimpleQueue[Any]") -> None:
    """Put a client into the queue, or what happened instead."""
    try:
        with warnings.catch_warnings():  # of versions that differ: a worker says of those that matter
            warnings.simplefilter("ignore")
            made.put(client_class(address, timeout=_CONNECT_S, set_as_default=False, name="sheetbreak"))
    except Exception as error:  # noqa: BLE001 - whatever it is: the other thread says that nobody answers
        made.put(error)
