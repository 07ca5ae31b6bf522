"""Baselines against scipy, scikit-learn and counting one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluation.baselines import ecod, isolation_forest, mean_abs_z, rows_since_break


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 4), st.booleans())
def test_ecod_is_the_sum_of_the_smaller_tails(seed, n, sensors, ties):
    rng = np.random.default_rng(seed)
    fit = rng.gamma(1.0, size=(n, sensors)) * rng.choice([-1.0, 1.0], sensors)
    rows = rng.normal(size=(7, sensors)) * 3
    if ties:
        fit, rows = fit.round(), rows.round()
    for row, found in zip(rows, ecod(fit, rows), strict=True):
        expected = 0.0
        for x, values in zip(row, fit.T, strict=True):
            with_own = [*values, x]
            low = -np.log(sum(v <= x for v in with_own) / len(with_own))
            high = -np.log(sum(v >= x for v in with_own) / len(with_own))
            expected += max(low, high)
        assert found == pytest.approx(expected)


def test_the_score_of_a_row_does_not_depend_on_the_rows_judged_with_it():
    rng = np.random.default_rng(2)
    fit, rows = rng.normal(size=(200, 3)), rng.normal(size=(40, 3))
    for score in (ecod, isolation_forest):
        assert score(fit, rows)[:5] == pytest.approx(score(fit, rows[:5]))


def test_a_row_far_out_scores_highest():
    rng = np.random.default_rng(3)
    fit, rows = rng.normal(size=(400, 4)), rng.normal(size=(50, 4))
    rows[17] = 6.0
    for scores in (ecod(fit, rows), isolation_forest(fit, rows), mean_abs_z(rows)):
        assert scores.argmax() == 17


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_rows_since_break_are_counted_per_machine(seed, machines):
    rng = np.random.default_rng(seed)
    machine, broken = rng.integers(0, machines, 50), rng.random(50) < 0.1
    since: dict[int, int] = {}
    expected = []
    for m, b in zip(machine.tolist(), broken.tolist(), strict=True):
        since[m] = 0 if b or m not in since else since[m] + 1
        expected.append(-since[m])
    assert rows_since_break(machine, broken).tolist() == expected


def test_mean_abs_z_counts_one_wild_sensor_no_higher_than_8():
    assert mean_abs_z(np.array([[1.0, -3.0], [1000.0, 0.0]])).tolist() == [2.0, 4.0]
