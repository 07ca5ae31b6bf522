"""The clients of one stay in the group: made together, lost together."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError

from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.bulk_producer import Partitioner
from sheetbreak.streams.kafka.clients import (
    BATCH_BYTES,
    MAX_RECORD_BYTES,
    close_producer,
    new_admin,
    new_group_consumer,
    new_producer,
)
from sheetbreak.streams.kafka.options import Address, KafkaOptions, Security
from sheetbreak.streams.kafka.topics import Facts, Names, check_topics, mend_command

_CLOSE_MS = 1_000
_LOOK_EVERY_S = 4.0


@dataclass(slots=True)
class Session:
    """A consumer of the group and a transactional producer."""

    consumer: Any
    producer: Any
    """None: thrown away after a failure that left the batch ours."""
    limits: Mapping[str, int]
    """Bytes of a record at most, by topic."""
    batch_bytes: int
    partition_of: Partitioner


def open_session(address: Address, names: Names, options: KafkaOptions, security: Security) -> Session:
    """Check the topics, end what a dead predecessor left open, subscribe.

    Raises DataError for topics that are not as they should be, and errors of kafka-python.
    """
    facts = check(address, names, options, security)
    limits = {name: min(f.max_message_bytes or MAX_RECORD_BYTES, MAX_RECORD_BYTES) for name, f in facts.items()}
    # The broker's limit is on a batch, not on a record.
    batch_bytes = min(BATCH_BYTES, *(limits[name] for name in (*names.outputs.values(), names.state)))
    session = Session(None, None, limits, batch_bytes, Partitioner(facts[names.rows].partitions))
    session.producer = new_producer(address, options, security, batch_bytes=batch_bytes)
    try:
        session.consumer = new_group_consumer(address, options, security)
        session.consumer.subscribe([names.rows])
    except BaseException:
        close_session(session)
        raise
    return session


def check(address: Address, names: Names, options: KafkaOptions, security: Security) -> dict[str, Facts]:
    """The facts of the monitor's topics. Raises like `open_session`."""
    admin = new_admin(address, security)
    try:
        return check_topics(admin, names, mend_command(address, address.topic, options.topic_prefix))
    finally:
        admin.close()


class TopicDoubts:
    """Whether the topics are at fault where kafka-python only waits: it does so for ever for one that was deleted."""

    def __init__(self, check_topics: Callable[[], object], *, reachable: Callable[[], bool]) -> None:
        self._check, self._reachable = check_topics, reachable
        self._complaint = ""
        self._looked_at = float("-inf")

    def look(self) -> None:
        """To be called while something does not come to its end; looks now and then.

        Raises DataError when two looks in a row complain of the same: just after its start a broker may not know
        its topics yet.
        """
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S or not self._reachable():
            return
        self._looked_at, before, self._complaint = now, self._complaint, ""
        try:
            self._check()
        except DataError as error:
            if str(error) == before:
                raise
            self._complaint = str(error)
        except KafkaError:
            return

    def clear(self) -> None:
        """It came to its end."""
        self._complaint = ""


def close_session(session: Session) -> None:
    """Let go of the broker. A static member does not leave the group: its next start finds its place."""
    if session.producer is not None:
        close_producer(session.producer)
        session.producer = None
    if session.consumer is not None:
        with contextlib.suppress(KafkaError):
            session.consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)
