"""Held-out rows: no level is taken from rows that the model was fitted on, and no window straddles the parts."""

import numpy as np
import pytest

from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.scores import Reconstruct, Scaler, ScoreParams
from sheetbreak.rows import RowBatch, Schema
from tests.support.data.histories import STEP_US, mill_like
from trainer.data.inputs import Inputs, compute_inputs
from trainer.data.labels import Ints
from trainer.data.splits import chronological
from trainer.training.held_out import BLOCKS, HELD_SHARE, score_held_out
from trainer.training.pipeline import Recipe, Trained, choose_threshold, fit_pipeline
from trainer.training.presets import preset_named


def held_out(rows: RowBatch, window: int) -> tuple[Inputs, list[Ints], np.ndarray]:
    """Inputs of a history whose last rows are not of the first part, what models were fitted on, the scores."""
    schema = Schema(sensors=("s0", "s1", "s2"), lead_rows=0)
    part = np.arange(int(0.9 * len(rows)))
    features = FeatureParams("identity", (0.0,) * 3)
    inputs = compute_inputs(rows, schema, features=features, window=window, break_is_stop=False)
    fitted: list[Ints] = []

    def fit_on(ends: Ints) -> Reconstruct:
        fitted.append(ends)
        number = len(fitted)
        return lambda windows: np.full_like(windows, number)  # its scores tell which model gave them

    scaler = Scaler((0.0,) * 3, (1.0,) * 3)
    ends = np.intersect1d(part, inputs.scored)
    found = score_held_out(fit_on, rows, inputs, part=part, ends=ends, scaler=scaler, params=ScoreParams("mse"))
    return inputs, fitted, found


@pytest.mark.parametrize("window", [1, 7])
@pytest.mark.parametrize(("count", "models"), [(3000, 1), (500, BLOCKS)])
def test_a_row_is_scored_by_a_model_that_saw_neither_it_nor_a_row_of_its_window(
    window: int, count: int, models: int
) -> None:
    rows = mill_like(count, sensors=3, break_every=None)
    rows.values[:] = 0.0  # so that a score is the square of the model's number
    inputs, fitted, found = held_out(rows, window)
    assert len(fitted) == models
    rows_of = dict(zip(inputs.scored.tolist(), inputs.index, strict=True))
    for row in np.flatnonzero(~np.isnan(found)).tolist():
        model = round(float(found[row]) ** 0.5)
        seen = np.unique(np.concatenate([rows_of[end] for end in fitted[model - 1].tolist()]))
        assert not np.isin(rows_of[row], seen).any()
    known = (~np.isnan(found)).sum()
    expected = 0.9 * count * (HELD_SHARE if models == 1 else 1)
    assert expected - models * window <= known <= expected + 1


def noise(count: int, seed: int) -> RowBatch:
    random = np.random.default_rng(seed)
    return RowBatch(
        ["pm1"] * count,
        np.arange(count) * STEP_US,
        random.standard_normal((count, 52)),
        [None] * count,
        np.zeros(count, np.int8),
    )


def trained_on_noise(family: str) -> Trained:
    schema = Schema(sensors=tuple(f"x{i}" for i in range(52)))
    rows, preset = noise(500, 1), preset_named("rows")
    split = chronological(rows.times_us, (0.8, 0.2, 0.0))
    recipe = Recipe(preset=preset, family=family)
    return choose_threshold(fit_pipeline(rows, schema, labels=preset.labels(rows, schema), split=split, recipe=recipe))


@pytest.mark.parametrize("family", ["dense", "pca"])
def test_a_quantile_keeps_its_promise_on_rows_that_nobody_has_seen(family: str) -> None:
    """In 52 columns of noise a model learns its 400 rows by heart: they would promise 1 % and give ten times that."""
    trained = trained_on_noise(family)
    artifact = trained.artifact
    fresh = noise(3980, 2).values[:, None]
    scaled = artifact.scorer.scale(fresh)
    scores = artifact.scorer.scores(artifact.scorer.contributions(scaled, artifact.reconstruct(scaled)))
    assert np.mean(scores > artifact.manifest.threshold.level) <= 0.02
    assert trained.promise.promised == pytest.approx(0.01)
