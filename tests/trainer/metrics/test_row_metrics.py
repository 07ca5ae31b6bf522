"""ROC AUC and average precision under weights, against scikit-learn; and what a bootstrap draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.support.data.scored_examples import make_rows, scored_rows
from trainer.metrics.bootstrap import BLOCK_S, DRAWS, blocks_of, draw_blocks, interval
from trainer.metrics.row_metrics import average_precision, roc_auc, weighted_metrics


@given(st.integers(2, 60), st.sampled_from([2, 4, 10**6]), st.floats(0.05, 0.95), st.integers(0, 2**32 - 1))
def test_weighted_areas_are_those_of_scikit_learn(n, levels, share, seed):
    rng = np.random.default_rng(seed)
    score, label = rng.integers(0, levels, n).astype(float), rng.random(n) < share
    weights = rng.integers(0, 4, (5, n)).astype(float)
    auc, precision = weighted_metrics(label, score, weights=weights)
    for g, weight in enumerate(weights):
        if weight[label].sum() and weight[~label].sum():
            assert auc[g] == pytest.approx(roc_auc_score(label, score, sample_weight=weight))
            assert precision[g] == pytest.approx(average_precision_score(label, score, sample_weight=weight))
        else:
            assert np.isnan(auc[g])
            assert np.isnan(precision[g])


def test_many_weights_are_taken_in_parts_with_the_same_result(monkeypatch):
    rng = np.random.default_rng(0)
    score, label, weights = rng.random(40), rng.random(40) < 0.3, rng.integers(0, 3, (9, 40)).astype(float)
    whole = weighted_metrics(label, score, weights=weights)
    monkeypatch.setattr("trainer.metrics.row_metrics._CELLS_AT_ONCE", 100)
    assert np.array_equal(whole, weighted_metrics(label, score, weights=weights))


@given(scored_rows(lead_rows=st.sampled_from([0, 2])))
def test_row_metrics_judge_scored_rows_and_no_break_rows(rows):
    judged = [
        i for i in range(len(rows)) if not np.isnan(rows.score[i]) and (rows.lead_rows == 0 or not rows.broken[i])
    ]
    label = rows.will_break[judged]
    if label.any() and not label.all():
        assert roc_auc(rows) == roc_auc_score(label, rows.score[judged])
        assert average_precision(rows) == average_precision_score(label, rows.score[judged])
    else:
        assert roc_auc(rows) is None
        assert average_precision(rows) is None


def test_blocks_are_four_hours_long():
    assert np.bincount(blocks_of(make_rows(np.zeros(250)))).tolist() == [120, 120, 10]
    assert np.bincount(blocks_of(make_rows(np.zeros(9), period_s=3600.0))).tolist() == [4, 4, 1]
    assert len(blocks_of(make_rows(np.zeros(3), period_s=BLOCK_S * 10))) == 3


def test_blocks_of_rows_a_millisecond_or_a_day_apart_can_be_drawn_from():
    assert np.bincount(blocks_of(make_rows(np.zeros(50_000), period_s=0.004))).tolist() == [5000] * 10
    assert np.bincount(blocks_of(make_rows(np.zeros(1100), period_s=0.004))).tolist() == [120] * 9 + [20]
    assert np.bincount(blocks_of(make_rows(np.zeros(900), period_s=86_400.0))).tolist() == [30] * 30
    assert np.bincount(blocks_of(make_rows(np.zeros(100), period_s=86_400.0))).tolist() == [10] * 10


def test_the_first_column_is_the_rows_as_they_are_and_every_draw_is_as_long():
    draws = draw_blocks(17)
    assert draws.shape == (17, DRAWS + 1)
    assert (draws[:, 0] == 1).all()
    assert (draws.sum(axis=0) == 17).all()
    assert (draws[:, 1:].std(axis=1) > 0).all()
    assert np.array_equal(draws, draw_blocks(17))
    assert not np.array_equal(draws, draw_blocks(17, part=1))


def test_an_interval_leaves_out_a_fortieth_at_each_end():
    assert interval(np.arange(1001.0)) == (25.0, 975.0)
    assert interval(np.array([1.0, np.nan, np.nan])) is None
    assert interval(np.array([])) is None


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    """Normal values, independent from block to block: the mean's 95 % interval is ±1.96 σ/√n."""
    values = np.random.default_rng(3).normal(size=400)
    means = values @ draw_blocks(400)[:, 1:] / 400
    found = interval(means)
    assert found
    assert found[1] - found[0] == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
