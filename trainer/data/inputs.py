"""Inputs: a history's features by the monitor's own engine, and the parameters that training rows settle."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.preprocessing import RobustScaler, StandardScaler

from sheetbreak.engine.advance import advance
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.model import Artifact, Float32s, Manifest
from sheetbreak.engine.scoring import Scaler, ScoreParams, Scorer
from sheetbreak.engine.state import RESTARTING, SCORED, WARMING_UP, State
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.errors import DataError
from sheetbreak.rows import RowBatch, Schema
from trainer.data.history import ROWS_AT_ONCE
from trainer.data.labels import Floats, Ints
from trainer.data.windows import Windows
from trainer.settings.values import Scaling

_FIRST_PART = 0.1
"""Of the training rows: their spread is where a machine's variance begins."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Features of a history, unscaled, as the monitor will compute them."""

    features: Float32s
    """(rows, sensors) NaN where a row was refused, broken or still warming up and in no window."""
    index: Ints
    """(scored rows, window) rows of the window that ends at each scored row."""

    @property
    def scored(self) -> Ints:
        """Rows that get a score, in the order of `index`."""
        return self.index[:, -1]

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
    if (np.nanmax(values, axis=0) == np.nanmin(values, axis=0)).all():
        raise DataError(
            f"not one of the {len(schema.sensors)} sensors changes in the {len(values)} rows to train on; "
            "there is nothing to learn: check the export, or train on more rows"
        )
    fallback = tuple(np.nanmedian(values, axis=0).tolist())
    if kind == "identity":
        return FeatureParams(kind, fallback, offset=fallback)
    machines = np.array(rows.machines)[normal]
    first = max(int(len(normal) * _FIRST_PART), 2)
    early, whole = (_spread(values[:n], machines[:n]) for n in (first, len(normal)))
    start_sd = tuple(np.where(early > 0, early, whole).tolist())
    return FeatureParams(kind, fallback, start_sd=start_sd, offset=fallback)


def compute_inputs(
    rows: RowBatch,
    schema: Schema,
    *,
    features: FeatureParams,
    window: int,
    break_is_stop: bool,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Inputs:
    """Features and windows of a whole history, taken from what the engine hands to a model."""
    manifest = Manifest(
        version="",
        created="",
        preset="",
        family="",
        window=window,
        schema=schema,
        features=features,
        scaler=Scaler((0.0,) * len(schema.sensors), (1.0,) * len(schema.sensors)),
        score=ScoreParams("mse"),
        threshold=Threshold(np.inf, ""),
        policy=AlertPolicy(),
        break_is_stop=break_is_stop,
    )
    table = np.full(rows.values.shape, np.nan, np.float32)
    numbers: dict[str, list[int]] = {}
    for row, machine in enumerate(rows.machines):
        numbers.setdefault(machine, []).append(row)
    joined = np.concatenate(
        [
            _inputs_of_machine(rows, np.array(own), manifest, table, rows_at_once=rows_at_once)
            for own in numbers.values()
        ]
    )
    return Inputs(table, joined[np.argsort(joined[:, -1], kind="stable")])


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


def _inputs_of_machine(
    rows: RowBatch, numbers: Ints, manifest: Manifest, table: Float32s, *, rows_at_once: int
) -> Ints:
    """Fill the machine's rows of `table`; returns (scored rows, window) its windows by row number.

    A recorder stands where the model will: of one machine the engine asks for windows in the order of its
    rows.
    """
    asked: list[Float32s] = []

    def record(windows: Float32s) -> Float32s:
        asked.append(windows)
        return windows

    probe = Artifact.of(manifest, record)
    states: dict[str, State] = {}
    taken: list[int] = []
    index: list[Ints] = []
    for first in range(0, len(numbers), rows_at_once):
        some = numbers[first : first + rows_at_once]
        states, results = advance(states, rows.take(some), probe)
        ends = []
        for row, outcome in zip(some.tolist(), results.outcome, strict=True):
            if outcome in (SCORED, RESTARTING, WARMING_UP):
                taken.append(row)
            if outcome in (SCORED, RESTARTING):
                ends.append(len(taken))
        if ends:
            order = np.array(taken)
            windows = order[np.array(ends)[:, None] + np.arange(-manifest.window, 0)]
            table[windows] = asked.pop()
            index.append(windows)
    return np.concatenate(index) if index else np.empty((0, manifest.window), np.int64)


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
