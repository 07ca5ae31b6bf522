"""A broker that goes away is waited for: said so, nothing given up, nothing done twice."""

from pathlib import Path

import pytest

from sheetbreak.errors import StreamUnavailable
from sheetbreak.streams.kafka.options import KafkaOptions, Security
from sheetbreak.streams.kafka.stream import open_kafka
from sheetbreak.streams.protocol import Batch, Stream
from sheetbreak.wire.topics import OUTPUTS
from tests.support.kafka.broker import Broker, need_java
from tests.support.kafka.rig import KafkaRig
from tests.support.running.patience import patiently, wait_for
from tests.support.streams.checks import answers, commit, expected_answers, parts, rows, values_of

OUTLIVES_S = 60.0
"""A session that lasts until a broker is back, which may take ten seconds and more: a young one knows its groups at
once, and counts their members' sessions from then on, long before it answers."""


def until_it_says_unavailable(stream: Stream) -> None:
    def away() -> bool:
        try:
            stream.poll(0.2)
        except StreamUnavailable:
            return True
        return False

    wait_for(away, nap_s=0)


def next_batch(stream: Stream) -> Batch:
    def polled() -> Batch | None:
        batch = patiently(lambda: stream.poll(0.5))
        return batch if batch.records else None

    batch = wait_for(polled, nap_s=0)
    assert batch is not None
    return batch


def answer_all(rig: KafkaRig, stream: Stream, count: int) -> None:
    """Answer what comes, batch by batch, until so many answers are there."""

    def answered() -> bool:
        batch = next_batch(stream)
        commit(stream, batch, answers(batch), [])
        return len(rig.published()) >= count

    wait_for(answered, nap_s=0)


def test_a_batch_committed_across_an_outage_is_there_once(broker: Broker, rig: KafkaRig) -> None:
    rig.feed(rows(20))
    stream = rig.open(max_records=10, session_s=OUTLIVES_S)
    first = next_batch(stream)
    commit(stream, first, answers(first), parts(0, core=b"1"))
    second = next_batch(stream)
    broker.kill()
    for _ in range(2):  # it says so now and then, and goes on with the same transaction
        with pytest.raises(StreamUnavailable, match="is the broker there"):
            stream.commit(second, answers(second), parts(0, core=b"2"))
    broker.start()
    commit(stream, second, answers(second), parts(0, core=b"2"))
    assert rig.published() == expected_answers(rows(20))
    rig.feed(rows(3, first=20))
    answer_all(rig, stream, 23)
    assert not any(patiently(lambda: stream.poll(0.5)).records for _ in range(3))
    assert rig.published() == expected_answers(rows(23))


def test_an_idle_monitor_says_that_the_broker_is_away_and_when_it_is_back(broker: Broker, rig: KafkaRig) -> None:
    stream = rig.open(session_s=OUTLIVES_S)
    rig.feed(rows(1))
    batch = next_batch(stream)
    commit(stream, batch, answers(batch), [])
    broker.kill()
    for _ in range(2):  # and it goes on saying so
        until_it_says_unavailable(stream)
    with pytest.raises(StreamUnavailable):
        stream.lag()
    broker.start()
    patiently(lambda: stream.poll(0.2))
    rig.feed(rows(1, first=1))
    batch = next_batch(stream)
    commit(stream, batch, answers(batch), [])
    assert rig.published() == expected_answers(rows(2))


def test_closing_in_the_middle_of_an_outage_ends_and_commits_nothing_by_halves(broker: Broker, rig: KafkaRig) -> None:
    rig.feed(rows(10))
    stream = rig.open()
    batch = next_batch(stream)
    broker.kill()
    with pytest.raises(StreamUnavailable):
        stream.commit(batch, answers(batch), parts(0, core=b"1"))
    stream.close()  # which waits for no broker: nobody starts it before this has ended
    broker.start()
    again = rig.open()
    answer_all(rig, again, 10)
    assert rig.published() == expected_answers(rows(10))


def test_a_monitor_may_be_started_before_its_broker(tmp_path: Path) -> None:
    need_java()
    port = Broker.free_port()
    options = KafkaOptions(instance_id="early", security=Security())
    _, stream = open_kafka(f"kafka://127.0.0.1:{port}/sensor-rows", emit=OUTPUTS, options=options)
    until_it_says_unavailable(stream)
    broker = Broker(tmp_path, port=port)
    broker.start()
    try:
        broker.run_topics("create", "--partitions", "1")
        broker.write("sensor-rows", rows(5))
        batch = next_batch(stream)
        commit(stream, batch, answers(batch), [])
        assert broker.values("scores") == expected_answers(values_of([batch]))
    finally:
        stream.close()
        broker.kill()
