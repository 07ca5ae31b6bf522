"""Election of one among several by a consumer group: who holds partition 0 of a topic that all of them know.

The one that holds it may leave a note with the group for the next one.
"""

import threading
import time
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from sheetbreak.streams.kafka.clients import new_elector
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.group.membership import is_stable, unstick
from sheetbreak.streams.kafka.options import Address, environment_security

_POLL_MS = 1_000
_BETWEEN_FAILURES_S = 1.0
_LASTS_S = 10.0
"""As long as the group waits for a member that is silent: after that another one may hold it."""

_ELECTED_ANEW = CommitFailedError, RebalanceInProgressError, IllegalGenerationError, UnknownMemberIdError
"""The group has lost or won a member since we polled."""


class Election:
    """One candidate, on a thread of its own: a member that polls only now and then keeps all others waiting."""

    def __init__(self, address: Address, *, group: str, topic: str) -> None:
        """Raises StreamError."""
        self._name = str(address)
        self._partition = TopicPartition(topic, 0)
        try:
            self._consumer: Any = new_elector(address, environment_security(), group=group)
            self._consumer.subscribe([topic])
        except KafkaError as error:
            raise stream_error(error, self._name) from error
        self._closed = threading.Event()
        self._term: tuple[int, str] | None = None
        """The generation of the group and our id in it, while we hold the partition: what was noted before is known."""
        self._noted, self._to_note = "", ""
        """What the group has, known while it holds the partition, and what it is to have."""
        self._told: tuple[float, bool, KafkaError | None] = (time.monotonic(), False, None)
        """When it last was told, whether it holds the partition, and what went wrong; replaced as one."""
        self._thread = threading.Thread(target=self._stand, name="election", daemon=True)
        self._thread.start()

    def holds(self) -> bool:
        """Whether this candidate is the one. Raises StreamUnavailable while the brokers are away."""
        told_at, held, error = self._told
        if error is not None:
            raise stream_error(error, self._name) from error
        return held and time.monotonic() - told_at < _LASTS_S

    @property
    def noted(self) -> str:
        """What was noted last, by this candidate or one before; "" for nothing. Only while it holds the partition."""
        return self._to_note or self._noted

    @property
    def is_noted(self) -> bool:
        """Whether the group has what was noted last."""
        return self._to_note in ("", self._noted)

    def note(self, text: str) -> None:
        """Leave this for whoever holds the partition next, within some seconds."""
        self._to_note = text

    def close(self) -> None:
        """Leave; another one is elected at once."""
        self._closed.set()
        self._thread.join()

    def _stand(self) -> None:
        while not self._closed.is_set():
            try:
                self._told = (time.monotonic(), self._poll(), None)
            except KafkaError as error:
                self._told = (time.monotonic(), False, error)
                self._closed.wait(_BETWEEN_FAILURES_S)
        self._consumer.close()

    def _poll(self) -> bool:
        self._consumer.poll(_POLL_MS)
        group = self._consumer.group_metadata()
        if not is_stable(group):
            unstick(self._consumer, group)
        assigned = self._consumer.assignment()
        self._consumer.pause(*assigned)  # nothing is read: the partition is a token
        held = is_stable(group) and self._partition in assigned
        term = (group.generation_id, group.member_id) if held else None
        if held and term != self._term:
            found = self._consumer.committed(self._partition, metadata=True)
            noted = found.metadata if found is not None else ""
            if self._term is None or noted != self._noted:  # another one may have held it since
                self._to_note = ""
            self._noted = noted
        elif held and not self.is_noted:
            text, end = self._to_note, self._consumer.end_offsets([self._partition])
            try:
                self._consumer.commit({self._partition: OffsetAndMetadata(end[self._partition], text, -1)})
            except _ELECTED_ANEW:  # still to be noted, if we are elected again
                return False
            self._noted = text
        self._term = term
        return held
