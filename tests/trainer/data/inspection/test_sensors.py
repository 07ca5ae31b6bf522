"""Sensors: what is planted in made-up columns is found, to the row, and sound columns are left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.inspection.sensors import (
    find_absurd,
    find_sentinels,
    find_step,
    index_like,
    outcome_like,
    same_as,
)

ROWS = 2000


def noise(seed: int = 0, *, level: float = 50.0, decimals: int = 3) -> np.ndarray:
    """A sensor as sensors are: it wanders slowly, with noise on it."""
    draw = np.random.default_rng(seed)
    slow = np.convolve(draw.normal(size=ROWS + 200), np.ones(200) / 14, "valid")[:ROWS]
    return np.round(level + slow + 0.3 * draw.normal(size=ROWS), decimals)


def breaks(*rows: int) -> np.ndarray:
    broken = np.zeros(ROWS, np.bool_)
    broken[list(rows)] = True
    return broken


@pytest.mark.parametrize("sentinel", [-9999.0, 1e35, -999.0, 32767.0, 0.0, 999.0])
@given(st.sets(st.integers(0, ROWS - 1), min_size=2, max_size=300), st.integers(0, 5))
@settings(max_examples=15)
def test_a_number_that_stands_for_no_reading_is_found_with_its_rows(sentinel, rows, seed):
    values = noise(seed)
    values[list(rows)] = sentinel
    (odd,) = find_sentinels(values)
    assert (odd.value, odd.count, odd.row) == (sentinel, len(rows), min(rows))


@given(st.integers(0, 200), st.sampled_from([0.0, 50.0, -3.0, 1e6]), st.integers(0, 4))
@settings(max_examples=40)
def test_a_sound_sensor_has_no_sentinel_no_absurd_value_no_step_and_counts_nothing(seed, level, decimals):
    values = noise(seed, level=level, decimals=decimals)
    assert find_sentinels(values) == []
    assert find_absurd(values) is None
    assert find_step(values) is None
    assert index_like(values, np.arange(ROWS)) == ""
    assert outcome_like(values, breaks(300, 900, 1500)) == ""


def test_two_sentinels_of_one_sensor_are_both_found():
    values = noise()
    values[::100], values[7] = -9999.0, 1e35
    assert {odd.value: odd.count for odd in find_sentinels(values)} == {-9999.0: 20, 1e35: 1}


def test_a_nought_on_break_rows_is_what_a_machine_that_stands_reads():
    values, broken = noise(), breaks(*range(300, 340), *range(900, 930))
    values[broken] = 0.0
    assert find_sentinels(values, broken) == []
    assert [odd.value for odd in find_sentinels(values)] == [0.0]


def test_a_reading_far_beyond_all_others_is_told_with_its_row_and_a_sentinel_is_not_told_twice():
    values = noise()
    values[1234] = 1e200
    assert find_absurd(values, find_sentinels(values)) is None  # 1e200 is none that a sensor reads: a sentinel
    values[1234] = 5e4
    odd = find_absurd(values, find_sentinels(values))
    assert odd is not None
    assert (odd.value, odd.count, odd.row) == (5e4, 1, 1234)


@given(st.integers(ROWS // 5, ROWS * 4 // 5), st.integers(0, 20))
@settings(max_examples=30)
def test_a_level_that_steps_is_found_within_a_few_rows_and_celsius_that_became_fahrenheit_is_named(row, seed):
    values = noise(seed)
    values[row:] = values[row:] * 1.8 + 32
    step = find_step(values)
    assert step is not None
    assert abs(step.row - row) <= 3
    assert step.units == "as °C that became °F"


def test_a_level_that_comes_and_goes_as_grades_do_is_no_step():
    values = noise() + 30.0 * ((np.arange(ROWS) // 250) % 2)
    assert find_step(values) is None


def test_bar_that_became_kilopascal_is_a_step_by_a_factor_and_a_moved_sensor_one_without_a_unit():
    values = 4 + (noise() - 50) / 10
    values[900:] *= 100
    step = find_step(values)
    assert step is not None
    assert step.units == "as by a factor of 100: another unit"
    moved = noise()
    moved[900:] += 40
    step = find_step(moved)
    assert step is not None
    assert step.units == ""


def test_columns_that_count_rows_or_time_are_no_sensors():
    times_us = np.cumsum(np.where(np.arange(ROWS) % 100 == 99, 40, 1)) * 120_000_000
    assert index_like(np.arange(ROWS, dtype=float), times_us).startswith("a row number")
    assert index_like(times_us / 1e6, times_us).startswith("a time as a number")
    assert index_like(np.cumsum(np.random.default_rng(0).integers(1, 9, ROWS)).astype(float), times_us).startswith(
        "a count"
    )
    assert index_like(np.array([1.0, 2.0, 3.0]), times_us[:3]) == ""  # three rows count nothing


@pytest.mark.parametrize("shape", ["one", "some", "seven times", "blank", "later"])
def test_columns_that_are_known_once_the_sheet_broke_are_outcomes(shape):
    broken = breaks(*range(100, ROWS, 150))
    values = np.zeros(ROWS)
    match shape:
        case "one":
            values[broken] = 1
        case "some":
            values[np.flatnonzero(broken)[::2]] = 1
        case "seven times":
            values[broken] = 7 * np.arange(broken.sum())
        case "blank":
            values[:] = np.nan
            values[broken] = 12.5
        case "later":
            values[np.flatnonzero(broken) + 2] = 1
            values[np.flatnonzero(broken)[0]] = 1
            values[broken] = 1
    assert outcome_like(values, broken).startswith("an outcome")


def test_a_constant_sensor_and_one_that_moves_without_breaks_too_are_no_outcomes():
    broken = breaks(100, 700)
    assert outcome_like(np.full(ROWS, 3.0), broken) == ""
    values = np.zeros(ROWS)
    values[[100, 700, 1300]] = 1
    assert outcome_like(values, broken) == ""


def test_a_sensor_that_holds_what_another_holds_is_named_with_it_and_constant_ones_are_not():
    values = noise()
    flat = np.full(ROWS, 1.0)
    assert same_as([("a", values), ("b", values.copy()), ("c", values + 1), ("d", flat), ("e", flat)]) == {"b": "a"}


def test_a_count_of_breaks_is_no_sensor_and_a_setpoint_that_is_raised_a_few_times_may_be_one():
    rises = np.zeros(ROWS)
    rises[50::60] = 1.0
    assert index_like(np.cumsum(rises)) == "a count: it never falls, and rises time and again"
    rises[:] = 0.0
    rises[200::200] = 1.0
    assert index_like(np.cumsum(rises)) == ""
