"""Recall at a rate of false alarms, and its chance, against trying every threshold one by one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.data.scored_examples import make_rows, scored_rows, slow_counts, slow_starts
from trainer.data.labels import Floats
from trainer.metrics.bootstrap import draw_blocks
from trainer.metrics.events import HORIZONS
from trainer.metrics.hindsight import (
    BUDGETS,
    EventCurve,
    candidate_thresholds,
    chance_curve,
    even_shifts,
    event_curve,
)
from trainer.metrics.scored_rows import ScoredRows

PERIODS = st.sampled_from([120.0, 1200.0, 7200.0])
"""Short stretches: with long periods some thresholds keep within 10 false alarms a day and some do not."""


def as_it_is(rows: ScoredRows, thresholds: Floats | None = None) -> EventCurve:
    block = np.zeros(len(rows), np.int64)
    thresholds = candidate_thresholds(rows.score) if thresholds is None else thresholds
    return event_curve(rows, thresholds, block=block, draws=np.ones((1, 1), np.int64))


def slow_recall(rows: ScoredRows, horizon: int, per_day: float) -> float | None:
    """Every distinct score in turn as the threshold."""
    breaks = len(slow_starts(rows))
    best = 0
    for level in np.unique(rows.score[rows.scored]):
        false, warned = slow_counts(rows, rows.score >= level, horizon)
        if false <= per_day * rows.days:
            best = max(best, len(warned))
    return best / breaks if breaks else None


def rotated(rows: ScoredRows, shift: int) -> ScoredRows:
    """The same rows with their scores moved on circularly among the scored rows."""
    score = rows.score.copy()
    score[rows.scored] = np.roll(score[rows.scored], shift)
    return rows.with_score(score)


@given(scored_rows(max_rows=80), PERIODS)
def test_recall_is_the_best_of_all_thresholds_within_the_rate(rows, period_s):
    rows = replace(rows, period_s=period_s)
    curve = as_it_is(rows)
    for horizon in HORIZONS:
        for per_day in BUDGETS:
            found = curve.recall(horizon, per_day)[0]
            expected = slow_recall(rows, horizon, per_day)
            assert np.isnan(found) if expected is None else found == pytest.approx(expected)


@given(scored_rows(max_rows=50), PERIODS)
def test_chance_is_the_same_search_over_rotated_scores(rows, period_s):
    rows = replace(rows, period_s=period_s)
    if not len(slow_starts(rows)) or rows.scored.sum() < 2:
        return
    found = chance_curve(rows, candidate_thresholds(rows.score)).recall(10, 5)
    shifts = even_shifts(int(rows.scored.sum()))
    assert found == pytest.approx([slow_recall(rotated(rows, shift), 10, 5) for shift in shifts])


@given(scored_rows(max_rows=80))
def test_a_resample_weighs_the_counts_of_blocks(rows):
    block = np.arange(len(rows)) // 20
    draws = draw_blocks(int(block[-1]) + 1)[:, :8]
    thresholds = candidate_thresholds(rows.score)
    curve = event_curve(rows, thresholds, block=block, draws=draws)
    alone = event_curve(rows, thresholds, block=block, draws=np.eye(len(draws), dtype=np.int64))
    assert curve.false == pytest.approx(alone.false @ draws)
    assert curve.warned == pytest.approx(alone.warned @ draws)
    assert curve.days == pytest.approx(alone.days @ draws)
    assert curve.breaks == pytest.approx(alone.breaks @ draws)
    assert curve.false[:, :, 0] == pytest.approx(as_it_is(rows, thresholds).false[:, :, 0])
    assert alone.days.sum() == pytest.approx(rows.days)


@given(st.integers(1, 3000), st.sampled_from([3, 50, 10**6]), st.integers(0, 2**32 - 1))
def test_candidates_are_distinct_scores_from_the_highest_to_the_lowest(n, levels, seed):
    score = np.random.default_rng(seed).integers(0, levels, n).astype(float)
    score[:: max(n // 3, 2)] = np.nan
    found = candidate_thresholds(score)
    known = np.unique(score[~np.isnan(score)])
    if not len(known):
        assert not len(found)
        return
    assert np.isin(found, known).all()
    assert (np.diff(found) < 0).all()
    assert found[0] == known[-1]
    assert found[-1] == known[0]
    assert len(found) <= 400
    if len(known) <= 400:
        assert found.tolist() == known[::-1].tolist()


def test_no_shift_leaves_the_scores_in_place():
    for n in [2, 3, 10, 1840, 10**6]:
        shifts = even_shifts(n)
        assert shifts.min() > 0
        assert shifts.max() < n
        assert len(np.unique(shifts)) == len(shifts)


def test_of_thresholds_that_warn_as_many_the_highest_is_taken():
    score = np.zeros(1000)
    score[500], score[100] = 9.0, 5.0
    curve = as_it_is(make_rows(score, breaks=[502]))
    assert curve.thresholds[curve.best(10, 5)[0]] == 9.0
    assert curve.recall(10, 5)[0] == 1.0


def test_as_many_false_alarms_as_are_allowed_are_allowed():
    score = np.zeros(1441)
    score[[100, 300, 500, 700]], score[1301] = 1.0, 0.5
    rows = make_rows(score, breaks=[1302])
    assert rows.days == 2.0
    assert as_it_is(rows).recall(2, 2)[0] == 1.0


def test_scores_unrelated_to_breaks_have_the_recall_of_chance():
    rng = np.random.default_rng(1)
    breaks = np.sort(rng.choice(np.arange(100, 20_000, 40), 200, replace=False))
    rows = make_rows(rng.random(20_000), breaks=breaks)
    thresholds = candidate_thresholds(rows.score)
    for horizon in HORIZONS:
        found = as_it_is(rows, thresholds).recall(horizon, 10)[0]
        assert chance_curve(rows, thresholds).recall(horizon, 10).mean() == pytest.approx(found, abs=0.05)
