"""Detectors of others: anything with `fit` and a score, fitted on a fold's past and asked about the rows after it."""

import importlib
import inspect
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from sheetbreak.errors import DataError
from trainer.data.labels import Floats

Factory = Callable[[], Any]
HIGHER = "higher_is_more_unusual"
"""An attribute of a detector that says so, True or False, where its library's convention does not."""
_ADVICE = "expected package.module:Factory, such as sklearn.ensemble:IsolationForest"


def load_factory(target: str) -> Factory:
    """The class or function that "package.module:Factory" names, found as Python run here would find it.

    Raises DataError saying what is not there.
    """
    module, colon, name = target.partition(":")
    if not colon or not module or not name:
        raise DataError(f"--detector {target}: {_ADVICE}")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # a detector of one's own lies beside the data
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as cause:
        raise DataError(
            f"--detector {target}: there is no module {cause.name}; install it beside sheetbreak, or start in the "
            "folder that holds it"
        ) from cause
    except AttributeError as cause:
        raise DataError(f"--detector {target}: {cause}; {_ADVICE}") from cause
    except Exception as cause:
        raise DataError(f"--detector {target}: importing it failed: {type(cause).__name__}: {cause}") from cause
    if not callable(found):
        raise DataError(f"--detector {target}: a {type(found).__name__} makes no detector; {_ADVICE}")
    factory: Factory = found
    return factory


def copies_of(detector: Any) -> Factory:
    """Makes unfitted detectors like this one."""
    if hasattr(detector, "get_params"):
        from sklearn.base import clone

        return lambda: clone(detector)
    return lambda: deepcopy(detector)


def made(make: Factory, *, seed: int | None, name: str) -> Any:
    """A detector, with the seed where one is given and it takes one.

    Raises DataError for what has no `fit` or no score.
    """
    try:
        detector = make()
    except Exception as cause:
        raise DataError(f"{name}: making it without arguments failed: {type(cause).__name__}: {cause}") from cause
    if not callable(getattr(detector, "fit", None)) or _scores_of(detector) is None:
        raise DataError(
            f"{name}: a {type(detector).__name__} has no fit and score_samples or decision_function; expected a "
            "detector of outliers such as those of scikit-learn, PyOD or aeon"
        )
    if seed is not None and takes_seed(detector):
        detector.set_params(random_state=seed)
    return detector


def takes_seed(detector: Any) -> bool:
    """Whether it has scikit-learn's parameter `random_state`."""
    return hasattr(detector, "set_params") and "random_state" in detector.get_params(deep=False)


def is_unusual_high(detector: Any) -> bool:
    """Whether its score is the higher the more unusual a row: PyOD's and aeon's are, scikit-learn's the other way."""
    said = getattr(detector, HIGHER, None)
    if said is not None:
        return bool(said)
    return bool({"pyod", "aeon"} & _libraries(detector))


def detector_score(make: Factory, fit: Floats, rows: Floats, *, seed: int | None, name: str) -> Floats:
    """(n,) what it makes of `rows`, once fitted on `fit`, both (…, sensors); higher is more unusual.

    One whose score of a row changes with the rows that come after it is asked about each row alone, as PyOD's ECOD
    is, whose tails count all rows that it is asked about; but for aeon's, which score a series as a whole.

    Raises DataError where it fails, or gives no number a row.
    """
    detector = made(make, seed=seed, name=name)
    ask = _scores_of(detector)
    assert ask is not None
    try:
        if _is_aeon(detector):
            detector.fit(fit, axis=0)
        else:
            detector.fit(fit)
        found = np.asarray(ask(rows), np.float64)
        if not _is_aeon(detector) and _looks_ahead(ask, rows, found):
            found = np.concatenate([np.asarray(ask(row), np.float64) for row in rows[:, None]])
    except Exception as cause:
        raise DataError(f"{name}: {type(cause).__name__}: {cause}") from cause
    if found.shape != (len(rows),) or not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).sum())
        what = f"got shape {found.shape}, {bad} of them no number"
        raise DataError(f"{name}: expected a finite score for each of {len(rows)} rows, {what}")
    return found if is_unusual_high(detector) else -found


def _looks_ahead(ask: Callable[[Floats], Any], rows: Floats, found: Floats) -> bool:
    """Whether the first half of the rows would have other scores without the second."""
    half = len(rows) // 2
    if not half or found.shape != (len(rows),):
        return False
    return not np.allclose(np.asarray(ask(rows[:half]), np.float64), found[:half], rtol=1e-6, equal_nan=True)


def convention(detector: Any) -> str:
    """How its score is read, for people."""
    ask = _scores_of(detector)
    name = getattr(ask, "__name__", "score")
    return f"{name}, {'higher' if is_unusual_high(detector) else 'lower'} is more unusual"


def _scores_of(detector: Any) -> Callable[[Floats], Any] | None:
    """The method that scores rows; PyOD's and aeon's have no score_samples."""
    for method in ("score_samples", "decision_function"):
        if callable(found := getattr(detector, method, None)):
            return found  # type: ignore[no-any-return]  # of a library without types
    if _is_aeon(detector) and callable(getattr(detector, "predict", None)):

        def predict(rows: Floats) -> Any:
            return detector.predict(rows, axis=0)

        return predict
    return None


def _is_aeon(detector: Any) -> bool:
    """Its detectors score a whole series by `predict`, and are told which axis is time."""
    return "aeon" in _libraries(detector) and "axis" in inspect.signature(detector.fit).parameters


def _libraries(detector: Any) -> set[str]:
    return {one.__module__.partition(".")[0] for one in type(detector).__mro__}
