"""The parts of a machine's state: what a commit writes, and that they add up to the state whatever was written when."""

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.artifact import load
from sheetbreak.engine.alerts import AlertState
from sheetbreak.engine.features import LARGEST
from sheetbreak.engine.odds import Raised
from sheetbreak.engine.state import State, cold_state
from sheetbreak.engine.thresholds import Steering, Trailing
from sheetbreak.wire.state import CHUNK_SCORES, StateCodec
from sheetbreak.wire.state_core import Core
from tests.support.models.making import same
from tests.support.models.mill import save_model

SCORES = st.sampled_from([0.0, 0.5, 1.5])  # often the score that was in its place before


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> tuple[StateCodec, State]:
    models: Path = tmp_path_factory.mktemp("models")
    manifest = save_model(models)
    return StateCodec(manifest.schema), cold_state(load(models))


ROWS = st.sampled_from([CHUNK_SCORES - 3, 2 * CHUNK_SCORES, 3 * CHUNK_SCORES + 5])


@given(
    rows=ROWS,
    batches=st.lists(st.tuples(st.none() | ROWS, st.lists(SCORES, max_size=5 * CHUNK_SCORES)), max_size=8),
)
def test_the_parts_of_all_commits_so_far_are_the_state(
    cold: tuple[StateCodec, State], rows: int, batches: list[tuple[int | None, list[float]]]
):
    """Each batch may begin the trailing window anew, as a clock set back does, or a model of other trailing rows."""
    codec, state = cold
    state = replace(state, trailing=Trailing(rows))
    kept: dict[bytes, bytes] = {}
    old: State | None = None
    for anew, scores in batches:
        trailing = Trailing(anew) if anew else state.trailing.copy()
        for score in scores:
            trailing.add(score)
        state = replace(state, trailing=trailing)
        kept |= codec.dump("pm1", old, state)
        (again,) = codec.load(kept).values()
        assert (again.trailing.ring, again.trailing.count) == (trailing.ring, trailing.count)
        old = state


def test_a_state_that_is_not_all_there_starts_cold_and_leaves_the_others(cold: tuple[StateCodec, State], caplog):
    """Records of monitor-state deleted by hand: a monitor that could not start again would help nobody."""
    codec, state = cold
    trailing = Trailing(4 * CHUNK_SCORES)
    for i in range(3 * CHUNK_SCORES):
        trailing.add(float(i))
    state = replace(state, trailing=trailing)
    parts = codec.dump("pm1", None, state) | codec.dump("pm2", None, state) | codec.dump("pm3", None, state)
    parts.pop(b"pm1\0t01")
    parts[b"pm3\0t00"] = parts[b"pm3\0t00"][:-1]
    assert list(codec.load(parts)) == ["pm2"]
    told = [record.message for record in caplog.records]
    assert ["event=state-dropped" in line for line in told] == [True, True]
    assert "t01" in told[0]


