"""Work beside a test: on a thread of its own, for as long as a `with` lasts."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.running.patience import PATIENCE_S


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run the work, which is to return once the event that it is given is set: at the end of the `with`."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()
