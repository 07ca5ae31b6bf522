"""Positions: where a partition goes on, by what was committed, what its kept state says and what the log holds."""

import base64
import logging
import time
import uuid
from typing import Any, Literal, NamedTuple

from sheetbreak.times import SAY_AGAIN_S

Event = Literal["", "input-made-again", "log-truncated", "rows-lost"]

_NOTES = {
    "input-made-again": "the topic was deleted and made again: it goes on at its start, on the states that are kept",
    "log-truncated": "the log ends before the committed offset (a broker lost its tail): it goes on at the end",
    "rows-lost": "retention took rows before they were read: raise retention.ms, or run more monitors",
}

_STILL_S = 15.0

log = logging.getLogger(__name__)


def topic_id_text(topic_id: uuid.UUID | None) -> str:
    """A topic's id as Kafka's own tools print it; empty where the broker told none."""
    if topic_id is None or not topic_id.int:
        return ""
    return base64.urlsafe_b64encode(topic_id.bytes).decode().rstrip("=")


def topic_id_bytes(text: str) -> bytes:
    """The 16 bytes of such a text; zeros where it is empty."""
    return base64.urlsafe_b64decode(text + "==") if text else bytes(16)


class Log(NamedTuple):
    """What the broker holds of a partition of the input."""

    topic_id: str
    """Empty where the broker tells none."""
    begin: int
    """The first offset that is there."""
    end: int
    """The next one to be written, or, while a transaction is open in it, to be decided."""


class Place(NamedTuple):
    """Where the group is in one partition of the input."""

    offset: int | None
    """The next one to read; None where nothing is committed."""
    state_at: int | None = None
    """The offset that the newest kept state belongs to; None where we did not say so (reset by hand, say)."""
    topic_id: str = ""
    """Of the topic whose offset it is; empty where an older version committed it, or somebody by hand."""
    machines: int | None = None
    """How many machines have state in this partition; None where that is not known."""

    @property
    def metadata(self) -> str:
        """What is committed beside the offset: so a topic made again is noticed, and state that went missing."""
        words = {"state": self.state_at, "topic": self.topic_id or None, "machines": self.machines}
        return " ".join(f"{name}={value}" for name, value in words.items() if value is not None)


def read_place(committed: Any) -> Place:
    """The place of what kafka-python says was committed (None: nothing)."""
    if committed is None:
        return Place(None)
    words = dict(word.partition("=")[::2] for word in (committed.metadata or "").split())
    state, machines = words.get("state", ""), words.get("machines", "")
    return Place(
        int(committed.offset),
        int(state) if state.isdigit() else None,
        words.get("topic", ""),
        int(machines) if machines.isdigit() else None,
    )


class Start(NamedTuple):
    """Where a partition goes on."""

    offset: int
    event: Event = ""
    """Why it is not where it should be; empty: it is."""
    expected: int = 0
    """Where it should be."""
    lost: int = 0
    """Rows that were gone before they were read."""

    @property
    def renewed(self) -> bool:
        """Whether offsets mean something else than those that state was kept with: it is to be written anew."""
        return self.event in ("input-made-again", "log-truncated")

    @property
    def note(self) -> str:
        """The event in words."""
        return _NOTES.get(self.event, "")


def start_from(offset: int, topic_id: str, log: Log) -> Start:
    """Where to go on for whom the next offset was to be `offset` of the topic of that id (empty: not known)."""
    if topic_id and log.topic_id and topic_id != log.topic_id:
        return Start(log.begin, "input-made-again", offset, lost=log.begin)
    if offset > log.end:
        return Start(log.end, "log-truncated", offset)
    if offset < log.begin:
        return Start(log.begin, "rows-lost", offset, lost=log.begin - offset)
    return Start(offset)


def start_from_state(position: int, topic_id: str, log: Log) -> Start:
    """Where to go on when nothing is committed and the newest state belongs to `position`."""
    if not topic_id and position > log.end:  # state of an older version: rather a row twice than one never
        return Start(log.begin, "input-made-again", position, lost=log.begin)
    return start_from(position, topic_id, log)


class Jumps:
    """Positions that moved, each told once in the log, and the rows that were lost by it."""

    def __init__(self) -> None:
        self._told: set[tuple[int, Start]] = set()
        self._lost: dict[int, int] = {}

    def tell(self, partition: int, start: Start) -> None:
        """Where a partition goes on; no event, where that is where it should be."""
        if not start.event or (partition, start) in self._told:
            return
        self._told.add((partition, start))
        text = "event=%s partition=%d expected=%d found=%d lost=%d note=%r"
        log.error(text, start.event, partition, start.expected, start.offset, start.lost, start.note)
        if start.lost:
            self._lost[partition] = self._lost.get(partition, 0) + start.lost

    def take(self) -> dict[int, int]:
        """Rows lost, by partition, since this was asked last."""
        lost, self._lost = self._lost, {}
        return lost


class StableOffsets:
    """Partitions that stand still because a transaction of whoever writes the input stays open: told once a minute."""

    def __init__(self) -> None:
        self._still: dict[int, tuple[int, float]] = {}
        """By partition: the stable offset, and since when, or until when it need not be told again."""

    def look(self, partition: int, stable: int, written: int) -> None:
        """The offset up to which all is decided, and up to which there are rows."""
        now = time.monotonic()
        at, since_s = self._still.get(partition, (-1, now))
        if stable >= written:
            self._still.pop(partition, None)
        elif stable != at:
            self._still[partition] = (stable, now)
        elif now - since_s >= _STILL_S:
            self._still[partition] = (stable, now + SAY_AGAIN_S - _STILL_S)
            text = "event=open-transaction partition=%d stable_offset=%d waiting=%d note=%r"
            note = f"stable offset stuck at {stable}: a writer's transaction is open, rows behind it wait for its end"
            log.warning(text, partition, stable, written - stable, note)
