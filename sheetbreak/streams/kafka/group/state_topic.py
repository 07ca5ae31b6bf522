"""State topic: what a record of the machines' state holds, and reading one partition of it to its end."""

import logging
import struct
import time
import uuid
from collections.abc import Iterable, Mapping, Set
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from sheetbreak.streams.kafka.clients import new_reader
from sheetbreak.streams.kafka.group.positions import Log, Place, Start, topic_id_bytes, topic_id_text
from sheetbreak.streams.kafka.options import Address, Security
from sheetbreak.streams.protocol import Snapshot

_HEAD = struct.Struct(">BQ16s")
"""Format, the input's offset, the id of the input's topic."""
_FORMAT = 2
_OLD_HEAD = struct.Struct(">BQ")
_OLD_FORMAT = 1
MARKER = b"\0at"
"""The key of a record that holds nothing but the offset: of a commit that changed no state."""
_POLL_MS = 200
_ASK_MS = 2_000
_LEVELS = ("read_uncommitted", "read_committed")

log = logging.getLogger(__name__)


class Written(NamedTuple):
    """One record of the state topic."""

    part: bytes
    position: int
    topic_id: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What a partition of the state topic holds."""

    records: Mapping[bytes, Written]
    """By key; a marker among them."""

    @property
    def parts(self) -> dict[bytes, bytes]:
        """Snapshot parts by key, as they were given to `commit`."""
        return {key: written.part for key, written in self.records.items() if key != MARKER}

    @property
    def machines(self) -> set[bytes]:
        """The machines that have state here."""
        return {machine_of(key) for key in self.records if key != MARKER}

    def without_foreign(self, place: Place) -> "Kept":
        """Without records newer than what was committed together with the newest of ours: somebody else's."""
        if place.offset is None or place.state_at is None:
            return self
        newer = {key for key, written in self.records.items() if written.position > place.offset}
        ours = {k: w for k, w in self.records.items() if k not in newer or w.topic_id not in ("", place.topic_id)}
        for key in self.records.keys() - ours:
            log.warning("event=state-part-ignored key=%r note=%r", key, "not written by a monitor")
        return Kept(ours)

    def newest(self, topic_id: str = "") -> int:
        """The offset of the input that the newest record belongs to; 0 where there is none.

        Of the topic of that id, where one is given; a record of an older version names none and counts for all.
        What was overwritten does not count: it may be newer, where the offsets were once set back.
        """
        mine = (w for w in self.records.values() if not topic_id or w.topic_id in ("", topic_id))
        return max((written.position for written in mine), default=0)

    def last_topic(self, now: str) -> str:
        """The id of the topic that the records were kept with: that of the one that is there `now`, if any was."""
        ids = {written.topic_id for written in self.records.values()}
        return now if now in ids else max(ids, default="")

    def misplaced(self, log: Log, start: int) -> dict[bytes, bytes]:
        """The parts whose offsets mean nothing in this log: of another topic, or of rows that it lost."""
        return {
            key: written.part
            for key, written in self.records.items()
            if key != MARKER and (written.topic_id not in ("", log.topic_id) or written.position > start)
        }


def machine_of(key: bytes) -> bytes:
    """The machine that a part of state belongs to."""
    return key.rpartition(b"\0")[0]


def head(position: int, topic_id: str) -> bytes:
    """What stands before a part of state: the input's offset that it belongs to (the next to be read after it), and
    the id of the topic whose offset that is.
    """
    return _HEAD.pack(_FORMAT, position, topic_id_bytes(topic_id))


def wrap(value: bytes, position: int, topic_id: str = "") -> bytes:
    """A part of state with its head."""
    return head(position, topic_id) + value


class StateHeldBackError(KafkaTimeoutError):  # type: ignore[misc]  # kafka-python ships no types
    """A partition's state is not read to its end: a transaction stays open in it, or the broker sends nothing."""


