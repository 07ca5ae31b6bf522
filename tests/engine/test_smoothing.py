"""Smoothed scores: the mean of a run's last scores, the same bits whatever the batches and restarts, off by itself."""

import math
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sheetbreak.engine.advance import advance
from sheetbreak.engine.model import MAX_SMOOTH_ROWS, Artifact, Manifest
from sheetbreak.rows import RowBatch
from sheetbreak.wire.state import StateCodec
from sheetbreak.wire.state_core import Core
from tests.engine.test_engine import streams
from tests.support.models.making import make_artifact, make_batch, make_manifest, run, same

PLAIN = make_artifact()


def smoothed(rows: int, *, version: str = "", break_is_stop: bool = True) -> Artifact:
    manifest = msgspec.structs.replace(PLAIN.manifest, smooth_rows=rows, break_is_stop=break_is_stop)
    return replace(PLAIN, manifest=msgspec.structs.replace(manifest, version=version or manifest.version))


@given(rows=streams(), cuts=st.sets(st.integers(1, 140), max_size=6), over=st.sampled_from([2, 3, 7]))
def test_batches_cut_anywhere_with_states_through_bytes_give_the_same_bytes(
    rows: RowBatch, cuts: set[int], over: int
) -> None:
    model = smoothed(over)
    codec, kept, sent = StateCodec(model.manifest.schema), dict[bytes, bytes](), list[bytes]()
    whole, expected = run(model, rows)
    for first, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]):
        before, batch = codec.load(kept), rows.take(slice(first, end))
        after, part = run(model, batch, states=before, line=first)
        for machine in set(batch.machines):
            kept |= codec.dump(machine, before.get(machine), after[machine])
        sent += part
    assert sent == expected
    found = codec.load(kept)
    assert {machine: same(found[machine], state) for machine, state in whole.items()} == dict.fromkeys(whole, True)


@pytest.mark.parametrize("break_is_stop", [True, False])
@settings(max_examples=8)  # twice over
@given(over=st.integers(2, 6), broken=st.integers(25, 45), gap=st.integers(50, 75))
def test_a_score_is_the_mean_of_its_runs_last_ones(over: int, broken: int, gap: int, break_is_stop: bool) -> None:
    """A run is what no stop interrupts: where a break is none, the mean goes on over it."""
    rows = make_batch(80, breaks=[broken], gaps={gap: 4})
    plain = advance({}, rows, smoothed(1, break_is_stop=break_is_stop))[1].score
    found = advance({}, rows, smoothed(over, break_is_stop=break_is_stop))[1].score
    ends = [0, *([broken] if break_is_stop else []), gap, len(rows)]
    for first, end in pairwise(ends):
        run_of = [(place, score) for place, score in enumerate(plain[first:end], first) if not np.isnan(score)]
        for number, (place, _) in enumerate(run_of):
            last = [score for _, score in run_of[max(number - over + 1, 0) : number + 1]]
            assert found[place] == math.fsum(last) / len(last)
    assert (np.isnan(found) == np.isnan(plain)).all()
    assert not np.array_equal(found, plain, equal_nan=True)


def test_another_model_begins_its_mean_with_its_own_first_score() -> None:
    rows = make_batch(60)
    states, _ = advance({}, rows.take(slice(50)), smoothed(5))
    assert len(states["pm1"].recent_scores) == 4
    found = advance(states, rows.take(slice(50, 60)), smoothed(5, version="another"))[1].score
    plain = advance({}, rows, PLAIN)[1].score
    assert found[0] == plain[50]
    assert found[4] == math.fsum(plain[50:55]) / 5


def test_a_model_that_does_not_smooth_keeps_nothing_and_its_states_keep_their_length() -> None:
    states, _ = advance({}, make_batch(60), PLAIN)
    core = StateCodec(PLAIN.manifest.schema).dump("pm1", None, states["pm1"])[b"pm1\0core"]
    assert states["pm1"].recent_scores == ()
    assert (
        len(msgspec.msgpack.decode(core)) == len(Core.__struct_fields__) + 4
    )  # the last rows' prints, and what aside is


def test_a_manifest_that_does_not_say_smooths_nothing_and_one_out_of_range_is_refused() -> None:
    told = msgspec.json.decode(msgspec.json.encode(make_manifest()))
    del told["smooth_rows"]
    assert msgspec.convert(told, Manifest).smooth_rows == 1
    for wrong in (0, MAX_SMOOTH_ROWS + 1):
        with pytest.raises(msgspec.ValidationError, match="smooth_rows"):
            msgspec.convert(told | {"smooth_rows": wrong}, Manifest)
