"""Search: trials over the dev folds, each cut short when its first folds say that it will not be the best.

The rows behind the dev folds are cut off before anything else looks at them.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from sheetbreak.errors import DataError
from sheetbreak.rows import RowBatch, Schema
from trainer.comparison.ledger import Ledger, ground_digest
from trainer.comparison.pool import Pool
from trainer.comparison.result import Difference, differ
from trainer.comparison.scorers import Scorer
from trainer.comparison.sources import sources_digest
from trainer.comparison.tasks import Ground, Task
from trainer.comparison.tuning.space import settings_tried
from trainer.comparison.tuning.study import fail, finished_trials, next_trial
from trainer.data.labels import Bools, Ints
from trainer.data.splits import Split
from trainer.evaluation.folds import LATER, rolling_origin
from trainer.metrics.evaluation import Evaluation, Figures, summarise
from trainer.settings.values import Value
from trainer.training.pipeline import Recipe
from trainer.training.presets import Preset
from trainer.training.versions import library_versions

_WARNED_AT = (30, 5)
"""Horizon in rows and false alarms a day of the goal `warned`."""
_REPEATS = 25
"""So many trials in a row that draw what was drawn before: nothing new is to be expected."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found so far."""

    best: dict[str, Value | None]
    """The settings of the best trial; empty where no trial beat the defaults."""
    value: float
    """Of the goal, for `best`."""
    default_value: float
    tuned: Evaluation
    """Over the dev folds: they were chosen on these."""
    defaults: Evaluation
    gain: Difference
    trials: int
    cut_short: int
    failed: int
    tried: list[tuple[dict[str, Value | None], float | None]]
    """Every finished trial in order, and its value; None: cut short or not to be judged."""


def dev_ground(rows: RowBatch, schema: Schema, preset: Preset, *, left_out: Bools | None = None) -> Ground:
    """The dev folds of a history, and no row behind them. left_out: (rows,) kept from what is learned.

    Whether a break follows the last rows is not known either: a label never looks at what was cut off.
    """
    splits = rolling_origin(rows.times_us)[: LATER.start]
    last = splits[-1]
    kept = np.sort(np.concatenate([last.fit, last.validation, last.test]))

    def renumbered(split: Split) -> Split:
        return Split(*(_places(kept, part) for part in (split.fit, split.validation, split.test)))

    dev = rows.take(kept)
    return Ground(
        rows=dev,
        schema=schema,
        preset=preset,
        labels=preset.labels(dev, schema).leaving_out(None if left_out is None else left_out[kept]),
        splits=dict(enumerate(map(renumbered, splits), start=1)),
    )


