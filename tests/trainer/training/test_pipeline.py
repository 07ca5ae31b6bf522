"""Promises of a training: the monitor's scores, one seed one model, nothing learnt from rows that come later."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from sheetbreak.artifact import load, save
from sheetbreak.engine import admission
from sheetbreak.engine.advance import advance
from sheetbreak.engine.features import FeatureFold
from sheetbreak.engine.scores import Scores
from sheetbreak.engine.state import State
from sheetbreak.engine.windows import Windows
from sheetbreak.errors import DataError
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, RowBatch
from sheetbreak.wire.state import StateCodec
from tests.support.data.histories import mill_like, schema_of, with_labels, with_values
from trainer.data.splits import Split, chronological, random_rows
from trainer.families import FAMILIES
from trainer.training.pipeline import Recipe, Trained, choose_threshold, fit_pipeline
from trainer.training.presets import PRESETS, preset_named

SCHEMA = schema_of(6)
ROWS = mill_like(900)
NOW = datetime(2026, 5, 1, 10, 15, tzinfo=UTC)


def quick(preset: str = "default", **settings) -> Recipe:
    return Recipe(preset=replace(preset_named(preset), epochs=3), **settings)


def train(rows: RowBatch, recipe: Recipe, *, split: Split | None = None, lead_rows: int = 2) -> Trained:
    schema = replace(SCHEMA, lead_rows=lead_rows)
    labels = recipe.preset.labels(rows, schema)
    if split is None:
        cut = (0.6, 0.2, 0.2)
        split = random_rows(labels) if recipe.preset.random_split else chronological(rows.times_us, cut)
    return choose_threshold(fit_pipeline(rows, schema, labels=labels, split=split, recipe=recipe))


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(ROWS, quick())


@pytest.mark.parametrize(
    ("preset", "family"), [(p, f) for p in PRESETS for f in FAMILIES if p == "default" or f in ("dense", "pca")]
)
def test_a_saved_model_scores_every_row_as_its_training_did_over_batches_and_restarts(
    preset: str, family: str, tmp_path: Path
) -> None:
    """The state between two batches goes through the bytes that a restarted monitor would read."""
    found = train(ROWS, quick(preset, family=family))
    manifest = save(tmp_path, found.artifact.manifest, files=found.files, golden=found.golden, now=NOW)
    saved = load(tmp_path)
    assert np.isfinite(found.results.score).sum() > 400
    states: dict[str, State] = {}
    codec, parts = StateCodec(SCHEMA), dict[bytes, bytes]()
    assert (manifest.preset, manifest.family, manifest.break_is_stop) == (preset, family, preset != "rows")
    for first in range(0, len(ROWS), 100):
        some = slice(first, first + 100)
        after, results = advance(states, ROWS.take(some), saved)
        parts |= codec.dump("pm1", states.get("pm1"), after["pm1"])
        states = codec.load(parts)
        assert results.outcome == found.results.outcome[some]
        np.testing.assert_array_equal(results.score, found.results.score[some])
        np.testing.assert_array_equal(results.threshold, found.results.threshold[some])
        np.testing.assert_array_equal(results.over, found.results.over[some])


def test_a_smoothed_score_is_what_its_training_judged_and_took_the_level_from() -> None:
    plain, found = (train(ROWS, quick("rows", family="pca", settings={"smooth": k})) for k in (1, 3))
    assert (plain.artifact.manifest.smooth_rows, found.artifact.manifest.smooth_rows) == (1, 3)
    results = advance({}, ROWS, found.artifact)[1]
    np.testing.assert_array_equal(results.score, found.results.score)
    np.testing.assert_array_equal(results.over, found.results.over)
    held = ~np.isnan(found.held_out.score)
    assert held.sum() > 300
    assert np.nanstd(found.held_out.score) < np.nanstd(plain.held_out.score)
    last = [place for place, what, _ in found.inputs.admitted["pm1"].steps if what == admission.RUN and held[place]][
        -3:
    ]
    assert found.held_out.score[last[-1]] == pytest.approx(np.mean(plain.held_out.score[last]))


@pytest.mark.parametrize("preset", ["default", "rows"])
def test_a_training_runs_the_first_three_stages_once_over_its_history(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features, windows and scores of every row are computed once, however many thresholds are tried."""
    rows = mill_like(600, machines=("a", "b"))
    seen: Counter[str] = Counter()
    admit_one, features_of, score = admission._admit, FeatureFold.fold, Scores.__init__

    def counting_admit(machine: str, clock: Any, places: Any, *rest: Any) -> Any:
        seen["admitted"] += len(places)
        return admit_one(machine, clock, places, *rest)

    def counting_features(self: FeatureFold, states: Any, values: Any, **rest: Any) -> Any:
        seen["features"] += len(values)
        return features_of(self, states, values, **rest)

    def counting_scores(self: Scores, windows: Windows, **rest: Any) -> None:
        seen["scores"] += len(windows)
        score(self, windows, **rest)

    monkeypatch.setattr(admission, "_admit", counting_admit)
    monkeypatch.setattr(FeatureFold, "fold", counting_features)
    monkeypatch.setattr(Scores, "__init__", counting_scores)
    found = train(rows, quick(preset, family="pca"))
    monkeypatch.undo()
    outcome = Counter(advance({}, rows, found.artifact)[1].outcome)
    assert outcome["stopped"] > 0
    assert seen == {
        "admitted": len(rows),
        "features": len(rows) - outcome["stopped"],
        "scores": outcome["scored"] + outcome["restarting"],
    }


