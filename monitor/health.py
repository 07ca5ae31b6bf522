"""Health: whether the loop lives and whether it can score, told by the loop and asked by the web server."""

from collections.abc import Callable

STALE_AFTER_S = 60.0
"""A loop that has not turned for so long hangs: a batch takes milliseconds, a transaction at most 15 s."""


class Health:
    """Written by the loop's thread, read by the web server's; each field is one assignment."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: monotonic seconds."""
        self._clock = clock
        self._beat_at = clock()
        self.model_loaded = False
        self.stream_answers = False

    def beat(self) -> None:
        """The loop is alive."""
        self._beat_at = self._clock()

    def alive(self) -> bool:
        """False: restart this process."""
        return self._clock() - self._beat_at < STALE_AFTER_S

    def ready(self) -> bool:
        """True when the next row would be scored."""
        return self.model_loaded and self.stream_answers and self.alive()
