"""Pace of fetches: the broker gathers rows for us while they come, and holds one long fetch while none do; and how many
rows a batch may have.

docs/decisions/0005-kafka-throughput.md has what it costs and gives.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from kafka.errors import KafkaError, KafkaTimeoutError

from sheetbreak.streams.kafka.clients import PARTITION_FETCH_BYTES
from sheetbreak.streams.kafka.group.membership import FRESH_S, ask_anew

FETCH_MIN_BYTES = 512 * 1024
"""So much is fetched at once without waiting: some 300 rows, so a backlog never waits."""
IDLE_WAIT_MS = 2_000
"""How long the broker holds a fetch while no rows come; the first row ends it at once."""
_SPARE_S = 0.025
"""From the end of a poll to the look at what it brought."""
_BESIDE = 0.2
"""Of the latency, for what other brokers' fetches bring; they end at about the same time."""
_GROWTH = 8
"""A batch that stood may be followed by one an eighth larger: from one row to 10,000 in some 70 commits."""
_FETCH_GROWTH = 32
"""Slower: what is too much is told each time. From 16 kB to 8 MB in some 200 batches."""
_LEAST_FETCH_BYTES = 16 * 1024
"""Half a second on a line of 30 kB/s. What else we ask waits behind a fetch, for 4 s at most."""

log = logging.getLogger(__name__)


class Pace:
    """Rows wait `latency_s` at the broker at most, then they are scored and committed at once.

    Gathered by us instead, a batch would cost a fetch for each few rows; gathered by both, a row would wait twice.
    """

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._rows_at = float("-inf")
        self._fetch_bytes = PARTITION_FETCH_BYTES

    def set(self, consumer: Any) -> None:
        """To be called before a poll: how the fetches that it sends are held.

        What the topics are is to be known with the rows. Asked behind a fetch that is held it would be answered when
        that is: the rows waited twice.
        """
        # Read for each fetch that is sent; nothing public changes it.
        config = consumer._fetcher.config  # noqa: SLF001
        config["max_partition_fetch_bytes"], config["fetch_max_bytes"] = self._fetch_bytes, 2 * self._fetch_bytes
        if self._latency_s and time.monotonic() - self._rows_at <= self._latency_s:
            share = 1 - _BESIDE if _brokers(consumer) > 1 else 1.0
            config["fetch_min_bytes"] = min(FETCH_MIN_BYTES, self._fetch_bytes)
            config["fetch_max_wait_ms"] = max(1, round(self._latency_s * share * 1000))
            ask_anew(consumer, older_than_s=max(0.0, FRESH_S - self._latency_s - _SPARE_S))
        else:
            config["fetch_min_bytes"], config["fetch_max_wait_ms"] = 1, IDLE_WAIT_MS

    def until(self, consumer: Any, *, rows: bool) -> float:
        """Until when to wait for more, now that the first came (monotonic seconds). rows: others follow soon."""
        now = time.monotonic()
        if rows:
            self._rows_at = now
            self._fetch_bytes = min(PARTITION_FETCH_BYTES, self._fetch_bytes + self._fetch_bytes // _FETCH_GROWTH)
        return now + (self._latency_s * _BESIDE if _brokers(consumer) > 1 else 0.0)

    def met(self, error: KafkaError, *, asked: bool, reachable: Callable[[], bool]) -> None:
        """A poll ended so. A broker that is there and did not answer in time may be sending us a fetch that a slow line
        does not take: the next ones are half as large, and grow again as rows come.

        asked: by clients that had found their brokers.
        """
        if not asked or not isinstance(error, KafkaTimeoutError) or self._fetch_bytes == _LEAST_FETCH_BYTES:
            return
        if reachable():
            self._fetch_bytes = max(_LEAST_FETCH_BYTES, self._fetch_bytes // 2)
            log.info("event=fetch-halved bytes=%d note=%r", self._fetch_bytes, "a slow line, or a busy broker")


class Portion:
    """How many rows a batch may have: as many as a transaction can write in its time, which a slow line sets."""

    def __init__(self, most: int) -> None:
        self._most = self.rows = most

    def outlived(self, rows: int, *, took_s: float, timeout_s: float) -> None:
        """The transaction of so many rows was open for longer than it may: half as many the next time."""
        if rows:
            self.rows = max(1, rows // 2)
        text = "event=batch-halved rows=%d were=%d took_s=%.0f transaction_timeout_s=%g note=%r"
        note = "a transaction outlived its time: a slow line, a quota or a broker that was away"
        if rows == 1:
            note += "; one row alone is too much: raise --transaction-timeout"
        log.warning(text, self.rows, rows, took_s, timeout_s, note)

    def stood(self, rows: int, *, took_s: float, timeout_s: float) -> None:
        """So many rows are committed: a few more the next time, where that was as many as could be and took less than
        half of the time. One that took longer than it may was lucky: the broker looks every 10 s only.
        """
        if took_s >= timeout_s:
            self.outlived(rows, took_s=took_s, timeout_s=timeout_s)
        elif self.rows < self._most and rows >= self.rows and 2 * took_s < timeout_s:
            self.rows = min(self._most, self.rows + max(1, self.rows // _GROWTH))


def _brokers(consumer: Any) -> int:
    return len(consumer._cluster.brokers())  # noqa: SLF001 - as in `refresh`
