"""What other engines are asked to do in the benchmark is the monitor's work, and goes on from what was kept of it."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.kafka.rivals.work import WORKS, Task
from sheetbreak.artifact import load
from sheetbreak.engine.advance import advance
from sheetbreak.wire.messages import encode_scores
from sheetbreak.wire.rows import WireDecoder
from sheetbreak.wire.state import StateCodec
from tests.support.models.mill import mill_rows, save_model

BEFORE, AFTER = 90, 120
MACHINE = "pm1"


@pytest.fixture
def rows(tmp_path: Path) -> list[bytes]:
    """The rows that follow the state in `tmp_path`."""
    schema = save_model(tmp_path / "models").schema
    rows = mill_rows(BEFORE + AFTER)
    states, _ = advance({}, WireDecoder(schema).decode(rows[:BEFORE]).rows, load(tmp_path / "models"))
    parts = StateCodec(schema).dump(MACHINE, None, states[MACHINE])
    (tmp_path / "state").write_bytes(msgspec.msgpack.encode(parts))
    return rows[BEFORE:]


@pytest.mark.parametrize("at_once", [1, 7])
@pytest.mark.parametrize("name", WORKS)
def test_a_rival_goes_on_from_what_was_kept_as_if_it_had_not_stopped(
    tmp_path: Path, rows: list[bytes], name: str, at_once: int
) -> None:
    work = WORKS[name](tmp_path / "models", tmp_path / "state")
    _, unbroken = work.score(MACHINE, work.start(), rows)
    state, before, parts, messages = work.start(), None, dict[str, bytes](), list[bytes]()
    for at in range(0, AFTER, at_once):
        state, some = work.score(MACHINE, state, rows[at : at + at_once])
        messages += some
        parts |= work.changed(MACHINE, before, state)
        state = before = work.restored(parts)
    assert messages == unbroken


def test_the_same_work_gives_the_scores_of_the_monitor(tmp_path: Path, rows: list[bytes]) -> None:
    work, model = WORKS["score"](tmp_path / "models", tmp_path / "state"), load(tmp_path / "models")
    decoded = WireDecoder(model.manifest.schema).decode(rows).rows
    _, results = advance({MACHINE: work.start()}, decoded, model)
    assert work.score(MACHINE, work.start(), rows)[1] == encode_scores(decoded, results, model=model.version)


def test_an_engine_reads_from_its_command_line_what_is_asked_of_it():
    task = Task("lean", "some-name", "localhost:9092", "rows", Path("models"), Path("state"), Path("kept"))
    assert Task.read(list(map(str, task))) == task
