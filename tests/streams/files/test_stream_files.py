"""Files and pipes: lines as they come, outputs that are cut back where no commit knows them."""

import os
import pty
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sheetbreak.errors import StreamUnavailable
from sheetbreak.streams.files.lines import MAX_LINE, LineReader
from sheetbreak.streams.files.sink import Sink
from sheetbreak.streams.files.state_log import StateLog
from sheetbreak.streams.files.stream import FileStream
from sheetbreak.streams.protocol import Output, Record, Snapshot
from tests.support.running.patience import PATIENCE_S
from tests.support.streams.checks import answers, expected_answers, rows, values_of
from tests.support.streams.rigs import FileRig, PipeRig


def test_a_record_says_its_line_and_blank_lines_count(tmp_path: Path) -> None:
    source = tmp_path / "rows"
    source.write_bytes(b"\xef\xbb\xbfone\r\n\r\n  \ntwo\n\t\nthree")
    reader = LineReader(os.open(source, os.O_RDONLY))
    lines = reader.read(0, max_lines=10)
    assert [(line.value, line.number) for line in lines] == [(b"one", 1), (b"two", 4), (b"three", 6)]
    assert [line.end for line in lines] == [8, 17, 24]
    assert reader.ended


def test_lines_are_the_same_however_the_bytes_arrive() -> None:
    text = b"one\r\n\n" + b"x" * 5000 + b"\ntwo\nlast"
    expected = [(b"one", 1, 5), (b"x" * 5000, 3, 5007), (b"two", 4, 5011), (b"last", 5, 5015)]
    for step in (1, 2, 3, 7, 4096, 10_000):
        read_end, write_end = os.pipe()
        reader = LineReader(read_end)
        got = []
        for start in range(0, len(text), step):
            os.write(write_end, text[start : start + step])
            got += reader.read(0, max_lines=10)
        os.close(write_end)
        while not reader.ended:
            got += reader.read(0, max_lines=10)
        os.close(read_end)
        assert got == expected, step


def test_a_line_in_a_pipe_comes_at_once_and_not_with_the_next() -> None:
    read_end, write_end = os.pipe()
    reader = LineReader(read_end)
    threading.Timer(0.1, os.write, (write_end, b"first\nsec")).start()
    start = time.monotonic()
    assert [line.value for line in reader.read(3 * PATIENCE_S, max_lines=500)] == [b"first"]
    assert time.monotonic() - start < PATIENCE_S
    start = time.monotonic()
    assert reader.read(0.05, max_lines=500) == []
    assert time.monotonic() - start > 0.04
    os.write(write_end, b"ond\n")
    assert [line.value for line in reader.read(0, max_lines=500)] == [b"second"]
    os.close(write_end)
    os.close(read_end)


def test_an_endless_line_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    source = tmp_path / "rows"
    source.write_bytes(b"a" * (MAX_LINE + 12_345) + b"\nnext\n" + b"b" * (MAX_LINE + 1))
    reader = LineReader(os.open(source, os.O_RDONLY))
    first = reader.read(9, max_lines=500)
    assert [len(line.value) for line in first] == [MAX_LINE], "one batch must not hold two such lines"
    rest = reader.read(9, max_lines=1) + reader.read(9, max_lines=1)
    assert [(len(line.value), line.number) for line in rest] == [(4, 2), (MAX_LINE, 3)]
    assert rest[-1].end == source.stat().st_size
    assert reader.ended


