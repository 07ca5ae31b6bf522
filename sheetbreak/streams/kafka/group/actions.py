"""Operators' actions of our partitions: read beside the rows, and committed by the group in the rows' transaction.

A consumer of its own, outside the group, follows the partitions that the group gives us: so a machine's actions come
to whoever has its rows, also while some monitors are of a version that knows of no actions.
"""

import logging
import time
from functools import partial
from typing import Any

from kafka import TopicPartition
from kafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError

from sheetbreak.streams.kafka.admin.topics import inspect
from sheetbreak.streams.kafka.bulk.consumer import BulkConsumer
from sheetbreak.streams.kafka.clients import new_reader
from sheetbreak.streams.kafka.group.membership import committed_places, known_topic
from sheetbreak.streams.kafka.group.positions import Place
from sheetbreak.streams.kafka.options import Address, Security
from sheetbreak.streams.protocol import Record

_ASK_MS = 10_000
_HELD_MS = 6_000
"""How long the broker holds a fetch while no action comes; the first one ends it at once."""
_ASK_EVERY_S = 0.2
"""A question, though it is answered from memory, crosses to the client's thread and back."""
_told: set[str] = set()
"""Topics that are missing, as it was said."""

log = logging.getLogger(__name__)


def has_actions(admin: Any, topic: str, mend: str) -> bool:
    """Whether the topic is there to be read; says so, once, where it is not. Raises errors of kafka-python."""
    try:
        if topic in inspect(admin, [topic]):
            return True
        note = f"operators' actions are not read, all else goes on; run: {mend}, and start the monitors anew"
    except TopicAuthorizationFailedError:
        note = "we may not read operators' actions, all else goes on; allow Describe and Read on it"
    if topic not in _told:
        _told.add(topic)
        log.warning("event=no-actions-topic topic=%s note=%r", topic, note)
    return False


class ActionFeed:
    """The actions of the partitions that are ours."""

    def __init__(self, address: Address, security: Security, topic: str) -> None:
        """Raises errors of kafka-python."""
        self._topic = topic
        self._new_reader = partial(new_reader, address, security, idle_wait_ms=_HELD_MS, kind=BulkConsumer)
        self._reader = self._new_reader()
        self._next: dict[TopicPartition, Place] = {}
        self._topic_id = ""
        """Of the topic whose offsets our places are."""
        self._asked_at = float("-inf")

    def settle(self, consumer: Any) -> dict[int, int | None]:
        """Follow the group consumer's partitions, each on from what the group has committed, or from its start.

        Returns what it has committed. Raises errors of kafka-python; then it is to be called again.
        """
        self._next = {}
        if self._reader.assignment():  # what it asks would wait behind a fetch that the broker holds
            self._reader.close()
            self._reader = self._new_reader()
        ours = [TopicPartition(self._topic, tp.partition) for tp in sorted(consumer.assignment())]
        self._reader.assign(ours)
        if not ours:
            return {}
        committed = committed_places(consumer, ours, timeout_ms=_ASK_MS)
        begins = self._reader.beginning_offsets(ours, timeout_ms=_ASK_MS)
        ends = self._reader.end_offsets(ours, timeout_ms=_ASK_MS)
        self._topic_id = self._known_id()
        for tp in ours:
            at, was = committed[tp].offset, committed[tp].topic_id
            if at is not None and not (begins[tp] <= at <= ends[tp] and was in ("", self._topic_id)):
                text = "event=actions-jumped partition=%d expected=%d begin=%d end=%d note=%r"
                note = "retention took some, or the topic was made again: read from its start"
                log.warning(text, tp.partition, at, begins[tp], ends[tp], note)
                at = None
            self._reader.seek(tp, begins[tp] if at is None else at)
        return {tp.partition: place.offset for tp, place in committed.items()}

    def poll(self) -> list[Record]:
        """What has come since, in order; waits for nothing, and asks five times a second at most.

        Raises OffsetOutOfRangeError where the topic was made again: its offsets mean something else.
        """
        now, found = time.monotonic(), list[Record]()
        if now < self._asked_at + _ASK_EVERY_S:
            return found
        self._asked_at = now
        polled = self._reader.poll(0)
        was, known = self._topic_id, self._known_id()
        if was and known and known != was:
            raise OffsetOutOfRangeError(f"topic {self._topic} was made again: its id was {was} and is {known}")
        for tp, records in polled.items():
            self._next[tp] = Place(records[-1].offset + 1, topic_id=self._topic_id)
            found += records
        return found

    def _known_id(self) -> str:
        return known_topic(self._reader, self._topic).topic_id

    def take_places(self) -> dict[TopicPartition, Place]:
        """Behind what was polled since this was asked last, or since `settle`."""
        places, self._next = self._next, {}
        return places

    def close(self) -> None:
        """Let go of the broker."""
        self._reader.close()
