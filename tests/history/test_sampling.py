"""Sampling: the period and the longest gap that is no stop, from a history's own times; what is given must fit them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.errors import DataError
from sheetbreak.history.reader import read_csv
from sheetbreak.history.times.sampling import PERIOD, STOP_GAP, find_period, sampling_text, settle_sampling
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, RowBatch, Schema

LEARNED = Schema(time="t", learned=(PERIOD, STOP_GAP))


def history(steps_s: Sequence[float] | np.ndarray, *, breaks: Sequence[int] = (), machine: str = "pm1") -> RowBatch:
    """Rows so far apart; `breaks` are the rows labelled broken."""
    times_us = np.concatenate([[0], np.cumsum(np.round(np.array(steps_s) * 1e6))]).astype(np.int64)
    broken = np.full(len(times_us), INTACT, np.int8)
    broken[list(breaks)] = BROKEN
    return RowBatch([machine] * len(times_us), times_us, np.zeros((len(times_us), 1)), [None] * len(times_us), broken)


def settled(rows: RowBatch, schema: Schema = LEARNED) -> Schema:
    return settle_sampling(rows, schema, name="h.csv")


def lossy(count: int, *, share: float, period_s: float = 120.0, seed: int = 0) -> RowBatch:
    draw = np.random.default_rng(seed)
    times = np.arange(count)[draw.random(count) >= share] * period_s
    return history(np.diff(times))


@pytest.mark.parametrize("period_s", [0.004, 1.0, 60.0, 120.0, 600.0, 86_400.0])
def test_what_the_schema_leaves_out_is_found_in_the_rows(period_s: float):
    schema = settled(history([period_s] * 400))
    assert (schema.period_s, schema.stop_gap_s) == pytest.approx((period_s, 1.5 * period_s))


def test_the_published_file_keeps_one_and_a_half_periods(real_csv: Path):
    schema, _ = read_csv(real_csv)
    assert (schema.period_s, schema.stop_gap_s) == (120.0, 180.0)


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1])
def test_lost_rows_are_no_stop(share: float):
    rows = lossy(5000, share=share)
    schema = settled(rows)
    assert schema.period_s == 120.0
    assert (np.diff(rows.times_us) > schema.stop_gap_s * 1e6).sum() <= 2


def test_jittering_clocks_are_no_stop_and_the_period_is_a_round_number():
    times = np.arange(3000) * 120 + np.random.default_rng(1).uniform(-40, 40, 3000)
    schema = settled(history(np.diff(times)))
    assert schema.period_s == 120.0
    assert np.diff(times).max() < schema.stop_gap_s <= 300


def test_gaps_that_only_follow_breaks_are_stops():
    steps = np.full(1000, 120.0)
    steps[[100, 400, 700]] = 240.0, 360.0, 1560.0  # each row before one is a break
    assert settled(history(steps, breaks=[100, 400, 700])).stop_gap_s == 180.0
    assert settled(history(steps, breaks=[400, 700])).stop_gap_s == 300.0  # and the shortest is a lost row here


def test_with_labels_on_anomalies_a_gap_behind_one_is_like_any_other():
    steps = np.full(1000, 120.0)
    steps[[100, 400]] = 240.0
    rows = history(steps, breaks=[100, 400])
    assert settled(rows, replace(LEARNED, lead_rows=0)).stop_gap_s == 300.0


def test_a_long_gap_without_a_break_is_a_stop():
    steps = np.full(1000, 120.0)
    steps[[200, 600]] = 8 * 3600.0
    assert settled(history(steps)).stop_gap_s == 180.0


def test_a_plant_that_stops_every_night_stops_every_night():
    steps = np.full(1200, 600.0)
    steps[59::60] = 14 * 3600.0  # ten hours of rows a day
    assert settled(history(steps)).stop_gap_s == 900.0


def test_rows_that_come_when_they_come_are_not_all_stops():
    steps = np.random.default_rng(3).exponential(60.0, 4000) + 5.0
    schema = settled(history(steps))
    assert (steps > schema.stop_gap_s).mean() < 0.02


def test_each_machine_has_its_own_steps():
    one, two = history([60.0] * 300), history([60.0] * 300, machine="pm2")
    order = np.argsort(np.concatenate([one.times_us, two.times_us + 1_000_000]), kind="stable")
    both = RowBatch(
        [*one.machines, *two.machines],
        np.concatenate([one.times_us, two.times_us + 1_000_000]),
        np.zeros((602, 1)),
        [None] * 602,
        np.full(602, UNKNOWN, np.int8),
    ).take(order)
    assert settled(both).period_s == 60.0


@pytest.mark.parametrize(("given_s", "true_s"), [(120.0, 60.0), (60.0, 120.0), (120.0, 600.0)])
def test_a_period_that_the_rows_do_not_have_is_refused_with_both_numbers(given_s: float, true_s: float):
    schema = replace(LEARNED, period_s=given_s, learned=(STOP_GAP,))
    with pytest.raises(DataError, match=rf"h\.csv: sampling\.period_s = {given_s:g} .* {true_s:g} s apart"):
        settled(history([true_s] * 100), schema)


def test_a_stop_gap_shorter_than_the_period_found_is_refused():
    with pytest.raises(DataError, match=r"stop_gap_s = 180 .* 600 s apart"):
        settled(history([600.0] * 100), replace(LEARNED, stop_gap_s=180.0, learned=(PERIOD,)))


def test_a_stop_gap_that_is_given_stays():
    schema = settled(lossy(2000, share=0.02), Schema(time="t", stop_gap_s=180.0))
    assert (schema.stop_gap_s, schema.lost_rows_s) == (180.0, 0.0)


def test_too_few_rows_say_nothing():
    assert find_period(np.array([5.0, 900.0])) is None
    assert settled(history([7.0, 9.0]), replace(LEARNED, period_s=120.0)).period_s == 120.0


def test_up_to_which_gap_rows_are_taken_for_lost_lies_below_the_stops_that_were_seen():
    assert settled(history([120.0] * 500)).lost_rows_s == 660.0
    steps = np.full(500, 120.0)
    steps[250] = 8 * 3600.0
    assert settled(history(steps)).lost_rows_s == 660.0
    assert settled(history([1.0, *([120.0] * 500)]), Schema(time="t")).lost_rows_s == 0.0


def test_people_are_told_what_was_found_and_what_was_given():
    assert sampling_text(settled(lossy(2000, share=0.02))) == (
        "a row every 2 min (found); a gap longer than 5 min is a stop (learned)"
    )
    assert sampling_text(Schema()) == "a row every 2 min (given); a gap longer than 3 min is a stop (given)"


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=60), st.sets(st.integers(0, 50)))
def test_whatever_the_steps_a_stop_is_longer_than_a_period(steps: list[float], breaks: set[int]):
    rows = history(steps, breaks=[at for at in breaks if at <= len(steps)])
    schema = settled(rows)
    assert 0 < schema.period_s < schema.stop_gap_s < 1e8
    assert schema.lost_rows_s == 0.0 or schema.lost_rows_s > schema.stop_gap_s