@pytest.mark.parametrize(
    "chunk",
    [b"", np.full(CHUNK_SCORES - 1, 0.5, "<f4").tobytes(), np.full(CHUNK_SCORES, np.nan, "<f4").tobytes()],
    ids=["empty", "short", "no numbers"],
)
def test_a_chunk_of_scores_that_none_has_written_is_told_and_starts_cold(
    cold: tuple[StateCodec, State], chunk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Taken, the next score to go would end the monitor: it is not where its order says."""
    codec, state = cold
    trailing = Trailing(3 * CHUNK_SCORES, [0.5] * 3 * CHUNK_SCORES, count=3 * CHUNK_SCORES)
    parts = codec.dump("pm1", None, replace(state, trailing=trailing))
    assert codec.load(parts).keys() == {"pm1"}
    assert codec.load(parts | {b"pm1\0t01": chunk}) == {}
    assert "expected 48 that are numbers" in caplog.text


@given(st.booleans(), st.booleans(), st.integers(0, 3 * CHUNK_SCORES))
def test_the_keys_of_a_machine_are_those_of_all_its_parts(
    cold: tuple[StateCodec, State], has_offset: bool, has_aside: bool, scores: int
):
    """What is deleted of a machine that is forgotten: a part that stayed would fill the topic for ever."""
    codec, state = cold
    trailing = Trailing(3 * CHUNK_SCORES)
    for _ in range(scores):
        trailing.add(0.5)
    if has_offset:
        features = replace(state.memory.features, offset=np.ones(len(state.memory.features.mean)))
        state = replace(state, memory=state.memory._replace(features=features))
    full = replace(state, trailing=trailing, aside=state if has_aside else None)
    written = codec.dump("pm1", None, full)
    assert len(written) >= 1 + has_offset + has_aside
    assert written.keys() <= set(codec.keys("pm1", full))
    if has_aside:
        assert written.keys() <= set(codec.keys("pm1", replace(full, aside=None))), "it was taken back or dropped"


def test_a_row_writes_the_core_alone_until_a_chunk_of_scores_is_full(cold: tuple[StateCodec, State]):
    codec, state = cold
    state = replace(state, trailing=Trailing(3 * CHUNK_SCORES))
    written = []
    for i in range(9 * CHUNK_SCORES):  # three times round
        trailing = state.trailing.copy()
        trailing.add(float(i))
        after = replace(state, trailing=trailing)
        written.append(len(codec.dump("pm1", state, after)))
        state = after
    assert written == ([1] * (CHUNK_SCORES - 1) + [2]) * 9


def test_a_muted_alert_and_the_grade_come_back(cold: tuple[StateCodec, State]):
    codec, state = cold
    state = replace(state, alert=AlertState(muted=7), grade="96")
    (again,) = codec.load(codec.dump("pm1", None, state)).values()
    assert (again.alert, again.grade) == (state.alert, "96")


def test_a_state_of_format_1_is_taken_over(cold: tuple[StateCodec, State]):
    """It ends before the two fields that format 2 added, so a machine needs no new warm-up after an upgrade."""
    codec, state = cold
    state = replace(state, alert=AlertState(muted=7, since_open=3), grade="96")
    parts = codec.dump("pm1", None, state)
    core = msgspec.msgpack.decode(parts[b"pm1\0core"])
    assert core[0] == 2
    parts[b"pm1\0core"] = msgspec.msgpack.encode([1, *core[1 : Core.__struct_fields__.index("muted")]])
    (again,) = codec.load(parts).values()
    assert same(again, replace(state, alert=AlertState(since_open=3), grade=None))


def test_where_the_wheel_of_a_steered_level_stands_comes_back(cold: tuple[StateCodec, State]):
    codec, state = cold
    state = replace(state, steering=Steering(0.04321, (29, 3, 0)))
    (again,) = codec.load(codec.dump("pm1", None, state)).values()
    assert again.steering == state.steering


def test_the_last_warnings_come_back_and_cost_a_record_only_as_one_changes(
    cold: tuple[StateCodec, State], caplog: pytest.LogCaptureFixture
) -> None:
    codec, state = cold
    warned = replace(state, raised=(Raised("a1", labelled=True), Raised("a2", labelled=False, right=False)))
    parts = codec.dump("pm1", None, warned)
    assert parts == codec.dump("pm1", None, state) | {b"pm1\0raised": parts[b"pm1\0raised"]}
    assert b"pm1\0raised" in codec.keys("pm1", warned)
    (again,) = codec.load(parts).values()
    assert again.raised == warned.raised
    assert b"pm1\0raised" not in codec.dump("pm1", warned, warned)
    (none,) = codec.load(parts | codec.dump("pm1", warned, state)).values()
    assert none.raised == ()
    encode, true = msgspec.msgpack.encode, ["a", True, True]
    for bad in (b"", b"\xff", encode([true]), encode(["m", [["a", True, "yes"]]]), encode(["m", [true] * 21])):
        (without,) = codec.load(parts | {b"pm1\0raised": bad}).values()
        assert same(without, state)
    assert {record.message.partition(" reason=")[0] for record in caplog.records} == {
        "event=verdicts-dropped machine=pm1"
    }


def test_warnings_that_a_model_of_other_sensors_left_behind_are_not_the_next_ones(cold: tuple[StateCodec, State]):
    """Its state is dropped at the restart, and what begins cold has no warning yet: nothing writes over that part."""
    codec, state = cold
    kept = codec.dump("pm1", None, replace(state, raised=(Raised("a1", labelled=True, right=True),)))
    kept |= codec.dump("pm1", None, replace(state, model="the next one"))
    (again,) = codec.load(kept).values()
    assert (again.model, again.raised) == ("the next one", ())


@given(data=st.data())
def test_features_come_back_to_the_bit(cold: tuple[StateCodec, State], data: st.DataObject):
    codec, state = cold
    n = len(state.memory.features.mean)
    means, variances = st.floats(-LARGEST, LARGEST), st.floats(0, LARGEST**2)
    mean, variance = (
        _as_stored(np.array(data.draw(st.lists(one, min_size=n, max_size=n)))) for one in (means, variances)
    )
    lasts = st.lists(st.floats(width=32, allow_infinity=False), min_size=n, max_size=n)
    last = np.array(data.draw(lasts), np.float32)
    state = replace(
        state,
        memory=state.memory._replace(features=replace(state.memory.features, mean=mean, variance=variance, last=last)),
    )
    (again,) = codec.load(codec.dump("pm1", None, state)).values()
    for name in ("mean", "variance", "last"):
        before, after = getattr(state.memory.features, name), getattr(again.memory.features, name)
        assert after.dtype == before.dtype
        assert after.tobytes() == before.tobytes()


def _as_stored(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The upper 5 bytes of each value, as features.py leaves them."""
    return (values.view(np.uint64) & np.uint64(0xFFFFFFFFFF000000)).view(np.float64)


FORGED: dict[str, list[Any]] = {
    "last_us": [1 << 62, -(1 << 62), 1.5, "now"],
    "since_restart": [-1, 1 << 40],
    "late": [-1],
    "late_us": [1 << 60],
    "tops": [b"", zlib.compress(bytes(100)), zlib.compress(bytes(50_000_000)), b"no zlib"],
    "mean": [b"", b"\xff" * 25],
    "missing": [{-1: 1}, {6: 1}, {0: -1}, {0: 200}, {"x1": 1}],
    "rows": [-1, 1 << 60],
    "recent": [b"\0" * 23, np.full(6, np.inf, np.float32).tobytes()],
    "over": [-1],
    "since_open": [-5],
    "open": [
        ["a", 1 << 60, "warning", "x1", 0, 0],
        ["a", 0, "fatal", "x1", 0, 0],
        ["a", 0, "warning", "x1", -1, 0],
        [],
    ],
    "trailing_rows": [0, -3, 1 << 60],
    "trailing_count": [-1, 1 << 60],
    "tail": [np.array([np.nan], np.float32).tobytes(), b"\0" * 400, b"\0"],
    "muted": [-1],
    "share": [0.0, 1.0, -2.0, float("nan"), float("inf")],
    "waiting": [[-1], [1 << 60]],
    "odds": [["?", 1, 1, 0, []], ["+" * 1000, 1, 1, 0, []], ["+", -1, 0, 0, []], ["+", 1, 0, 0, [-1]]],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, some in FORGED.items() for value in some])
