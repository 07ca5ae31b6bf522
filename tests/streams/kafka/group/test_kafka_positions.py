"""Where a partition goes on when its log, its offsets or its state are not what they were: told, and nothing twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import OffsetAndMetadata, TopicPartition

from sheetbreak.streams.kafka.group.positions import Log, Place, Start, read_place, start_from, start_from_state
from sheetbreak.streams.kafka.group.state_topic import Kept, MachineStates, Written, machine_of
from sheetbreak.streams.kafka.stream import KafkaStream
from sheetbreak.streams.protocol import Batch, Snapshot
from tests.support.kafka.rig import KafkaRig
from tests.support.running.patience import patiently, wait_for
from tests.support.streams.checks import (
    actions_of,
    answers,
    commit,
    parts,
    poll_until,
    poll_until_said,
    restore,
    rows,
)

ids = st.sampled_from(["", "one", "two"])
numbers = st.integers(0, 50)


@given(numbers, ids, ids, numbers, numbers)
def test_a_partition_goes_on_within_its_log_and_says_so_when_that_is_not_where_it_was(
    offset: int, was: str, now: str, begin: int, length: int
) -> None:
    log = Log(now, begin, begin + length)
    start = start_from(offset, was, log)
    assert log.begin <= start.offset <= log.end
    if was and now and was != now:
        assert start.offset == log.begin, "every row of the new topic"
    assert bool(start.event) == (start.offset != offset or bool(was and now and was != now))
    assert bool(start.event) == bool(start.note)
    assert start.lost == (max(0, begin - offset) if start.event != "input-made-again" else begin)


@given(numbers, ids, numbers, numbers)
def test_without_committed_offsets_it_goes_on_where_the_state_belongs_or_at_the_start(
    position: int, was: str, begin: int, length: int
) -> None:
    log = Log("one", begin, begin + length)
    start = start_from_state(position, was, log)
    if was != "two" and log.begin <= position <= log.end:
        assert start == Start(position)
    assert log.begin <= start.offset <= log.end
    if not was and position > log.end:
        assert start.offset == log.begin, "rather a row twice than one never"


@given(st.builds(Place, numbers, st.none() | numbers, ids, st.none() | numbers))
def test_a_place_is_read_back_from_what_was_committed(place: Place) -> None:
    assert read_place(OffsetAndMetadata(place.offset, place.metadata, -1)) == place


def kept(**positions: int) -> Kept:
    return Kept({name.encode() + b"\0core": Written(b"x", at, "one") for name, at in positions.items()})


def test_what_was_stale_is_forgotten_with_the_partition() -> None:
    """Offsets set back by hand, the partition to another monitor and back: its good state must not be deleted."""
    states, log = MachineStates("monitor-state"), Log("one", 0, 100)
    assert states.take(0, kept(pm1=20), Place(5), Start(5), log) == {}
    assert states.mending[0].delete == {b"pm1\0core"}
    states.forget([0])
    assert states.take(0, kept(pm1=30), Place(30, 30), Start(30), log) == {b"pm1\0core": b"x"}
    assert 0 not in states.mending


machine_parts = st.builds(
    Snapshot,
    st.integers(0, 2),
    st.sampled_from([b"pm1\0core", b"pm1\0chunk", b"pm2\0core", b"pm3\0core"]),
    st.sampled_from([b"x", None]),
)


@given(st.lists(st.lists(machine_parts, max_size=8), max_size=5))
def test_the_machines_of_a_place_are_counted_as_if_each_commit_were_gone_through(
    commits: list[list[Snapshot]],
) -> None:
    """Partition 2 is not ours."""
    states, there = MachineStates("monitor-state"), {0: {b"pm1"}, 1: {b"pm3", b"pm4"}}
    for partition, names in there.items():
        found = kept(**{name.decode(): 0 for name in names})
        states.take(partition, found, Place(0), Start(0), Log("one", 0, 100))
    for snapshots in commits:
        for partition, known in there.items():
            mine = [one for one in snapshots if one.partition == partition]
            known -= {machine_of(one.key) for one in mine if one.value is None}
            known |= {machine_of(one.key) for one in mine if one.value is not None}
        places = states.places({0: 7, 1: 8, 2: 9}, "one", snapshots)
        assert [places[p].machines for p in (0, 1, 2)] == [len(there[0]), len(there[1]), None]
        states.committed(places, snapshots)


def test_a_record_newer_than_what_was_committed_with_ours_is_somebody_elses() -> None:
    found = kept(pm1=30, garbage=10**18)
    assert found.without_foreign(Place(30, 30, "one")).parts.keys() == {b"pm1\0core"}
    assert len(found.without_foreign(Place(5)).parts) == 2, "offsets set back by hand: all of it is ours, and too new"


# On a real broker


def answer(rig: KafkaRig, count: int, *, snapshots: bool = True) -> None:
    """A monitor that answers `count` rows and ends."""
    stream = rig.open(max_records=10)
    restored = assigned(stream)
    for batch in poll_until(stream, count):
        if batch.records:
            state = parts(0, pm1=b"%d" % len(restored)) if snapshots else []
            commit(stream, batch, answers(batch), state)
    stream.close()


def assigned(stream: KafkaStream) -> dict[bytes, bytes]:
    """What is restored once a partition is assigned."""
    wait_for(lambda: patiently(lambda: stream.poll(0.1)).assigned, nap_s=0)
    return dict(restore(stream, 0))


def next_rows(stream: KafkaStream) -> Batch:
    return next(batch for batch in poll_until(stream, 1) if batch.records)


def test_rows_gone_by_retention_are_told_and_counted(rig: KafkaRig, caplog: pytest.LogCaptureFixture) -> None:
    rig.feed(rows(20))
    answer(rig, 20)
    rig.feed(rows(20, first=20))
    delete_rows(rig, 33)
    stream = rig.open()
    batches: list[Batch] = []
    for batch in poll_until(stream, 1):
        batches.append(batch)
        for partition in batch.assigned:
            assert restore(stream, partition), "the state is kept"
    assert batches[-1].records[0].offset == 33
    assert [batch.lost for batch in batches if batch.lost] == [{0: 13}]
    assert caplog.text.count("event=rows-lost partition=0 expected=20 found=33 lost=13") == 1


def test_rows_gone_while_a_monitor_runs_are_told_too(rig: KafkaRig) -> None:
    rig.feed([b"%100000d" % row for row in range(120)])  # more than a client fetches at once
    stream = rig.open(max_records=1)
    assigned(stream)
    seen = [0]
    first = next_rows(stream)
    commit(stream, first, [], parts(0, pm1=b"x"))
    delete_rows(rig, 118)
    lost = 0
    while seen[-1] < 119:
        batch = patiently(lambda: stream.poll(0.5))
        lost += sum(batch.lost.values())
        if batch.assigned:
            restore(stream, 0)
        elif batch.records:
            commit(stream, batch, [], parts(0, pm1=b"x"))
            seen += [record.offset for record in batch.records]
    assert lost > 0
    assert len(seen) + lost == 120, "each row is answered, or told to be lost"


def test_expired_offsets_go_on_where_the_state_belongs(rig: KafkaRig, caplog: pytest.LogCaptureFixture) -> None:
    rig.feed(rows(20))
    answer(rig, 10)
    answer(rig, 10, snapshots=False)  # dead letters alone: they move the offset and change no state
    expire_offsets(rig)
    rig.feed(rows(3, first=20))
    stream = rig.open()
    assert assigned(stream) == {b"pm1": b"0"}
    assert "event=offsets-expired partition=0 state_at=20 goes_on_at=20" in caplog.text
    batch = next_rows(stream)
    assert batch.records[0].offset == 20
    commit(stream, batch, answers(batch), [])
    assert len(rig.published()) == 23


def test_a_log_shorter_than_the_committed_offset_goes_on_at_its_end_on_the_kept_state(
    rig: KafkaRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.feed(rows(20))
    answer(rig, 20)
    make_again(rig, "sensor-rows")
    rig.feed(rows(12))
    commit_by_hand(rig, 20, "state=20")
    stream = rig.open()
    assert assigned(stream) == {b"pm1": b"0"}
    assert "event=log-truncated partition=0 expected=20 found=12" in caplog.text
    rig.feed(rows(3, first=20))
    batch = next_rows(stream)
    assert batch.records[0].offset == 12
    commit(stream, batch, answers(batch), parts(0, pm2=b"new"))
    again = rig.open()
    assert assigned(again) == {b"pm1": b"0", b"pm2": b"new"}, "what belonged to rows that are gone was written anew"
    assert "state-" not in caplog.text


def test_every_row_of_an_input_that_was_made_again_is_answered(rig: KafkaRig, caplog: pytest.LogCaptureFixture) -> None:
    rig.feed(rows(20))
    answer(rig, 20)
    for first in (20, 50):  # twice: the second time more rows than the first
        make_again(rig, "sensor-rows")
        rig.feed(rows(first + 10, first=first))
        stream = rig.open()
        assert assigned(stream) == {b"pm1": b"0"}, "the state is kept"
        assert "event=input-made-again partition=0" in caplog.text
        caplog.clear()
        batch = next_rows(stream)
        assert [record.offset for record in batch.records] == list(range(first + 10))
        commit(stream, batch, answers(batch), parts(0, pm2=b"x") if first == 50 else [])
        stream.close()
    again = rig.open()
    assert assigned(again) == {b"pm1": b"0", b"pm2": b"x"}
    # Of what is said of a partition; a busy broker may have its fetches halved.
    assert "partition=" not in caplog.text
    assert "event=state-" not in caplog.text


def test_an_input_made_again_under_a_running_monitor_is_read_from_its_start(rig: KafkaRig) -> None:
    rig.feed(rows(20))
    stream = rig.open()
    assigned(stream)
    batch = next_rows(stream)
    while batch.records[-1].offset < 19:
        commit(stream, batch, answers(batch), parts(0, pm1=b"x"))
        batch = next_rows(stream)
    commit(stream, batch, answers(batch), parts(0, pm1=b"x"))
    make_again(rig, "sensor-rows")
    rig.feed(rows(40, first=20))
    found: list[int] = []
    while len(found) < 40:
        batch = patiently(lambda: stream.poll(0.5))
        if batch.assigned:
            assert restore(stream, 0) == {b"pm1": b"x"}
        elif batch.records:
            commit(stream, batch, answers(batch), [])
            found += [record.offset for record in batch.records]
    assert found == list(range(40))


def test_actions_of_a_topic_made_again_under_a_running_monitor_or_before_its_start_are_all_read(rig: KafkaRig) -> None:
    """As many as before: by their offsets alone they would be those that were done."""
    stream = rig.open()
    for number in range(3):
        said = b'{"a":%d}' % number
        rig.say([said])
        (batch,) = [one for one in poll_until_said(stream, 1) if one.actions]
        assert actions_of([batch]) == [said]
        commit(stream, batch, [], parts(0, last=said))
        if number == 1:
            stream.close()
        make_again(rig, "operator-actions")
        if number == 1:
            stream = rig.open()


def test_machines_whose_state_is_gone_are_counted(rig: KafkaRig, caplog: pytest.LogCaptureFixture) -> None:
    """The topic of the states made again under a monitor: it holds only what was written since."""
    rig.feed(rows(5))
    stream = rig.open(max_records=5)
    assigned(stream)
    batch = next_rows(stream)
    commit(stream, batch, [], parts(0, **{"pm1\0core": b"x", "pm2\0core": b"x", "pm2\0t01": b"x"}))
    make_again(rig, "monitor-state")
    rig.feed(rows(1, first=5))
    stream.close()
    again = rig.open()
    assert assigned(again) == {}
    assert "event=state-missing partition=0 machines=0 expected=2" in caplog.text


def make_again(rig: KafkaRig, name: str) -> None:
    rig.operator.delete(rig.prefix + name)
    rig.broker.run_topics("create", "--partitions", "1", "--topic-prefix", rig.prefix)


def delete_rows(rig: KafkaRig, before: int) -> None:
    rows_of_0 = TopicPartition(rig.prefix + "sensor-rows", 0)
    rig.operator.ask(lambda admin: admin.delete_records({rows_of_0: before}))


def commit_by_hand(rig: KafkaRig, offset: int, metadata: str) -> None:
    rig.leave("one")
    rig.operator.commit(rig.prefix + "group", TopicPartition(rig.prefix + "sensor-rows", 0), offset, metadata)


def expire_offsets(rig: KafkaRig) -> None:
    """As a broker does after offsets.retention.minutes."""
    rig.leave("one")
    rig.operator.forget(rig.prefix + "group")