def test_a_batch_of_long_lines_is_bounded_in_bytes(tmp_path: Path) -> None:
    source = tmp_path / "rows"
    source.write_bytes((b"x" * (3 * MAX_LINE // 4) + b"\n") * 5)
    reader = LineReader(os.open(source, os.O_RDONLY))
    counts = []
    while not reader.ended:
        counts.append(len(reader.read(9, max_lines=500)))
    assert counts == [2, 2, 1]


def test_a_csv_header_on_a_pipe_is_seen_before_the_rows_and_not_polled(tmp_path: Path) -> None:
    rig = PipeRig(tmp_path)
    rig.header = b"a,b"
    rig.feed([b"a,b", b"1,2", b"3,4"])
    stream = rig.open()
    assert stream.head(200) == [(1, b"a,b"), (2, b"1,2"), (3, b"3,4")]
    assert [(r.value, r.offset) for r in stream.poll(0).records] == [(b"1,2", 2), (b"3,4", 3)]
    rig.tear_down()


@pytest.fixture
def file_rig(tmp_path: Path) -> Iterator[FileRig]:
    rig = FileRig(tmp_path)
    yield rig
    rig.tear_down()


def test_outputs_that_no_commit_knows_are_cut_off_at_the_next_start(file_rig: FileRig) -> None:
    file_rig.feed(rows(4))
    stream = file_rig.open(max_records=2)
    first = stream.poll(0)
    stream.commit(first, answers(first), [])
    file_rig.out.write(b'{"of":half a li')  # killed in the middle of the second commit's outputs
    file_rig.out.flush()
    again = file_rig.open()
    assert file_rig.published() == expected_answers(rows(2))
    batch = again.poll(0)
    again.commit(batch, answers(batch), [])
    assert file_rig.published() == expected_answers(rows(4))


def test_what_others_append_after_a_clean_end_is_left_alone(file_rig: FileRig) -> None:
    file_rig.feed(rows(1))
    stream = file_rig.open()
    batch = stream.poll(0)
    stream.commit(batch, answers(batch), [])
    stream.close()
    file_rig.out.write(b"a note\n")
    file_rig.out.flush()
    file_rig.open()
    assert file_rig.published() == [*expected_answers(rows(1)), b"a note"]


def test_an_output_file_that_is_another_one_is_left_alone(file_rig: FileRig, tmp_path: Path) -> None:
    file_rig.feed(rows(1))
    stream = file_rig.open()
    batch = stream.poll(0)
    stream.commit(batch, answers(batch), [])
    file_rig.out.close()
    file_rig.out = (tmp_path / "another").open("a+b")
    file_rig.out.write(b"longer than what was written to the first one\n")
    file_rig.out.flush()
    file_rig.open()
    assert file_rig.published() == [b"longer than what was written to the first one"]


@pytest.mark.parametrize("content", [b'{"another":1}\n' * 5, b'{"row":0}\n'], ids=["other", "shorter"])
def test_another_file_under_the_same_name_is_read_from_its_start(
    file_rig: FileRig, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file_rig.feed(rows(4))
    stream = file_rig.open(max_records=3)
    batch = stream.poll(0)
    stream.commit(batch, [], [Snapshot(0, b"machine", b"state")])
    file_rig.source.write_bytes(content)
    again = file_rig.open()
    assert values_of([again.poll(0)]) == content.splitlines()
    assert again.restore(0) == {b"machine": b"state"}
    assert "event=other-file" in caplog.text


def test_a_file_cut_short_behind_its_first_rows_is_another_file(file_rig: FileRig) -> None:
    file_rig.feed([b"%06d" % i + b"x" * 100 for i in range(1500)])
    stream = file_rig.open(max_records=1000)
    stream.commit(stream.poll(9), [], [])
    os.truncate(file_rig.source, 70_000)
    assert file_rig.open().poll(9).records[0].offset == 1


def test_outputs_are_cut_off_after_a_clean_end_before_the_first_commit(file_rig: FileRig) -> None:
    file_rig.feed(rows(1))
    stream = file_rig.open()
    batch = stream.poll(0)
    stream.commit(batch, answers(batch), [])
    stream.close()
    file_rig.open()
    file_rig.out.write(b'{"of":half a li')  # killed in its first commit
    file_rig.out.flush()
    file_rig.open()
    assert file_rig.published() == expected_answers(rows(1))


def test_outputs_written_without_append_go_on_at_the_end_after_a_cut(file_rig: FileRig, tmp_path: Path) -> None:
    file_rig.out.close()
    file_rig.out = (tmp_path / "out").open("w+b")  # as `> out` of a shell's loop
    file_rig.feed(rows(4))
    stream = file_rig.open(max_records=2)
    first = stream.poll(0)
    stream.commit(first, answers(first), [])
    os.write(file_rig.out.fileno(), b'{"of":half a li')
    again = file_rig.open()
    batch = again.poll(0)
    again.commit(batch, answers(batch), [])
    assert (tmp_path / "out").read_bytes().splitlines() == expected_answers(rows(4))


def test_a_commit_given_up_at_the_end_is_cut_off_at_the_next_start(
    file_rig: FileRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_rig.feed(rows(3))
    stream = file_rig.open()
    batch = stream.poll(0)

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(StateLog, "append", full_disk)
        with pytest.raises(StreamUnavailable, match="No space"):
            stream.commit(batch, answers(batch), [])
    stream.close()
    assert file_rig.published() == expected_answers(rows(3))
    file_rig.open()
    assert file_rig.published() == []


def test_a_failed_write_goes_on_where_it_stopped(file_rig: FileRig, monkeypatch: pytest.MonkeyPatch) -> None:
    file_rig.feed(rows(3))
    stream = file_rig.open()
    batch = stream.poll(0)
    real = os.write
    left = [7]

    def disk_with_room_for_seven_bytes(fd: int, content: memoryview) -> int:
        if fd != file_rig.out.fileno():
            return real(fd, content)
        if not left[0]:
            raise OSError(28, "No space left on device")
        written = real(fd, content[: left[0]])
        left[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", disk_with_room_for_seven_bytes)
        for _ in range(2):
            with pytest.raises(StreamUnavailable, match="No space left"):
                stream.commit(batch, answers(batch), [])
    stream.commit(batch, answers(batch), [])
    assert file_rig.published() == expected_answers(rows(3))


def test_a_failed_state_write_leaves_the_log_sound_and_outputs_are_not_repeated(
    file_rig: FileRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_rig.feed(rows(2))
    stream = file_rig.open()
    batch = stream.poll(0)
    real = os.write

    def full_disk_under_the_state(fd: int, content: memoryview) -> int:
        if fd == file_rig.out.fileno():
            return real(fd, content)
        real(fd, content[:9])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_disk_under_the_state)
        with pytest.raises(StreamUnavailable, match="state"):
            stream.commit(batch, answers(batch), [Snapshot(0, b"k", b"v")])
    stream.commit(batch, answers(batch), [Snapshot(0, b"k", b"v")])
    assert file_rig.published() == expected_answers(rows(2))
    assert file_rig.open().restore(0) == {b"k": b"v"}


def test_only_what_emit_names_is_written(file_rig: FileRig) -> None:
    sink = Sink(file_rig.out, emit=frozenset({"alerts"}))
    outputs = [Output(topic, b"pm1", topic.encode()) for topic in ("scores", "alerts", "dead-letters")]
    assert sink.render(outputs) == b"alerts\n"


def test_a_terminal_that_was_closed_is_a_reader_that_has_gone() -> None:
    """Else a monitor whose terminal was shut tries again for ever, unseen, and keeps its port and its state."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "wb", buffering=0) as terminal:
        sink = Sink(terminal, emit=frozenset({"alerts"}))
        assert sink.write(memoryview(b"seen\n")) == 5
        os.close(ours)
        with pytest.raises(BrokenPipeError):
            sink.write(memoryview(b"unseen\n"))


QUOTED = b'time,s1,remark\n1,2,"wire\nchanged"\n2,3,ok\n3,4,"a ""felt""\n\nand a 3"" pipe"\n'
QUOTED += b'4,5,inch"\n5,6,"never\n6,7,closed\n'
RECORDS = [(2, b'1,2,"wire\nchanged"'), (4, b"2,3,ok"), (5, b'3,4,"a ""felt""\nand a 3"" pipe"')]
RECORDS += [(8, b'4,5,inch"'), (9, b'5,6,"never'), (10, b"6,7,closed")]


def test_a_cell_in_quotes_over_several_lines_is_one_record_however_the_bytes_arrive(tmp_path: Path) -> None:
    for step in (1, 5, 40, len(QUOTED)):
        read_end, write_end = os.pipe()
        with (tmp_path / "out").open("wb") as out:
            stream = FileStream(read_end, sink=Sink(out, emit=frozenset()), state=None, name="-")
            stream.begin_at(2, separator=",")
            got: list[Record] = []
            for start in range(0, len(QUOTED), step):
                os.write(write_end, QUOTED[start : start + step])
                got += stream.poll(0).records
            os.close(write_end)
            end = False
            while not end:
                batch = stream.poll(0)
                got += batch.records
                end = batch.end
            stream.close()
        assert [(record.offset, record.value) for record in got] == RECORDS, step


def test_a_batch_never_ends_within_a_cell_in_quotes_so_that_a_killed_monitor_goes_on_behind_it(tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_bytes(b"time,s1,remark\n" + b'1,2,"wire\nchanged"\n' * 40)
    for max_records in (1, 2, 3, 7):
        starts = 0
        got: list[Record] = []
        state_dir = tmp_path / f"state-{max_records}"
        end = False
        while not end:  # a new process for every batch
            starts += 1
            with (tmp_path / "out").open("ab") as out:
                fd = os.open(source, os.O_RDONLY)
                state = StateLog(state_dir)
                sink = Sink(out, emit=frozenset())
                stream = FileStream(fd, sink=sink, state=state, name="rows.csv", max_records=max_records)
                stream.begin_at(2, separator=",")
                batch = stream.poll(0)
                stream.commit(batch, [], [])
                stream.close()
            got += batch.records
            end = batch.end
        assert [record.value for record in got] == [b'1,2,"wire\nchanged"'] * 40
        assert [record.offset for record in got] == list(range(2, 82, 2))
        assert starts > 1
