"""The Kafka stream on a real broker: what every stream promises, then what only this one can."""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.partitioner.default import DefaultPartitioner

from sheetbreak.errors import DataError, StreamFenced, StreamLost
from sheetbreak.streams.kafka.group.pace import IDLE_WAIT_MS, Pace
from sheetbreak.streams.kafka.group.state_topic import wrap
from sheetbreak.streams.kafka.reading import follow
from sheetbreak.streams.protocol import Batch, Output, Stream
from tests.support.kafka.broker import Broker
from tests.support.kafka.counter import Counter
from tests.support.kafka.rig import KafkaRig
from tests.support.running.patience import PATIENCE_S, patiently, wait_for
from tests.support.streams.checks import *  # noqa: F403 - the checks run here, on a broker
from tests.support.streams.checks import (
    actions_of,
    answers,
    commit,
    parts,
    poll_until,
    poll_until_said,
    records_of,
    restore,
    rows,
    values_of,
)


class GathersOn(Pace):
    """Gathers until the group is to be joined again, which whoever gathers hears from a heartbeat."""

    def until(self, consumer: Any, *, rows: bool) -> float:
        wait_for(lambda: consumer._coordinator.rejoin_needed)
        return super().until(consumer, rows=rows) + 1.0


@pytest.fixture
def rewinding_rig(rig: KafkaRig) -> KafkaRig:
    return rig


# Rebalances


def shares(*counters: Counter) -> list[set[int]]:
    return [set(counter.counts) for counter in counters]


def turn_until(condition: Callable[[], bool], *counters: Counter) -> None:
    def met() -> bool:
        if condition():
            return True
        for counter in counters:
            counter.turn(0.1)
        return condition()

    wait_for(met, says=lambda: shares(*counters), nap_s=0)


def test_a_second_monitor_gets_half_and_every_partition_goes_on_from_its_state(broker: Broker) -> None:
    rig = KafkaRig(broker, partitions=4)
    try:
        for partition in range(4):
            rig.feed([b"%d" % i for i in range(10)], partition=partition)
        one = Counter(rig.open(instance="one"))
        turn_until(lambda: sum(one.counts.values()) == 40, one)
        two = Counter(rig.open(instance="two"))
        turn_until(lambda: shares(one, two) == [{0, 1}, {2, 3}], one, two)
        for partition in range(4):
            rig.feed([b"%d" % i for i in range(10, 15)], partition=partition)
        turn_until(lambda: len(rig.published()) == 60, one, two)
        assert one.counts | two.counts == dict.fromkeys(range(4), 15)
        assert sorted(json.loads(value)["n"] for value in rig.published()) == sorted([*range(15)] * 4)
    finally:
        rig.tear_down()


def test_a_partition_that_stays_ours_through_a_rebalance_keeps_its_state_in_memory(broker: Broker) -> None:
    rig = KafkaRig(broker, partitions=2)
    try:
        one, two = Counter(rig.open(instance="one")), Counter(rig.open(instance="two"))
        turn_until(lambda: shares(one) == [{0, 1}], one)
        told: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

        def parted() -> bool:
            batch = one.turn(0.1)
            told.extend([(batch.assigned, batch.revoked)] if batch.assigned or batch.revoked else [])
            two.turn(0.1)
            return shares(two) != [set()]

        wait_for(parted, nap_s=0)
        assert told == [((), (1,))]
        assert shares(one, two) == [{0}, {1}]
    finally:
        rig.tear_down()


def test_what_another_monitor_did_for_an_operator_is_not_forgotten_when_the_partition_comes_back(rig: KafkaRig) -> None:
    """As for one that was frozen meanwhile: the rows' offset is where it left it, the state is not."""
    rig.feed(rows(1))
    one = rig.open(instance="one")
    for batch in poll_until(one, 1):
        if batch.records:
            commit(one, batch, answers(batch), parts(0, last=b"before"))
    rig.leave("one")
    two = rig.open(instance="two")
    rig.say([b'{"a":1}'])
    for batch in poll_until_said(two, 1):
        if batch.actions:
            commit(two, batch, [], parts(0, last=b"obeyed"))
    two.close()
    rig.leave("two")
    rig.feed(rows(1, first=1))
    batches = poll_until(one, 1)
    assert (values_of(batches), actions_of(batches)) == (rows(1, first=1), [])
    assert [batch.assigned for batch in batches if batch.assigned] == [(0,)]
    assert restore(one, 0)[b"last"] == b"obeyed"