def study_name(ground: Ground, recipe: Recipe, space: Mapping[str, BaseDistribution], goal: str) -> str:
    """A digest of all that decides what a trial is worth: a search goes on only where all of it is the same."""
    parts = {
        "ground": ground_digest(ground),
        "family": recipe.family,
        "seed": recipe.seed,
        "settings": recipe.settled.as_json(),
        "space": {name: repr(where) for name, where in space.items()},
        "goal": goal,
        "code": sources_digest(__name__),
        "libraries": library_versions() | {"optuna": optuna.__version__},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Search:
    """Trials of one recipe's settings over the folds of a ground."""

    def __init__(
        self,
        study: optuna.Study,
        recipe: Recipe,
        ground: Ground,
        *,
        ledger: Ledger,
        pool: Pool,
        space: Mapping[str, BaseDistribution],
        goal: str,
    ) -> None:
        self._study, self._recipe, self._ground, self._space = study, recipe, ground, space
        self._ledger, self._pool, self._goal = ledger, pool, goal

    def run(
        self,
        *,
        trials: int | None,
        over: Callable[[], bool],
        tell: Callable[[Sequence[FrozenTrial]], None],
        tick: Callable[[], None],
    ) -> None:
        """Trials until there are so many, or it is `over`, or nothing new is drawn; a fold that was begun is finished.

        The defaults are judged first. Raises DataError if even they cannot be.
        """
        defaults = list(self._figures({}, "defaults", tick))
        if math.isnan(goal_value(defaults, self._goal)):
            raise DataError(
                "no break in the rows that the dev folds judge: there is nothing to tune for; give more rows"
            )
        repeats = 0
        while not over() and repeats < _REPEATS:
            done = finished_trials(self._study)
            tell(done)
            if trials is not None and len(done) >= trials:
                return
            trial = next_trial(self._study, self._space, seed=self._recipe.seed)
            known = [settings_tried(one.params) for one in done]
            repeats = repeats + 1 if settings_tried(trial.params) in known else 0
            self._try(trial, over, tick)

    def found(self) -> Found | None:
        """The best of what is finished; None before the defaults are judged."""
        defaults = self._known({}, "defaults")
        if defaults is None:
            return None
        done = finished_trials(self._study)
        complete = [trial for trial in done if trial.state == TrialState.COMPLETE]
        default_value = goal_value(defaults, self._goal)
        top = max(complete, key=lambda trial: trial.value or -math.inf, default=None)
        settings: dict[str, Value | None] = {}
        if top is not None and top.value is not None and top.value > default_value:
            settings = settings_tried(top.params)
        best = self._known(settings, "best") or defaults
        return Found(
            best=settings,
            value=goal_value(best, self._goal),
            default_value=default_value,
            tuned=summarise(best, deployed=False),
            defaults=summarise(defaults, deployed=False),
            gain=differ([[one] for one in best], [[one] for one in defaults], folds=list(self._ground.splits)),
            trials=len(done),
            cut_short=sum(trial.state == TrialState.PRUNED for trial in done),
            failed=sum(trial.state == TrialState.FAIL for trial in done),
            tried=[
                (settings_tried(one.params), one.value if one.state == TrialState.COMPLETE else None) for one in done
            ],
        )

    def _try(self, trial: Trial, over: Callable[[], bool], tick: Callable[[], None]) -> None:
        seen: list[Figures] = []
        try:
            for figures in self._figures(settings_tried(trial.params), f"trial {trial.number}", tick):
                seen.append(figures)
                last = len(seen) == len(self._ground.splits)
                value = goal_value(seen, self._goal)
                if not math.isnan(value):  # no break so far
                    trial.report(value, step=len(seen))
                if not last and trial.should_prune():
                    self._study.tell(trial, state=TrialState.PRUNED)
                    return
                if not last and over():
                    fail(self._study, trial)
                    return
        except DataError as error:
            fail(self._study, trial, error=str(error))
            return
        self._study.tell(trial, goal_value(seen, self._goal))

    def _figures(self, settings: Mapping[str, Value | None], name: str, tick: Callable[[], None]) -> Iterator[Figures]:
        """Of one fold after the other; who stops asking leaves later folds undone."""
        tasks = self._tasks(settings, name)
        running = self._pool.run([task for task in tasks if self._ledger.read(task) is None], tick=tick)
        for task in tasks:
            while (outcome := self._ledger.read(task)) is None:
                next(running)
            yield outcome.figures

    def _known(self, settings: Mapping[str, Value | None], name: str) -> list[Figures] | None:
        """Of all folds, if they are finished."""
        outcomes = [self._ledger.read(task) for task in self._tasks(settings, name)]
        found = [outcome.figures for outcome in outcomes if outcome]
        return found if len(found) == len(outcomes) else None

    def _tasks(self, settings: Mapping[str, Value | None], name: str) -> list[Task]:
        recipe = replace(self._recipe, settings={**self._recipe.settings, **settings})
        recipe.settled  # noqa: B018 - raises DataError for settings that exclude each other
        scorer = Scorer(name=name, title=name, recipe=recipe, seeded=True)
        return [Task(scorer=scorer, seed=recipe.seed, fold=fold) for fold in self._ground.splits]


def goal_value(folds: Sequence[Figures], goal: str) -> float:
    """The goal's mean over folds; of those that have breaks, as all trials do on the same rows.

    auc: ROC AUC. warned: breaks warned of within 30 rows at 5 false alarms a day, less what chance warns of. NaN where
    no fold has a break.
    """
    if goal == "auc":
        values = [one.roc_auc for one in folds if one.roc_auc is not None]
    else:
        points = [one.points[_WARNED_AT] for one in folds if one.points]
        values = [float(point.recall[0]) - point.chance for point in points]
    return float(np.mean(values)) if values else math.nan


def _places(kept: Ints, rows: Ints) -> Ints:
    places: Ints = np.searchsorted(kept, rows)
    return places