def test_one_seed_gives_one_model_and_another_seed_another(trained: Trained) -> None:
    again, other = train(ROWS, quick()), train(ROWS, quick(seed=1))
    assert again.files["model.onnx"] == trained.files["model.onnx"]
    assert again.artifact.manifest == trained.artifact.manifest
    np.testing.assert_array_equal(again.results.score, trained.results.score)
    assert other.files["model.onnx"] != trained.files["model.onnx"]


def test_nothing_is_learnt_from_test_rows(trained: Trained) -> None:
    strange = ROWS.values.copy()
    strange[720:] = 100 * strange[720:] + 5
    other = train(with_labels(with_values(ROWS, strange), np.where(np.arange(900) < 720, ROWS.broken, 0)), quick())
    assert other.artifact.manifest == trained.artifact.manifest
    assert other.files["model.onnx"] == trained.files["model.onnx"]
    assert not np.array_equal(other.results.score[720:], trained.results.score[720:], equal_nan=True)


def test_validation_rows_choose_epoch_and_threshold_and_nothing_else(trained: Trained) -> None:
    strange = ROWS.values.copy()
    strange[540:720] *= 3
    other = train(with_values(ROWS, strange), quick())
    ours, theirs = trained.artifact.manifest, other.artifact.manifest
    assert (theirs.features, theirs.scaler) == (ours.features, ours.scaler)
    assert other.fitted.history[0].training == trained.fitted.history[0].training
    assert other.fitted.history[0].validation > 1.5 * trained.fitted.history[0].validation
    assert theirs.threshold != ours.threshold


def test_rows_before_a_break_and_break_rows_teach_nothing(trained: Trained) -> None:
    strange = ROWS.values.copy()
    positives = preset_named("default").labels(ROWS, SCHEMA).will_break
    taught = positives & (np.arange(900) < 540)
    strange[taught] += 0.5
    strange[ROWS.broken == BROKEN] = 1e6
    plain = train(ROWS, quick("rows"))
    other = train(with_values(ROWS, strange), quick("rows"))
    assert (taught.sum(), other.artifact.manifest.features) == (18, plain.artifact.manifest.features)
    assert other.artifact.manifest.scaler == plain.artifact.manifest.scaler
    assert other.files["model.onnx"] == plain.files["model.onnx"]


def test_rows_before_a_break_score_higher() -> None:
    rows = mill_like(3000)
    found = train(rows, Recipe(preset=preset_named("default"), family="pca"))
    labels = preset_named("default").labels(rows, SCHEMA)
    judged = labels.judged & ~np.isnan(found.results.score) & (np.arange(3000) >= 2400)
    assert roc_auc_score(labels.will_break[judged], found.results.score[judged]) > 0.9