def test_rows_gathered_when_a_rebalance_came_between_come_again(broker: Broker) -> None:
    rig = KafkaRig(broker, partitions=2)
    stop = threading.Event()
    try:
        one = rig.open(instance="one")
        rig.feed(rows(1))
        first = next(batch for batch in poll_until(one, 1) if batch.records)
        commit(one, first, answers(first), [])
        one._pace = GathersOn(0.0)
        rig.feed(rows(5, first=1))  # they are gathered until a rebalance comes
        two = Counter(rig.open(instance="two"))
        other = threading.Thread(target=lambda: [two.turn(0.1) for _ in iter(stop.is_set, True)])
        other.start()
        gathered: list[Batch] = []

        def revoked() -> tuple[int, ...]:
            gathered.append(patiently(lambda: one.poll(1.0)))
            return gathered[-1].revoked

        wait_for(revoked, nap_s=0)
        assert ([*records_of(gathered)], gathered[-1].revoked) == ([], (1,))
        one._pace = Pace(0.0)
        stop.set()
        other.join()
        assert values_of(poll_until(one, 5)) == rows(5, first=1)
    finally:
        stop.set()
        rig.tear_down()


def test_rows_polled_before_a_rebalance_cannot_be_committed_after_it(broker: Broker) -> None:
    rig = KafkaRig(broker, partitions=2)
    try:
        rig.feed(rows(5), partition=0)
        rig.feed(rows(5, first=5), partition=1)
        one, two = rig.open(instance="one", max_records=20), Counter(rig.open(instance="two"))
        held = [batch for batch in poll_until(one, 10) if batch.records]
        assert len(records_of(held)) == 10
        revoked: list[int] = []  # told by one poll alone

        def has_lost_one() -> bool:
            revoked.extend(patiently(lambda: one.poll(0.1)).revoked)
            return bool(revoked)

        turn_until(has_lost_one, two)
        for batch in held:
            with pytest.raises(StreamLost):
                commit(one, batch, answers(batch), [])
        left = Counter(one)
        turn_until(lambda: len(rig.published()) == 10, left, two)
        assert sorted(json.loads(value)["row"]["row"] for value in rig.published()) == list(range(10))
    finally:
        rig.tear_down()


def test_a_monitor_that_was_killed_finds_its_place_again_without_waiting_for_its_session(rig: KafkaRig) -> None:
    """A session that outlasts any patience: whoever waited for its end would wait in vain."""
    poll_until_assigned(rig.open(session_s=3 * PATIENCE_S))
    poll_until_assigned(rig.open(session_s=3 * PATIENCE_S))  # the first was not closed: as if it had been killed


# State


def test_state_behind_an_open_transaction_of_a_former_owner_is_waited_for(rig: KafkaRig) -> None:
    rig.feed(rows(1))
    stream = rig.open()
    batch = next(batch for batch in poll_until(stream, 1) if batch.records)
    commit(stream, batch, answers(batch), parts(0, core=b"first"))
    stream.close()
    former = former_owner(rig)
    former.begin_transaction()
    former.send(rig.prefix + "monitor-state", wrap(b"second", 1), key=b"core", partition=0)
    former.flush()
    again = rig.open()
    poll_until_assigned(again)
    end = threading.Timer(1.5, former.commit_transaction)
    end.daemon = True
    started = time.monotonic()
    end.start()
    assert restore(again, 0) == {b"core": b"second"}
    assert time.monotonic() - started >= 1.5
    end.join()
    former.close()


def test_partitions_restored_one_after_the_other_have_each_their_own_state(broker: Broker) -> None:
    """By the same two clients, which are let go before the next poll."""
    rig = KafkaRig(broker, partitions=3)
    try:
        stream = rig.open()
        for partition in range(3):
            rig.feed(rows(1, first=partition), partition=partition)
        for batch in poll_until(stream, 3):
            if batch.records:
                seen = {record.partition for record in batch.records}
                kept = [snapshot for one in seen for snapshot in parts(one, last=b"%d" % one)]
                commit(stream, batch, answers(batch), kept)
        again = rig.open()
        poll_until_assigned(again)
        assert [restore(again, partition) for partition in (2, 0, 1)] == [{b"last": b"%d" % one} for one in (2, 0, 1)]
        assert len(again._reader._readers) == 2
        patiently(lambda: again.poll(0.1))
        assert not again._reader._readers
    finally:
        rig.tear_down()


