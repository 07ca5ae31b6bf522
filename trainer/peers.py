"""Peers: what else could score the same rows, fitted on the same past; a model is only worth what it adds."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from sheetbreak.rows import BROKEN, RowBatch, Schema
from trainer.baselines import ecod, isolation_forest, mean_abs_z, rows_since_break
from trainer.inputs import Inputs, compute_inputs, fit_features
from trainer.labels import Floats, Ints, Labels
from trainer.pipeline import Recipe, Trained, train_pipeline
from trainer.presets import preset_named
from trainer.progress import Progress
from trainer.splits import Split

FeatureKind = Literal["streaming-z", "identity"]

ROWS_SINCE_BREAK, MEAN_ABS_Z, PUBLISHED = "rows-since-break", "mean-abs-z", "published"
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
_KINDS: dict[str, FeatureKind] = {"raw": "identity", "z": "streaming-z"}


def cheap_peers(rows: RowBatch, schema: Schema, *, labels: Labels, split: Split, trained: Trained) -> dict[str, Floats]:
    """(rows,) scores of the peers that cost nothing; NaN on rows that are not scored or not to be judged."""
    z = _inputs(rows, schema, labels=labels, split=split, trained=trained, kind="streaming-z")
    judged = np.intersect1d(z.scored, split.test)
    without_model = {MEAN_ABS_Z: _spread_out(mean_abs_z(z.features[judged].astype(np.float64)), judged, n=len(rows))}
    if not schema.lead_rows:
        return without_model  # rows since an anomaly: 0 on each of them, since the label itself would be the score
    machine = np.unique(np.array(rows.machines), return_inverse=True)[1].astype(np.int64)
    since = rows_since_break(machine, rows.broken == BROKEN)
    return {ROWS_SINCE_BREAK: np.where(np.isnan(trained.results.score), np.nan, since)} | without_model


def costly_peers(
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
    peers: dict[str, Floats] = {}
    for suffix, kind in _KINDS.items():
        inputs = _inputs(rows, schema, labels=labels, split=split, trained=trained, kind=kind)
        learned = np.intersect1d(split.fit[labels.normal[split.fit]], inputs.scored)
        judged = np.intersect1d(inputs.scored, split.test)
        fit, test = (inputs.features[which].astype(np.float64) for which in (learned, judged))
        peers[f"isolation-forest-{suffix}"] = _spread_out(isolation_forest(fit, test), judged, n=len(rows))
        peers[f"ecod-{suffix}"] = _spread_out(ecod(fit, test), judged, n=len(rows))
    if (recipe.preset.name, recipe.family) != ("article", "dense"):
        preset = preset_named("article")
        # Any policy that needs no label: only the published model's score is compared.
        published = Recipe(preset=preset, policy="quantile:.99", seed=recipe.seed)
        of_its_own = preset.labels(rows, schema)
        peers[PUBLISHED] = train_pipeline(
            rows, schema, labels=of_its_own, split=split, recipe=published, progress=progress
        ).results.score
    return peers


def _inputs(
    rows: RowBatch, schema: Schema, *, labels: Labels, split: Split, trained: Trained, kind: FeatureKind
) -> Inputs:
    """Features of one kind, fitted on the fold's past: the model's own where it has the same."""
    manifest = trained.artifact.manifest
    if manifest.features.kind == kind:
        return trained.inputs
    normal = split.fit[labels.normal[split.fit]]
    normal = normal[np.argsort(rows.times_us[normal], kind="stable")]
    features = fit_features(rows, normal, kind=kind, schema=schema)
    return compute_inputs(rows, schema, features=features, window=1, break_is_stop=manifest.break_is_stop)


def _spread_out(scores: Floats, places: Ints, *, n: int) -> Floats:
    """(n,) the scores at their rows, NaN elsewhere."""
    spread = np.full(n, np.nan)
    spread[places] = scores
    return spread
