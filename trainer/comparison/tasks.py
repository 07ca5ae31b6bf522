"""Task: one scorer with one seed on one fold; it depends on nothing else, so that any process can do it.

Everything that is slow happens here, the resampling too; what is left to judge together takes seconds.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from sheetbreak.errors import DataError
from sheetbreak.rows import BROKEN, RowBatch, Schema
from trainer.comparison.outside import Detector, GivenScores
from trainer.comparison.scorers import Baseline, Outside, Scorer, with_seed
from trainer.data.labels import Bools, Floats, Labels
from trainer.data.splits import Split
from trainer.evaluation.detectors import load_factory
from trainer.evaluation.fold_baselines import baseline_score, fit_inputs, outside_score
from trainer.evaluation.folds import rolling_origin
from trainer.metrics.evaluation import Figures, measure
from trainer.metrics.scored_rows import ScoredRows, score_rows, unscored_rows
from trainer.training.pipeline import Recipe, choose_threshold, fit_pipeline
from trainer.training.presets import Preset


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all scorers run over: the same rows, labels and folds."""

    rows: RowBatch
    schema: Schema
    preset: Preset
    labels: Labels
    splits: Mapping[int, Split]
    """By fold, from 1."""

    @classmethod
    def of(cls, rows: RowBatch, schema: Schema, preset: Preset, *, left_out: Bools | None = None) -> "Ground":
        """A whole history with the folds of `backtest`. left_out: (rows,) kept from what is learned."""
        splits = dict(enumerate(rolling_origin(rows.times_us), start=1))
        labels = preset.labels(rows, schema).leaving_out(left_out)
        return cls(rows=rows, schema=schema, preset=preset, labels=labels, splits=splits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One scorer, seed and fold."""

    scorer: Scorer
    seed: int
    fold: int

    @property
    def place(self) -> tuple[str, int, int]:
        """Scorer's name, seed and fold: what tells it from the others of its comparison."""
        return self.scorer.name, self.seed, self.fold

    def __str__(self) -> str:
        return f"{self.scorer.name}, seed {self.seed}, fold {self.fold}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a task gave."""

    figures: Figures
    """Of the fold's test rows."""
    threshold: str | None
    """The policy that was deployed, with its parameter; None for a baseline."""
    seconds: float
    """For fitting and scoring; what judging took is not counted."""


def run_task(task: Task, ground: Ground) -> Outcome:
    """Fit on the fold's past and judge its test rows, on one thread. Raises DataError naming the task."""
    from trainer.training.backend import configure_tensorflow  # no-op after the first; a baseline could do without

    configure_tensorflow()
    # One thread: with several a sum's order, and so its last bits, depends on how many cores are free.
    with threadpool_limits(limits=1):
        begin = time.perf_counter()
        scorer, split = task.scorer, ground.splits[task.fold]
        threshold = None
        try:
            if scorer.recipe:
                rows, policy = _by_model(with_seed(scorer.recipe, task.seed), ground, split)
                threshold = policy if scorer.deployable else None
            else:
                assert scorer.other
                score = _score_of(scorer.other, ground, split, task)
                rows = unscored_rows(ground.rows, ground.labels, ground.schema)
                rows = rows.with_score(np.asarray(score[rows.row])).of_file_rows(split.test)
        except DataError as error:
            raise DataError(f"{task}: {error}") from error
        seconds = time.perf_counter() - begin
        if not scorer.deployable:
            rows = rows.with_score(rows.score)  # without what a threshold made of it
        return Outcome(figures=measure(rows, number=task.fold), threshold=threshold, seconds=seconds)


def _by_model(recipe: Recipe, ground: Ground, split: Split) -> tuple[ScoredRows, str]:
    """The test rows as a model trained by the recipe scores them, with its own labels to learn from; its threshold."""
    own = recipe.preset.labels(ground.rows, ground.schema).leaving_out(ground.labels.left_out)
    trained = choose_threshold(fit_pipeline(ground.rows, ground.schema, labels=own, split=split, recipe=recipe))
    scored = score_rows(ground.rows, ground.labels, trained.honest, ground.schema)
    return scored.of_file_rows(split.test), trained.artifact.manifest.threshold.policy


def _score_of(other: Baseline | Outside, ground: Ground, split: Split, task: Task) -> Floats:
    """(rows,) what a scorer without a model of ours makes of the test rows; NaN where it has no score."""
    if isinstance(other, GivenScores):
        score = other.of_fold(task.fold, rows=len(ground.rows))
        if not np.isfinite(score[split.test]).any():
            raise DataError(f"the file has no score of the rows {split.test.min():,} to {split.test.max():,}")
        # A broken sheet has no score here, as it has none from the others: it opens no alert.
        return np.where((ground.rows.broken == BROKEN) & (ground.schema.lead_rows > 0), np.nan, score)
    assert isinstance(other, Baseline | Detector)
    inputs = fit_inputs(
        ground.rows,
        ground.schema,
        labels=ground.labels,
        split=split,
        kind=other.kind,
        break_is_stop=ground.preset.break_is_stop,
    )
    if isinstance(other, Baseline):
        return baseline_score(other.algorithm, ground.rows, inputs, labels=ground.labels, split=split, seed=task.seed)
    return outside_score(
        load_factory(other.target), inputs, labels=ground.labels, split=split, seed=task.seed, name=task.scorer.name
    )
