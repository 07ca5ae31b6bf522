"""Provenance of a trained model: where it comes from, enough to train it again, and which rows it has seen."""

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sheetbreak.history.joining import History
from sheetbreak.rows import BROKEN, RowBatch
from sheetbreak.times import format_time

if TYPE_CHECKING:
    from trainer.data.labels import Ints, Labels
    from trainer.data.splits import Split
    from trainer.training.pipeline import Recipe, Trained

SCORES = "evaluation/scores.csv"
"""Within an artifact."""


def provenance_of(
    options: argparse.Namespace,
    history: History,
    rows: RowBatch,
    recipe: "Recipe",
    split: "Split",
    split_text: str,
) -> dict[str, Any]:
    """For the manifest's `training`. options: of `train`."""
    return {
        "data": history.name,
        "data_sha256": history.sha256,
        "rows": len(rows),
        "break_rows": int((rows.broken == BROKEN).sum()),
        "until": options.until,
        "test_data": options.test.name if options.test else None,
        "test_data_sha256": _sha256(options.test) if options.test else None,
        "split": split_text,
        "fit_rows": len(split.fit),
        "validation_rows": len(split.validation),
        "test_rows": None if options.test else len(split.test),
        "first_row": format_time(int(rows.times_us.min())),
        "fit_until": _last(rows, split.fit),
        "seen_until": _last(rows, np.concatenate([split.fit, split.validation])),
        "seed": recipe.seed,
        "settings": recipe.settled.as_json(),
    }


def epochs_file(trained: "Trained") -> bytes:
    """CSV of the losses of every epoch; `kept` marks the one whose weights are in the model."""
    lines = ["epoch,loss,validation_loss,kept"]
    for number, loss in enumerate(trained.fitted.history):
        kept = int(number == trained.fitted.best_epoch)
        lines.append(f"{number + 1},{loss.training!r},{loss.validation!r},{kept}")
    return ("\n".join(lines) + "\n").encode()


def policy_file(
    trained: "Trained", labels: "Labels", split: "Split", recipe: "Recipe", *, data: str, scores: bytes
) -> dict[str, bytes]:
    """What `whatif` needs of a training, by its path within the artifact."""
    from trainer.evaluation.policy_file import SUFFIX, FoldScores, pack_policy_file

    fold = FoldScores(
        fit=split.fit,
        validation=split.validation,
        test=split.test,
        learned=trained.learned,
        held_out=trained.held_out.score,
        score=trained.results.score,
    )
    policy = recipe.policy or recipe.preset.threshold
    content = pack_policy_file(
        trained.held_out, labels, [fold], data=data, policy=policy, alert=recipe.alert, scores=scores
    )
    return {SCORES + SUFFIX: content}


def _last(rows: RowBatch, some: "Ints") -> str:
    """The latest time of some rows."""
    return format_time(int(rows.times_us[some].max()))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