def test_state_is_read_over_aborted_transactions(rig: KafkaRig) -> None:
    rig.feed(rows(30))
    stream = rig.open(max_records=10)
    batches = [batch for batch in poll_until(stream, 30) if batch.records]
    for number, batch in enumerate(batches):
        commit(stream, batch, [], parts(0, core=b"%d" % number))
        former = former_owner(rig)
        former.begin_transaction()
        former.send(rig.prefix + "monitor-state", wrap(b"aborted", 0), key=b"core", partition=0)
        former.flush()
        former.abort_transaction()
        former.close()
    again = rig.open()
    poll_until_assigned(again)
    assert restore(again, 0) == {b"core": b"%d" % (len(batches) - 1)}


def test_state_is_read_from_a_topic_that_was_compacted(broker: Broker, rig: KafkaRig) -> None:
    topic = rig.prefix + "monitor-state"
    settings = {"segment.ms": "200", "min.cleanable.dirty.ratio": "0.001", "max.compaction.lag.ms": "200"}
    rig.operator.configure(topic, settings)
    stream = rig.open(max_records=1)
    rig.feed(rows(60))
    commits = 0
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        batch = patiently(lambda: stream.poll(0.5))
        if batch.records:
            commits += 1
            commit(stream, batch, [], parts(0, core=b"%d" % commits, other=b"%d" % (commits % 7)))
            time.sleep(0.1)
        elif len(broker.read(topic)) < commits:  # two records a commit: half of them are gone
            break
        else:  # the last segment is never cleaned: another record closes it
            rig.feed(rows(1))
    assert len(broker.read(topic)) < commits, "the broker has not compacted it: this test saw nothing"
    again = rig.open()
    poll_until_assigned(again)
    assert restore(again, 0) == {b"core": b"%d" % commits, b"other": b"%d" % (commits % 7)}


