"""Runtime: what the monitor has from the operating system and the interpreter: signals, clocks, memory."""

import ctypes
import gc
import signal
import time
from types import FrameType

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""glibc's names for mallopt."""
_KEPT_BYTES = 32 * 1024 * 1024
"""The most that glibc takes."""


class SignalFlags:
    """SIGTERM and SIGINT stop, SIGHUP reloads the model; handled between batches.

    While not `armed`, and when SIGINT comes a second time, a stop signal ends the process there and then.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.interrupted = False
        """Stopped by SIGINT."""
        self.armed = False
        self._reload = False

    def install(self) -> None:
        """Take the signals of this process."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._ask_reload)

    def take_reload(self) -> bool:
        """True once for every request to reload the model."""
        asked, self._reload = self._reload, False
        return asked

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.stopping = True  # first: what is raised within some callbacks Python prints and forgets
        if number == signal.SIGINT:
            again, self.interrupted = self.interrupted, True
            if again or not self.armed:
                raise KeyboardInterrupt
        elif not self.armed:
            raise SystemExit(0)

    def _ask_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload = True


class SystemClock:
    """The real clocks."""

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since 1970 UTC."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def rarely_look_for_garbage() -> None:
    """Leave what was imported out of the search for cycles, and search seldom: a backlog's batch makes 60,000
    objects and no cycles. It was a fifth of the time of scoring 1,000 machines (44 -> 34 µs a row), a tenth of one's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000)


def keep_freed_memory() -> None:
    """Have the C library keep what a batch frees for the next one, where it can be told (glibc).

    Given back and asked for again, every page of it costs a fault: 1.5 a row, a twentieth of all processor time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
