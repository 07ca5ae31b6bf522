"""Baselines: other scores of the same rows, fitted on the same past; a model is only worth what it adds to them."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from sheetbreak.rows import BROKEN, RowBatch, Schema
from trainer.data.inputs import Inputs, compute_inputs, fit_features
from trainer.data.labels import Floats, Ints, Labels
from trainer.data.splits import Split
from trainer.evaluation.baselines import ecod, isolation_forest, mean_abs_z, rows_since_break
from trainer.evaluation.detectors import Factory, detector_score
from trainer.output.progress import Progress
from trainer.training.pipeline import Recipe, Trained, fit_pipeline
from trainer.training.presets import preset_named

FeatureKind = Literal["streaming-z", "identity"]

ROWS_SINCE_BREAK, MEAN_ABS_Z, PUBLISHED = "rows-since-break", "mean-abs-z", "published"
ISOLATION_FOREST, ECOD = "isolation-forest", "ecod"
LABEL_FREE_POLICY = "quantile:.99"
"""For a model of which only the score counts: any policy that needs no label."""
TITLES = {
    ROWS_SINCE_BREAK: "rows since the last break",
    MEAN_ABS_Z: "mean |z|, no model",
    "isolation-forest-raw": "Isolation Forest, raw sensors",
    "isolation-forest-z": "Isolation Forest, streaming z",
    "ecod-raw": "ECOD, raw sensors",
    "ecod-z": "ECOD, streaming z",
    PUBLISHED: "published model",
}
"""As a table names them, by the name they have in JSON."""
KINDS: dict[str, FeatureKind] = {"raw": "identity", "z": "streaming-z"}


def cheap_baselines(
    rows: RowBatch, schema: Schema, *, labels: Labels, split: Split, trained: Trained
) -> dict[str, Floats]:
    """(rows,) scores of the baselines that cost nothing; NaN on rows that are not scored or not to be judged."""
    z = _inputs(rows, schema, labels=labels, split=split, trained=trained, kind="streaming-z")
    without_model = {MEAN_ABS_Z: baseline_score(MEAN_ABS_Z, rows, z, labels=labels, split=split)}
    if not schema.lead_rows:
        return without_model  # rows since an anomaly: 0 on each of them, since the label itself would be the score
    since = _rows_since_break(rows)
    return {ROWS_SINCE_BREAK: np.where(np.isnan(trained.results.score), np.nan, since)} | without_model


def costly_baselines(
    rows: RowBatch,
    schema: Schema,
    *,
    labels: Labels,
    split: Split,
    trained: Trained,
    recipe: Recipe,
    progress: Callable[[int], Progress] | None,
) -> dict[str, Floats]:
    """(rows,) scores of Isolation Forest and ECOD on both inputs, and of the published model unless it is `recipe`."""
    baselines: dict[str, Floats] = {}
    for suffix, kind in KINDS.items():
        inputs = _inputs(rows, schema, labels=labels, split=split, trained=trained, kind=kind)
        for algorithm in (ISOLATION_FOREST, ECOD):
            baselines[f"{algorithm}-{suffix}"] = baseline_score(algorithm, rows, inputs, labels=labels, split=split)
    if (recipe.preset.name, recipe.family) != ("article", "dense"):
        preset = preset_named("article")
        published = Recipe(preset=preset, policy=LABEL_FREE_POLICY, seed=recipe.seed)
        of_its_own = preset.labels(rows, schema).leaving_out(labels.left_out)
        fit = fit_pipeline(rows, schema, labels=of_its_own, split=split, recipe=published, progress=progress)
        baselines[PUBLISHED] = fit.history(fit.raw).score
    return baselines


def baseline_score(
    algorithm: str, rows: RowBatch, inputs: Inputs, *, labels: Labels, split: Split, seed: int = 0
) -> Floats:
    """(rows,) what an algorithm that needs no model of ours makes of the test rows; NaN on all others.

    algorithm: ROWS_SINCE_BREAK, MEAN_ABS_Z (inputs: streaming z), ISOLATION_FOREST or ECOD.
    """
    judged = np.intersect1d(inputs.scored, split.test)
    if algorithm == ROWS_SINCE_BREAK:
        return _spread_out(_rows_since_break(rows)[judged], judged, n=len(rows))
    if algorithm == MEAN_ABS_Z:
        test = inputs.features[judged].astype(np.float64)
        return _spread_out(mean_abs_z(test), judged, n=len(rows))
    fit, test = _learned_and_judged(inputs, labels=labels, split=split)
    score = ecod(fit, test) if algorithm == ECOD else isolation_forest(fit, test, seed=seed)
    return _spread_out(score, judged, n=len(rows))


def outside_score(
    make: Factory, inputs: Inputs, *, labels: Labels, split: Split, seed: int | None, name: str
) -> Floats:
    """(rows,) what a detector of others makes of the test rows, from what the baselines see; NaN on all others."""
    fit, test = _learned_and_judged(inputs, labels=labels, split=split)
    score = detector_score(make, fit, test, seed=seed, name=name)
    return _spread_out(score, np.intersect1d(inputs.scored, split.test), n=len(inputs.features))


def _learned_and_judged(inputs: Inputs, *, labels: Labels, split: Split) -> tuple[Floats, Floats]:
    """Features of the break-free rows of the fold's past, and of its test rows that are scored."""
    learned = np.intersect1d(split.fit[labels.normal[split.fit]], inputs.scored)
    judged = np.intersect1d(inputs.scored, split.test)
    return inputs.features[learned].astype(np.float64), inputs.features[judged].astype(np.float64)


def fit_inputs(
    rows: RowBatch, schema: Schema, *, labels: Labels, split: Split, kind: FeatureKind, break_is_stop: bool
) -> Inputs:
    """Features of one kind, row by row, with what the break-free rows of split.fit settle."""
    normal = split.fit[labels.normal[split.fit]]
    normal = normal[np.argsort(rows.times_us[normal], kind="stable")]
    features = fit_features(rows, normal, kind=kind, schema=schema)
    return compute_inputs(rows, schema, features=features, window=1, break_is_stop=break_is_stop)


def _rows_since_break(rows: RowBatch) -> Floats:
    machine = np.unique(np.array(rows.machines), return_inverse=True)[1].astype(np.int64)
    return rows_since_break(machine, rows.broken == BROKEN)


def _inputs(
    rows: RowBatch, schema: Schema, *, labels: Labels, split: Split, trained: Trained, kind: FeatureKind
) -> Inputs:
    """Features of one kind, fitted on the fold's past: the model's own where it has the same."""
    manifest = trained.artifact.manifest
    if manifest.features.kind == kind:
        return trained.inputs
    return fit_inputs(rows, schema, labels=labels, split=split, kind=kind, break_is_stop=manifest.break_is_stop)


def _spread_out(scores: Floats, places: Ints, *, n: int) -> Floats:
    """(n,) the scores at their rows, NaN elsewhere."""
    spread = np.full(n, np.nan)
    spread[places] = scores
    return spread
