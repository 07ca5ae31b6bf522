"""Missing values on held-out rows: the model beside the last value and beside linear interpolation.

    .venv/bin/python -m benchmarks.detection.imputation CSV pca dense lstm-variational:window=50 [--json FILE]

For each family (with settings, as `train --set` takes them) trains with the project's own command, masks cells of the
last fifth of the rows, which the training did not look at, and fills them: single cells (5 % of all, at random),
stretches of 10 rows and of 100 (five sensors at a time). Errors are root mean squares by sensor, in units of its
streaming spread, so that sensors compare; "won" is the share of the sensors on which the model errs less. Linear
interpolation looks ahead, within a run; the last value does not; of the models only those of a window do. Then what
it is for: how far the live score of a row with missing sensors lies from the one that the whole row has, at the
median, under `--missing hold` and `model`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sheetbreak.artifact import load
from sheetbreak.engine.advance import advance
from sheetbreak.engine.features import MAX_MISSING_SHARE
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import Missing, State
from sheetbreak.history.reader import read_csv
from sheetbreak.rows import RowBatch
from trainer.data.history import ROWS_AT_ONCE, Folded, fold_history
from trainer.latent.imputation import MODEL, hold_last, impute

TEST_SHARE = 0.2
CELLS, STRETCH_SENSORS = 0.05, 5

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def main() -> int:
    """Print a table a family, and write it all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("families", nargs="+", metavar="FAMILY[:NAME=VALUE,...]")
    parser.add_argument("--schema", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for named in options.families:
        with tempfile.TemporaryDirectory() as folder:
            seconds = _train(options.csv, named, Path(folder), options.schema)
            model = load(Path(folder))
        _, rows = read_csv(options.csv, sensors_from=model.manifest.schema)
        found[named] = {"training_s": seconds, "test_roc_auc": model.manifest.metrics["test"]["roc_auc"]}
        print(f"\n{named}: trained in {seconds:.0f} s, test ROC AUC {found[named]['test_roc_auc']:.2f}")
        masks = {"cells": mask_cells(rows), "10 rows": mask_stretches(rows, 10), "100 rows": mask_stretches(rows, 100)}
        for kind, masked in masks.items():
            result = compare(rows, masked, model)
            found[named][kind] = result
            print(_line(kind, result), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def _line(kind: str, found: dict[str, Any]) -> str:
    errors = "  ".join(f"{name} {found[name]:.2f}" for name in ("model", "held", "linear", "mean"))
    won = "  ".join(f"{name} {found[f'won_{name}']:.0%}" for name in ("held", "linear", "mean"))
    off = "  ".join(f"{how} {found[f'score_{how}']:.1%}" for how in ("hold", "model"))
    return f"  {kind:<9} median error: {errors};  won against {won};  live score off by {off}"


def mask_cells(rows: RowBatch, seed: int = 0) -> Bools:
    """(rows, sensors) single cells of the last rows."""
    rng, masked = np.random.default_rng(seed), np.zeros(rows.values.shape, np.bool_)
    masked[_first(rows) :] = rng.random(masked[_first(rows) :].shape) < CELLS
    return _few_enough(masked)


def mask_stretches(rows: RowBatch, length: int, seed: int = 0) -> Bools:
    """(rows, sensors) stretches of so many of the last rows, with as many seen between them."""
    rng, masked = np.random.default_rng(seed), np.zeros(rows.values.shape, np.bool_)
    for first in range(_first(rows) + length, len(rows) - length, 2 * length):
        sensors = rng.choice(rows.values.shape[1], STRETCH_SENSORS, replace=False)
        masked[first : first + length, sensors] = True
    return _few_enough(masked)


def compare(rows: RowBatch, masked: Bools, model: Artifact) -> dict[str, Any]:
    """Errors of the model and of its rivals, on the masked cells that the model fills."""
    values = np.where(masked, np.nan, rows.values)
    holed = RowBatch(rows.machines, rows.times_us, values, rows.grades, rows.broken)
    folded = fold_history(holed, model)
    filled = impute(holed, model)
    rivals = {
        "model": filled.values,
        "held": hold_last(holed, np.asarray(model.manifest.features.fallback)),
        "linear": interpolate(values, folded),
        "mean": folded.centre,
    }
    counted = masked & (filled.by == MODEL)[:, None]
    spread = folded.spread if model.manifest.features.kind == "streaming-z" else rows.values.std(axis=0)
    having = np.flatnonzero(counted.any(axis=0))
    errors = {name: _error(found, rows.values, counted, spread)[having] for name, found in rivals.items()}
    by_sensor = {
        model.manifest.schema.sensors[sensor]: {name: round(float(error[i]), 4) for name, error in errors.items()}
        for i, sensor in enumerate(having.tolist())
    }
    true = _scores(rows, model, "hold")
    off = {}
    ways: tuple[Missing, ...] = ("hold", "model")
    for how in ways:
        scores = _scores(holed, model, how)
        judged = masked.any(axis=1) & np.isfinite(scores) & np.isfinite(true)
        off[f"score_{how}"] = float(np.median(np.abs(scores[judged] / true[judged] - 1)))
    return (
        {"cells": int(counted.sum())}
        | {name: float(np.median(error)) for name, error in errors.items()}
        | {f"won_{name}": float((errors["model"] < errors[name]).mean()) for name in ("held", "linear", "mean")}
        | off
        | {"by_sensor": by_sensor}
    )


def interpolate(values: Floats, folded: Folded) -> Floats:
    """Linear interpolation over the rows of a run, its first and last value held at the ends."""
    found = values.copy()
    for run in np.unique(folded.run[folded.run >= 0]):
        own = np.flatnonzero(folded.run == run)
        for sensor in range(values.shape[1]):
            column = values[own, sensor]
            seen = np.isfinite(column)
            if seen.any():
                found[own, sensor] = np.interp(np.arange(len(own)), np.flatnonzero(seen), column[seen])
    return np.where(np.isnan(found), folded.centre, found)


def _train(csv: Path, named: str, models: Path, schema: Path | None) -> float:
    family, _, settings = named.partition(":")
    command = [sys.executable, "-m", "sheetbreak", "train", str(csv), "--models", str(models), "--family", family]
    command += [word for setting in settings.split(",") if setting for word in ("--set", setting)]
    command += ["--schema", str(schema)] if schema else []
    command += ["--promote", "always"]
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def _first(rows: RowBatch) -> int:
    return round(len(rows) * (1 - TEST_SHARE))


def _few_enough(masked: Bools) -> Bools:
    """Without the rows in which so many would be missing that they are refused."""
    few: Bools = masked.mean(axis=1) <= MAX_MISSING_SHARE
    return masked & few[:, None]


def _error(found: Floats, true: Floats, counted: Bools, spread: Floats) -> Floats:
    """(sensors,) root mean square over the counted cells, in spreads; one beyond 10 counts as 10."""
    off = np.where(counted, np.clip((found - true) / spread, -10, 10), 0.0)
    error: Floats = np.sqrt((off**2).sum(axis=0) / np.maximum(counted.sum(axis=0), 1))
    return error


def _scores(rows: RowBatch, model: Artifact, missing: Missing) -> Floats:
    states: dict[str, State] = {}
    parts = []
    for first in range(0, len(rows), ROWS_AT_ONCE):
        after, results = advance(states, rows.take(slice(first, first + ROWS_AT_ONCE)), model, missing=missing)
        states |= after
        parts.append(results.score)
    return np.concatenate(parts)


if __name__ == "__main__":
    sys.exit(main())
