"""Estimator: what `train` fits, behind scikit-learn's methods, with the engine's own scores."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sheetbreak.errors import DataError
from sheetbreak.rows import BROKEN
from tests.support.data.histories import mill_like
from tests.support.running.services import plain_environment
from trainer.data.history import score_history
from trainer.estimator import SheetBreakDetector
from trainer.estimator.frames import read_frame
from trainer.training.presets import preset_named

COUNT, CUT = 900, 700
SENSORS = [f"s{i}" for i in range(6)]


def frame_of(count: int = COUNT, **settings: Any) -> pd.DataFrame:
    rows = mill_like(count, **settings)
    times = pd.to_datetime(rows.times_us, unit="us", utc=True)
    columns = {"time": times, "machine": rows.machines, "broken": (rows.broken == BROKEN).astype(int)}
    return pd.DataFrame(columns | {name: rows.values[:, i] for i, name in enumerate(SENSORS)})


FRAME = frame_of(machines=("pm1", "pm2"))
"""1,800 rows of two machines in turn, in the order of time."""
PAST, LATER = FRAME[: 2 * CUT], FRAME[2 * CUT :]


@pytest.fixture(scope="module")
def fitted() -> SheetBreakDetector:
    return SheetBreakDetector(family="pca").fit(PAST)


def test_scores_are_the_models_own_and_a_prediction_is_what_its_level_says(fitted: SheetBreakDetector) -> None:
    scored = fitted.model_.score(PAST)
    known = scored["score"].notna().to_numpy()
    assert known.sum() > 900
    np.testing.assert_array_equal(-fitted.score_samples(PAST)[known], scored["score"][known])
    np.testing.assert_array_equal(fitted.predict(PAST)[known] == -1, scored["over"][known])
    assert (fitted.predict(PAST) == -1).any()
    assert (fitted.predict(PAST)[~known] == 1).all()  # no score is nothing unusual
    assert np.isfinite(fitted.decision_function(PAST)).all()


def test_rows_later_than_the_training_rows_go_on_from_them(fitted: SheetBreakDetector) -> None:
    rows, _ = read_frame(FRAME, None)
    _, whole = score_history(rows, fitted.model_.artifact)
    expected = whole.score[len(PAST) :]
    known = ~np.isnan(expected)
    assert known.mean() > 0.9
    np.testing.assert_array_equal(-fitted.score_samples(LATER)[known], expected[known])
    cold = fitted.model_.score(LATER)["score"].notna().sum()
    assert cold < known.sum()  # alone they would first warm up


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.sample(frac=1, random_state=3),
        lambda frame: frame[frame.columns[::-1]],
        pl.from_pandas,
        lambda frame: {name: frame[name].tolist() for name in frame.columns},
        lambda frame: frame.set_index("time"),
        lambda frame: frame.assign(time=frame["time"].dt.strftime("%d.%m.%Y %H:%M"), note="spliced"),
    ],
    ids=["shuffled", "columns", "polars", "mapping", "index", "texts"],
)
def test_the_same_rows_learn_and_score_the_same_in_whatever_table_they_come(
    fitted: SheetBreakDetector, change: Callable[[pd.DataFrame], Any]
) -> None:
    frame = change(LATER)
    expected = pd.Series(fitted.score_samples(LATER), LATER.index)
    if isinstance(frame, pd.DataFrame) and frame.index.dtype == LATER.index.dtype:
        expected = expected[frame.index]
    if isinstance(frame, pd.DataFrame) and "note" in frame:  # what training recognised of texts is another format
        rows, schema = read_frame(frame, None)
        np.testing.assert_array_equal(rows.times_us, read_frame(LATER, None)[0].times_us)
        assert schema.sensors == tuple(SENSORS)
        return
    np.testing.assert_array_equal(fitted.score_samples(frame), expected)


def test_what_train_would_fit_on_these_rows_is_what_is_fitted(fitted: SheetBreakDetector) -> None:
    """Manifest and level, from the pipeline that the command runs."""
    from trainer.data.splits import chronological
    from trainer.training.pipeline import choose_threshold, fit_pipeline

    rows, schema = read_frame(PAST, None)
    labels = preset_named("default").labels(rows, schema)
    split = chronological(rows.times_us, (0.8, 0.2, 0.0))
    recipe = SheetBreakDetector(family="pca").recipe()
    trained = choose_threshold(fit_pipeline(rows, schema, labels=labels, split=split, recipe=recipe))
    assert fitted.model_.manifest == trained.artifact.manifest
    assert schema.period_s == 120
    assert fitted.offset_ == -trained.artifact.manifest.threshold.level


def test_labels_beside_the_table_are_those_of_its_column(fitted: SheetBreakDetector) -> None:
    apart = SheetBreakDetector(family="pca").fit(PAST.drop(columns="broken"), broken=PAST["broken"].to_numpy())
    assert apart.model_.manifest.threshold == fitted.model_.manifest.threshold
    assert apart.model_.manifest.scaler == fitted.model_.manifest.scaler


def test_it_is_pickled_and_cloned_whole(fitted: SheetBreakDetector) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.score_samples(LATER), fitted.score_samples(LATER))
    settings = {"latent": 2}
    other = clone(SheetBreakDetector(preset="rows", family="pca", settings=settings, threshold="quantile:.9"))
    assert other.get_params()["settings"] == settings
    assert other.recipe().settled.as_json()["latent"] == 2
    assert not hasattr(other, "model_")


def test_arrays_go_through_pipelines_and_cross_validation() -> None:
    draw = np.random.default_rng(2)
    values = draw.normal(size=(260, 2)) @ draw.normal(size=(2, 6)) + 0.1 * draw.normal(size=(260, 6))
    unusual = np.arange(len(values)) % 26 == 25
    values[unusual] = draw.normal(size=(10, 6))  # no longer of the two causes
    detector = SheetBreakDetector(preset="rows", family="pca", settings={"latent": 2})
    pipeline = make_pipeline(StandardScaler(), detector)
    found = cross_val_score(pipeline, values, ~unusual, cv=TimeSeriesSplit(2), scoring="roc_auc")
    assert (found > 0.9).all()


@pytest.mark.parametrize(
    ("settings", "frame", "message"),
    [
        ({}, PAST[:90], "0 rows are left to train on"),
        ({"preset": "none"}, PAST, 'there is no preset "none"'),
        ({"family": "forest"}, PAST, '--family "forest": the families are'),
        ({"settings": {"nose": 3}}, PAST, "no setting 'nose'"),
        ({"validation": 1.5}, PAST, "validation is 1.5, expected a share"),
        ({"schema": {"columns": {"time": "when"}}}, PAST, 'column "when" is missing, which the schema names'),
        (
            {"schema": {"columns": {"time": "time", "machine": "machine"}, "sampling": {"period_s": 60}}},
            PAST,
            "set period",
        ),
        ({}, PAST[["time", "machine"]], "no column of numbers"),
    ],
)
def test_what_cannot_be_learned_from_is_a_value_error_that_says_why(
    settings: dict[str, Any], frame: pd.DataFrame, message: str
) -> None:
    detector = SheetBreakDetector(**{"family": "pca"} | settings)
    with pytest.raises(ValueError, match=message) as found:
        detector.fit(frame)
    assert isinstance(found.value, DataError)


def test_labels_that_are_none_are_refused() -> None:
    for broken, message in ((["a"] * len(PAST), "something else than 0 and 1"), ([0, 1], "expected .1400,")):
        with pytest.raises(ValueError, match=message):
            SheetBreakDetector(family="pca").fit(PAST, broken=broken)


def test_importing_the_estimator_loads_no_tensorflow_and_importing_the_trainer_nothing() -> None:
    loaded = "list(sys.modules)"
    probe = f"import json, sys, trainer; a = {loaded}; import trainer.estimator; print(json.dumps([a, {loaded}]))"
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, env=plain_environment())
    light, whole = json.loads(done.stdout)
    assert not {"numpy", "sklearn", "pandas", "tensorflow"} & set(light)
    assert "sklearn" in whole
    assert not {"tensorflow", "keras"} & set(whole)
