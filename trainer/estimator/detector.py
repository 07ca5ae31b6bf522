"""Detector: a training as scikit-learn has outlier detectors, scored by the monitor's own engine."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import DEAD_LETTER, STOPPED, WARMING_UP, Missing
from sheetbreak.errors import DataError
from sheetbreak.graph import onnx_reconstruct
from sheetbreak.python.model import Model
from sheetbreak.rows import RowBatch, Schema
from trainer.estimator.frames import SchemaLike, read_frame, read_rows

if TYPE_CHECKING:
    from trainer.training.pipeline import Recipe

Floats = npt.NDArray[np.float64]
_GRAPH = "model.onnx"
_UNSCORED = (WARMING_UP, STOPPED, DEAD_LETTER)
_FEWEST_ROWS = 2
log = logging.getLogger(__name__)


class InputError(DataError, ValueError):
    """A table or setting that cannot be used, as scikit-learn expects to be told: a ValueError."""


class SheetBreakDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """An outlier detector of sensor rows: what `sheetbreak train` fits, behind scikit-learn's methods.

    preset: "default", "article" or "rows". family, threshold: as `train` takes them; threshold None: the preset's.
    settings: of the family, such as {"latent": 8, "epochs": 10}, as `--set` takes them. schema: what the columns of a
    table mean: the path of a schema file, its tables as a mapping, or a `sheetbreak.rows.Schema`; None: the published
    file's, or columns called time, broken, machine and grade. validation: the share of the rows, the last ones in time,
    that chooses epoch and threshold. random_state: seed of the net. fewest_rows: break-free rows to learn from, below
    which `fit` refuses; with fewer than 20 a spread means little. missing: as in `sheetbreak.Model.score`.

    X is a table as `sheetbreak.Model.score` takes it, with the columns of time, machine, grade and label where there
    are any, or an array of (rows, sensors), one sampling period apart. Rows are taken in the order of time, whatever
    their order in X; the answer is in X's order. y is not used, as by scikit-learn's own outlier detectors. Rows of a
    broken sheet, which are not learned from, are told by the table's column of labels, or by `fit(X, broken=…)`.

    Rows without a score (a machine that warms up, a broken sheet, a row that is refused) count as ordinary: the median
    score of the training rows stands in, and the log counts them; `model_.score(X)` says which they are. Rows that are
    later than all training rows of their machine go on from them, as `monitor --history` does; others begin cold.

    Fitted: `model_`, a `sheetbreak.Model` with `score` and `explain`; `offset_`, less the fixed level of the threshold;
    `schema_`; `n_features_in_`, and for a table `feature_names_in_`.
    """

    def __init__(
        self,
        *,
        preset: str = "default",
        family: str = "dense",
        threshold: str | None = None,
        settings: Mapping[str, Any] | None = None,
        schema: SchemaLike | None = None,
        validation: float = 0.2,
        random_state: Any = 0,
        fewest_rows: int = 20,
        missing: Missing = "hold",
    ) -> None:
        self.preset = preset
        self.family = family
        self.threshold = threshold
        self.settings = settings
        self.schema = schema
        self.validation = validation
        self.random_state = random_state
        self.fewest_rows = fewest_rows
        self.missing = missing

    def fit(self, X: Any, y: Any = None, *, broken: Any = None) -> Self:  # noqa: ARG002 - as in scikit-learn's own
        """Train on the rows of X, the break-free ones where there are labels.

        broken: (n,) 1 or True where the sheet is broken, in place of the table's column of labels. Raises InputError
        (a ValueError) for what cannot be learned from.
        """
        X = self._checked(X, reset=True)
        try:
            self._fit(X, broken)
        except DataError as error:
            raise InputError(str(error)) from error
        return self

    def score_samples(self, X: Any) -> Floats:
        """(n,) the negative score: the lower, the more unusual. Raises InputError."""
        return -self._scores(X)[0]

    def decision_function(self, X: Any) -> Floats:
        """(n,) the level at each row less its score: negative where the row is an outlier. Raises InputError."""
        score, level = self._scores(X)
        return level - score

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """(n,) -1 where the row's score is over its level, else 1. Raises InputError."""
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def recipe(self) -> "Recipe":
        """What is trained. Raises DataError for a parameter that does not exist."""
        from trainer.training.pipeline import Recipe, settings_given
        from trainer.training.presets import preset_named

        given = [f"{name}={value}" for name, value in (self.settings or {}).items()]
        state = self.random_state
        whole = isinstance(state, int | np.integer) and not isinstance(state, bool)
        return Recipe(
            preset=preset_named(self.preset),
            family=self.family,
            policy=self.threshold,
            seed=int(state) if whole else int(check_random_state(state).randint(2**31)),
            settings=settings_given(self.family, given),
        )

    def _fit(self, X: Any, broken: Any) -> None:
        ready_tensorflow()
        from trainer.data.history import score_history
        from trainer.data.splits import chronological
        from trainer.training.pipeline import choose_threshold, fit_pipeline

        if not 0 < self.validation < 1:
            raise DataError(f"validation is {self.validation}, expected a share of the rows between 0 and 1")
        recipe = self.recipe()
        rows, schema = read_frame(X, self.schema, labels=broken)
        rows = rows.take(np.argsort(rows.times_us, kind="stable"))
        split = chronological(rows.times_us, (1 - self.validation, self.validation, 0.0))
        labels = recipe.preset.labels(rows, schema)
        fit = fit_pipeline(rows, schema, labels=labels, split=split, recipe=recipe, fewest=self.fewest_rows)
        trained = choose_threshold(fit)
        self.schema_: Schema = schema
        self._manifest, self._graph = trained.artifact.manifest, trained.files[_GRAPH]
        self.model_ = self._model()
        self._states = score_history(rows, self.model_.artifact)[0]
        self._last_us = dict(zip(rows.machines, rows.times_us.tolist(), strict=True))  # rows are in order of time
        level = self._manifest.threshold.level
        self._usual = min(float(np.nanmedian(trained.results.score)), level)
        self.offset_ = -level

    def _scores(self, X: Any) -> tuple[Floats, Floats]:
        """(n,) scores and levels, in the order of X."""
        from trainer.data.history import score_history

        check_is_fitted(self)
        X = self._checked(X, reset=False)
        graded = bool(self._manifest.threshold.grade_levels)
        try:
            rows = read_rows(X, self.schema_, graded=graded)
        except DataError as error:
            raise InputError(str(error)) from error
        order = np.argsort(rows.times_us, kind="stable")
        ordered = rows.take(order)
        _, results = score_history(ordered, self.model_.artifact, self._states_before(ordered, X), missing=self.missing)
        unscored = np.isnan(results.score)
        if unscored.any():
            counts = Counter(outcome for outcome in results.outcome if outcome in _UNSCORED)
            told = " ".join(f"{outcome}={count}" for outcome, count in sorted(counts.items()))
            log.info("event=rows-without-score %s of=%d note=%r", told, len(rows), "they count as ordinary")
        score, level = np.empty(len(rows)), np.empty(len(rows))
        score[order] = np.where(unscored, self._usual, results.score)
        level[order] = np.where(unscored, -self.offset_, results.threshold)
        return score, level

    def _states_before(self, rows: RowBatch, X: Any) -> dict[str, Any]:
        """Of machines whose rows all come after their training rows."""
        if isinstance(X, np.ndarray) or self.schema_.time is None:
            return {}
        first_us: dict[str, int] = {}
        for machine, time_us in zip(rows.machines, rows.times_us.tolist(), strict=True):
            first_us.setdefault(machine, time_us)
        later = {name for name, time_us in first_us.items() if time_us > self._last_us.get(name, time_us)}
        return {name: state for name, state in self._states.items() if name in later}

    def _checked(self, X: Any, *, reset: bool) -> Any:
        """An array as scikit-learn checks it; of a table its columns are counted and named, and found by name later."""
        if isinstance(X, Mapping) and not issparse(X):  # one kind of sparse matrix is a mapping
            return X
        if hasattr(X, "columns") or hasattr(X, "__dataframe__"):
            if hasattr(X, "rename") and not all(isinstance(name, str) for name in X.columns):
                X = X.rename(columns=str)  # pandas numbers columns that have no names
            if reset:
                validate_data(self, X, skip_check_array=True)
            return X
        least = _FEWEST_ROWS if reset else 1
        return validate_data(
            self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=least
        )

    def _model(self) -> Model:
        return Model(Artifact.of(self._manifest, onnx_reconstruct(self._graph)))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "model_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_graph" in state:
            self.model_ = self._model()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def ready_tensorflow() -> None:
    """Raises DataError where TensorFlow is at work already under settings that would give other figures."""
    from trainer.training.backend import configure_tensorflow

    try:
        configure_tensorflow()
    except RuntimeError as cause:
        raise DataError(
            f"TensorFlow is in use in this process with other settings ({cause}), and sums would be ordered otherwise; "
            "restart it and fit before TensorFlow is used for anything else"
        ) from cause
