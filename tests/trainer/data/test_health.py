"""The data's own health: what is planted in made-up rows is found, to the row, and nothing else is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.rows import BROKEN, INTACT, RowBatch
from tests.support.data.histories import STEP_US, mill_like, schema_of, with_values
from trainer.data.health import (
    LINE_ROWS,
    PARTS,
    STUCK_ROWS,
    find_gaps,
    level_drift,
    missing_share,
    resolution,
    straight_share,
    unchanged_share,
)
from trainer.data.labels import label_rows

ROWS = 400
ONE_RUN = np.zeros(ROWS, np.int64)


def noise(sensors: int = 3, *, decimals: int = 4) -> np.ndarray:
    return np.round(np.random.default_rng(0).normal(size=(ROWS, sensors)), decimals)


@given(st.integers(STUCK_ROWS - 5, STUCK_ROWS + 40), st.integers(0, ROWS - 80))
def test_a_sensor_hangs_from_so_many_equal_rows_on_and_every_one_of_them_counts(length, start):
    values = noise()
    values[start : start + length, 1] = values[start, 1]
    found = unchanged_share(values, ONE_RUN)
    assert found.tolist() == [0, length / ROWS if length >= STUCK_ROWS else 0, 0]


def test_a_value_that_is_the_same_on_both_sides_of_a_stop_does_not_hang():
    values = noise(1)
    values[100 : 100 + STUCK_ROWS] = 3.0
    run = (np.arange(ROWS) >= 100 + STUCK_ROWS // 2).astype(np.int64)
    assert unchanged_share(values, ONE_RUN)[0] == STUCK_ROWS / ROWS
    assert unchanged_share(values, run)[0] == 0


def test_missing_values_neither_hang_nor_lie_on_a_line():
    values = noise(2)
    values[50:150, 0] = np.nan
    assert missing_share(values).tolist() == [0.25, 0]
    assert unchanged_share(values, ONE_RUN).tolist() == straight_share(values, ONE_RUN).tolist() == [0, 0]


@given(st.integers(2, 60), st.integers(0, ROWS - 80), st.integers(2, 5), st.sampled_from([0.73, -0.31, 12.0]))
def test_rows_on_a_straight_line_are_found_whatever_the_decimals_of_the_file(length, start, decimals, slope):
    values = noise(2, decimals=decimals)
    line = 50 + slope * np.arange(length)  # far from the noise: its neighbours are on no line with it
    values[start : start + length, 1] = np.round(line, decimals)
    found = straight_share(values, ONE_RUN) * ROWS
    assert found[0] == 0
    # Both are shares of the rows at which the sensor moves: a row or two of the noise repeat their value.
    assert found[1] == pytest.approx(length if length >= LINE_ROWS else 0, rel=0.03)


def test_steps_of_a_few_units_of_the_last_decimal_draw_no_line():
    values = np.round(np.cumsum(np.ones((ROWS, 1)), axis=0) * 0.02, 2)
    assert straight_share(values, ONE_RUN)[0] == 0
    assert straight_share(values * 3, ONE_RUN)[0] == 1


def test_a_line_through_a_stop_is_no_line_within_a_run():
    values = noise(1)
    values[100:108, 0] = 20 + np.arange(8)
    assert straight_share(values, ONE_RUN)[0] > 0
    assert straight_share(values, (np.arange(ROWS) >= 104).astype(np.int64))[0] == 0


def test_a_sensor_that_stands_still_is_not_interpolated_but_unchanged():
    values = np.full((ROWS, 1), 7.25)
    assert straight_share(values, ONE_RUN)[0] == 0
    assert unchanged_share(values, ONE_RUN)[0] == 1


@pytest.mark.parametrize(
    ("values", "unit"),
    [([3.14, 2.7], 0.01), ([1.0, -40.0], 1.0), ([0, np.pi], 1e-9), ([0.004, 0.001], 1e-3), ([], 1.0)],
)
def test_the_resolution_is_the_last_decimal_that_steps_use(values, unit):
    assert resolution(np.diff(np.array([*values, np.nan]))) == pytest.approx(unit)
    assert resolution(np.diff(np.array(values) - 0.123456789)) == pytest.approx(unit)


def test_lines_are_found_in_a_column_that_was_centred_after_it_was_rounded():
    values = np.round(np.cumsum(np.full((ROWS, 1), 0.0337297)), 6)[:, None]
    assert straight_share(values, ONE_RUN)[0] == 1
    assert straight_share(np.round(values - values.mean() / 3, 8), ONE_RUN)[0] == 1


def test_gaps_are_told_by_machine_with_what_came_before_them():
    def machine(name: str, *, late_from: int, broken_at: int | None) -> RowBatch:
        times = np.arange(50) * STEP_US + (np.arange(50) >= late_from) * 58 * 60 * 10**6
        broken = np.full(50, INTACT, np.int8)
        if broken_at is not None:
            broken[broken_at] = BROKEN
        return RowBatch([name] * 50, times, np.zeros((50, 1)), [None] * 50, broken)

    one, other = machine("a", late_from=20, broken_at=19), machine("b", late_from=30, broken_at=None)
    both = RowBatch(
        one.machines + other.machines,
        np.concatenate([one.times_us, other.times_us]),
        np.zeros((100, 1)),
        [None] * 100,
        np.concatenate([one.broken, other.broken]),
    )
    mixed = both.take(np.argsort(both.times_us, kind="stable"))
    found = find_gaps(mixed, schema_of(1))
    assert found.minutes.tolist() == [60, 60]
    assert found.after_break.tolist() == [True, False]
    assert found.end_us.tolist() == [one.times_us[20], other.times_us[30]]
    assert not len(find_gaps(mixed, replace(schema_of(1), stop_gap_s=3600)).minutes)


def test_a_level_that_moves_is_told_in_spreads_and_a_machine_apart_from_the_others_is_no_drift():
    rows = mill_like(1000, machines=("a", "b"), break_every=None)  # machine b lies 10 above machine a
    values = np.random.default_rng(1).normal(size=rows.values.shape)
    b = np.array(rows.machines) == "b"
    values[b] += 10
    values[1000:, 2] += 5
    values[:, 3] = np.where(b, 4.0, 2.0)
    found, begins = level_drift(with_values(rows, values), label_rows(rows, schema_of(6)).normal)
    assert found.shape == (PARTS, 6)
    assert begins[0] == rows.times_us.min()
    assert (np.diff(begins) > 0).all()
    assert np.abs(found[:, [0, 1, 4, 5]]).max() < 1.2
    np.testing.assert_allclose(found[PARTS // 2 :, 2], 5, atol=1.2)
    assert not found[:, 3].any()


def test_drift_knows_no_level_where_there_is_no_value():
    rows = mill_like(400, break_every=None)
    values = rows.values.copy()
    values[:, 0] = np.nan
    values[: 400 // PARTS, 1] = np.nan
    found, _ = level_drift(with_values(rows, values), np.ones(400, np.bool_))
    assert np.isnan(found[:, 0]).all()
    assert np.isnan(found[0, 1])
    assert found[1, 1] == 0  # the first known level is what others are measured against
