"""Public plants: BATADAL and Tennessee Eastman, or data laid out as theirs, judged with preset `rows` and no labels.

    .venv/bin/python -m benchmarks.detection.public FOLDER [--seeds 3] [--families pca,dense]
        [--threshold quantile:.99] [--smooth ROWS] [--json FILE]

FOLDER, or each folder in it, is one of two kinds; docs/benchmarks.md says where to get the two public ones.

    a pair    train.csv of normal rows, test.csv with a 0/1 label, schema.toml that names the label under [columns]
              broken, with lead_rows = 0; or BATADAL's dataset03.csv and test_dataset.csv, whose schema is known
    faults    d00.dat, d00_te.dat of normal operation, dNN_te.dat with fault NN from row 160 on, numbers between
              blanks, no header, perhaps gzipped; d00.dat may be transposed, as it is published

Of a pair: F1, and BATADAL's score S, of the rows over the level and of the rows with an open alert. Of faults: the
share of fault rows over the level, beside that of the normal rows of d00_te; and the same at the level that one in a
hundred rows of d00_te is over, which no plant could know beforehand, to compare with papers that choose it so.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.detection.public_files import (
    BATADAL,
    TENNESSEE_PERIOD_S,
    batch_of,
    checksums,
    data_file,
    pair_in,
    plants_in,
    read_numbers,
)
from sheetbreak.engine.state import Results
from sheetbreak.errors import DataError
from sheetbreak.history.reader import read_csv
from sheetbreak.history.schema_file import load_schema
from sheetbreak.rows import BROKEN, RowBatch, Schema
from trainer.families import FAMILIES

FAULT_FROM = 160
"""Of a dNN_te file: the rows before it are normal."""
UNDETECTABLE = (3, 9, 15)
"""Faults of Tennessee Eastman that hardly differ from normal operation: means are often given without them."""
PUBLISHED_COLUMNS = (*range(22), *range(41, 52))
"""The 33 variables that papers on Tennessee Eastman use: 22 measurements, 11 manipulated variables."""
_FIT_SHARE = 0.8

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Choice(NamedTuple):
    """Of all that preset `rows` leaves open."""

    family: str
    seed: int
    policy: str
    smooth: int


class Detection(NamedTuple):
    """What flagged rows are worth against labelled ones."""

    f1: float
    s: float
    precision: float
    recall: float
    found: int
    """Of the attacks: those with a flagged row."""
    attacks: int


def main(argv: Sequence[str] | None = None) -> int:
    """Judge every folder, print its table as it is known, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--families", default="pca,dense")
    parser.add_argument("--threshold", default="quantile:.99")
    parser.add_argument("--smooth", type=int, default=1, help="mean of a row's score and of those before it: rows")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    try:
        folders = plants_in(options.folder)
        found: list[dict[str, Any]] = []
        for folder in folders:
            judge = _judge_faults if data_file(folder, "d00") else _judge_pair
            for line in checksums(folder):
                print(line)
            for family in options.families.split(","):
                for seed in range(_seeds(family, options.seeds)):
                    for one in judge(folder, Choice(family, seed, options.threshold, options.smooth)):
                        found.append({"plant": folder.name, "family": family, "seed": seed} | one)
                        print(_line(found[-1]), flush=True)
    except DataError as error:
        print(f"public: {error}", file=sys.stderr)
        return 2
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    print()
    for line in summary(found):
        print(line)
    return 0


def _seeds(family: str, asked: int) -> int:
    """A family that does not learn, such as pca, gives one model whatever the seed."""
    return asked if family not in FAMILIES or FAMILIES[family].learns else 1