def test_state_newer_than_an_offset_set_back_is_dropped_and_deleted(
    rig: KafkaRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.feed(rows(20))
    stream = rig.open(max_records=10)
    batches = [batch for batch in poll_until(stream, 20) if batch.records]
    commit(stream, batches[0], [], parts(0, core=b"ten", old=b"x"))
    commit(stream, batches[1], [], parts(0, core=b"twenty"))
    stream.close()
    set_offset(rig, 5)
    again = rig.open(max_records=10)
    poll_until_assigned(again)
    assert restore(again, 0) == {}
    assert "event=state-dropped partition=0 state_at=20 committed=5" in caplog.text
    batch = next(batch for batch in poll_until(again, 1) if batch.records)
    assert batch.records[0].offset == 5
    commit(again, batch, [], parts(0, core=b"new"))
    last = rig.open()
    poll_until_assigned(last)
    assert restore(last, 0) == {b"core": b"new"}, "what was dropped is gone from the topic, too"


def test_state_that_went_missing_is_reported(rig: KafkaRig, caplog: pytest.LogCaptureFixture) -> None:
    rig.feed(rows(10))
    stream = rig.open()
    batch = next(batch for batch in poll_until(stream, 10) if batch.records)
    commit(stream, batch, [], parts(0, core=b"x"))
    stream.close()
    rig.operator.delete(rig.prefix + "monitor-state")
    rig.broker.run_topics("create", "--partitions", "1", "--topic-prefix", rig.prefix)
    again = rig.open()
    poll_until_assigned(again)
    assert restore(again, 0) == {}
    assert f"event=state-missing partition=0 state_at=0 expected={len(batch.records)}" in caplog.text


def test_dead_letters_after_the_last_state_are_no_reason_to_miss_it(
    rig: KafkaRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.feed(rows(20))
    stream = rig.open(max_records=10)
    batches = [batch for batch in poll_until(stream, 20) if batch.records]
    commit(stream, batches[0], [], parts(0, core=b"x"))
    for batch in batches[1:]:
        commit(stream, batch, answers(batch), [])
    again = rig.open()
    poll_until_assigned(again)
    assert restore(again, 0) == {b"core": b"x"}
    assert "state-" not in caplog.text


def former_owner(rig: KafkaRig) -> Any:
    """A producer of another monitor's that has this partition's state in its hands."""
    producer = KafkaProducer(
        bootstrap_servers=rig.broker.address, transactional_id=rig.prefix + "former", retry_backoff_ms=10
    )
    producer.init_transactions()
    return producer


def poll_until_assigned(stream: Stream) -> None:
    wait_for(lambda: patiently(lambda: stream.poll(0.1)).assigned, nap_s=0)


def set_offset(rig: KafkaRig, offset: int) -> None:
    """What an operator does with kafka-consumer-groups --reset-offsets, once the group is empty."""
    rig.leave("one")
    rig.operator.commit(rig.prefix + "group", TopicPartition(rig.prefix + "sensor-rows", 0), offset)


# What a broker would not take


@pytest.mark.parametrize("name", ["dead-letters", "scores", "alerts"])
def test_a_message_too_large_for_its_topic_is_cut_and_the_stream_goes_on(rig: KafkaRig, name: str) -> None:
    limit(rig, name, 20_000)
    rig.feed(rows(3))
    stream = rig.open(max_records=1)
    large: dict[str, Any] = {"topic": name, "top": [{"sensor": "x" * 30_000}]}
    if name == "dead-letters":
        large = {"topic": name, "record_base64": "QUJD" * 10_000, "truncated": False}
    batches = [batch for batch in poll_until(stream, 3) if batch.records]
    for number, batch in enumerate(batches):
        message = large if number == 1 else {"topic": name}
        commit(stream, batch, [Output(name, b"pm1", json.dumps(message).encode())] * 5, parts(0, core=b"c"))
    published = [json.loads(value) for value in rig.published()]
    assert len(published) == 15
    cut = published[5]
    assert cut["truncated"] if name == "dead-letters" else cut["top"] == []


def test_small_messages_fill_a_topic_of_small_batches(rig: KafkaRig) -> None:
    limit(rig, "scores", 3_000)
    rig.feed(rows(1))
    stream = rig.open()
    batch = next(batch for batch in poll_until(stream, 1) if batch.records)
    many = [Output("scores", b"pm1", b'{"n":%d,"text":"%s"}' % (n, b"x" * 900)) for n in range(200)]
    commit(stream, batch, many, [])
    assert rig.published() == [output.value for output in many]


def test_a_part_of_state_too_large_for_its_topic_names_the_topic_and_the_setting(rig: KafkaRig) -> None:
    limit(rig, "monitor-state", 2_000)
    rig.feed(rows(1))
    stream = rig.open()
    batch = next(batch for batch in poll_until(stream, 1) if batch.records)
    with pytest.raises(DataError, match=r"monitor-state takes 2000 bytes .* raise its max\.message\.bytes"):
        commit(stream, batch, [], parts(0, core=b"x" * 3_000))
    assert rig.published() == []


def limit(rig: KafkaRig, name: str, max_bytes: int) -> None:
    rig.operator.configure(rig.prefix + name, {"max.message.bytes": str(max_bytes)})


# Topics, lag, keys


def test_a_topic_that_is_missing_is_named_with_the_command_that_mends_it(rig: KafkaRig) -> None:
    rig.operator.delete(rig.prefix + "alerts")
    stream = rig.open()
    with pytest.raises(DataError, match=r"alerts is missing; run: sheetbreak topics create kafka://.* --partitions 1"):
        poll_until(stream, 1)


def test_a_topic_deleted_under_a_running_monitor_ends_it_with_the_command_that_mends_it(rig: KafkaRig) -> None:
    rig.feed(rows(1))
    stream = rig.open()
    batch = next(batch for batch in poll_until(stream, 1) if batch.records)
    rig.operator.delete(rig.prefix + "scores")

    def goes_on() -> None:
        with contextlib.suppress(StreamLost):  # then the next session looks at its topics
            commit(stream, batch, answers(batch), [])
        poll_until(stream, 1)

    with pytest.raises(DataError, match="scores is missing; run: sheetbreak topics create"):
        goes_on()


def test_an_input_deleted_under_a_running_monitor_ends_it_too(rig: KafkaRig) -> None:
    counter = Counter(rig.open())
    turn_until(lambda: shares(counter) == [{0}], counter)
    rig.operator.delete(rig.prefix + "sensor-rows")
    with pytest.raises(DataError, match="sensor-rows is missing; run: sheetbreak topics create"):
        turn_until(lambda: False, counter)


def test_the_lag_is_what_was_not_polled_yet(rig: KafkaRig) -> None:
    rig.feed(rows(25))
    stream = rig.open(max_records=10)
    assert stream.lag() == {}
    lags: list[dict[int, int]] = []
    for _ in range(3):
        batch = next(batch for batch in poll_until(stream, 1) if batch.records)
        lags.append(patiently(stream.lag))
        commit(stream, batch, answers(batch), [])
    assert lags == [{0: 15}, {0: 5}, {0: 0}]


def test_a_score_lies_where_other_programs_look_for_its_machine(broker: Broker) -> None:
    rig = KafkaRig(broker, partitions=4)
    try:
        rig.feed(rows(1))
        stream = rig.open()
        batch = next(batch for batch in poll_until(stream, 1) if batch.records)
        machines = [b"pm%d" % i for i in range(40)]
        commit(stream, batch, [Output("scores", machine, b"{}") for machine in machines], [])
        expected = DefaultPartitioner()
        producer = KafkaProducer(bootstrap_servers=broker.address)
        producer.partitions_for(rig.prefix + "scores")
        for record in broker.read(rig.prefix + "scores"):
            where = expected.partition(record.topic, record.key, record.key, None, None, producer._metadata)
            assert record.partition == where
            assert abs(record.timestamp - time.time() * 1000) < 3_600_000  # the rows' own times are of another year
        producer.close()
    finally:
        rig.tear_down()


def test_alerts_are_followed_from_the_first_one_on(rig: KafkaRig) -> None:
    topic = rig.prefix + "alerts"
    rig.broker.write(topic, [b"one", b"two"])
    following = follow(rig.broker.url(topic))
    assert [next(following), next(following)] == [b"one", b"two"]
    rig.broker.write(topic, [b"three"])
    assert next(following) == b"three"
    with pytest.raises(DataError, match="there is no topic"):
        patiently(lambda: next(follow(rig.broker.url(rig.prefix + "nothing"))))


def test_a_stream_without_rows_asks_seldom_and_one_with_rows_lets_the_broker_gather(broker: Broker) -> None:
    """A fetch that finds too little is answered after `fetch_max_wait_ms`: how often we ask hangs on that alone."""
    rig = KafkaRig(broker)
    try:
        stream = rig.open(latency_s=10.0)
        wait_for(lambda: any(batch.assigned for batch in [patiently(lambda: stream.poll(0.1))]), nap_s=0)
        assert stream._session is not None
        fetcher = stream._session.consumer._fetcher
        assert (fetcher.config["fetch_min_bytes"], fetcher.config["fetch_max_wait_ms"]) == (1, IDLE_WAIT_MS)
        rig.feed(rows(3))
        assert values_of(poll_until(stream, 3)) == rows(3)
        assert fetcher.config["fetch_max_wait_ms"] == 10_000
        assert fetcher.config["fetch_min_bytes"] > 1
    finally:
        rig.tear_down()


def test_a_stream_at_rest_asks_no_broker_that_has_answered_its_fetches(broker: Broker) -> None:
    rig = KafkaRig(broker)
    try:
        stream = rig.open()
        rig.feed(rows(3))
        assert values_of(poll_until(stream, 3)) == rows(3)
        assert stream._session is not None
        consumer, tp = stream._session.consumer, TopicPartition(rig.prefix + "sensor-rows", 0)
        wait_for(lambda: not patiently(lambda: stream.poll(0.1)).records and consumer.highwater(tp) == 3)
        asked = list[object]()

        def noted(*what: object, **_: object) -> dict[Any, int]:
            asked.append(what)
            return {}

        consumer.end_offsets = noted
        for _ in range(5):
            stream.poll(0.1)
        assert stream.lag() == {0: 0}
        assert asked == []
        consumer._heard_at.clear()  # as when it is away
        stream.poll(0.1)
        assert len(asked) == 1
    finally:
        rig.tear_down()


def test_a_stream_without_rows_hears_that_another_has_its_instance_id(broker: Broker) -> None:
    rig = KafkaRig(broker)
    try:
        idle = rig.open(instance="same")
        turn_until(lambda: any(batch.assigned for batch in [patiently(lambda: idle.poll(0.1))]))
        rival = Counter(rig.open(instance="same"))
        turn_until(lambda: shares(rival) == [{0}], rival)

        def fenced() -> bool:
            try:
                patiently(lambda: idle.poll(0.1))
            except StreamFenced:
                return True
            return False

        wait_for(fenced, nap_s=0)
    finally:
        rig.tear_down()
