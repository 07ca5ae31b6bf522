"""Folds by rolling origin: eight expanding ones, each fitted on the past alone and judged on the rows that follow.

b = 20, 30 … 90 % of the rows by time: fit on [0, b-5 %), validate on [b-5 %, b), test on [b, b+10 %). Design
choices are made on the earlier four; the later four say what they are worth.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import Results
from sheetbreak.errors import DataError
from sheetbreak.rows import RowBatch, Schema
from trainer.data.labels import Ints, Labels
from trainer.data.splits import Split, chronological
from trainer.evaluation.fold_baselines import cheap_baselines, costly_baselines
from trainer.metrics.scored_rows import ScoredRows, score_rows
from trainer.output.progress import Progress
from trainer.training.alarm_replay import ScoredHistory
from trainer.training.fit import EpochLoss
from trainer.training.pipeline import Recipe, choose_threshold, fit_pipeline

ORIGINS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
VALIDATED = 0.05
TESTED = 0.1
LATER = slice(4, None)
"""The folds that no design choice was made on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold, run: what the model and its baselines make of the test rows."""

    number: int
    """1…8."""
    split: Split
    results: Results
    """The model's, of all rows."""
    model: ScoredRows
    """Test rows."""
    baselines: dict[str, ScoredRows]
    """Test rows as each baseline scores them, by name."""
    threshold: str
    """The policy that was deployed, with its parameter."""
    artifact: Artifact
    """The model, without a version."""
    held_out: ScoredHistory
    """What `results` is made of..."""
    learned: Ints
    """...and the rows that the model was fitted on."""
    history: list[EpochLoss]
    """Losses of every epoch; empty for a model without trainable weights."""
    best_epoch: int | None
    """Index into history."""
    seconds: float
    """For fitting and scoring the model; baselines not counted."""


def rolling_origin(times_us: Ints) -> list[Split]:
    """The folds of rows at these times, (n,) in any order; rows of one time stay together."""
    folds = []
    for origin in ORIGINS:
        past = chronological(times_us, (origin - VALIDATED, VALIDATED, 1 - origin))
        future = chronological(times_us, (origin, TESTED, 1 - origin - TESTED))
        folds.append(Split(past.fit, past.validation, future.validation))
    return folds


def run_fold(
    number: int,
    split: Split,
    rows: RowBatch,
    schema: Schema,
    *,
    labels: Labels,
    recipe: Recipe,
    with_costly: bool,
    progress: Callable[[str], Callable[[int], Progress] | None],
) -> Fold:
    """Train on a fold's past by the recipe, as `train` does, and score its test rows, beside the baselines.

    labels: of all rows, for every scorer; the published model is trained on its own. with_costly: with the
    costly baselines. progress: of what is being done, a maker of displays. Raises DataError naming the fold.
    """
    begin = time.perf_counter()
    try:
        fit = fit_pipeline(
            rows, schema, labels=labels, split=split, recipe=recipe, progress=progress(f"fold {number} of 8")
        )
        trained = choose_threshold(fit)
        seconds = time.perf_counter() - begin
        baselines = cheap_baselines(rows, schema, labels=labels, split=split, trained=trained)
        if with_costly:
            display = progress(f"fold {number} of 8, published model")
            baselines |= costly_baselines(
                rows, schema, labels=labels, split=split, trained=trained, recipe=recipe, progress=display
            )
    except DataError as error:
        raise DataError(f"fold {number} of 8: {error}") from error
    scored = score_rows(rows, labels, trained.honest, schema)
    by_baseline = {
        name: scored.with_score(score[scored.row]).of_file_rows(split.test) for name, score in baselines.items()
    }
    return Fold(
        number=number,
        split=split,
        results=trained.honest,
        model=scored.of_file_rows(split.test),
        baselines=by_baseline,
        threshold=trained.artifact.manifest.threshold.policy,
        artifact=trained.artifact,
        held_out=trained.held_out,
        learned=trained.learned,
        history=trained.fitted.history,
        best_epoch=trained.fitted.best_epoch,
        seconds=seconds,
    )
