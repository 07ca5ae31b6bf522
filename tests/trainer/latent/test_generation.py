"""Generated rows: independent windows joined without a dent in their variance, in plant units that stay in place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.engine.features import FeatureFold, FeatureParams
from sheetbreak.engine.scores import Scaler, ScoreParams
from tests.support.models.making import make_artifact
from trainer.latent.generation import generate, in_plant_units, joined


@pytest.mark.parametrize("window", [2, 5, 8])
def test_joined_windows_have_the_mean_and_the_variance_of_a_window_at_every_row(window: int):
    rng = np.random.default_rng(0)
    mean, spread = np.array([5.0, -3.0]), np.array([1.0, 0.2])
    windows = (mean + spread * rng.normal(size=(6000, window, 2))).astype(np.float32)
    hop = window - window // 2
    sequence = joined(windows)[hop : 5999 * hop].reshape(-1, hop, 2)
    assert sequence.mean(axis=0) == pytest.approx(np.broadcast_to(mean, (hop, 2)), abs=0.06)
    assert sequence.std(axis=0) == pytest.approx(np.broadcast_to(spread, (hop, 2)), rel=0.06)


def test_windows_of_one_row_are_joined_as_they_are():
    windows = np.random.default_rng(0).normal(size=(7, 1, 3)).astype(np.float32)
    assert joined(windows) == pytest.approx(windows[:, 0], abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_the_monitor_makes_the_drawn_features_of_the_first_generated_row(seed: int, rows: int):
    fold = FeatureFold(FeatureParams("streaming-z", (100.0, -2.0), start_sd=(3.0, 0.5)))
    features = np.random.default_rng(seed).normal(size=(rows, 2))
    values = in_plant_units(features, fold)
    assert values[0] == pytest.approx(np.array([100, -2]) + features[0] * [3, 0.5], rel=1e-6)
    assert np.isfinite(values).all()


@pytest.mark.parametrize("spread", [0.3, 1.0, 1.5])
def test_level_and_spread_stay_where_training_rows_had_them_however_long_it_goes_on(spread: float):
    """In balance the logarithm of the variance is off by what the draws' own variance is off 1, and no further."""
    fold = FeatureFold(FeatureParams("streaming-z", (100.0,), start_sd=(3.0,), half_life_rows=40.0))
    features = spread * np.random.default_rng(0).normal(size=(20_000, 1))
    values = in_plant_units(features, fold)
    late = values[10_000:]
    assert late.mean() == pytest.approx(100, abs=0.5)
    assert late.std() == pytest.approx(3 * spread * np.exp((spread**2 - 1) / 2), rel=0.15)
    assert late.std() == pytest.approx(values[1000:10_000].std(), rel=0.15)


def test_features_that_are_the_values_themselves_are_the_generated_rows():
    features = np.arange(6.0).reshape(3, 2)
    assert in_plant_units(features, FeatureFold(FeatureParams("identity", (0.0, 0.0)))) is features


def test_what_is_decoded_is_unscaled_and_gets_the_noise_that_the_model_leaves():
    scaler = Scaler((1.0,) * 6, (2.0,) * 6, clip=5.0)
    features = FeatureParams("identity", (0.0,) * 6)
    using = make_artifact(features=features, scaler=scaler, score=ScoreParams("clipped-mean", rms=(0.25,) * 6))
    rows = generate(using, lambda codes: np.full((len(codes), 1, 6), 0.5, np.float32), latent=2, rows=4000, rng=rng())
    assert rows.mean(axis=0) == pytest.approx(0.5 * 2 + 1, abs=0.03)
    assert rows.std(axis=0) == pytest.approx(0.25 * 2, rel=0.06)
    far = generate(using, lambda codes: np.full((len(codes), 1, 6), 50, np.float32), latent=2, rows=3, rng=rng())
    assert (far == 5 * 2 + 1).all()


@pytest.mark.parametrize(("window", "rows"), [(1, 1), (1, 2000), (2, 7), (7, 100), (50, 20)])
def test_as_many_rows_are_drawn_as_were_asked_for(window: int, rows: int):
    using = make_artifact(window=window)
    found = generate(using, lambda codes: np.zeros((len(codes), window, 6), np.float32), latent=2, rows=rows, rng=rng())
    assert found.shape == (rows, 6)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)
