"""Inputs: a history's features by the monitor's own engine, and the parameters that training rows settle."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from sklearn.preprocessing import RobustScaler, StandardScaler

from sheetbreak.engine.admission import Admitted
from sheetbreak.engine.features import FeatureFold, FeatureParams
from sheetbreak.engine.scores import FAR, Float32s, Reconstruct, Scaler, ScoreParams, Scorer, Scores
from sheetbreak.engine.windows import Windows as EngineWindows
from sheetbreak.errors import DataError
from sheetbreak.rows import RowBatch, Schema
from trainer.data.far_cells import constant, far_cells
from trainer.data.history import ROWS_AT_ONCE, admit_history, parts_of
from trainer.data.labels import Bools, Floats, Ints
from trainer.data.windows import Windows
from trainer.settings.values import Scaling

_NO_SPREAD = 0.01
_ROUNDING = 1e-6
"""A spread below this share of the whole one is what rounding leaves of a sensor at rest."""
_FIRST_PART = 0.1
"""Of the training rows: their spread is where a machine's variance begins."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Features of a history, unscaled, as the monitor will compute them."""

    features: Float32s
    """(rows, sensors) NaN where a row was refused, broken or still warming up and in no window."""
    index: Ints
    """(scored rows, window) rows of the window that ends at each scored row."""
    admitted: dict[str, Admitted]
    """By machine."""
    parts: list[EngineWindows]
    """What the model will score, unrounded."""
    normal: Floats
    """(sensors,) the features of a sensor that counts as normal."""

    @property
    def scored(self) -> Ints:
        """Rows that get a score, in the order of `index`."""
        return self.index[:, -1]

    def score(self, reconstruct: Reconstruct, scorer: Scorer) -> tuple[Floats, Floats]:
        """The engine's third stage: (rows,) scores and (rows, sensors) contributions, NaN where a row has none."""
        score, contributions = np.full(len(self.features), np.nan), np.full(self.features.shape, np.nan)
        for windows in self.parts:
            found = Scores(windows, reconstruct=reconstruct, scorer=scorer, normal=self.normal)
            score[found.places], contributions[found.places] = found.scores, found.contributions
        return score, contributions

    def without(self, cells: Bools) -> "Inputs":
        """The same with these cells, (rows, sensors), at what is normal for their sensor, for a model to learn from."""
        spoiled = cells & ~np.isnan(self.features)
        if not spoiled.any():
            return self
        return replace(self, features=np.where(spoiled, self.normal.astype(np.float32), self.features))

    def windows(self, ends: Ints, scaler: Scaler) -> Windows:
        """Scaled windows that end at those of the rows `ends` that are scored."""
        scaled = Scorer(scaler, ScoreParams("mse")).scale(np.nan_to_num(self.features).astype(np.float64))
        return Windows(scaled, self.index[np.isin(self.scored, ends)])


def fit_features(
    rows: RowBatch, normal: Ints, *, kind: Literal["streaming-z", "identity"], schema: Schema
) -> FeatureParams:
    """Feature parameters from the break-free training rows, given by row number in order of time.

    Raises DataError if a sensor has no value in them, or none of the sensors ever changes.
    """
    values = rows.values[normal]
    if not len(values):
        raise DataError("no break-free row is left to train on; give more rows, or a larger first part in --split")
    missing = np.isnan(values).sum(axis=0)
    empty = [schema.sensors[i] for i in np.flatnonzero(missing == len(values))]
    if empty:
        raise DataError(
            f"column {', '.join(empty[:5])}{'…' if len(empty) > 5 else ''}: no value in the {len(values)} rows to "
            "train on; name it under columns.ignore in --schema, or train on rows that have it"
        )
    still = constant(values)
    if still.all():
        raise DataError(
            f"not one of the {len(schema.sensors)} sensors changes in the {len(values)} rows to train on; "
            "there is nothing to learn: check the export, or train on more rows"
        )
    fallback = tuple(np.nanmedian(values, axis=0).tolist())
    if kind == "identity":
        return FeatureParams(kind, fallback, offset=fallback)
    machines = np.array(rows.machines)[normal]
    first = max(int(len(normal) * _FIRST_PART), 2)
    near = np.where(far_cells(values), np.nan, values)
    early, whole = (_spread(near[:n], machines[:n]) for n in (first, len(normal)))
    # One that never moved has no spread: a hundredth of its size is one, whatever its unit.
    start_sd = np.where(early > _ROUNDING * whole, early, whole)
    start_sd = np.where(still, _NO_SPREAD * np.abs(np.array(fallback)), start_sd)
    level_sd = np.where(still, start_sd, np.sqrt(np.nanmean((near - np.array(fallback)) ** 2, axis=0)))
    return FeatureParams(
        kind, fallback, start_sd=tuple(start_sd.tolist()), level_sd=tuple(level_sd.tolist()), offset=fallback
    )


def compute_inputs(
    rows: RowBatch,
    schema: Schema,
    *,
    features: FeatureParams,
    window: int,
    break_is_stop: bool,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Inputs:
    """Features and windows of a whole history: the engine's first two stages, once."""
    admitted = admit_history(rows, schema, break_is_stop=break_is_stop)
    using = FeatureFold(features)
    table, parts = np.full(rows.values.shape, np.nan, np.float32), list[EngineWindows]()
    index = [np.empty((0, window), np.int64)]
    for part in parts_of(admitted, rows, using=using, length=window, rows_at_once=rows_at_once):
        table[part.windows.places] = np.clip(part.features.z, -FAR, FAR)
        parts.append(part.windows)
        index.append(part.rows)
    joined = np.concatenate(index)
    unused = np.ones(len(rows), np.bool_)
    unused[joined] = False
    table[unused] = np.nan
    return Inputs(table, joined[np.argsort(joined[:, -1], kind="stable")], admitted, parts, using.normal)


def fit_scaler(features: Float32s, *, scaling: Scaling, clip: float | None) -> Scaler:
    """The scaler of features (rows, sensors); one that never changes keeps its unit.

    min-max has its own limits: 0 and 1, whatever `clip` says.
    """
    if scaling == "min-max":
        least, most = features.min(axis=0).astype(np.float64), features.max(axis=0).astype(np.float64)
        return Scaler(tuple(least.tolist()), tuple(np.where(most > least, most - least, 1.0).tolist()), 1.0, 0.0)
    if scaling == "range":
        robust = RobustScaler(quantile_range=(5.0, 95.0)).fit(features.astype(np.float64))
        return Scaler(tuple(robust.center_.tolist()), tuple(robust.scale_.tolist()), clip)
    standard = StandardScaler().fit(features.astype(np.float64))
    return Scaler(tuple(standard.mean_.tolist()), tuple(standard.scale_.tolist()), clip)


def _spread(values: Floats, machines: np.ndarray) -> Floats:
    """(sensors,) standard deviation around each machine's own mean, NaN left out; 0 where there is none."""
    total, count = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for machine in np.unique(machines):
        own = values[machines == machine]
        known = (~np.isnan(own)).sum(axis=0)
        mean = np.nansum(own, axis=0) / np.maximum(known, 1)
        total += np.nansum((own - mean) ** 2, axis=0)
        count += known
    spread: Floats = np.sqrt(total / np.maximum(count, 1))
    return spread
