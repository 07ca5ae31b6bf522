"""How many rows a batch has, and how much a fetch brings, on a line that is slow."""

import logging
import math
import os
import signal
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, ProducerFencedError

from sheetbreak.errors import StreamFenced, StreamLost, StreamUnavailable
from sheetbreak.streams.kafka.commit_thread import Job, Watchdog
from sheetbreak.streams.kafka.group.pace import Pace, Portion
from sheetbreak.streams.kafka.transaction import Commit, PublishFailed
from sheetbreak.streams.protocol import Batch, Record
from tests.support.kafka.broker import Broker
from tests.support.kafka.rig import KafkaRig
from tests.support.running.patience import patiently, wait_for
from tests.support.streams.checks import answers, commit, expected_answers, parts, poll_until, rows, values_of

TIMEOUT_S = 15.0


@given(
    st.integers(1, 10_000), st.lists(st.tuples(st.booleans(), st.floats(0.1, 3.0), st.floats(0.0, 30.0)), max_size=50)
)
def test_a_batch_never_has_more_rows_than_it_may_nor_none(most: int, turns: list[tuple[bool, float, float]]) -> None:
    portion = Portion(most)
    for stands, share, took_s in turns:
        before, rows_ = portion.rows, max(1, min(portion.rows, int(share * portion.rows)))
        tell = portion.stood if stands else portion.outlived
        tell(rows_, took_s=took_s, timeout_s=TIMEOUT_S)
        if took_s >= TIMEOUT_S or not stands:
            assert portion.rows == max(1, rows_ // 2)
        else:
            assert before <= portion.rows <= most
            assert portion.rows == before or (rows_ == before and took_s < TIMEOUT_S / 2)


def test_a_line_that_takes_so_many_rows_in_a_transactions_time_is_found_and_kept_to() -> None:
    """Halved to what goes through, then grown to what takes half of the time, and there it stays."""
    portion, per_row_s, taken = Portion(10_000), TIMEOUT_S / 300, list[int]()
    for _ in range(100):
        taken.append(portion.rows)
        took_s = portion.rows * per_row_s
        tell = portion.outlived if took_s >= TIMEOUT_S else portion.stood
        tell(portion.rows, took_s=took_s, timeout_s=TIMEOUT_S)
    assert taken[:6] == [10_000, 5_000, 2_500, 1_250, 625, 312]
    assert 150 <= taken[-1] == taken[-50] < 300
    for _ in range(100):  # a line that is quick again
        portion.stood(portion.rows, took_s=0.1, timeout_s=TIMEOUT_S)
    assert portion.rows == 10_000


def ended(rows_: int, error: Exception | None) -> Commit:
    """A commit whose job has ended so."""

    def run() -> None:
        if error is not None:
            raise error

    job = Job(run)
    job.execute()
    return Commit(Batch([Record(b"", 0, offset, None) for offset in range(rows_)]), job, {})


TIMED_OUT = KafkaTimeoutError("no answer")


@pytest.mark.parametrize(
    ("failure", "timeout_s", "raised", "rows_next"),
    [
        (PublishFailed(TIMED_OUT, may_be_committed=False), math.inf, StreamUnavailable, 100),
        (PublishFailed(TIMED_OUT, may_be_committed=True), math.inf, StreamLost, 100),
        (PublishFailed(TIMED_OUT, may_be_committed=True), 0.0, StreamLost, 20),
        (PublishFailed(TIMED_OUT, may_be_committed=False, given_up=True), math.inf, StreamLost, 20),
        (PublishFailed(ProducerFencedError(), may_be_committed=True), math.inf, StreamFenced, 100),
        (PublishFailed(ProducerFencedError(), may_be_committed=True), 0.0, StreamLost, 20),
    ],
)
def test_a_transaction_that_outlived_its_time_and_no_other_makes_batches_smaller(
    failure: PublishFailed, timeout_s: float, raised: type[Exception], rows_next: int
) -> None:
    portion = Portion(100)
    with pytest.raises(raised):
        ended(40, failure).end(portion, timeout_s=timeout_s)
    assert portion.rows == rows_next


def test_a_single_row_that_outlives_a_transaction_is_told_with_the_option(caplog: pytest.LogCaptureFixture) -> None:
    portion = Portion(100)
    portion.outlived(1, took_s=16.0, timeout_s=15.0)
    assert portion.rows == 1
    assert "event=batch-halved rows=1 were=1" in caplog.text
    assert "--transaction-timeout" in caplog.text


def consumer_of(cluster: Any) -> Any:
    manager = SimpleNamespace(call_soon=lambda ask: ask())
    return SimpleNamespace(_fetcher=SimpleNamespace(config={}), _cluster=cluster, _manager=manager)


class Metadata:
    """What a client knows of the brokers, so many seconds old."""

    def __init__(self, age_s: float = 0.0) -> None:
        self._last_successful_refresh_ms = (time.monotonic() - age_s) * 1000
        self.asked = 0

    def brokers(self) -> set[int]:
        return {1}

    def refresh_metadata(self) -> None:
        self.asked += 1


def fetch_limits(pace: Pace) -> tuple[int, int, int]:
    """Of the next fetch while rows come: of a partition, of all, and what is waited for."""
    consumer = consumer_of(Metadata())
    pace.set(consumer)
    config = consumer._fetcher.config
    return tuple(config[name] for name in ("max_partition_fetch_bytes", "fetch_max_bytes", "fetch_min_bytes"))


@pytest.mark.parametrize(
    ("rows", "age_s", "asked"),
    [(True, 60.0, True), (True, -60.0, False), (False, 60.0, False)],
    ids=["old", "young", "no rows"],
)
def test_what_the_topics_are_is_asked_before_a_fetch_is_held(rows: bool, age_s: float, asked: bool) -> None:
    """An answer that was asked for behind the fetch would come when that ends, and the rows with it wait again."""
    pace, metadata = Pace(10.0), Metadata(age_s)
    consumer = consumer_of(metadata)
    pace.until(consumer, rows=rows)
    pace.set(consumer)
    assert metadata.asked == asked


@pytest.mark.parametrize(
    ("error", "asked", "reachable", "halved"),
    [
        (TIMED_OUT, True, True, True),
        (TIMED_OUT, True, False, False),
        (TIMED_OUT, False, True, False),
        (KafkaConnectionError("gone"), True, True, False),
    ],
)
def test_fetches_are_halved_where_a_broker_that_is_there_does_not_answer_in_time_and_nowhere_else(
    error: KafkaError, asked: bool, reachable: bool, halved: bool
) -> None:
    pace = Pace(10.0)
    whole = fetch_limits(pace)[0]
    pace.met(error, asked=asked, reachable=lambda: reachable)
    assert fetch_limits(pace)[0] == (whole // 2 if halved else whole)


def test_fetches_grow_again_as_rows_come_and_the_broker_gathers_no_more_than_they_hold() -> None:
    pace, consumer = Pace(10.0), consumer_of(Metadata())
    whole = fetch_limits(pace)[:2]
    for _ in range(20):
        pace.met(TIMED_OUT, asked=True, reachable=lambda: True)
    pace.until(consumer, rows=True)
    partition, together, least = fetch_limits(pace)
    assert 16 * 1024 <= partition <= 20 * 1024
    assert together == 2 * partition
    assert least <= partition
    for _ in range(300):
        pace.until(consumer, rows=True)
    assert fetch_limits(pace)[:2] == whole


def test_a_broker_that_does_not_answer_a_poll_in_time_is_asked_for_less_at_once(broker: Broker, rig: KafkaRig) -> None:
    stream = rig.open()
    wait_for(lambda: patiently(lambda: stream.poll(0.1)).assigned, nap_s=0)
    whole = fetch_limits(stream._pace)[0]
    stream._doubts._looked_at = math.inf  # its look at the topics would wait for the broker, too

    def says_away() -> bool:
        try:
            stream.poll(0.1)
        except StreamUnavailable:
            return True
        return False

    os.kill(broker.pid, signal.SIGSTOP)
    try:
        wait_for(says_away, nap_s=0)
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    assert fetch_limits(stream._pace)[0] < whole
    rig.feed(rows(3))
    assert values_of(poll_until(stream, 3)) == rows(3)


def test_a_batch_that_hangs_with_the_broker_there_is_given_up_and_comes_again_in_smaller_ones(
    broker: Broker, rig: KafkaRig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    stream = rig.open(max_records=8)
    rig.feed(rows(20))
    first, hung = (next(batch for batch in poll_until(stream, 1) if batch.records) for _ in range(2))
    commit(stream, first, answers(first), parts(0, last=b"stood"))  # what is written to is known now
    count = len(hung.records)
    stream._watchdog.close()
    stream._watchdog = Watchdog(math.inf, reachable=lambda: True, give_up_s=0.05, tick_s=0.01)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StreamLost):
            commit(stream, hung, answers(hung), parts(0, last=b"hung"))
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    stream._watchdog.close()
    stream._watchdog = Watchdog(math.inf, reachable=lambda: True)  # from here on it may take as long as it takes
    assert f"event=batch-halved rows={max(1, count // 2)} were={count}" in caplog.text
    sizes, left = list[int](), 20 - len(first.records)

    def answered() -> bool:
        batch = next(batch for batch in poll_until(stream, 1) if batch.records)
        commit(stream, batch, answers(batch), parts(0, last=b"stood"))
        sizes.append(len(batch.records))
        return sum(sizes) >= left

    wait_for(answered, nap_s=0)
    assert all(size <= max(1, count // 2) + number for number, size in enumerate(sizes)), sizes
    assert rig.published() == expected_answers(rows(20))
