"""Ledger: a directory with one file per finished task, so that an interrupted comparison goes on where it was.

A file's name is a digest of all that decides its content: rows, labels and folds, scorer with every setting, seed,
fold, our code and the libraries. It is written beside and renamed, so it is there whole or not at all; one that does
not read as it should (a full disk, a copy cut short) counts as absent, and the task is done again.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from sheetbreak.errors import DataError
from trainer.comparison.sources import running_versions
from trainer.comparison.tasks import Ground, Outcome, Task
from trainer.metrics.evaluation import Figures, Point
from trainer.metrics.hindsight import RecallCurve
from trainer.metrics.scored_rows import COLUMNS, ScoredRows
from trainer.output.files import replaced

_POINT_ARRAYS = ("recall", "leads")
_SCALARS = ("period_s", "lead_rows")


class Ledger:
    """Outcomes by task, kept in a directory; several comparisons may write to it."""

    def __init__(self, folder: Path, ground: Ground) -> None:
        """Makes the directory. Raises DataError where that cannot be."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as cause:
            raise DataError(f"--work {folder}: {cause.strerror}; name a directory of yours") from cause
        if not os.access(folder, os.W_OK):
            raise DataError(f"--work {folder} cannot be written; name a directory of yours")
        self._folder = folder
        self._common = {"ground": ground_digest(ground), "versions": running_versions()}

    def read(self, task: Task) -> Outcome | None:
        """What the task gave; None if it is not finished."""
        try:
            with np.load(BytesIO(self._path(task).read_bytes()), allow_pickle=False) as kept:
                arrays = {name: kept[name] for name in kept.files}
            return _unpacked(arrays, key=self._key(task))
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
            return None  # not whole, and so not finished

    def write(self, task: Task, outcome: Outcome) -> None:
        """Keep what the task gave. Raises DataError where the file cannot be written."""
        content = BytesIO()
        np.savez_compressed(content, **_packed(outcome, key=self._key(task)))
        path = self._path(task)
        try:
            with replaced(path, "wb") as file:
                file.write(content.getbuffer())
        except OSError as cause:
            raise DataError(f"{path}: {cause.strerror}; what is finished is kept: start again to go on") from cause

    def _key(self, task: Task) -> str:
        own = {"scorer": task.scorer.identity, "seed": task.seed, "fold": task.fold}
        return hashlib.sha256(json.dumps(self._common | own, sort_keys=True).encode()).hexdigest()

    def _path(self, task: Task) -> Path:
        """The first words are for people; the digest decides."""
        scorer = task.scorer
        word = scorer.recipe.family if scorer.recipe else scorer.other.algorithm if scorer.other else ""
        return self._folder / f"{word}-seed{task.seed}-fold{task.fold}-{self._key(task)[:24]}.npz"


def ground_digest(ground: Ground) -> str:
    """sha256 of the rows with their labels, the schema, the preset's name and the folds."""
    rows, digest = ground.rows, hashlib.sha256()
    for part in _parts(ground):
        digest.update(len(part).to_bytes(8, "big") + part)
    digest.update(json.dumps([rows.machines, rows.grades]).encode())
    return digest.hexdigest()


def _parts(ground: Ground) -> Iterator[bytes]:
    rows, labels = ground.rows, ground.labels
    for array in (rows.times_us, rows.values, rows.broken, labels.will_break, labels.judged, labels.run, labels.normal):
        yield np.ascontiguousarray(array).tobytes()
    yield msgspec.json.encode(ground.schema)
    yield ground.preset.name.encode()
    for fold, split in sorted(ground.splits.items()):
        yield str(fold).encode()
        for array in (split.fit, split.validation, split.test):
            yield np.ascontiguousarray(array).tobytes()


def _packed(outcome: Outcome, *, key: str) -> dict[str, Any]:
    """Plain arrays; what is no array goes as JSON into one of bytes."""
    figures = outcome.figures
    points = [
        [*place, *(getattr(point, f.name) for f in fields(Point) if f.name not in _POINT_ARRAYS)]
        for place, point in figures.points.items()
    ]
    rest = {
        "key": key,
        "threshold": outcome.threshold,
        "seconds": outcome.seconds,
        "roc_auc": figures.roc_auc,
        "average_precision": figures.average_precision,
        "points": points,
        "curves": list(figures.curves),
        **{name: getattr(figures.rows, name) for name in _SCALARS},
    }
    arrays: dict[str, Any] = {f"row_{name}": getattr(figures.rows, name) for name in COLUMNS}
    for number, point in enumerate(figures.points.values()):
        arrays |= {f"point_{number}_{name}": getattr(point, name) for name in _POINT_ARRAYS}
    for horizon, curve in figures.curves.items():
        arrays |= {f"curve_{horizon}_{f.name}": getattr(curve, f.name) for f in fields(RecallCurve)}
    arrays |= {"resampled_auc": figures.resampled_auc, "resampled_precision": figures.resampled_precision}
    return arrays | {"rest": np.frombuffer(json.dumps(rest).encode(), np.uint8)}


def _unpacked(arrays: dict[str, Any], *, key: str) -> Outcome:
    """Raises ValueError or KeyError if it is not what `_packed` made for that key."""
    rest = json.loads(arrays["rest"].tobytes())
    if rest["key"] != key:
        raise ValueError("another task's")
    names = [f.name for f in fields(Point) if f.name not in _POINT_ARRAYS]
    points = {
        (horizon, per_day): Point(
            **dict(zip(names, values, strict=True)), **{name: arrays[f"point_{n}_{name}"] for name in _POINT_ARRAYS}
        )
        for n, (horizon, per_day, *values) in enumerate(rest["points"])
    }
    rows = ScoredRows(**{name: arrays[f"row_{name}"] for name in COLUMNS}, **{name: rest[name] for name in _SCALARS})
    figures = Figures(
        rows=rows,
        roc_auc=rest["roc_auc"],
        average_precision=rest["average_precision"],
        resampled_auc=arrays["resampled_auc"],
        resampled_precision=arrays["resampled_precision"],
        points=points,
        curves={
            horizon: RecallCurve(**{f.name: arrays[f"curve_{horizon}_{f.name}"] for f in fields(RecallCurve)})
            for horizon in rest["curves"]
        },
    )
    return Outcome(figures=figures, threshold=rest["threshold"], seconds=rest["seconds"])