def detect(flagged: Bools, attacked: Bools) -> Detection:
    """F1 of rows, and BATADAL's S: the mean of 1 - time to detection / length of attack, and of (TPR + TNR) / 2.

    Taormina et al., "Battle of the Attack Detection Algorithms" (2018). An attack never found costs its whole length.
    Raises DataError where there is nothing to tell apart.
    """
    if attacked.all() or not attacked.any():
        raise DataError("the test rows are all of one label; rows of both are needed")
    hits = int((flagged & attacked).sum())
    recall, quiet = hits / int(attacked.sum()), float((~flagged)[~attacked].mean())
    precision = hits / int(flagged.sum()) if flagged.any() else 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], attacked, [False]]).astype(np.int8)))
    waits = [int(np.argmax(flagged[a:b])) / (b - a) if flagged[a:b].any() else 1.0 for a, b in edges.reshape(-1, 2)]
    return Detection(
        f1=2 * precision * recall / (precision + recall) if hits else 0.0,
        s=((1 - float(np.mean(waits))) + (recall + quiet) / 2) / 2,
        precision=precision,
        recall=recall,
        found=sum(wait < 1 for wait in waits),
        attacks=len(waits),
    )


def summary(found: list[dict[str, Any]]) -> Iterator[str]:
    """A line a plant, family and choice of columns: means over seeds, least and most in brackets."""
    keys = dict.fromkeys((one["plant"], one["family"], one["columns"]) for one in found)
    for plant, family, columns in keys:
        some = [one for one in found if (one["plant"], one["family"], one["columns"]) == (plant, family, columns)]
        figures = [name for name, value in some[0].items() if isinstance(value, float)]
        told = (f"{name} {_spread([one[name] for one in some])}" for name in figures)
        yield f"{plant}, {family}, {columns} columns, seeds {len(some)}: {'; '.join(told)}"
        if "by_fault" in some[0]:
            for name in some[0]["by_fault"]:
                rates = [one["by_fault"][name] for one in some]
                before, after, at_one = (float(np.mean([rate[i] for rate in rates])) for i in range(3))
                yield f"  fault {name}: {after:.3f} of its rows, {before:.3f} before it; {at_one:.3f} at 1 %"


def _judge_pair(folder: Path, choice: Choice) -> Iterator[dict[str, Any]]:
    files = pair_in(folder)
    assert files is not None
    training, test, described = files
    schema, rows = read_csv(training, load_schema(described) if described else BATADAL, unlabelled=True)
    if schema.lead_rows or not schema.broken:
        raise DataError(f"{folder}/schema.toml: it must name the label under [columns] broken, with lead_rows = 0")
    _, tested = read_csv(test, sensors_from=schema)
    over, alert = _flags(rows, tested, schema, choice)
    attacked = tested.broken == BROKEN
    by_row, by_alert = detect(over, attacked), detect(alert, attacked)
    yield {
        "columns": len(schema.sensors),
        "F1 of rows over": by_row.f1,
        "S": by_row.s,
        "F1 of rows with an open alert": by_alert.f1,
        "S of these": by_alert.s,
        "precision of rows over": by_row.precision,
        "recall": by_row.recall,
        "normal rows over": float(over[~attacked].mean()),
        "found": f"{by_row.found} of {by_row.attacks} attacks",
    }


def _judge_faults(folder: Path, choice: Choice) -> Iterator[dict[str, Any]]:
    training, normal = (data_file(folder, name) for name in ("d00", "d00_te"))
    if not training or not normal:
        raise DataError(f"{folder}: d00_te.dat is missing; d00.dat and d00_te.dat are normal operation")
    faults = sorted(path for path in folder.glob("d[0-9][0-9]_te.dat*") if not path.name.startswith("d00"))
    if not faults:
        raise DataError(f"{folder}: no file dNN_te.dat of a fault")
    tested = {path.name[1:3]: read_numbers(path) for path in (normal, *faults)}
    fitted, width = read_numbers(training), tested["00"].shape[1]
    if fitted.shape[1] != width and fitted.shape[0] == width:
        fitted = fitted.T
    for name, values in {"d00": fitted, **tested}.items():
        if values.shape[1] != width:
            raise DataError(f"{folder}: {name} has {values.shape[1]} columns, d00_te {width}")
        if name not in ("d00", "00") and len(values) <= FAULT_FROM:
            raise DataError(
                f"{folder}: d{name}_te has {len(values)} rows; the fault is expected from row {FAULT_FROM} on"
            )
    choices = [np.arange(width)] + ([np.array(PUBLISHED_COLUMNS)] if width == 52 else [])
    for columns in choices:
        yield _of_faults(
            fitted[:, columns],
            {name: values[:, columns] for name, values in tested.items()},
            choice,
        )


