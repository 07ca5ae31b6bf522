"""Latency of rows, as a Prometheus histogram that takes in a whole batch at once.

prometheus_client's own takes one number at a time, 0.6 µs each: as long as encoding half a score.
"""

from collections.abc import Sequence

import numpy as np
from prometheus_client.core import HistogramMetricFamily

BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0)
"""Up to the half hour that a warning is worth."""
_NAMES = (*map(str, BUCKETS_S), "+Inf")


class Latency:
    """From records' timestamps to the commit of their scores."""

    def __init__(self) -> None:
        self._counted = np.zeros(len(_NAMES), np.int64), 0.0
        """Rows in each bucket alone, and the sum of all in seconds; replaced as one, since another thread reads."""

    def observe(self, timestamps_ms: Sequence[int | None], *, now_s: float) -> None:
        """Take in records committed now, seconds since 1970; those without a timestamp are left out."""
        known = [timestamp_ms for timestamp_ms in timestamps_ms if timestamp_ms is not None]
        seconds = np.maximum(0.0, now_s - np.array(known, np.float64) / 1000)
        counts, total = self._counted
        new = np.bincount(np.searchsorted(BUCKETS_S, seconds), minlength=len(_NAMES))
        self._counted = counts + new, total + float(seconds.sum())

    def collect(self) -> HistogramMetricFamily:
        """The series."""
        counts, total = self._counted
        buckets = list(zip(_NAMES, counts.cumsum().astype(np.float64).tolist(), strict=True))
        text = "From a record's timestamp to the commit of its score."
        return HistogramMetricFamily("sheetbreak_end_to_end_latency_seconds", text, buckets=buckets, sum_value=total)
