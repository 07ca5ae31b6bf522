"""The log of the state directory: what survives a kill, and what is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from sheetbreak.errors import DataError
from sheetbreak.streams.files.state_log import StateLog


def test_a_torn_tail_is_dropped_wherever_it_was_torn(tmp_path: Path) -> None:
    log = StateLog(tmp_path / "whole")
    log.append({b"a": b"1"}, input_mark=None, output_mark=None)
    sound = (tmp_path / "whole/monitor.state").read_bytes()
    log.append({b"a": b"2", b"b": b"3"}, input_mark=None, output_mark=None)
    log.close()
    raw = (tmp_path / "whole/monitor.state").read_bytes()
    (tmp_path / "torn").mkdir()
    for size in range(len(sound), len(raw)):
        for tail in (raw[len(sound) : size], raw[len(sound) : size] + bytes(len(raw) - size)):
            (tmp_path / "torn/monitor.state").write_bytes(sound + tail)
            log = StateLog(tmp_path / "torn")
            assert log.parts == {b"a": b"1"}
            log.append({b"c": b"4"}, input_mark=None, output_mark=None)
            log.close()
            again = StateLog(tmp_path / "torn")
            assert again.parts == {b"a": b"1", b"c": b"4"}
            again.close()


def test_damage_in_the_middle_is_refused_with_a_remedy(tmp_path: Path) -> None:
    log = StateLog(tmp_path)
    before = (tmp_path / "monitor.state").stat().st_size
    for value in (b"first", b"second"):
        log.append({b"a": value}, input_mark=None, output_mark=None)
    log.close()
    raw = bytearray((tmp_path / "monitor.state").read_bytes())
    first_end = before + (len(raw) - before) // 2
    for place in range(before, first_end - 1):
        damaged = bytearray(raw)
        damaged[place] ^= 0x40
        (tmp_path / "monitor.state").write_bytes(damaged)
        with pytest.raises(DataError, match=r"damaged at byte .* remove it to start cold"):
            StateLog(tmp_path)


def test_the_log_is_rewritten_when_it_has_grown_and_holds_the_same(tmp_path: Path) -> None:
    log = StateLog(tmp_path)
    sizes = []
    for i in range(200):
        log.append({b"core": b"%d" % i * 30_000, b"key-%d" % (i % 7): b"v%d" % i}, input_mark=None, output_mark=None)
        sizes.append((tmp_path / "monitor.state").stat().st_size)
    expected = dict(log.parts)
    log.close()
    assert max(sizes) < 6_000_000
    assert sizes[-1] < max(sizes), "never rewritten"
    again = StateLog(tmp_path)
    assert again.parts == expected
    again.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no state of this version"), (b"sheetbreak-state 9\n", "no state of this version")],
)
def test_a_foreign_state_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "monitor.state").write_bytes(content)
    with pytest.raises(DataError, match=message):
        StateLog(tmp_path)


def test_two_monitors_cannot_share_a_state(tmp_path: Path) -> None:
    log = StateLog(tmp_path)
    with pytest.raises(DataError, match="in use by another monitor"):
        StateLog(tmp_path)
    log.close()
    StateLog(tmp_path).close()


FULL = """
import resource, sys
from pathlib import Path
from sheetbreak.streams.files.state_log import StateLog

log = StateLog(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
for i in range(100):
    log.append({b"core": b"%3d" % i * 3_000}, input_mark=None, output_mark=None)
try:
    log.append({b"huge": bytes(300_000)}, input_mark=None, output_mark=None)
except OSError:
    print("no room")
log.append({b"last": b"1"}, input_mark=None, output_mark=None)
log.close()
"""


def test_where_there_is_no_room_old_entries_make_it_and_what_does_not_fit_leaves_all_as_it_was(tmp_path: Path) -> None:
    """A bound on the size of files stands for the full volume: 100 states of 9 kB each in 200 kB."""
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "no room\n"), done.stderr
    log = StateLog(tmp_path)
    assert log.parts == {b"core": b" 99" * 3_000, b"last": b"1"}
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "monitor.state"]
