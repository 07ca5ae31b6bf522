"""Absurd cells in a history, whatever they are: the model sees a fault of that sensor as if they had not been there."""

import numpy as np
import pytest

from sheetbreak.rows import INTACT, RowBatch
from tests.support.data.histories import mill_like, schema_of, with_values
from trainer.data.history import score_history
from trainer.data.labels import label_rows
from trainer.data.splits import chronological
from trainer.training.pipeline import Recipe, Trained, choose_threshold, fit_pipeline
from trainer.training.presets import preset_named

SENSORS, FAULTY = 6, 2
SCHEMA = schema_of(SENSORS)
ROWS = 900


def train(history: RowBatch, preset: str) -> Trained:
    fit = fit_pipeline(
        history,
        SCHEMA,
        labels=label_rows(history, SCHEMA),
        split=chronological(history.times_us, (0.6, 0.2, 0.2)),
        recipe=Recipe(preset=preset_named(preset), family="pca"),
    )
    return choose_threshold(fit)


def contribution(history: RowBatch, preset: str) -> float:
    """Of the faulty sensor, by a model of this history, in the first rows of a fault of some spreads."""
    model = train(history, preset).artifact
    live = mill_like(400, sensors=SENSORS, break_every=None)
    values = live.values.copy()
    values[300:, FAULTY] += 12
    broken = np.full(len(live), INTACT, np.int8)
    _, results = score_history(RowBatch(live.machines, live.times_us, values, live.grades, broken), model)
    return float(results.contributions[300:310, FAULTY].mean())


def absurd(values: np.ndarray, kind: str) -> np.ndarray:
    found = values.copy()
    cells = np.random.default_rng(1).random(len(values)) < 0.01
    if kind == "noise":
        found[cells, FAULTY] = np.random.default_rng(2).normal(0, 1e9, int(cells.sum()))
    elif kind == "one":
        found[60, FAULTY] = 1e200
    elif kind == "stretch":
        found[100:130, FAULTY] = -60
    else:
        found[cells, FAULTY] = float(kind)
    return found


@pytest.mark.parametrize(
    ("preset", "kinds"), [("default", ("-9999", "noise", "-30", "stretch")), ("rows", ("one", "1e35", "stretch"))]
)
def test_absurd_cells_in_training_make_no_sensor_blind(preset: str, kinds: tuple[str, ...]) -> None:
    clean = mill_like(ROWS, sensors=SENSORS)
    seen = contribution(clean, preset)
    assert seen > 1
    for kind in kinds:
        found = contribution(with_values(clean, absurd(clean.values, kind)), preset)
        assert found > 0.5 * seen, (kind, found, seen)


@pytest.mark.parametrize("stretches", [[slice(100, 130)], [slice(100, 130), slice(600, 615)]])
def test_a_stretch_of_failed_readings_lifts_no_level(stretches: list[slice]) -> None:
    """Where it stands in rows to fit on, and in rows to validate on too."""
    clean = mill_like(ROWS, sensors=SENSORS)
    values = clean.values.copy()
    for stretch in stretches:
        values[stretch, FAULTY] = -60
    expected, found = train(clean, "rows"), train(with_values(clean, values), "rows")
    level = expected.artifact.manifest.threshold.level
    assert found.artifact.manifest.threshold.level < 1.2 * level
    assert found.evidence.scores.max() < 1.5 * expected.evidence.scores.max()
