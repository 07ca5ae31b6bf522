"""Clients of kafka-python with the settings that were measured, and the cure for its hang.

Why each setting is as it is: docs/decisions/0006-the-kafka-stream.md.
"""

import logging
import selectors
import threading
from collections.abc import Sequence
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, TransactionalIdAuthorizationFailedError
from kafka.net.compat import KafkaNetClient

from sheetbreak.streams.kafka.bulk.consumer import BulkConsumer
from sheetbreak.streams.kafka.bulk.producer import BulkProducer
from sheetbreak.streams.kafka.group.asking import AskingConsumer
from sheetbreak.streams.kafka.library_log import LastFailure, hint_at, tame_log
from sheetbreak.streams.kafka.options import Address, KafkaOptions, Security

BOOTSTRAP_MS = 5_000
"""To find a broker: a poll that opens the clients takes no longer while there is none."""
MAX_BLOCK_MS = 15_000
CLIENT_ID = "sheetbreak"
"""Tells our members of a group from others', and is what quotas are given to."""
BATCH_BYTES = 1_000_000
"""Of one partition's records in a request; the broker's limit is 1 MiB. With half, a backlog's scores take two."""
MAX_RECORD_BYTES = 1024 * 1024
"""Kafka's own default, on both sides."""
PARTITION_FETCH_BYTES = 8 * 1024 * 1024
"""A full batch from one partition; with kafka-python's 1 MiB a backlog comes in batches of a thousand rows. From all
together twice as much: with its 50 MiB a batch of four partitions lay beside three more that waited."""
METADATA_MS = 5_000
"""How old may be what we know of the input while no row comes: a topic made again or grown is seen so soon."""
_READER_METADATA_MS = 30_000
"""The same of a topic that is read outside the group; with kafka-python's five minutes one that was made again might be
seen so late."""
_RECONNECT_MS = 1_000
"""At most between two tries. With kafka-python's default, 30 s, we were back 9 s after the broker."""


class Patient(KafkaNetClient):  # type: ignore[misc]  # kafka-python ships no types
    """A network client under which a transaction waits for a broker that is away instead of hanging for ever.

    The producer's sender drops a transaction's request when `await_ready` raises, and keeps it when that says
    no. tests/streams/kafka/test_kafka_client.py says whether the pinned version still needs this.
    """

    def await_ready(self, *args: Any, **kwargs: Any) -> bool:
        """Whether the node can be written to; False where kafka-python raises."""
        try:
            return bool(super().await_ready(*args, **kwargs))
        except KafkaConnectionError:
            return False


