"""Checks of a stream: what every one of them promises. A new stream is one more rig in test_streams.py.

A rig is the world around a stream: it feeds the input, starts and kills the reader, looks at what came out.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from sheetbreak.errors import StreamUnavailable
from sheetbreak.streams.protocol import Batch, Output, Record, Snapshot, Stream
from tests.support.running.patience import PATIENCE_S, patiently


class Rig(Protocol):
    """One kind of stream, with an empty input and nothing kept."""

    rewinds: bool
    """What was polled and not committed comes again after a restart (a pipe's bytes are gone)."""
    ends: bool
    """The input ends when `finish` says so (a topic never does)."""
    waits: bool
    """An input that nobody finished is waited for (a file has ended wherever it ends)."""

    def feed(self, values: Sequence[bytes]) -> None:
        """Append records to the input; all to one partition, in order."""

    def say(self, values: Sequence[bytes]) -> None:
        """Append operators' actions, to the same partition."""

    def finish(self) -> None:
        """No more input."""

    def open(self, *, max_records: int = 500) -> Stream:
        """Start a reader; one that was opened before is dead by now, without having been closed."""

    def published(self) -> list[bytes]:
        """The values that consumers downstream see, in order."""

    def tear_down(self) -> None:
        """Let go of everything."""


def rows(count: int, *, first: int = 0) -> list[bytes]:
    """Records that tell themselves apart."""
    return [b'{"row":%d}' % i for i in range(first, first + count)]


def poll_until(stream: Stream, count: int) -> list[Batch]:
    """Poll until `count` records came, or the stream ended, or patience did."""
    batches: list[Batch] = []

    def poll() -> Batch:
        try:
            return stream.poll(0.1)
        except StreamUnavailable:  # what was polled and not committed comes again
            batches[:] = [batch for batch in batches if not batch.records]
            raise

    until = time.monotonic() + PATIENCE_S
    while sum(len(batch.records) for batch in batches) < count and time.monotonic() < until:
        batch = patiently(poll)
        batches.append(batch)
        if batch.end:
            break
    return batches


def commit(stream: Stream, batch: Batch, outputs: Sequence[Output], snapshots: Sequence[Snapshot]) -> None:
    """Commit, called again while it takes long: a busy broker may need seconds."""
    patiently(partial(stream.commit, batch, outputs, snapshots))


def restore(stream: Stream, partition: int) -> Mapping[bytes, bytes]:
    """What was kept for the partition, asked for again while the broker does not answer."""
    return patiently(partial(stream.restore, partition))


def records_of(batches: Sequence[Batch]) -> list[Record]:
    return [record for batch in batches for record in batch.records]


def poll_until_said(stream: Stream, actions: int, records: int = 0) -> list[Batch]:
    """Poll until so many actions and records came, or patience is at its end."""
    batches: list[Batch] = []
    until = time.monotonic() + PATIENCE_S
    while len(actions_of(batches)) < actions or len(records_of(batches)) < records:
        assert time.monotonic() < until, batches
        batches.append(patiently(lambda: stream.poll(0.1)))
    return batches


def actions_of(batches: Sequence[Batch]) -> list[bytes]:
    return [record.value for batch in batches for record in batch.actions]


def values_of(batches: Sequence[Batch]) -> list[bytes]:
    return [record.value for record in records_of(batches)]


def answers(batch: Batch) -> list[Output]:
    """One score for every record."""
    return [Output("scores", b"pm1", b'{"of":%s}' % record.value) for record in batch.records]


def expected_answers(values: Sequence[bytes]) -> list[bytes]:
    return [b'{"of":%s}' % value for value in values]


def commit_all(stream: Stream, batches: Sequence[Batch]) -> None:
    for batch in batches:
        if batch.records:
            commit(stream, batch, answers(batch), [])


def parts(partition: int, **values: bytes | None) -> list[Snapshot]:
    return [Snapshot(partition, key.encode(), value) for key, value in values.items()]


def test_every_record_comes_once_in_order_with_its_bytes(rig: Rig) -> None:
    sent = [b'{"a":1}', "größe ✓".encode(), b"\xff\xfe\x00\x01 not text", b'{"a": "\\n"}', b" x "]
    rig.feed(sent)
    rig.finish()
    batches = poll_until(rig.open(), len(sent))
    assert values_of(batches) == sent
    offsets = [record.offset for record in records_of(batches)]
    assert offsets == sorted(set(offsets))


def test_a_partition_is_assigned_before_or_with_its_first_record(rig: Rig) -> None:
    rig.feed(rows(3))
    rig.finish()
    assigned: set[int] = set()
    seen: list[int] = []
    for batch in poll_until(rig.open(), 3):
        assigned |= set(batch.assigned)
        assert not batch.revoked
        assert {record.partition for record in batch.records} <= assigned
        seen += batch.assigned
    assert len(seen) == len(set(seen)), "announced twice"
    assert seen


def test_a_batch_is_never_larger_than_asked(rig: Rig) -> None:
    rig.feed(rows(25))
    rig.finish()
    batches = poll_until(rig.open(max_records=10), 25)
    assert max(len(batch.records) for batch in batches) <= 10
    assert values_of(batches) == rows(25)


def test_outputs_appear_with_their_commit_and_not_before(rig: Rig) -> None:
    rig.feed(rows(20))
    rig.finish()
    stream = rig.open(max_records=10)
    first, *more = [batch for batch in poll_until(stream, 20) if batch.records]
    assert rig.published() == []
    commit(stream, first, answers(first), [])
    assert rig.published() == expected_answers(values_of([first]))
    commit_all(stream, more)
    assert rig.published() == expected_answers(rows(20))


def test_a_commit_without_outputs_or_state_is_a_commit(rig: Rig) -> None:
    rig.feed(rows(2))
    rig.finish()
    stream = rig.open()
    for batch in poll_until(stream, 2):
        if batch.records:
            commit(stream, batch, [], [])
    assert rig.published() == []


def test_a_large_output_arrives_whole(rig: Rig) -> None:
    rig.feed(rows(1))
    rig.finish()
    stream = rig.open()
    large = b'{"x":"' + b"y" * 700_000 + b'"}'
    batch = next(batch for batch in poll_until(stream, 1) if batch.records)
    commit(stream, batch, [Output("dead-letters", b"", large)], [])
    assert rig.published() == [large]


def test_a_waiting_poll_returns_in_time_without_records(rig: Rig) -> None:
    stream = rig.open()
    batch = patiently(lambda: stream.poll(0.05))
    assert not batch.records
    assert batch.end == (not rig.waits)


def test_the_end_comes_after_every_record(rig: Rig) -> None:
    rig.feed(rows(7))
    rig.finish()
    batches = poll_until(rig.open(max_records=3), 10**9 if rig.ends else 7)
    assert values_of(batches) == rows(7)
    assert batches[-1].end == rig.ends
    assert not any(batch.end for batch in batches[:-1])


def test_nothing_was_kept_for_a_new_reader(rig: Rig) -> None:
    rig.feed(rows(1))
    rig.finish()
    stream = rig.open()
    for batch in poll_until(stream, 1):
        for partition in batch.assigned:
            assert restore(stream, partition) == {}


def test_closing_with_a_batch_in_hand_is_allowed(rig: Rig) -> None:
    rig.feed(rows(5))
    rig.finish()
    stream = rig.open()
    poll_until(stream, 5)
    stream.close()
    assert rig.published() == []


def test_lag_is_what_was_not_polled_where_the_stream_can_tell(rig: Rig) -> None:
    rig.feed(rows(10))
    rig.finish()
    stream = rig.open(max_records=4)
    left = 10 - len(records_of(poll_until(stream, 1)))
    assert set(patiently(stream.lag).values()) <= {0, left}
    assert len(records_of(poll_until(stream, left))) == left
    assert set(patiently(stream.lag).values()) <= {0}


# What only a stream can promise whose input can be read again


def test_what_was_committed_does_not_come_again(rewinding_rig: Rig) -> None:
    rewinding_rig.feed(rows(30))
    stream = rewinding_rig.open(max_records=10)
    first = next(batch for batch in poll_until(stream, 10) if batch.records)
    commit(stream, first, answers(first), [])
    left = rows(30)[len(first.records) :]
    assert values_of(poll_until(rewinding_rig.open(), len(left))) == left


def test_what_was_polled_and_not_committed_comes_again(rewinding_rig: Rig) -> None:
    rewinding_rig.feed(rows(30))
    poll_until(rewinding_rig.open(max_records=10), 30)
    assert values_of(poll_until(rewinding_rig.open(), 30)) == rows(30)


def test_a_closed_reader_goes_on_like_a_killed_one(rewinding_rig: Rig) -> None:
    rewinding_rig.feed(rows(20))
    stream = rewinding_rig.open(max_records=10)
    first = next(batch for batch in poll_until(stream, 10) if batch.records)
    commit(stream, first, answers(first), [])
    patiently(lambda: stream.poll(0.05))
    stream.close()
    left = rows(20)[len(first.records) :]
    assert values_of(poll_until(rewinding_rig.open(), len(left))) == left


def test_a_new_reader_after_every_commit_answers_every_record_once(rewinding_rig: Rig) -> None:
    rewinding_rig.feed(rows(23))
    for _ in range(40):
        stream = rewinding_rig.open(max_records=3)
        batch = next((batch for batch in poll_until(stream, 1) if batch.records), None)
        if batch is None:
            break
        commit(stream, batch, answers(batch), [])
        if len(rewinding_rig.published()) == 23:
            break
    assert rewinding_rig.published() == expected_answers(rows(23))


def test_input_that_arrives_after_the_end_is_read_by_the_next_reader(rewinding_rig: Rig) -> None:
    rewinding_rig.feed(rows(4))
    stream = rewinding_rig.open()
    commit_all(stream, poll_until(stream, 4))
    stream.close()
    rewinding_rig.feed(rows(3, first=4))
    assert values_of(poll_until(rewinding_rig.open(), 3)) == rows(3, first=4)


def test_kept_parts_come_back_the_last_value_of_each_key(rewinding_rig: Rig) -> None:
    rewinding_rig.feed(rows(20))
    stream = rewinding_rig.open(max_records=10)
    batches = [batch for batch in poll_until(stream, 20) if batch.records]
    binary = bytes(range(256)) * 40
    kept_in = batches[0].records[0].partition
    commit(stream, batches[0], [], parts(kept_in, core=b"old", chunk=binary))
    commit(stream, batches[1], [], parts(kept_in, core=b"new", other=b"\x00"))
    rewinding_rig.feed(rows(1, first=20))  # so that every kind of stream has a reason to hand the partition out
    again = rewinding_rig.open()
    poll_until(again, 1)
    assert restore(again, kept_in) == {b"core": b"new", b"chunk": binary, b"other": b"\x00"}


def test_a_deleted_part_is_gone_whether_it_was_kept_or_not(rewinding_rig: Rig) -> None:
    rewinding_rig.feed(rows(30))
    stream = rewinding_rig.open(max_records=10)
    batches = [batch for batch in poll_until(stream, 30) if batch.records]
    kept_in = batches[0].records[0].partition
    commit(stream, batches[0], [], parts(kept_in, one=b"1", two=b"2", three=b"3"))
    commit(stream, batches[1], [], parts(kept_in, one=None, two=b"4", never=None))
    commit(stream, batches[2], [], parts(kept_in, three=None))
    rewinding_rig.feed(rows(1, first=30))
    again = rewinding_rig.open()
    poll_until(again, 1)
    assert restore(again, kept_in) == {b"two": b"4"}


def test_parts_of_a_batch_that_was_not_committed_are_not_kept(rewinding_rig: Rig) -> None:
    rewinding_rig.feed(rows(20))
    stream = rewinding_rig.open(max_records=10)
    batches = [batch for batch in poll_until(stream, 20) if batch.records]
    kept_in = batches[0].records[0].partition
    commit(stream, batches[0], answers(batches[0]), parts(kept_in, core=b"first"))
    again = rewinding_rig.open()
    poll_until(again, 1)
    assert restore(again, kept_in) == {b"core": b"first"}
    assert rewinding_rig.published() == expected_answers(values_of(batches[:1]))


def test_many_parts_in_one_commit_are_kept_together(rewinding_rig: Rig) -> None:
    rewinding_rig.feed(rows(1))
    stream = rewinding_rig.open()
    batch = next(batch for batch in poll_until(stream, 1) if batch.records)
    partition = batch.records[0].partition
    many = {f"machine-{i}": b"%d" % i * 300 for i in range(1000)}
    commit(stream, batch, [], parts(partition, **many))
    rewinding_rig.feed(rows(1, first=1))
    again = rewinding_rig.open()
    poll_until(again, 1)
    assert restore(again, partition) == {key.encode(): value for key, value in many.items()}


def test_actions_come_again_until_they_are_committed_with_their_batch(rewinding_rig: Rig) -> None:
    def commit_said(stream: Stream, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if batch.records or batch.actions:
                commit(stream, batch, answers(batch), parts(0, last=b"%d" % len(batch.actions)))

    rewinding_rig.say([b'{"a":1}'])
    rewinding_rig.feed(rows(3))
    stream = rewinding_rig.open()
    commit_said(stream, poll_until_said(stream, 1, records=3))
    rewinding_rig.say([b'{"a":2}', b'{"a":3}'])
    assert actions_of(poll_until_said(rewinding_rig.open(), 2)) == [b'{"a":2}', b'{"a":3}']
    again = rewinding_rig.open()
    batches = poll_until_said(again, 2)
    assert actions_of(batches) == [b'{"a":2}', b'{"a":3}']
    assert values_of(batches) == []
    commit_said(again, batches)
    rewinding_rig.say([b'{"a":4}'])
    rewinding_rig.feed(rows(1, first=3))
    last = rewinding_rig.open()
    batches = poll_until_said(last, 1, records=1)
    assert (actions_of(batches), values_of(batches)) == ([b'{"a":4}'], rows(1, first=3))
    assert restore(last, 0)[b"last"] in (b"1", b"2")  # kept in the commits of actions alone


def test_actions_polled_before_earlier_rows_are_committed_do_not_bring_them_back(rewinding_rig: Rig) -> None:
    rewinding_rig.feed(rows(3))
    stream = rewinding_rig.open()
    polled = [batch for batch in poll_until(stream, 3) if batch.records]
    rewinding_rig.say([b'{"a":1}'])
    polled += [batch for batch in poll_until_said(stream, 1) if batch.actions]
    for batch in polled:
        commit(stream, batch, answers(batch), parts(0, last=b"1"))
    rewinding_rig.feed(rows(1, first=3))
    assert values_of(poll_until(rewinding_rig.open(), 1)) == rows(1, first=3)
    assert rewinding_rig.published() == expected_answers(rows(3))
