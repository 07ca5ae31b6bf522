"""Watch over the group: joins that do not end, partitions that nobody has, an id that another one takes."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from sheetbreak.errors import StreamFenced
from sheetbreak.streams.kafka import clients, session
from sheetbreak.streams.kafka.group import watch
from tests.support.kafka.broker import Broker
from tests.support.kafka.rig import KafkaRig
from tests.support.running.patience import PATIENCE_S, patiently, wait_for
from tests.support.streams.checks import answers, commit, poll_until


def test_partitions_that_came_while_it_was_away_are_a_static_members_too(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """It comes back within its session, and the broker gives it what it had: the new partition would be nobody's."""
    rig = KafkaRig(broker, partitions=2)
    try:
        first = rig.open(session_s=60)
        wait_for(lambda: patiently(lambda: first.poll(0.1)).assigned)
        first.close()
        for name in ("sensor-rows", "scores", "alerts", "dead-letters", "monitor-state", "operator-actions"):
            rig.operator.grow(rig.prefix + name, 3)
        rig.feed([b"1", b"2"], partition=2)
        batch = next(one for one in poll_until(rig.open(session_s=60), 2) if one.records)
        assert {record.partition for record in batch.records} == {2}
        assert "event=partitions-left-over partitions=2" in caplog.text
    finally:
        rig.tear_down()


def test_who_stalls_before_it_joins_does_not_take_the_place_of_who_took_its_id(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that fence each other both would end: one by the transactional id, one by its place in the group."""
    rig = KafkaRig(broker)
    try:
        stalled, rival = rig.open(instance="same"), rig.open(instance="same")
        join = clients.new_group_consumer

        def stall(*asked: Any) -> Any:
            monkeypatch.setattr(session, "new_group_consumer", join)
            wait_for(lambda: patiently(lambda: rival.poll(0.1)).assigned)
            return join(*asked)

        monkeypatch.setattr(session, "new_group_consumer", stall)
        with pytest.raises(StreamFenced, match="was taken before we had joined"):
            wait_for(lambda: patiently(lambda: stalled.poll(0.1)).assigned)
        rig.feed([b"1"])
        batch = next(one for one in poll_until(rival, 1) if one.records)
        commit(rival, batch, answers(batch), [])
    finally:
        rig.tear_down()


def test_a_group_that_is_not_joined_is_told_in_time_also_while_the_coordinator_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a minute after the clients are there, with what is known by then; a minute later with what it said."""
    clock, answer = SimpleNamespace(now=0.0), threading.Event()
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def no_admin() -> Any:
        assert answer.wait(PATIENCE_S)
        raise KafkaTimeoutError("no coordinator")

    def until(second: int) -> list[str]:
        while clock.now < second:
            clock.now += 1
            group.joining()
        return [record.message for record in caplog.records if "event=not-joined" in record.message]

    group = watch.GroupWatch("g", "rows", no_admin)
    group.opened()
    assert until(29) == []
    (first,) = until(31)
    assert "for_s=30 coordinator='it has not answered yet'" in first
    answer.set()
    wait_for(lambda: "no coordinator" in group._word)
    (_, second) = until(91)
    assert "for_s=90" in second
    assert "no coordinator" in second
