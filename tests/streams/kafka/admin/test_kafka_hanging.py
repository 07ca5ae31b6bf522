"""Hanging transactions on a real broker: their coordinator holds them for ended, the partitions they wrote do not."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource
from kafka.producer.transaction_manager import TransactionalRequestResult, TxnOffsetCommitHandler

from sheetbreak.streams.kafka.admin.hanging import Open, hanging_among
from sheetbreak.streams.kafka.group import actions, membership
from sheetbreak.streams.kafka.stream import KafkaStream
from sheetbreak.streams.protocol import Batch, Output
from tests.support.kafka.broker import Broker
from tests.support.kafka.rig import KafkaRig
from tests.support.running.patience import PATIENCE_S, patiently, wait_for
from tests.support.streams.checks import commit, restore


@pytest.fixture
def rig(broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[KafkaRig]:
    """On a broker that believes a producer that what it writes is part of its transaction."""
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(membership, "_COMMITTED_MS", 1000)  # a wait in vain is a short one
    monkeypatch.setattr(actions, "_ASK_MS", 1000)
    rig = KafkaRig(broker)
    _verify(rig, "false")
    yield rig
    rig.tear_down()
    _verify(rig, "true")


def _verify(rig: KafkaRig, whether: str) -> None:
    setting = ConfigResource("BROKER", "1", {"transaction.partition.verification.enable": whether})
    rig.operator.ask(lambda admin: admin.alter_configs([setting]))


def _producer(stream: KafkaStream) -> Any:
    assert stream._session is not None
    return stream._session.producer


def _answer_without_markers(stream: KafkaStream, batch: Batch) -> None:
    """Have its producer write a transaction, and end it, without a word to the coordinator: what is then in the
    partitions is what a broker leaves that was stopped before it wrote the markers.
    """
    manager = _producer(stream)._transaction_manager

    def send_offsets(offsets: Any, group: Any) -> Any:
        waiting = manager._pending_txn_offset_commits
        waiting.update(offsets)
        sent = TxnOffsetCommitHandler(manager, group, waiting, TransactionalRequestResult())
        manager._enqueue_request(sent)
        return sent._result

    manager.maybe_add_partition_to_transaction = manager._partitions_in_transaction.add
    manager.send_offsets_to_transaction = send_offsets
    _answer(stream, batch)


def _answer(stream: KafkaStream, batch: Batch) -> None:
    commit(stream, batch, [Output("scores", b"pm1", record.value) for record in batch.records], [])


def _next(stream: KafkaStream) -> Batch:
    """The next batch with a row."""

    def polled() -> Batch | None:
        batch = patiently(lambda: stream.poll(0.1))
        for partition in batch.assigned:
            restore(stream, partition)
        return batch if batch.records else None

    found = wait_for(polled, nap_s=0)
    assert found is not None
    return found


def _begun(rig: KafkaRig, instance: str = "one") -> KafkaStream:
    """A stream that has answered the first of three rows."""
    stream = rig.open(max_records=1, instance=instance)
    rig.feed([b"1", b"2", b"3"])
    _answer(stream, _next(stream))
    assert rig.published() == [b"1"]  # the markers are there, too, which come a moment later
    return stream


def _join_again(stream: KafkaStream) -> None:
    """As after a broker's restart: offsets are asked for anew."""
    assert stream._session is not None
    stream._session.consumer._coordinator.request_rejoin()


def _values(batch: Batch) -> list[bytes]:
    return [record.value for record in batch.records]


def test_a_commit_whose_markers_the_broker_lost_is_ended_once_more(
    rig: KafkaRig, caplog: pytest.LogCaptureFixture
) -> None:
    stream = _begun(rig)
    _answer_without_markers(stream, _next(stream))
    _join_again(stream)
    third = _next(stream)
    assert _values(third) == [b"3"]
    _answer(stream, third)
    assert rig.published() == [b"1", b"2", b"3"]
    assert f"event=hanging-transaction id={rig.prefix}group-one ended=commit partitions=2" in caplog.text
    assert "fetch-halved" not in caplog.text
    assert "Unknown error fetching offsets" not in caplog.text


def test_what_was_to_be_aborted_is_aborted_and_its_row_answered_again(
    rig: KafkaRig, caplog: pytest.LogCaptureFixture
) -> None:
    stream = _begun(rig)
    second = _next(stream)
    producer = _producer(stream)
    producer.begin_transaction()
    (sent,) = producer.send_many(rig.prefix + "scores", 0, [(b"pm1", b"never")])
    sent.get(PATIENCE_S)
    producer.abort_transaction()
    assert rig.published() == [b"1"]  # the markers are there
    _answer_without_markers(stream, second)
    _join_again(stream)
    again = _next(stream)
    assert _values(again) == [b"2"]
    _answer(stream, again)
    assert rig.published() == [b"1", b"2"]
    assert f"id={rig.prefix}group-one ended=abort partitions=2" in caplog.text


def test_the_next_start_under_the_same_id_ends_it(rig: KafkaRig, caplog: pytest.LogCaptureFixture) -> None:
    """Its own producer takes the id over first, after which the coordinator no longer says how the last one ended."""
    stream = _begun(rig)
    _answer_without_markers(stream, _next(stream))
    again = rig.open(max_records=1)
    assert _values(_next(again)) == [b"3"]
    assert rig.published() == [b"1", b"2"]
    assert f"id={rig.prefix}group-one ended=commit" in caplog.text


def test_that_of_a_monitor_that_is_no_more_is_ended_by_another(rig: KafkaRig, caplog: pytest.LogCaptureFixture) -> None:
    """A container that is made anew has another name, and so another id."""
    stream = _begun(rig, "gone-1")
    _answer_without_markers(stream, _next(stream))
    stream.close()
    rig.leave("gone-1")
    other = rig.open(max_records=1, instance="new-1")
    assert _values(_next(other)) == [b"3"]
    assert rig.published() == [b"1", b"2"]
    assert f"id={rig.prefix}group-gone~1 ended=commit" in caplog.text


def test_only_a_transaction_that_was_ended_before_the_second_look_hangs() -> None:
    partition = TopicPartition("scores", 0)
    opened = {Open(partition, 7, 100), Open(partition, 8, 120)}
    (found,) = hanging_among(opened, {7: ("g-one", True), 9: ("g-two", False)})
    assert (found.transactional_id, found.committed, found.partitions) == ("g-one", True, (partition,))
