"""Rows into a topic, every one of them acknowledged; a broker that is away is waited for."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from sheetbreak.errors import DataError, SheetbreakError
from sheetbreak.streams.kafka.admin.topics import inspect, mend_command
from sheetbreak.streams.kafka.clients import close_producer, new_admin, new_row_producer
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.options import Address, Security, environment_security, parse_address
from sheetbreak.wire.actions import Action, encode_action
from sheetbreak.wire.topics import ACTIONS, ROWS

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 10.0
_SLICE_S = 0.2

log = logging.getLogger(__name__)


class KafkaSink:
    """An idempotent producer with acks from all in-sync replicas, opened again when it is lost.

    A record goes out once, unless a broker stays away for so long that the producer gives it up (new_row_producer
    says when) after the broker took it: then twice. Not thread-safe.
    """

    def __init__(
        self, address: Address, security: Security, *, between: Callable[[], None], say_after_s: float = 10.0
    ) -> None:
        """`between` is called several times a second while we wait; what it raises ends the wait.

        say_after_s: a wait within the producer, whose own tries again are silent, is said so often.
        """
        self._address, self._security, self._between = address, security, between
        self._say_after_s = say_after_s
        self._producer: Any = None

    def send(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Write (key, value) records and wait until the broker has them.

        Raises DataError for what the user must change (no such topic, a record too large, no right to write).
        """
        rest, backoff_s = list(records), FIRST_BACKOFF_S
        while rest:
            self._between()
            before = len(rest)
            try:
                rest, error = self._write(rest)
            except KafkaError as cause:
                error = cause
            if error is None:
                continue
            self._drop()
            if len(rest) < before:
                backoff_s = FIRST_BACKOFF_S
            reason = self._why(error)
            log.warning("event=not-written rows=%d again_in_s=%.1f reason=%s", len(rest), backoff_s, reason)
            self.wait(backoff_s)
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    def wait(self, seconds: float) -> None:
        """Sleep."""
        self._between()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_S))
            self._between()

    def close(self) -> None:
        """Let go of the broker; nothing is outstanding, unless `send` was broken off."""
        self._drop()

    def _write(self, records: list[tuple[bytes, bytes]]) -> tuple[list[tuple[bytes, bytes]], KafkaError | None]:
        """Those of the records that were not written, in order, and why. Raises KafkaError when none was sent."""
        producer = self._open()
        futures: list[Any] = []
        error: KafkaError | None = None
        try:
            for key, value in records:
                futures.append(producer.send(self._address.topic, value, key=key))
        except KafkaError as cause:
            error = cause
        left = []
        for record, future in zip(records, futures, strict=False):
            self._wait_for(future)
            if future.failed():
                left.append(record)
                error = error or future.exception
        return left + records[len(futures) :], error

    def _wait_for(self, future: Any) -> None:
        say_at_s = time.monotonic() + self._say_after_s
        while not future.is_done:
            try:
                future.get(timeout=_SLICE_S)
            except KafkaTimeoutError:
                self._between()
            except KafkaError:
                return
            if time.monotonic() > say_at_s:
                log.warning("event=waiting address=%s note=%s", self._address, "no acknowledgement yet")
                say_at_s += self._say_after_s

    def _why(self, error: KafkaError) -> SheetbreakError:
        """What to say before another try with a new producer. Raises DataError where that cannot help."""
        if isinstance(error, MessageSizeTooLargeError):
            raise DataError(f"{self._address}: {error}; raise the topic's max.message.bytes") from error
        ours = stream_error(error, str(self._address))
        if isinstance(ours, DataError):
            raise ours from error
        return ours

    def _open(self) -> Any:
        if self._producer is None:
            self._check_topic()
            self._producer = new_row_producer(self._address, self._security)
        return self._producer

    def _check_topic(self) -> None:
        admin = new_admin(self._address, self._security)
        topic = self._address.topic
        try:
            found = inspect(admin, [topic])
        finally:
            admin.close()
        if topic not in found:
            ours = next((name for name in (ROWS, ACTIONS) if topic.endswith(name)), None)
            rows, prefix = (topic, "") if ours is None else (ROWS, topic.removesuffix(ours))
            raise DataError(f"topic {topic} is missing; run: {mend_command(self._address, rows, prefix)}")

    def _drop(self) -> None:
        if self._producer is not None:
            close_producer(self._producer)
            self._producer = None


class TopicAppender:
    """Sends actions keyed by machine, as its rows are, each acknowledged by all in-sync replicas."""

    def __init__(self, target: str, *, prefix: str, between: Callable[[], None]) -> None:
        given = parse_address(target, needs_topic=False)
        address = Address(given.servers, given.topic or prefix + ACTIONS)
        self._sink = KafkaSink(address, environment_security(), between=between)

    def send(self, action: Action) -> None:
        """Write an action and wait until the broker has it. Raises DataError."""
        self._sink.send([(action.machine.encode(), encode_action(action))])

    def close(self) -> None:
        """Let go of the broker."""
        self._sink.close()