def test_the_residual_spread_is_that_of_break_free_training_rows(trained: Trained) -> None:
    artifact = trained.artifact
    labels = preset_named("default").labels(ROWS, SCHEMA)
    fit = trained.inputs.windows(np.flatnonzero(labels.normal[:540]), artifact.manifest.scaler).gather()
    residual = fit.astype(np.float64) - artifact.reconstruct(fit)
    np.testing.assert_allclose(artifact.manifest.score.rms, np.sqrt((residual**2).mean(axis=(0, 1))), rtol=1e-9)


def test_a_history_without_any_label_is_trained_on() -> None:
    rows = mill_like(900, break_every=None)
    assert set(rows.broken) == {UNKNOWN}
    found = train(rows, quick())
    assert np.isfinite(found.results.score[120:]).all()
    assert found.artifact.manifest.threshold.policy == "rate:5"


def test_a_policy_that_needs_labels_says_so_when_there_are_none() -> None:
    with pytest.raises(DataError, match=r"pr-curve: none of the \d+ validation rows is followed by a break"):
        train(mill_like(900, break_every=None), quick(policy="pr-curve"))


def test_several_machines_share_one_model(trained: Trained) -> None:
    rows = mill_like(500, machines=("a", "b"))
    found = train(rows, quick())
    for machine in ("a", "b"):
        own = np.array(rows.machines) == machine
        assert np.isfinite(found.results.score[own]).sum() > 300


def test_a_machine_judged_row_by_row_has_its_anomalous_rows_scored() -> None:
    broken = np.where(np.arange(900) % 30 == 0, BROKEN, INTACT).astype(np.int8)
    rows = with_labels(mill_like(900, break_every=None), broken)
    found = train(rows, quick("rows", policy="pr-curve"), lead_rows=0)
    assert np.isfinite(found.results.score).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_sensors_with_missing_cells_and_a_constant_one_do_not_stop_a_training(preset: str) -> None:
    rows = mill_like(900)
    rows.values[::3, 1] = np.nan
    rows.values[:, 4] = 7.0
    scores = train(rows, quick(preset)).results.score
    assert np.isfinite(scores[np.flatnonzero(rows.broken != BROKEN)[-100:]]).all()


def test_too_few_rows_are_an_error_that_counts_them() -> None:
    with pytest.raises(DataError, match=r"16 rows are left .* of 132 break-free rows .* warm up .*--preset rows"):
        train(mill_like(230), quick())


def test_only_breaks_are_an_error() -> None:
    rows = mill_like(300)
    with pytest.raises(DataError, match="no break-free row is left to train on"):
        train(with_labels(rows, np.full(300, BROKEN, np.int8)), quick())


def test_a_lead_longer_than_the_runs_is_named() -> None:
    with pytest.raises(DataError, match=r"lie within lead_rows = 500 rows before one; set a smaller sampling"):
        train(mill_like(300), quick(), lead_rows=500)


def test_a_validation_part_without_a_scored_row_is_an_error() -> None:
    split = chronological(ROWS.times_us, (0.6, 0.2, 0.2))
    with pytest.raises(DataError, match="no validation row was scored"):
        train(ROWS, quick(), split=Split(split.fit, split.validation[:0], split.test))


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"family": "cnn"}, r'"cnn": the families are .*dense.*pca'), ({"policy": "best"}, "the policies are")],
)
def test_what_does_not_exist_is_refused_before_any_work(setting, message: str) -> None:
    with pytest.raises(DataError, match=message):
        train(ROWS, quick(**setting))


def test_an_unknown_preset_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(DataError, match="default, article, rows"):
        preset_named("fast")


def test_the_artifact_before_saving_can_be_written_as_json(trained: Trained) -> None:
    assert msgspec.json.decode(msgspec.json.encode(trained.artifact.manifest))["threshold"]["level"] > 0
