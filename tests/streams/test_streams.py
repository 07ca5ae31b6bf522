"""Every stream runs the shared checks here: one rig each. Then what only the stream in memory has."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sheetbreak.errors import StreamLost
from sheetbreak.streams.memory import CommitPoint, MemoryStream, MemoryTopic
from sheetbreak.streams.protocol import Snapshot
from tests.support.streams.checks import *  # noqa: F403 - the checks run here, on the rigs below
from tests.support.streams.checks import Rig, answers, expected_answers, rows, values_of
from tests.support.streams.rigs import CsvRig, FileRig, MemoryRig, PipeRig

RIGS: dict[str, Callable[[Path], Rig]] = {
    "memory": MemoryRig,
    "ndjson": FileRig,
    "csv": CsvRig,
    "pipe": PipeRig,
}


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    rig = RIGS[request.param](tmp_path)
    yield rig
    rig.tear_down()


@pytest.fixture(params=[name for name in RIGS if name != "pipe"])
def rewinding_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    rig = RIGS[request.param](tmp_path)
    yield rig
    rig.tear_down()


# Memory


def test_a_taken_partition_is_lost_to_its_old_reader_and_comes_whole_to_the_new() -> None:
    topic = MemoryTopic(partitions=2)
    topic.feed(rows(4), partition=0)
    topic.feed(rows(4, first=4), partition=1)
    old = MemoryStream(topic)
    batch = old.poll(0)
    assert batch.assigned == (0, 1)
    new = MemoryStream(topic, partitions=[1])
    assert values_of([new.poll(0)]) == rows(4, first=4)
    with pytest.raises(StreamLost):
        old.commit(batch, answers(batch), [Snapshot(0, b"k", b"v")])
    assert topic.outputs == []
    assert old.restore(0) == {}
    again = old.poll(0)
    assert (again.assigned, again.revoked) == ((0,), (1,))
    assert values_of([again]) == rows(4)


@pytest.mark.parametrize(("point", "happened"), [("before", False), ("during", False), ("after", True)])
def test_a_crash_in_a_memory_commit_leaves_all_or_nothing(point: CommitPoint, happened: bool) -> None:
    def crash(at: CommitPoint) -> None:
        if at == point:
            raise KeyboardInterrupt

    topic = MemoryTopic()
    topic.feed(rows(3))
    stream = MemoryStream(topic, at_commit=crash)
    batch = stream.poll(0)
    with pytest.raises(KeyboardInterrupt):
        stream.commit(batch, answers(batch), [Snapshot(0, b"k", b"v")])
    again = MemoryStream(topic)
    assert [output.value for output in topic.outputs] == (expected_answers(rows(3)) if happened else [])
    assert again.restore(0) == ({b"k": b"v"} if happened else {})
    assert values_of([again.poll(0)]) == ([] if happened else rows(3))


def test_a_closed_memory_reader_owns_nothing() -> None:
    topic = MemoryTopic()
    first = MemoryStream(topic)
    first.poll(0)
    first.close()
    second = MemoryStream(topic)
    assert second.poll(0).assigned == (0,)
    assert first.poll(0).revoked == ()


def test_a_memory_reader_says_how_many_records_of_each_partition_it_has_not_polled() -> None:
    topic = MemoryTopic(partitions=2)
    topic.feed(rows(5), partition=1)
    stream = MemoryStream(topic, max_records=2)
    assert stream.lag() == {0: 0, 1: 5}
    stream.poll(0)
    assert stream.lag() == {0: 0, 1: 3}
