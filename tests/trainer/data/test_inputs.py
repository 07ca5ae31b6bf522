"""Promises of a training's inputs: what the monitor will see, from training rows alone, no window across a stop."""

import numpy as np
import pytest

from sheetbreak.engine.features import FeatureFold
from sheetbreak.errors import DataError
from sheetbreak.rows import BROKEN
from tests.support.data.histories import mill_like, schema_of, with_values
from trainer.data.inputs import compute_inputs, fit_features, fit_scaler
from trainer.data.labels import label_rows

SCHEMA = schema_of(6)


def test_features_are_those_of_the_fold_over_each_machine() -> None:
    rows = mill_like(300, machines=("a", "b"), break_every=None)
    features = fit_features(rows, np.arange(300), kind="streaming-z", schema=SCHEMA)
    inputs = compute_inputs(rows, SCHEMA, features=features, window=1, break_is_stop=True)
    for machine in ("a", "b"):
        own = np.flatnonzero(np.array(rows.machines) == machine)
        fold = FeatureFold(features)
        _, expected = fold.fold([fold.cold()], rows.values[own], lengths=[len(own)], hold=[False] * len(own))
        np.testing.assert_array_equal(inputs.features[own[120:]], expected.z[120:].astype(np.float32))
        assert np.isnan(inputs.features[own[:120]]).all()
    assert len(inputs.scored) == 2 * (300 - 120)
    assert (np.diff(inputs.scored) > 0).all()


@pytest.mark.parametrize("window", [1, 4])
def test_a_window_holds_consecutive_rows_of_one_run_and_every_run_long_enough_has_them(window: int) -> None:
    rows = mill_like(400, machines=("a", "b"))
    labels = label_rows(rows, SCHEMA)
    features = fit_features(rows, np.arange(400), kind="identity", schema=SCHEMA)
    inputs = compute_inputs(rows, SCHEMA, features=features, window=window, break_is_stop=True)
    expected = []
    for run in np.unique(labels.run):
        own = [i for i in np.flatnonzero(labels.run == run) if rows.broken[i] != BROKEN]
        expected += [own[k : k + window] for k in range(len(own) - window + 1)]
    assert sorted(inputs.index.tolist()) == sorted(expected)
    above = (rows.values - np.array(features.offset)).astype(np.float32)
    for rows_of_window in inputs.index:
        np.testing.assert_array_equal(inputs.features[rows_of_window], above[rows_of_window])


def test_a_break_without_a_gap_ends_a_window_only_where_breaks_are_stops() -> None:
    rows = mill_like(60, break_every=None)
    rows.broken[:] = 0
    rows.broken[30] = BROKEN
    features = fit_features(rows, np.arange(60), kind="identity", schema=SCHEMA)
    for break_is_stop, windows in ((True, 2 * (30 - 2) - 1), (False, 59 - 2)):
        inputs = compute_inputs(rows, SCHEMA, features=features, window=3, break_is_stop=break_is_stop)
        assert len(inputs.index) == windows


def test_a_sensor_that_rests_at_first_begins_with_the_spread_it_has_later() -> None:
    """Rounding leaves a spread of 1e-16 to 0.12315375 averaged: its first movement was 10^15 deviations away."""
    rows = mill_like(400, break_every=None)
    values = rows.values.copy()
    values[:200, 2] = 0.12315375
    features = fit_features(with_values(rows, values), np.arange(400), kind="streaming-z", schema=SCHEMA)
    assert features.start_sd[2] == pytest.approx(values[:, 2].std())


def test_a_history_longer_than_a_batch_of_the_engine_has_the_same_inputs() -> None:
    rows = mill_like(400, machines=("a", "b"))
    features = fit_features(rows, np.arange(400), kind="streaming-z", schema=SCHEMA)
    whole, in_parts = (
        compute_inputs(rows, SCHEMA, features=features, window=3, break_is_stop=True, rows_at_once=size)
        for size in (4096, 37)
    )
    np.testing.assert_array_equal(whole.index, in_parts.index)
    np.testing.assert_array_equal(whole.features, in_parts.features)


