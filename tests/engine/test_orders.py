"""Orders of operators in the engine: by the rows' own time, whatever the batches, and in a state's bytes."""

from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sheetbreak.engine.advance import advance
from sheetbreak.engine.state import Acknowledged, Missing, Orders, cold_state
from sheetbreak.wire.state import StateCodec
from sheetbreak.wire.state_core import Core
from tests.support.models.making import PERIOD_US, START_US, make_artifact, make_batch, make_schema

ROWS = 90
MODELS = {window: make_artifact(window=window) for window in (1, 3)}
names = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)
times = st.integers(START_US, START_US + ROWS * PERIOD_US)
orders = st.builds(
    lambda seen, until, masks: Orders(seen, until, tuple(sorted(masks.items()))),
    st.none() | st.builds(Acknowledged, names, names, times),
    st.none() | times,
    st.dictionaries(st.sampled_from(["x1", "x3", "x6"]), st.none() | times, max_size=3),
)


@given(orders=orders)
def test_orders_that_went_through_bytes_are_the_same_and_none_adds_no_byte(orders: Orders) -> None:
    codec, state = StateCodec(make_schema()), cold_state(MODELS[1])
    parts = codec.dump("pm1", None, replace(state, orders=orders))
    assert codec.load(parts)["pm1"].orders == orders
    plain = msgspec.msgpack.decode(codec.dump("pm1", None, state)[b"pm1\0core"])
    assert len(plain) == len(Core.__struct_fields__)


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("missing", ["hold", "model"])
@settings(max_examples=25)  # four times over
@given(cuts=st.lists(st.integers(1, ROWS - 1), max_size=4), orders=orders)
def test_where_a_batch_ends_changes_no_bit_of_what_is_masked(
    window: int, missing: Missing, cuts: list[int], orders: Orders
) -> None:
    model, rows = MODELS[window], make_batch(ROWS)
    state = {"pm1": replace(cold_state(model), orders=orders)}
    whole, results = advance(state, rows, model, missing=missing)
    ends, scores, masked = sorted({0, *cuts, ROWS}), list[float](), list[tuple[str, ...]]()
    for first, end in pairwise(ends):
        state, part = advance(state, rows.take(slice(first, end)), model, missing=missing)
        scores += part.score.tolist()
        masked += [part.masked.get(place, ()) for place in range(end - first)]
    assert np.array_equal(scores, results.score, equal_nan=True)
    codec = StateCodec(model.manifest.schema)
    assert codec.dump("pm1", None, state["pm1"]) == codec.dump("pm1", None, whole["pm1"])
    expected = [
        tuple(name for name, until in orders.masks if until is None or time < until) for time in rows.times_us.tolist()
    ]
    assert masked == expected


@pytest.mark.parametrize("window", [1, 3])
def test_a_masked_sensor_has_no_part_in_the_score_and_the_others_keep_theirs(window: int) -> None:
    model, rows = MODELS[window], make_batch(ROWS)
    state = {"pm1": replace(cold_state(model), orders=Orders(masks=(("x2", None),)))}
    results = advance(state, rows, model)[1]
    scored = ~np.isnan(results.score)
    assert scored.sum() > ROWS / 2
    assert not results.contributions[scored, 1].any()
    assert np.allclose(results.contributions[scored].sum(axis=1) / 6, results.score[scored])
    assert not results.imputed
    dead = rows.values.copy()
    dead[:, 1] = np.nan
    again = advance(state, replace(rows, values=dead), model)[1]
    assert np.array_equal(results.score, again.score, equal_nan=True)
