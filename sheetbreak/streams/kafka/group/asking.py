"""Consumer that is asked for offsets: a partition without a leader is waited for, and then named."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaTimeoutError, LeaderNotAvailableError

_LEADER_MS, _NAP_S = 5_000, 0.1
"""An election takes a moment: so long a leader is waited for where the caller does not say how long."""


class AskingConsumer(KafkaConsumer):  # type: ignore[misc]  # kafka-python ships no types
    """A KafkaConsumer that can be asked for offsets while brokers are being restarted.

    Asked for several partitions of which one has no leader now, kafka-python leaves that one out of its question, and
    then fails with a KeyError. tests/streams/kafka/test_kafka_client.py says whether the pinned version still does.
    """

    def __init__(self, **settings: Any) -> None:
        """As kafka-python's. Raises its errors."""
        super().__init__(**settings)
        self._net.run = partial(_run, self._net.run)

    def beginning_offsets(self, partitions: Sequence[Any], timeout_ms: float | None = None) -> Any:
        """As KafkaConsumer's. Raises LeaderNotAvailableError, too."""
        return _ask(super().beginning_offsets, partitions, timeout_ms)

    def end_offsets(self, partitions: Sequence[Any], timeout_ms: float | None = None) -> Any:
        """As KafkaConsumer's. Raises LeaderNotAvailableError, too."""
        return _ask(super().end_offsets, partitions, timeout_ms)


def _run(run: Callable[..., Any], *call: Any) -> Any:
    """kafka-python's way to wait, whose timeout keeps none of the frames that it came through.

    A poll that waits in vain ends with that error, within. It lay in a future, and that in one of those frames: a
    circle, in which all that had been fetched, and what our own callers held of it, stayed until a collection of
    garbage; large records, being few, call for none.
    """
    try:
        return run(*call)
    except KafkaTimeoutError as error:
        text = error.with_traceback(None).args
    raise KafkaTimeoutError(*text)


def _ask(question: Callable[..., Any], partitions: Sequence[Any], timeout_ms: float | None) -> Any:
    limit_ms = _LEADER_MS if timeout_ms is None else timeout_ms
    until = time.monotonic() + limit_ms / 1000
    while True:
        try:
            return question(partitions, timeout_ms)
        except KeyError as left_out:
            if time.monotonic() >= until:
                partition = left_out.args[0]
                raise LeaderNotAvailableError(
                    f"{partition.topic} {partition.partition}: no leader in {limit_ms / 1000:.0f} s"
                ) from left_out
            time.sleep(_NAP_S)