class Selector(selectors.DefaultSelector):
    """Says of a socket that it is not registered without describing it.

    kafka-python asks before every wait; the description, read by nobody, was a twentieth of a monitor at 200 rows/s.
    """

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As the library's."""
        self._of[fileobj] = key = super().register(fileobj, events, data)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As the library's."""
        self._of[fileobj] = key = super().modify(fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """As the library's."""
        self._of.pop(fileobj, None)
        return super().unregister(fileobj)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """As the library's. Raises KeyError."""
        return self._of[fileobj]


def new_producer(
    address: Address, options: KafkaOptions, security: Security, *, batch_bytes: int, transactional_id: str = ""
) -> Any:
    """A transactional producer whose transactions are its own: what a predecessor left open is aborted.

    `batch_bytes`: of one batch at most. transactional_id: another one's than ours. Raises errors of kafka-python.
    """
    transactional_id = transactional_id or options.transactional_id
    producer = _build(
        BulkProducer,
        Patient,
        **_measured_by_none(address, security),
        transactional_id=transactional_id,
        transaction_timeout_ms=_ms(options.transaction_timeout_s),
        retry_backoff_ms=10,  # 100, the default, is slept before 9 of 10 transactions: 8.9 commits/s, not 195
        linger_ms=0,  # a batch is whole when it is handed over
        batch_size=batch_bytes,
        max_block_ms=MAX_BLOCK_MS,
        max_request_size=MAX_RECORD_BYTES,
        allow_auto_create_topics=False,
    )
    try:
        producer.init_transactions()
    except TransactionalIdAuthorizationFailedError as error:
        close_producer(producer)
        raise TransactionalIdAuthorizationFailedError(transactional_id) from error  # theirs names none
    except KafkaTimeoutError as error:
        close_producer(producer)
        raise KafkaTimeoutError(
            f"the transaction coordinator has not answered for {transactional_id} in {MAX_BLOCK_MS // 1000} s "
            "(where the broker is up and this lasts, its log says why; a restart mends a coordinator that stands still)"
        ) from error
    except BaseException:
        close_producer(producer)
        raise
    return producer


def close_producer(producer: Any) -> None:
    """Throw a producer away at once, whatever its state; what it had open is aborted by its successor."""
    # close() alone first sends what is buffered, and gives up closing when it cannot.
    producer._sender.force_close()  # noqa: SLF001 - the public close() has no way to say so
    # On a thread of its own, because close() waits for the sender, which may be waiting for a broker.
    threading.Thread(target=_close_quietly, args=(producer,), name="kafka-close", daemon=True).start()


def new_row_producer(address: Address, security: Security) -> Any:
    """An idempotent KafkaProducer: acks from all in-sync replicas, no transactions. Raises errors of kafka-python.

    It rides out an outage of 5 minutes by itself, without writing anything twice; then it gives its records up.
    """
    return _build(
        KafkaProducer,
        Patient,
        **_measured_by_none(address, security),
        acks="all",
        enable_idempotence=True,
        delivery_timeout_ms=300_000,
        linger_ms=5,
        batch_size=BATCH_BYTES,
        max_block_ms=MAX_BLOCK_MS,
        max_request_size=MAX_RECORD_BYTES,
        allow_auto_create_topics=False,
    )


def new_group_consumer(address: Address, options: KafkaOptions, security: Security) -> Any:
    """A BulkConsumer of the group, subscribed to nothing yet. Raises errors of kafka-python."""
    return _build(
        BulkConsumer,
        KafkaNetClient,
        **_measured_by_none(address, security),
        group_id=options.group,
        group_instance_id=options.instance_id,
        enable_auto_commit=False,
        # One assignor: a group that another program fills with another one refuses us, instead of mixing.
        partition_assignment_strategy=[RangePartitionAssignor],
        # We say where each partition goes on (positions.py); a client that jumps by itself loses or doubles rows.
        auto_offset_reset="none",
        metadata_max_age_ms=METADATA_MS,
        isolation_level="read_committed",  # also makes a new owner wait for its predecessor's pending offsets
        max_poll_records=options.max_rows,
        fetch_max_bytes=2 * PARTITION_FETCH_BYTES,
        max_partition_fetch_bytes=PARTITION_FETCH_BYTES,  # how long the broker gathers: group/pace.py
        session_timeout_ms=_ms(options.session_timeout_s),
        heartbeat_interval_ms=_ms(options.session_timeout_s / 4),
        allow_auto_create_topics=False,
    )


def new_elector(address: Address, security: Security, *, group: str) -> Any:
    """A KafkaConsumer of a group whose partitions are tokens, and are not read. Raises errors of kafka-python."""
    return _build(
        AskingConsumer,
        KafkaNetClient,
        **_measured_by_none(address, security),
        group_id=group,
        enable_auto_commit=False,
        partition_assignment_strategy=[RangePartitionAssignor],
        auto_offset_reset="latest",
        session_timeout_ms=10_000,
        heartbeat_interval_ms=2_500,
        allow_auto_create_topics=False,
    )


def new_reader(
    address: Address,
    security: Security,
    *,
    isolation_level: str = "read_committed",
    idle_wait_ms: int = 500,
    kind: type[AskingConsumer] = AskingConsumer,
) -> Any:
    """A consumer outside any group. idle_wait_ms: how long the broker holds a fetch while nothing comes.

    kind: BulkConsumer, where no keys are needed: others than we write such a topic, and what it unpacks to is bounded.
    Raises errors of kafka-python.
    """
    return _build(
        kind,
        KafkaNetClient,
        **_measured_by_none(address, security),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=isolation_level,
        max_poll_records=10_000,
        metadata_max_age_ms=_READER_METADATA_MS,
        fetch_max_wait_ms=idle_wait_ms,
        allow_auto_create_topics=False,
    )


def new_admin(address: Address, security: Security) -> Any:
    """A KafkaAdminClient. Raises errors of kafka-python."""
    return _build(KafkaAdminClient, KafkaNetClient, **_common(address, security), request_timeout_ms=15_000)


def _build(kind: Any, net_client: Any, **settings: Any) -> Any:
    """A client, or nothing at all: kafka-python's leave sockets and a thread behind when they find no broker.

    Raises errors of kafka-python; one for want of a broker says why the last connection failed.
    """
    made = []
    reason = LastFailure()

    def make(**inner: Any) -> Any:
        made.append(net_client(**inner))
        _name_failing_addresses(made[-1], settings["bootstrap_servers"])
        return made[-1]

    try:
        with reason:
            return kind(kafka_client=make, **settings)
    except BaseException as error:
        for client in made:
            client.close()
        if isinstance(error, KafkaTimeoutError) and reason.text:
            hint = hint_at(reason.text, settings.get("security_protocol", "PLAINTEXT"))
            raise KafkaTimeoutError(f"{error.args[0]}: {reason.text}{hint}") from error
        raise


def _name_failing_addresses(client: Any, servers: Sequence[str]) -> None:
    """Have the error of a connection that fails name its address: brokers advertise others than those given."""
    manager = client._manager  # noqa: SLF001 - nothing public knows which node an error is of
    build = manager._build_transport  # noqa: SLF001

    async def build_named(node: Any, **more: Any) -> Any:
        try:
            return await build(node, **more)
        except KafkaConnectionError as error:
            address = f"{node.host}:{node.port}"
            told = "" if address in servers else " (told by the brokers: advertised.listeners)"
            raise KafkaConnectionError(f"{address}{told}: {error.args[0] if error.args else error}") from error

    manager._build_transport = build_named  # noqa: SLF001


def _common(address: Address, security: Security) -> dict[str, Any]:
    tame_log()
    return {
        "bootstrap_servers": list(address.servers),
        "client_id": CLIENT_ID,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
        "reconnect_backoff_max_ms": _RECONNECT_MS,
        "selector": Selector,
        **security.settings(),
    }


def _measured_by_none(address: Address, security: Security) -> dict[str, Any]:
    """As `_common`, of clients that would keep measurements of themselves: nobody reads them, each request pays."""
    return {**_common(address, security), "metrics_enabled": False}


def _close_quietly(producer: Any) -> None:
    try:
        producer.close(timeout=5)
    except Exception:  # whatever it says: it is being thrown away
        logging.getLogger(__name__).debug("action=close producer", exc_info=True)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