class StateReader:
    """Reads partitions of the state topic, one after the other by the same clients: what they know of the topic is
    asked for once. By clients of its own each of 16 partitions took 0.31 s, not 0.07.
    """

    def __init__(self, address: Address, security: Security, topic: str) -> None:
        """Contacts no broker yet."""
        self._topic = topic
        self._new = partial(new_reader, address, security)
        self._readers: list[Any] = []
        """One that sees all that is written, and one that sees what is committed."""

    def read(self, partition: int, *, patience_s: float) -> Kept:
        """The last value of every key of one partition, as of now.

        A transaction still open in it (a former owner's) is waited for. Raises StateHeldBackError when nothing
        moved for `patience_s`, and other errors of kafka-python.
        """
        tp = TopicPartition(self._topic, partition)
        try:
            for level in _LEVELS[len(self._readers) :]:
                self._readers.append(self._new(isolation_level=level))
            all_written, committed = self._readers
            # What read_committed calls the end lies before a transaction still open.
            end = all_written.end_offsets([tp], timeout_ms=_ASK_MS)[tp]
            return _read_to(end, committed, tp, patience_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the broker; the next reading makes new clients."""
        while self._readers:
            with suppress(KafkaError):
                self._readers.pop().close()


def read_state(address: Address, security: Security, *, topic: str, partition: int, patience_s: float) -> Kept:
    """One partition of the state topic as of now. Raises like `StateReader.read`."""
    with closing(StateReader(address, security, topic)) as reader:
        return reader.read(partition, patience_s=patience_s)


def _read_to(end: int, reader: Any, tp: TopicPartition, patience_s: float) -> Kept:
    reader.assign([tp])
    reader.seek_to_beginning(tp)
    found: dict[bytes, Written] = {}
    at, moved = -1, time.monotonic()
    # The last record's offset is never end - 1: markers of commits and holes of compaction lie between, and
    # position() steps over them.
    while (now_at := reader.position(tp, timeout_ms=_POLL_MS)) is None or now_at < end:
        if now_at != at:
            at, moved = now_at, time.monotonic()
        elif time.monotonic() - moved > patience_s:
            raise StateHeldBackError(f"{tp.topic} {tp.partition}: stuck at {at}, end {end}")
        for records in reader.poll(_POLL_MS).values():
            for record in records:
                _take(record, found)
    return Kept(found)


def _take(record: Any, found: dict[bytes, Written]) -> None:
    value = record.value
    if value is None:
        found.pop(record.key, None)
    elif len(value) >= _HEAD.size and value[0] == _FORMAT:
        _, position, topic_id = _HEAD.unpack_from(value)
        found[record.key] = Written(value[_HEAD.size :], position, topic_id_text(uuid.UUID(bytes=topic_id)))
    elif len(value) >= _OLD_HEAD.size and value[0] == _OLD_FORMAT:
        found[record.key] = Written(value[_OLD_HEAD.size :], _OLD_HEAD.unpack_from(value)[1], "")
    else:
        log.warning("event=state-part-ignored partition=%s offset=%s", record.partition, record.offset)


class Mending(NamedTuple):
    """What restoring a partition's state left to be done by its next commit."""

    delete: Set[bytes] = frozenset()
    """Keys of state that must not be used."""
    rewrite: Mapping[bytes, bytes] = {}
    """Parts whose offsets mean nothing any more, by key."""


class MachineStates:
    """What we know of the state in the partitions that are ours; forgotten with them."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._machines: dict[int, set[bytes]] = {}
        """By partition, where it was restored."""
        self.mending: dict[int, Mending] = {}
        """By partition, until its next commit."""

    def take(self, partition: int, kept: Kept, place: Place, start: Start, log_of: Log) -> dict[bytes, bytes]:
        """The parts to go on with from `start`; nothing, where they are newer: they would make all rows late."""
        newest = kept.newest(log_of.topic_id)
        if not start.renewed and newest > start.offset:
            text = "event=state-dropped partition=%d state_at=%d committed=%s note=%r"
            log.warning(text, partition, newest, place.offset, "offsets were set back; a cold start")
            self.mending[partition], self._machines[partition] = Mending(delete=kept.parts.keys()), set()
            return {}
        self._tell_missing(partition, kept, place)
        self._machines[partition] = kept.machines
        if misplaced := kept.misplaced(log_of, start.offset):
            self.mending[partition] = Mending(rewrite=misplaced)
        return kept.parts

    def _tell_missing(self, partition: int, kept: Kept, place: Place) -> None:
        at, found = kept.newest(place.topic_id), len(kept.machines)
        if place.machines is not None and found < place.machines:
            text = "event=state-missing partition=%d machines=%d expected=%d topic=%s note=%r"
            note = "was the topic made again? Machines without state start cold"
            log.error(text, partition, found, place.machines, self._topic, note)
        elif place.state_at is not None and at != place.state_at:
            text = "event=state-missing partition=%d state_at=%d expected=%d topic=%s"
            log.error(text, partition, at, place.state_at, self._topic)

    def places(self, moved: Mapping[int, int], topic_id: str, snapshots: Iterable[Snapshot]) -> dict[int, Place]:
        """Where the moved partitions are (by their next offsets) once these snapshots are committed."""
        counts: dict[int, int | None] = {p: len(self._machines[p]) if p in self._machines else None for p in moved}
        for partition, (written, deleted) in self._changes(snapshots).items():
            known, before = self._machines[partition], counts.get(partition)
            if before is not None:
                counts[partition] = before + len(written - known) - len((deleted - written) & known)
        return {p: Place(at, at, topic_id, counts[p]) for p, at in moved.items()}

    def _changes(self, snapshots: Iterable[Snapshot]) -> dict[int, tuple[set[bytes], set[bytes]]]:
        """By partition whose machines are known, those of which a part is written, and those of which one is deleted.

        One of which parts are only deleted is gone. All machines are never gone through: a commit has a few.
        """
        found = {partition: (set[bytes](), set[bytes]()) for partition in self._machines}
        for partition, key, value in snapshots:
            if partition in found:
                found[partition][value is None].add(machine_of(key))
        return found

    def committed(self, partitions: Iterable[int], snapshots: Iterable[Snapshot]) -> None:
        """The commit stands."""
        for partition in partitions:
            self.mending.pop(partition, None)
        for partition, (written, deleted) in self._changes(snapshots).items():
            self._machines[partition] -= deleted
            self._machines[partition] |= written

    def forget(self, partitions: Iterable[int]) -> None:
        """Another monitor may write their state from now on: what we meant to do to it is void."""
        for partition in partitions:
            self.mending.pop(partition, None)
            self._machines.pop(partition, None)
