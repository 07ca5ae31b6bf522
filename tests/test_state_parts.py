"""The parts of a machine's state: what a commit writes, and that they add up to the state whatever was written when."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.artifact import load
from sheetbreak.engine import State, cold_state
from sheetbreak.statecodec import CHUNK_SCORES, StateCodec
from sheetbreak.thresholds import Trailing
from tests.mill import save_model

SCORES = st.sampled_from([0.0, 0.5, 1.5])  # often the score that was in its place before


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> tuple[StateCodec, State]:
    models: Path = tmp_path_factory.mktemp("models")
    manifest = save_model(models)
    return StateCodec(manifest.schema), cold_state(load(models))


@given(
    rows=st.sampled_from([CHUNK_SCORES - 3, 2 * CHUNK_SCORES, 3 * CHUNK_SCORES + 5]),
    batches=st.lists(st.tuples(st.booleans(), st.lists(SCORES, max_size=5 * CHUNK_SCORES)), max_size=8),
)
def test_the_parts_of_all_commits_so_far_are_the_state(
    cold: tuple[StateCodec, State], rows: int, batches: list[tuple[bool, list[float]]]
):
    """Each batch may begin the trailing window anew, as a clock set back or another model does."""
    codec, state = cold
    state = replace(state, trailing=Trailing(rows))
    kept: dict[bytes, bytes] = {}
    old: State | None = None
    for anew, scores in batches:
        trailing = Trailing(rows) if anew else state.trailing.copy()
        for score in scores:
            trailing.add(score)
        state = replace(state, trailing=trailing)
        kept |= codec.dump("pm1", old, state)
        (again,) = codec.load(kept).values()
        assert (again.trailing.ring, again.trailing.count) == (trailing.ring, trailing.count)
        old = state


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
