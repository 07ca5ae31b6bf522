"""The pipeline: from labelled rows and a split to a model that scores them as the monitor will.

Features, scaler, weights and residual spread come from the break-free training rows alone, the threshold from
training and validation rows; of test rows nothing is looked at. `train` and `backtest` share it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from sheetbreak.artifact import MODEL
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.model import Artifact, Manifest
from sheetbreak.engine.scores import Float32s, Reconstruct, Scaler, ScoreParams, Scorer
from sheetbreak.engine.state import Results
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.errors import DataError
from sheetbreak.graph import onnx_reconstruct
from sheetbreak.rows import RowBatch, Schema
from trainer.data.far_cells import no_readings
from trainer.data.history import smooth_history
from trainer.data.inputs import Inputs, compute_inputs, fit_features, fit_scaler
from trainer.data.labels import Floats, Ints, Labels
from trainer.data.splits import Split
from trainer.data.windows import Windows
from trainer.families import FAMILIES
from trainer.output.progress import Progress
from trainer.settings.values import Family, Settings, Value, given_settings, settle
from trainer.training.alarm_replay import ScoredHistory
from trainer.training.export import exported_files
from trainer.training.fit import Fitted, fit_model
from trainer.training.held_out import score_as_learned, score_held_out
from trainer.training.presets import Preset
from trainer.training.threshold_evidence import gather_evidence
from trainer.training.threshold_policies import Evidence, is_per_grade, parse_policy
from trainer.training.too_few import lead_words, none_left, too_few
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A model fitted on the break-free rows of a split's first part, and the score it gives every row."""

    rows: RowBatch
    schema: Schema
    labels: Labels
    split: Split
    recipe: Recipe
    choose: Callable[[Evidence], Threshold]
    """The policy."""
    ends: Ints
    """Rows that it was fitted on."""
    windows: Windows
    """Those that end there, scaled."""
    fit_others: Callable[[Ints], Fitted]
    """Fits the same model on windows that end at other rows."""
    inputs: Inputs
    learned: Inputs
    """Without cells that say nothing of their sensor: no model is fitted on them, and no level is taken from them."""
    fitted: Fitted
    files: dict[str, bytes]
    reconstruct: Reconstruct
    features: FeatureParams
    scaler: Scaler
    score: ScoreParams
    raw: Floats
    """(rows,) scores, not yet smoothed, NaN where a row has none; of rows that it was fitted on too low."""
    contributions: Floats

    def history(self, raw: Floats) -> ScoredHistory:
        """The rows with these scores, (rows,), as the engine smooths them."""
        smooth = self.recipe.settled.input.smooth
        return ScoredHistory(
            self.rows,
            smooth_history(self.inputs.admitted, raw, rows=smooth),
            admitted=self.inputs.admitted,
            schema=self.schema,
            break_is_stop=self.recipe.preset.break_is_stop,
        )


