"""Absurd cells in a history: no part of the spread that a machine begins with."""

import numpy as np
import pytest

from tests.support.data.histories import mill_like, schema_of, with_values
from trainer.data.far_cells import drop_outs, far_cells
from trainer.data.inputs import fit_features

SCHEMA = schema_of(6)


def starts(values: np.ndarray) -> np.ndarray:
    rows = with_values(mill_like(len(values), break_every=None), values)
    return np.array(fit_features(rows, np.arange(len(values)), kind="streaming-z", schema=SCHEMA).start_sd)


@pytest.mark.parametrize("absurd", [1e200, 1e35, -9999.0, 4095.0])
def test_absurd_cells_widen_no_spread(absurd: float) -> None:
    clean = mill_like(1000, break_every=None).values
    dirty = clean.copy()
    dirty[10::97, 2] = absurd
    assert far_cells(dirty)[:, 2].sum() == len(dirty[10::97])
    np.testing.assert_allclose(starts(dirty), starts(clean), rtol=0.05)


def test_a_sensor_that_never_moved_has_a_spread_of_its_own_size() -> None:
    values = mill_like(500, break_every=None).values
    values[:, 1], values[:, 3] = 0.002, 2e6
    assert starts(values)[[1, 3]] == pytest.approx([2e-5, 2e4])


def drops(values: np.ndarray, *usual: np.ndarray) -> np.ndarray:
    single, lasting = drop_outs(values, usual=usual or [np.arange(len(values))])
    assert not (single & lasting).any()
    return single | lasting


def test_one_number_again_and_again_in_single_rows_is_a_drop_out_and_a_state_that_lasts_is_none() -> None:
    values = np.random.default_rng(4).normal(30, 1, (1000, 5))
    values[10::97, 0] = 0.0  # in single rows
    values[20:30, [1, 4]] = values[500:510, [1, 4]] = 0.0  # a part of the machine stood
    values[[5, 700], 2] = 0.0  # hardly ever
    values[10::97, 3] = 27.0  # among its readings
    assert drops(values).sum(axis=0).tolist() == [len(values[10::97]), 0, 0, 0, 0]


@pytest.mark.parametrize("reads", [0.0, 55.0])
def test_one_number_in_a_stretch_while_all_others_read_as_usual_is_a_drop_out(reads: float) -> None:
    values = np.random.default_rng(4).normal(30, 1, (1000, 4))
    values[200:290, 0] = reads
    values[10::97, 1] = 0.0  # drop-outs of another sensor, some within the stretch
    assert drops(values).sum(axis=0).tolist() == [90, len(values[10::97]), 0, 0]
    values[200:290:5, 2] -= 25.0  # another sensor is far in every fifth row, too: a state of the machine
    assert drops(values)[:, 0].sum() == 0


def test_two_sensors_at_one_number_at_a_time_are_a_state_however_long_it_lasts() -> None:
    values = np.random.default_rng(4).normal(30, 1, (1000, 4))
    values[200:290, :2] = 0.0  # more than a twentieth of the rows: it is in what is usual
    assert not drops(values).any()


def test_a_number_in_stretches_of_more_than_a_tenth_of_the_rows_is_a_state() -> None:
    values = np.random.default_rng(4).normal(30, 1, (1000, 4))
    values[200:290, 0] = values[200:310, 1] = 0.0
    assert drops(values[:, [0, 2, 3]]).sum(axis=0).tolist() == [90, 0, 0]
    assert not drops(values[:, 1:]).any()


def test_a_number_in_a_stretch_that_is_not_over_may_be_a_new_level() -> None:
    values = np.random.default_rng(4).normal(30, 1, (1000, 2))
    values[850:900, 0] = values[:50, 1] = 0.0
    assert drops(values).sum(axis=0).tolist() == [50, 50]
    assert drops(values[:949]).sum(axis=0).tolist() == [0, 50]
    assert drops(values, np.arange(900), np.arange(900, 1000)).sum(axis=0).tolist() == [
        0,
        50,
    ]  # one machine, then another


def test_rows_that_follow_one_another_are_those_of_one_machine() -> None:
    values = np.random.default_rng(4).normal(30, 1, (1000, 1))
    values[100:160:2] = 0.0  # every other row, all of one machine: it stood
    values = np.concatenate([values, values], axis=1)  # a part of it, two sensors
    assert not drops(values, np.arange(0, 1000, 2), np.arange(1, 1000, 2)).any()
    assert drops(values).sum() == 60


def test_what_rows_to_learn_from_do_not_show_is_no_drop_out() -> None:
    values = np.random.default_rng(4).normal(30, 1, (1000, 1))
    values[600::50] = 0.0
    assert not drops(values, np.arange(500)).any()
    assert drops(values)[600, 0]