def _of_faults(fitted: Floats, tested: dict[str, Floats], choice: Choice) -> dict[str, Any]:
    sensors = tuple(f"v{number}" for number in range(1, fitted.shape[1] + 1))
    schema = Schema(sensors=sensors, period_s=TENNESSEE_PERIOD_S, stop_gap_s=1.5 * TENNESSEE_PERIOD_S, lead_rows=0)
    # One machine a file: each is a run of its own, and of preset `rows` nothing passes from one row to the next.
    names = list(tested)
    batch = batch_of([tested[name] for name in names], names)
    results = _score(batch_of([fitted], ["training"]), batch, schema, choice)
    of = {name: np.array([one == name for one in batch.machines]) for name in names}
    at_one = float(np.quantile(results.score[of["00"]], 0.99))
    rates = {}
    for name in names[1:]:
        over, score = results.over[of[name]], results.score[of[name]]
        before, after = over[:FAULT_FROM].mean(), over[FAULT_FROM:].mean()
        rates[name] = (float(before), float(after), float((score[FAULT_FROM:] > at_one).mean()))
    seen = [name for name in rates if int(name) not in UNDETECTABLE] or list(rates)
    return {
        "columns": len(sensors),
        "normal rows over, d00_te": float(results.over[of["00"]].mean()),
        "normal rows over, before the faults": float(np.mean([rate[0] for rate in rates.values()])),
        "fault rows over": float(np.mean([rate[1] for rate in rates.values()])),
        "without 3, 9, 15": float(np.mean([rates[name][1] for name in seen])),
        "fault rows over at 1 % of d00_te": float(np.mean([rate[2] for rate in rates.values()])),
        "these without 3, 9, 15": float(np.mean([rates[name][2] for name in seen])),
        "by_fault": rates,
    }


def _flags(rows: RowBatch, tested: RowBatch, schema: Schema, choice: Choice) -> tuple[Bools, Bools]:
    """(tested rows,) twice: over the level; with an open alert."""
    from trainer.data.labels import label_rows
    from trainer.metrics.scored_rows import score_rows

    results = _score(rows, tested, schema, choice)
    scored = score_rows(tested, label_rows(tested, schema), results, schema)
    alert = np.zeros(len(tested), np.bool_)
    alert[scored.row] = scored.alert_open
    return results.over, alert


def _score(rows: RowBatch, tested: RowBatch, schema: Schema, choice: Choice) -> Results:
    """Train as `sheetbreak train --preset rows --test` does, and score the tested rows from a cold start."""
    from trainer.training.backend import configure_tensorflow

    configure_tensorflow()
    from trainer.data.history import score_history
    from trainer.data.labels import label_rows
    from trainer.data.splits import chronological
    from trainer.training.pipeline import Recipe, choose_threshold, fit_pipeline
    from trainer.training.presets import preset_named

    family, seed, policy, smooth = choice
    settings = {"smooth": smooth}
    recipe = Recipe(preset=preset_named("rows"), family=family, policy=policy, seed=seed, settings=settings)
    split = chronological(rows.times_us, (_FIT_SHARE, 1 - _FIT_SHARE, 0.0))
    trained = choose_threshold(fit_pipeline(rows, schema, labels=label_rows(rows, schema), split=split, recipe=recipe))
    return score_history(tested, trained.artifact)[1]


def _line(one: dict[str, Any]) -> str:
    told = "; ".join(f"{name} {value:.3f}" for name, value in one.items() if isinstance(value, float))
    return (
        f"{one['plant']}, {one['family']}, {one['columns']} columns, seed {one['seed']}: {told}; {one.get('found', '')}"
    )


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    sys.exit(main())