def test_windows_are_scaled_and_end_at_the_rows_asked_for() -> None:
    rows = mill_like(200)
    features = fit_features(rows, np.arange(200), kind="identity", schema=SCHEMA)
    inputs = compute_inputs(rows, SCHEMA, features=features, window=2, break_is_stop=True)
    scaler = fit_scaler(inputs.features[inputs.scored], scaling="standard", clip=None)
    ends = np.array([10, 11, 59, 150])  # 59 is a break
    windows = inputs.windows(ends, scaler)
    assert windows.index[:, -1].tolist() == [10, 11, 150]
    above = rows.values - np.array(features.offset)
    expected = (above[[9, 10, 149]] - np.array(scaler.centre)) / np.array(scaler.scale)
    np.testing.assert_allclose(windows.gather()[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_the_starting_spread_is_that_of_the_first_tenth_within_each_machine() -> None:
    rows = mill_like(500, machines=("a", "b"), break_every=None)
    features = fit_features(rows, np.arange(1000), kind="streaming-z", schema=SCHEMA)
    early = [rows.values[:100][np.array(rows.machines[:100]) == machine] for machine in "ab"]
    variance = sum(((own - own.mean(axis=0)) ** 2).sum(axis=0) for own in early) / 100
    np.testing.assert_allclose(features.start_sd, np.sqrt(variance))
    np.testing.assert_allclose(features.fallback, np.median(rows.values, axis=0))


def test_a_sensor_that_rests_at_first_starts_with_the_spread_it_shows_later() -> None:
    rows = mill_like(500, break_every=None)
    rows.values[:80, 2] = 7.0
    features = fit_features(rows, np.arange(500), kind="streaming-z", schema=SCHEMA)
    assert features.start_sd[2] == pytest.approx(rows.values[:, 2].std())


def test_a_missing_cell_is_no_value() -> None:
    rows = mill_like(300, break_every=None)
    rows.values[5::7, 1] = np.nan
    features = fit_features(rows, np.arange(300), kind="streaming-z", schema=SCHEMA)
    assert features.fallback[1] == np.nanmedian(rows.values[:, 1])
    assert features.start_sd[1] == pytest.approx(np.nanstd(rows.values[:30, 1]))


def test_a_column_without_a_value_is_named() -> None:
    rows = mill_like(100)
    rows.values[:50, 3] = np.nan
    with pytest.raises(DataError, match=r"column s3: no value in the 50 rows .* columns\.ignore"):
        fit_features(rows, np.arange(50), kind="identity", schema=SCHEMA)
    fit_features(rows, np.arange(51), kind="identity", schema=SCHEMA)


def test_sensors_that_never_change_leave_nothing_to_learn() -> None:
    rows = with_values(mill_like(100), np.ones((100, 6)))
    with pytest.raises(DataError, match="not one of the 6 sensors changes"):
        fit_features(rows, np.arange(100), kind="identity", schema=SCHEMA)
    rows.values[7, 0] = 2.0
    fit_features(rows, np.arange(100), kind="identity", schema=SCHEMA)


@pytest.mark.parametrize("scaling", ["range", "standard"])
def test_a_constant_feature_keeps_its_unit(scaling) -> None:
    features = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    features[:, 1] = 4.0
    scaler = fit_scaler(features, scaling=scaling, clip=None)
    assert scaler.scale[1] == 1.0
    assert scaler.centre[1] == 4.0


def test_the_range_is_from_5_to_95_percent() -> None:
    features = np.arange(101, dtype=np.float32)[:, None]
    scaler = fit_scaler(features, scaling="range", clip=5.0)
    assert (scaler.centre, scaler.scale, scaler.clip) == ((50.0,), (90.0,), 5.0)
