"""The clients of one stay in the group: made together, lost together."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError

from sheetbreak.streams.kafka_bulk import Partitioner
from sheetbreak.streams.kafka_clients import (
    BATCH_BYTES,
    MAX_RECORD_BYTES,
    close_producer,
    new_admin,
    new_group_consumer,
    new_producer,
)
from sheetbreak.streams.kafka_settings import Address, KafkaOptions, Security
from sheetbreak.streams.kafka_topics import Names, check_topics, mend_command

_CLOSE_MS = 1_000


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
    admin = new_admin(address, security)
    try:
        facts = check_topics(admin, names, mend_command(address, address.topic, options.topic_prefix))
    finally:
        admin.close()
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


def close_session(session: Session) -> None:
    """Let go of the broker. A static member does not leave the group: its next start finds its place."""
    if session.producer is not None:
        close_producer(session.producer)
        session.producer = None
    if session.consumer is not None:
        with contextlib.suppress(KafkaError):
            session.consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)