def test_a_state_whose_numbers_no_monitor_can_have_written_is_told_and_starts_cold(
    cold: tuple[StateCodec, State], caplog: pytest.LogCaptureFixture, field: str, value: Any
) -> None:
    codec, state = cold
    trailing = Trailing(4 * CHUNK_SCORES)
    trailing.add(1.0)
    state = replace(state, trailing=trailing)
    parts = codec.dump("pm1", None, state) | codec.dump("pm2", None, state)
    core = msgspec.msgpack.decode(parts[b"pm1\0core"])
    core[Core.__struct_fields__.index(field)] = value
    parts[b"pm1\0core"] = msgspec.msgpack.encode(core)
    assert list(codec.load(parts)) == ["pm2"]
    assert [record.message.partition(" reason=")[0] for record in caplog.records] == ["event=state-dropped machine=pm1"]


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", ["mean", "variance"])
def test_a_mean_or_variance_beyond_all_rows_starts_cold(cold: tuple[StateCodec, State], name: str, sign: int) -> None:
    codec, state = cold
    forged: dict[str, Any] = {name: np.full_like(state.memory.features.mean, sign * 1e90)}
    features = replace(state.memory.features, **forged)
    state = replace(state, memory=state.memory._replace(features=features))
    assert codec.load(codec.dump("pm1", None, state)) == {}
