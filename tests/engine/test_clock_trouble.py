"""Rows sent again, an odd clock, a clock set back, rows lost: what was known of the machine is not thrown away."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.engine.advance import advance
from sheetbreak.engine.state import Results, State
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, RowBatch, Schema
from sheetbreak.wire.state import StateCodec
from tests.support.models.making import PERIOD_US, START_US, make_artifact, make_schema, make_values, same

MODEL = make_artifact()
SENSORS = 6


def at(
    times: Sequence[float], *, label: int = INTACT, broken: Sequence[int] = (), other: Sequence[int] = ()
) -> RowBatch:
    """Rows at these times in periods; one time, one row, but for those at the places `other`."""
    table = make_values(400, seed=1)
    values = np.array([table[int(time) % 400] for time in times])
    values[list(other)] += 0.25
    labels = np.full(len(times), label, np.int8)
    labels[list(broken)] = BROKEN
    times_us = START_US + np.round(np.array(times) * PERIOD_US).astype(np.int64)
    return RowBatch(["pm1"] * len(times), times_us, values, [None] * len(times), labels)


def told(rows: RowBatch, **learned: Any) -> Results:
    """The results of all rows at once, which are those of one by one through bytes."""
    model = make_artifact(replace(make_schema(), **learned)) if learned else MODEL
    codec = StateCodec(model.manifest.schema)
    whole_states, whole = advance({}, rows, model)
    states, kept, old = dict[str, State](), dict[bytes, bytes](), None
    for place in range(len(rows)):
        states, one = advance(states, rows.take([place]), model)
        assert one.outcome == [whole.outcome[place]]
        assert one.score.tobytes() == whole.score[place : place + 1].tobytes()
        kept |= codec.dump("pm1", old, states["pm1"])
        states = codec.load(kept)
        old = states["pm1"]
    assert same(states, whole_states)
    return whole


def test_rows_sent_again_are_refused_and_the_next_are_scored():
    results = told(at([*range(100), *range(70, 100), *range(100, 150)]))
    assert Counter(error.reason for _, error in results.rejects) == {"late": 29, "repeated": 1}
    assert results.outcome[130:] == ["scored"] * 50
    assert results.cold_starts == [(0, "new")]


def test_so_are_those_of_a_gateway_that_sends_its_last_hour_every_hour():
    times = [*range(60)]
    for hour in range(2, 6):
        times += [*range(30 * hour - 30, 30 * hour), *range(30 * hour, 30 * hour + 30)]
    results = told(at(times))
    assert len(results.rejects) == 120
    assert results.outcome.count("warming_up") == 20


def test_a_block_longer_than_what_is_remembered_means_the_same_however_it_is_cut():
    rows = at([*range(300), *range(101, 300), *range(300, 330)])
    whole = told(rows)
    assert whole.cold_starts == [(0, "new"), (304, "clock")], "its first rows are beyond what is remembered"
    before, _ = advance({}, rows.take(slice(200)), MODEL)
    after = advance(before, rows.take(slice(200, None)), MODEL)[1]
    assert after.outcome == whole.outcome[200:]


runs = st.tuples(st.integers(1, 14), st.integers(1, 12))
"""Rows that go on, and how many of the last are then sent again, some of them with other values."""


@given(st.lists(runs, min_size=1, max_size=8), st.sets(st.integers(0, 200)), st.sets(st.integers(0, 200)))
def test_trouble_with_a_clock_means_the_same_however_the_rows_are_cut(
    trouble: list[tuple[int, int]], other: set[int], cuts: set[int]
) -> None:
    """Little is remembered here, so that a short row of rows goes beyond it."""
    times, now = list[int](), 0
    for on, back in trouble:
        times += [*range(now, now + on), *range(max(0, now + on - back), now + on)]
        now += on
    rows = at(times, other=sorted(place for place in other if place < len(times)))
    with patch.multiple("sheetbreak.engine.admission", RESENT_ROWS=4, KEPT_ROWS=7, CLOCK_SET_BACK_ROWS=3):
        whole_states, whole = advance({}, rows, MODEL)
        states, outcomes, scores = dict[str, State](), list[str](), b""
        for first, end in pairwise(sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})):
            states, part = advance(states, rows.take(slice(first, end)), MODEL)
            outcomes += part.outcome
            scores += part.score.tobytes()
    assert outcomes == whole.outcome
    assert scores == whole.score.tobytes()
    assert same(states, whole_states)


def test_and_a_broken_sheet_sent_again_sets_no_clock_back():
    broken = [*range(60, 75), *range(100 + 30, 100 + 45)]
    results = told(at([*range(100), *range(30, 100), *range(100, 110)], broken=broken))
    assert results.outcome[170:] == ["scored"] * 10


def test_one_row_from_the_future_costs_the_four_rows_that_decide_about_the_clock():
    results = told(at([*range(60), 10**6, *range(60, 90)]))
    assert [place for place, _ in results.rejects] == [61, 62, 63, 64]
    assert results.outcome[65:] == ["scored"] * 26
    assert results.outcome[60] == "restarting"
    assert results.stops == [(60, "gap")]


def test_two_rows_from_the_future_cost_no_more():
    results = told(at([*range(60), 10**6, 10**6 + 1, *range(60, 90)]))
    assert len(results.rejects) == 4
    assert results.outcome[66:] == ["scored"] * 26


def test_a_stop_that_is_none_of_a_clock_is_forgotten_after_five_rows():
    states, _ = advance({}, at([*range(60), *range(100, 104)]), MODEL)
    assert states["pm1"].aside is not None
    states, _ = advance(states, at([104, 105]), MODEL)
    assert states["pm1"].aside is None


def test_a_clock_set_back_starts_cold_and_what_was_before_is_taken_back():
    rows = at([*range(100), *range(60, 130)], other=range(100, 170))
    results = told(rows)
    assert results.cold_starts == [(0, "new"), (104, "clock")]
    assert (104, "clock") in results.stops
    assert results.outcome[104:124] == ["warming_up"] * 20
    assert results.outcome[140:] == ["scored"] * 30
    before, _ = advance({}, rows.take(slice(100)), MODEL)
    directly = advance(before, rows.take(slice(140, None)), MODEL)[1]
    assert results.score[140:].tobytes() == directly.score.tobytes(), "as if the hour between had not been"


def test_what_was_before_a_clock_was_set_back_for_good_is_dropped_once_the_machine_is_warm():
    times = [*range(1000, 1060), *range(200)]
    states, _ = advance({}, at(times[:100]), MODEL)
    assert states["pm1"].aside is not None
    states, _ = advance(states, at(times[100:]), MODEL)
    assert states["pm1"].aside is None


def test_lost_and_late_rows_of_a_labelled_feed_are_counted_and_no_stop():
    times = [*range(60), 62, *range(63, 90), 90.6, *range(92, 130)]
    results = told(at(times), lost_rows_s=660.0)
    assert results.stops == [(60, "lost-rows"), (88, "lost-rows")]
    assert results.outcome[60:] == ["scored"] * (len(times) - 60)


@pytest.mark.parametrize(("label", "why"), [(UNKNOWN, "short-gap"), (INTACT, "gap")])
def test_without_labels_or_longer_than_rows_get_lost_a_gap_is_a_stop(label: int, why: str):
    longer = 62 if label == UNKNOWN else 100
    results = told(at([*range(60), *range(longer, longer + 30)], label=label), lost_rows_s=660.0)
    assert results.stops == [(60, why)]
    assert results.outcome[60:75] == ["restarting"] * 15


def test_a_gap_behind_a_break_is_a_gap_however_short():
    results = told(at([*range(60), *range(62, 90)], broken=[59]), lost_rows_s=660.0)
    assert results.stops == [(59, "break"), (60, "gap")]


def test_models_made_before_know_of_no_lost_rows():
    assert Schema().lost_rows_s == 0.0
    assert told(at([*range(60), *range(62, 90)])).stops == [(60, "short-gap")]
