"""The pipeline: from labelled rows and a split to a model that scores them as the monitor will.

Features, scaler, weights and residual spread come from the break-free training rows alone, the threshold from
training and validation rows; of test rows nothing is looked at. `train` and `backtest` share it.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from sheetbreak.artifact import MODEL
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.model import Artifact, Manifest
from sheetbreak.engine.scores import Float32s, Reconstruct, ScoreParams, Scorer
from sheetbreak.engine.state import Results
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.errors import DataError
from sheetbreak.graph import onnx_reconstruct
from sheetbreak.rows import RowBatch, Schema
from trainer.data.far_cells import no_readings
from trainer.data.history import smooth_history
from trainer.data.inputs import Inputs, compute_inputs, fit_features, fit_scaler
from trainer.data.labels import Ints, Labels
from trainer.data.splits import Split
from trainer.data.windows import Windows
from trainer.families import FAMILIES
from trainer.output.progress import Progress
from trainer.settings.values import Family, Settings, Value, given_settings, settle
from trainer.training.alarm_replay import ScoredHistory
from trainer.training.export import export_model
from trainer.training.fit import Fitted, fit_model
from trainer.training.held_out import score_held_out
from trainer.training.presets import Preset
from trainer.training.threshold_evidence import gather_evidence
from trainer.training.threshold_policies import Evidence, is_per_grade, parse_policy
from trainer.training.warnings import Promise, judge_warnings, promised

MIN_TRAINING_WINDOWS = 20
"""With fewer, neither a scale nor a spread of residuals means anything."""
SMALLEST_RMS = 1e-3
"""In scaled units: a sensor that training rows rebuild to the last digit must not turn rounding into alarms.
"""
GOLDEN_ROWS = 32
_WINDOWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is to be trained."""

    preset: Preset
    family: str = "dense"
    policy: str | None = None
    """None: the preset's."""
    seed: int = 0
    alert: AlertPolicy = field(default_factory=AlertPolicy)
    settings: Mapping[str, Value | None] = field(default_factory=dict)
    """What was set of the family: the rest is the preset's and the family's."""

    @property
    def settled(self) -> Settings:
        """Every setting. Raises DataError for what the family does not have or take."""
        return settle(
            self.family,
            _family(self.family),
            given=self.settings,
            preset=self.preset.settings_for(self.family),
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model, and what it makes of every row it was given."""

    artifact: Artifact
    """Without a version; it scores as the saved one will."""
    files: dict[str, bytes]
    """model.onnx and model.keras."""
    golden: Float32s
    """(n, window, sensors) scaled windows to check a saved model with."""
    results: Results
    """Of all rows, from a cold start, as a monitor would have them; nothing tells which sensors were missing or led to
    an alert. Scores of rows that the model was fitted on are lower than those of others."""
    honest: Results
    """The same without the rows that the model was fitted on: levels adapt to held-out scores alone."""
    held_out: ScoredHistory
    """What `honest` is made of, to try other thresholds on..."""
    evidence: Evidence
    """...and to choose them by."""
    learned: Ints
    """Rows that the model was fitted on."""
    promise: Promise
    inputs: Inputs
    fitted: Fitted


def settings_given(family: str, texts: Sequence[str]) -> dict[str, Value | None]:
    """What `--set` gave a family. Raises DataError for a family or a setting that does not exist."""
    return given_settings(texts, {family: _family(family)})[family]


def check_recipe(recipe: Recipe, schema: Schema) -> tuple[Settings, Callable[[Evidence], Threshold]]:
    """The recipe's settings and policy. Raises DataError for what does not exist, before any work is done."""
    if schema.grade is None:
        if is_per_grade(recipe.policy or recipe.preset.threshold):
            raise DataError(
                f"--threshold {recipe.policy}: the history has no grade; name its column in the schema file"
            )
        if recipe.alert.grade_change_rows:
            raise DataError("--alert grade_change_rows: the history has no grade; name its column in the schema file")
    return recipe.settled, parse_policy(recipe.policy or recipe.preset.threshold)


def train_pipeline(
    rows: RowBatch,
    schema: Schema,
    *,
    labels: Labels,
    split: Split,
    recipe: Recipe,
    progress: Callable[[int], Progress] | None = None,
    log_dir: Path | None = None,
    fewest: int = MIN_TRAINING_WINDOWS,
    score_alone: bool = False,
) -> Trained:
    """Train on split.fit, choose the threshold with split.validation, and score all `rows` in their order.

    progress: makes a display for so many epochs. fewest: windows to learn from. score_alone: only the scores count, so
    no second model is fitted to hold rows out, and the level promises too much. Raises DataError if the rows do not
    hold what is needed.
    """
    preset = recipe.preset
    settings, choose = check_recipe(recipe, schema)
    window, training = settings.input.window, settings.training
    fit_rows = split.fit[labels.normal[split.fit]]
    fit_rows = fit_rows[np.argsort(rows.times_us[fit_rows], kind="stable")]
    if not len(fit_rows):
        raise DataError(_none_left(labels, split.fit, schema))
    features = fit_features(rows, fit_rows, kind=preset.features, schema=schema)
    inputs = compute_inputs(rows, schema, features=features, window=window, break_is_stop=preset.break_is_stop)
    fit_ends = np.intersect1d(fit_rows, inputs.scored)
    learned = inputs.without(no_readings(rows.values, usual=rows.values[fit_rows]))
    if len(fit_ends) < fewest:
        few = _too_few(len(fit_ends), fewest, break_free=len(fit_rows), window=window, features=features)
        raise DataError(few + _lead_words(labels, split.fit, schema))
    scaler = fit_scaler(learned.features[fit_ends], scaling=settings.input.scaling, clip=preset.clip)
    fit, validation = (
        learned.windows(ends, scaler) for ends in (fit_ends, split.validation[labels.normal[split.validation]])
    )

    def fit_windows(some: Windows, *, shown: Progress | None = None, log_dir: Path | None = None) -> Fitted:
        build = partial(FAMILIES[recipe.family].build, some, **settings.own)
        return fit_model(build, training, fit=some, validation=validation, progress=shown, log_dir=log_dir)

    fitted = fit_windows(fit, shown=progress(training.epochs) if progress else None, log_dir=log_dir)
    files = _export(fitted)
    reconstruct = onnx_reconstruct(files[MODEL])
    score_params = _fit_score(preset, fit, reconstruct)
    score, contributions = inputs.score(reconstruct, Scorer(scaler, score_params))
    held_out = score
    if not score_alone:
        held_out = score_held_out(
            lambda ends: _reconstruct(fit_windows(learned.windows(ends, scaler))),
            rows,
            inputs,
            part=split.fit,
            ends=fit_ends,
            scaler=scaler,
            params=score_params,
            every_row=is_per_grade(recipe.policy or preset.threshold),
        )
    known = score.copy()
    known[split.fit] = held_out[split.fit]
    admitted, smooth_rows = inputs.admitted, settings.input.smooth
    history, honest = (
        ScoredHistory(rows, one, admitted=admitted, schema=schema, break_is_stop=preset.break_is_stop)
        for one in (smooth_history(admitted, scores, rows=smooth_rows) for scores in (score, known))
    )
    past = np.union1d(split.fit[~np.isnan(held_out[split.fit])], split.validation)
    evidence = gather_evidence(labels, honest, recipe.alert, fit=fit_ends, validation=split.validation, past=past)
    threshold = choose(evidence)
    warnings = judge_warnings(honest.before(int(past.max()) + 1), threshold, recipe.alert)
    alert = recipe.alert if warnings.critical_is_surer or recipe.alert != AlertPolicy() else warnings.policy
    manifest = Manifest(
        version="",
        created="",
        preset=preset.name,
        family=recipe.family,
        window=window,
        schema=schema,
        features=features,
        scaler=scaler,
        score=score_params,
        threshold=threshold,
        policy=alert,
        break_is_stop=preset.break_is_stop,
        smooth_rows=smooth_rows,
        odds=warnings.odds,
    )
    golden = np.unique(np.linspace(0, len(fit) - 1, GOLDEN_ROWS).astype(np.int64))
    return Trained(
        artifact=Artifact.of(manifest, reconstruct),
        files=files,
        golden=fit.take(golden).gather(),
        results=history.results(threshold, alert, contributions=contributions),
        honest=honest.results(threshold, alert, contributions=contributions),
        held_out=honest,
        evidence=evidence,
        learned=fit_ends,
        promise=promised(threshold, evidence, warnings),
        inputs=inputs,
        fitted=fitted,
    )


def _reconstruct(fitted: Fitted) -> Reconstruct:
    """A model that is not to be kept: without the half second that its graph as ONNX would take."""

    def reconstruct(windows: Float32s) -> Float32s:
        parts = [
            np.asarray(fitted.model(windows[first : first + _WINDOWS_AT_ONCE], training=False), np.float32)
            for first in range(0, len(windows), _WINDOWS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else windows

    return reconstruct


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise DataError(f'--family "{name}": the families are {", ".join(FAMILIES)}')
    return FAMILIES[name]


def _fit_score(preset: Preset, fit: Windows, reconstruct: Reconstruct) -> ScoreParams:
    """How residuals become a score: each sensor's root mean square residual on training windows."""
    if preset.score == "mse":
        return ScoreParams("mse")
    squares, count = np.zeros(fit.shape[1]), 0
    for first in range(0, len(fit), _WINDOWS_AT_ONCE):
        windows = fit.gather(slice(first, first + _WINDOWS_AT_ONCE))
        residual = windows.astype(np.float64) - reconstruct(windows)
        squares += (residual**2).sum(axis=(0, 1))
        count += residual.shape[0] * residual.shape[1]
    rms = np.maximum(np.sqrt(squares / count), SMALLEST_RMS)
    return ScoreParams("clipped-mean", rms=tuple(rms.tolist()))


def _export(fitted: Fitted) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="sheetbreak-") as folder:
        export_model(fitted.model, Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def _none_left(labels: Labels, part: Ints, schema: Schema) -> str:
    """Why not one row of a part is break-free."""
    broken = int((~labels.judged[part]).sum())
    if not schema.lead_rows or not labels.will_break[part].any():
        remedy = "give more rows, or a larger first part in --split"
        return f"no break-free row is left to train on: {len(part):,} rows in the first part of the split; {remedy}"
    ahead = int(labels.will_break[part].sum())
    return (
        f"no break-free row is left to train on: of {len(part):,} rows in the first part of the split {broken:,} are "
        f"breaks and {ahead:,} lie within lead_rows = {schema.lead_rows:,} rows before one; set a smaller "
        "sampling.lead_rows in --schema, shorter than the runs between breaks"
    )


def _lead_words(labels: Labels, part: Ints, schema: Schema) -> str:
    """What a long lead took of the rows, where that is most of them."""
    ahead = int(labels.will_break[part].sum())
    if not schema.lead_rows or 2 * ahead <= len(part):
        return ""
    return f", or set a smaller sampling.lead_rows: {ahead:,} rows lie within {schema.lead_rows:,} before a break"


def _too_few(found: int, fewest: int, *, break_free: int, window: int, features: FeatureParams) -> str:
    reasons = []
    if features.kind == "streaming-z":
        reasons.append(f"the first {features.warm_up_rows} of each machine warm up (--preset rows needs no warm-up)")
    if window > 1:
        reasons.append(f"a window takes {window} rows without a stop")
    reasons.append("a row with more than a fifth of the sensors missing is left out")
    return (
        f"{found} rows are left to train on, at least {fewest} are needed: of {break_free} break-free "
        f"rows in the first part of the split, {'; '.join(reasons)}; give more rows"
    )