def fit_pipeline(
    rows: RowBatch,
    schema: Schema,
    *,
    labels: Labels,
    split: Split,
    recipe: Recipe,
    progress: Callable[[int], Progress] | None = None,
    log_dir: Path | None = None,
    fewest: int = MIN_TRAINING_WINDOWS,
) -> Fit:
    """Fit on the break-free rows of split.fit and score all `rows` in their order; `choose_threshold` does the rest.

    progress: makes a display for so many epochs. fewest: windows to learn from. Raises DataError if the rows do not
    hold what is needed.
    """
    preset = recipe.preset
    settings, choose = check_recipe(recipe, schema)
    window, training = settings.input.window, settings.training
    fit_rows = split.fit[labels.normal[split.fit]]
    fit_rows = fit_rows[np.argsort(rows.times_us[fit_rows], kind="stable")]
    if not len(fit_rows):
        raise DataError(none_left(labels, split.fit, schema))
    features = fit_features(rows, fit_rows, kind=preset.features, schema=schema)
    inputs = compute_inputs(rows, schema, features=features, window=window, break_is_stop=preset.break_is_stop)
    fit_ends = np.intersect1d(fit_rows, inputs.scored)
    names = np.array(rows.machines)[fit_rows]
    learned = inputs.without(no_readings(rows.values, usual=[fit_rows[names == one] for one in np.unique(names)]))
    if len(fit_ends) < fewest:
        few = too_few(len(fit_ends), fewest, break_free=len(fit_rows), window=window, features=features)
        raise DataError(few + lead_words(labels, split.fit, schema))
    scaler = fit_scaler(learned.features[fit_ends], scaling=settings.input.scaling, clip=preset.clip)
    fit, validation = (
        learned.windows(ends, scaler) for ends in (fit_ends, split.validation[labels.normal[split.validation]])
    )

    def fit_windows(some: Windows, *, shown: Progress | None = None, log_dir: Path | None = None) -> Fitted:
        build = partial(FAMILIES[recipe.family].build, some, **settings.own)
        return fit_model(build, training, fit=some, validation=validation, progress=shown, log_dir=log_dir)

    fitted = fit_windows(fit, shown=progress(training.epochs) if progress else None, log_dir=log_dir)
    files = exported_files(fitted.model)
    reconstruct = onnx_reconstruct(files[MODEL])
    score_params = _fit_score(preset, fit, reconstruct)
    raw, contributions = inputs.score(reconstruct, Scorer(scaler, score_params))
    return Fit(
        rows=rows,
        schema=schema,
        labels=labels,
        split=split,
        recipe=recipe,
        choose=choose,
        ends=fit_ends,
        windows=fit,
        fit_others=lambda ends: fit_windows(learned.windows(ends, scaler)),
        inputs=inputs,
        learned=learned,
        fitted=fitted,
        files=files,
        reconstruct=reconstruct,
        features=features,
        scaler=scaler,
        score=score_params,
        raw=raw,
        contributions=contributions,
    )


def choose_threshold(fit: Fit) -> Trained:
    """Choose the threshold, by the scores of rows held out in turn from a second model and of split.validation.

    Raises DataError if the rows do not hold what is needed.
    """
    recipe, labels, split, inputs = fit.recipe, fit.labels, fit.split, fit.inputs
    preset, settings = recipe.preset, recipe.settled
    held_out = score_held_out(
        lambda ends: fit.fit_others(ends).reconstruct,
        fit.rows,
        fit.learned,
        part=split.fit,
        ends=fit.ends,
        scaler=fit.scaler,
        params=fit.score,
        every_row=is_per_grade(recipe.policy or preset.threshold),
    )
    known = fit.raw.copy()
    known[split.fit] = held_out[split.fit]
    spoiled, scores = score_as_learned(
        fit.reconstruct, inputs, fit.learned, part=split.validation, scaler=fit.scaler, params=fit.score
    )
    known[spoiled] = scores
    history, honest = fit.history(fit.raw), fit.history(known)
    past = np.union1d(split.fit[~np.isnan(held_out[split.fit])], split.validation)
    evidence = gather_evidence(labels, honest, recipe.alert, fit=fit.ends, validation=split.validation, past=past)
    threshold = fit.choose(evidence)
    warnings = judge_warnings(honest.before(int(past.max()) + 1), threshold, recipe.alert)
    alert = recipe.alert if warnings.critical_is_surer or recipe.alert != AlertPolicy() else warnings.policy
    manifest = Manifest(
        version="",
        created="",
        preset=preset.name,
        family=recipe.family,
        window=settings.input.window,
        schema=fit.schema,
        features=fit.features,
        scaler=fit.scaler,
        score=fit.score,
        threshold=threshold,
        policy=alert,
        break_is_stop=preset.break_is_stop,
        smooth_rows=settings.input.smooth,
        odds=warnings.odds,
    )
    golden = np.unique(np.linspace(0, len(fit.windows) - 1, GOLDEN_ROWS).astype(np.int64))
    return Trained(
        artifact=Artifact.of(manifest, fit.reconstruct),
        files=fit.files,
        golden=fit.windows.take(golden).gather(),
        results=history.results(threshold, alert, contributions=fit.contributions),
        honest=honest.results(threshold, alert, contributions=fit.contributions),
        held_out=honest,
        evidence=evidence,
        learned=fit.ends,
        promise=promised(threshold, evidence, warnings),
        inputs=inputs,
        fitted=fit.fitted,
    )


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
