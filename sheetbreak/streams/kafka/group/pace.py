"""Pace of fetches: the broker gathers rows for us while they come, and holds one long fetch while none do.

docs/decisions/0005-kafka-throughput.md has what it costs and gives.
"""

import time
from typing import Any

FETCH_MIN_BYTES = 512 * 1024
"""So much is fetched at once without waiting: some 300 rows, so a backlog never waits."""
IDLE_WAIT_MS = 1_000
"""How long the broker holds a fetch while no rows come; the first row ends it at once."""
_BESIDE = 0.2
"""Of the latency, for what other brokers' fetches bring; they end at about the same time."""


class Pace:
    """Rows wait `latency_s` at the broker at most, then they are scored and committed at once.

    Gathered by us instead, a batch would cost a fetch for each few rows; gathered by both, a row would wait twice.
    """

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._rows_at = float("-inf")

    def set(self, consumer: Any) -> None:
        """To be called before a poll: how the fetches that it sends are held."""
        # Read for each fetch that is sent; nothing public changes it.
        config = consumer._fetcher.config  # noqa: SLF001
        if self._latency_s and time.monotonic() - self._rows_at <= self._latency_s:
            share = 1 - _BESIDE if _brokers(consumer) > 1 else 1.0
            config["fetch_min_bytes"] = FETCH_MIN_BYTES
            config["fetch_max_wait_ms"] = max(1, round(self._latency_s * share * 1000))
        else:
            config["fetch_min_bytes"], config["fetch_max_wait_ms"] = 1, IDLE_WAIT_MS

    def until(self, consumer: Any, *, rows: bool) -> float:
        """Until when to wait for more, now that the first came (monotonic seconds). rows: others follow soon."""
        now = time.monotonic()
        self._rows_at = now if rows else self._rows_at
        return now + (self._latency_s * _BESIDE if _brokers(consumer) > 1 else 0.0)


def _brokers(consumer: Any) -> int:
    return len(consumer._cluster.brokers())  # noqa: SLF001 - as in `refresh`
