"""The replay as a program: live on a pipe, quiet when nobody reads, clean when it is asked to end."""

import array
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support.running.patience import PATIENCE_S, wait_for
from tests.support.running.services import plain_environment

NEVER = "0.001x"
"""A speed at which the second row is due in more than a day."""


@pytest.fixture
def mill(tmp_path: Path) -> Path:
    """A CSV of 3000 rows, 2 minutes apart, wide enough to fill a pipe many times; no schema needed."""
    path = tmp_path / "mill.csv"
    header = "time,y," + ",".join(f"x{i}" for i in range(1, 62))
    cells = ",".join(["0.125"] * 27 + ["96"] + ["0.125"] * 32 + ["0"])
    lines = [f"5/{1 + i // 720}/99 {i // 30 % 24}:{2 * (i % 30):02},0,{cells}" for i in range(3000)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


class Replay:
    """A replay on a pipe; use as a context."""

    def __init__(self, *arguments: object, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "replay", *map(str, arguments)],
            stdout=stdout,
            stderr=stderr,
            env=plain_environment(),
        )

    def __enter__(self) -> "Replay":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for file in (self.process.stdout, self.process.stderr):
            if file is not None:
                file.close()

    @property
    def out(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def line(self) -> bytes:
        """The next line that comes out; waits for it."""
        line = b""
        while not line.endswith(b"\n"):
            assert select.select([self.out], [], [], PATIENCE_S)[0], "nothing came"
            byte = os.read(self.out, 1)
            assert byte, "ended"
            line += byte
        return line

    def fill_the_pipe(self) -> None:
        """Wait until there is no room for another row in it."""
        held = array.array("i", [0])

        def is_full() -> bool:
            fcntl.ioctl(self.out, termios.FIONREAD, held)
            return held[0] > 60_000

        wait_for(is_full, says=lambda: f"{held[0]} bytes are in the pipe")

    def rest(self) -> tuple[bytes, bytes, int]:
        """What else comes out, what it says, its exit code."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return out or b"", err or b"", self.process.returncode


def lines_of(out: bytes) -> list[bytes]:
    """Whole records, the last one, too."""
    assert not out or out.endswith(b"\n")
    for line in (lines := out.splitlines()):
        msgspec.json.decode(line)
    return lines


def test_a_row_is_out_as_soon_as_it_is_due(mill):
    begun = time.monotonic()
    with Replay(mill, "--speed", "120x") as replay:
        first, second, third = replay.line(), replay.line(), replay.line()
        assert time.monotonic() - begun > 2, "the third row is due two seconds after the first"
        assert replay.process.poll() is None, "they came out while the others were waited for"
    times = [msgspec.json.decode(line)["time"] for line in (first, second, third)]
    assert times == [f"1999-05-01T00:0{2 * i}:00Z" for i in range(3)]


def test_a_reader_that_goes_ends_the_replay_at_once_and_quietly(mill):
    with Replay(mill, "--speed", NEVER) as replay:
        replay.line()
        assert replay.process.stdout is not None
        replay.process.stdout.close()
        replay.process.stdout = None
        _, err, code = replay.rest()
        assert (code, err) == (0, b"")


def test_a_reader_that_goes_in_mid_stream_ends_the_replay_quietly(mill):
    with Replay(mill, "--speed", "max") as replay:
        replay.line()
        assert replay.process.stdout is not None
        replay.process.stdout.close()
        replay.process.stdout = None
        _, err, code = replay.rest()
        assert (code, err) == (0, b"")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_wait_for_the_next_row(mill, number, code):
    with Replay(mill, "--speed", NEVER) as replay:
        replay.line()
        replay.process.send_signal(number)
        out, err, ended = replay.rest()
        assert (out, err, ended) == (b"", b"", code)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_at_full_speed_never_cuts_a_record_in_two(mill, number, code):
    with Replay(mill, "--speed", "max", "--loop") as replay:
        first = replay.line()
        replay.fill_the_pipe()  # a record half in it
        replay.process.send_signal(number)
        out, err, ended = replay.rest()
        assert (err, ended) == (b"", code)
        assert len(lines_of(first + out)) > 30


def test_a_signal_ends_a_replay_whose_reader_has_stalled(mill):
    with Replay(mill, "--speed", "max", "--loop") as replay:
        replay.line()
        replay.fill_the_pipe()
        replay.process.send_signal(signal.SIGTERM)
        assert replay.process.wait(timeout=PATIENCE_S) == 0


def test_a_loop_never_ends_and_its_times_always_ascend(mill):
    with Replay(mill, "--until", "3", "--speed", "max", "--loop") as replay:
        times = [msgspec.json.decode(replay.line())["time"] for _ in range(8)]
    assert times == [f"1999-05-01T00:{2 * i:02}:00Z" for i in range(8)]


def test_all_rows_of_a_file_are_out_when_it_ends(mill):
    with Replay(mill, "--speed", "max") as replay:
        out, err, code = replay.rest()
    assert (code, err) == (0, b"")
    assert len(lines_of(out)) == 3000


def test_a_bad_option_is_one_line_and_exit_code_2(mill):
    with Replay(mill, "--from", "9999") as replay:
        out, err, code = replay.rest()
    assert (code, out) == (2, b"")
    assert err.startswith(b"error: ")
    assert b"no row from 9999" in err


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Our end and the program's."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def test_progress_is_shown_on_a_terminal_when_the_rows_go_elsewhere(mill, tmp_path, terminal):
    ours, theirs = terminal
    out = tmp_path / "rows.ndjson"
    with Replay(mill, "--until", "300", "--speed", "36000x", "--to", out, stderr=theirs) as replay:
        os.close(theirs)
        shown = b""
        while b"of 300 (" not in shown:
            assert select.select([ours], [], [], PATIENCE_S)[0]
            shown += os.read(ours, 1024)
        assert replay.process.wait(timeout=PATIENCE_S) == 0
    assert len(lines_of(out.read_bytes())) == 300


def test_progress_is_not_shown_beside_a_reader_that_may_write_on_the_same_terminal(mill, terminal):
    ours, theirs = terminal
    with Replay(mill, "--until", "300", "--speed", "36000x", stderr=theirs) as replay:
        os.close(theirs)
        out, _, code = replay.rest()
        assert code == 0
        assert len(lines_of(out)) == 300
        assert not select.select([ours], [], [], 0)[0] or not readable(ours)


def readable(fd: int) -> bytes:
    try:
        return os.read(fd, 1024)
    except OSError:  # on Linux a terminal whose other end is closed is an error, not an end
        return b""


def test_a_full_disk_is_said(mill):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Replay(mill, "--speed", "max", "--to", "/dev/full") as replay:
        _, err, code = replay.rest()
    assert code == 2
    assert b"No space left on device" in err
