"""Scores from outside: a detector or a file of scores gives the built-in baselines' figures to the last digit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from sklearn.ensemble import IsolationForest

import trainer
from sheetbreak.errors import DataError
from sheetbreak.rows import BROKEN
from tests.support.data.histories import SCHEMA_TOML, mill_like, schema_of, write_csv
from trainer.commands.compare import main
from trainer.comparison.outside import outside_scorers
from trainer.comparison.scorers import named_scorers
from trainer.comparison.tasks import Ground, Task, run_task
from trainer.evaluation.baselines import ecod
from trainer.evaluation.detectors import detector_score, load_factory
from trainer.training.pipeline import Recipe
from trainer.training.presets import preset_named

ROWS = mill_like(1200)
PRESET = preset_named("default")
GROUND = Ground.of(ROWS, schema_of(6), PRESET)
OWN = """
import numpy as np

class Distance:
    '''Mean distance from the centre, in spreads; the higher the more unusual.'''
    higher_is_more_unusual = True
    def fit(self, X):
        self.centre, self.spread = X.mean(axis=0), X.std(axis=0)
    def decision_function(self, X):
        return np.abs((X - self.centre) / self.spread).mean(axis=1)

class Negated(Distance):
    higher_is_more_unusual = False
    def decision_function(self, X):
        return -super().decision_function(X)

class Broken(Distance):
    def decision_function(self, X):
        return np.full(len(X), np.nan)

number = 3
"""


def written_scores(name: str, path: Path) -> Path:
    """The scores of a baseline, of every fold, as a user would write them."""
    (scorer,) = named_scorers(name, base=Recipe(preset=PRESET), texts=[], schema=GROUND.schema)
    rows = [run_task(Task(scorer=scorer, seed=0, fold=fold), GROUND).figures.rows for fold in GROUND.splits]
    row, score = (np.concatenate([getattr(one, what) for one in rows]) for what in ("row", "score"))
    pd.DataFrame({"row": row, "score": score}).to_csv(path, index=False)
    return path


def figures(scorer: dict[str, Any]) -> dict[str, Any]:
    return {key: scorer[key] for key in ("folds", "overall", "later", "seed_aucs", "seeds")}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By name: what `compare` makes of two baselines and of the same from outside."""
    folder = tmp_path_factory.mktemp("outside")
    history = write_csv(folder / "h.csv", ROWS)
    (folder / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    scores = written_scores("mean-abs-z", folder / "scores.csv")
    arguments = [str(history), "--schema", str(folder / "plant.toml"), "--work", str(folder / "work"), "--jobs", "1"]
    arguments += ["--family", "isolation-forest,mean-abs-z", "--json", str(folder / "out.json")]
    arguments += ["--detector", "sklearn.ensemble:IsolationForest", "--scores", f"mine={scores}"]
    assert main(arguments) == 0
    found = json.loads((folder / "out.json").read_text())
    return {one["name"]: one for one in found["scorers"]}


def test_a_detector_of_scikit_learn_gives_the_figures_of_the_same_baseline(compared: dict[str, Any]) -> None:
    outside, inside = compared["sklearn.ensemble:IsolationForest"], compared["isolation-forest"]
    assert figures(outside) == figures(inside)
    assert inside["overall"]["roc_auc"] > 0.6
    assert outside["difference"]["roc_auc"] == 0
    assert outside["difference"]["roc_auc_interval"] == [0, 0]


def test_scores_that_are_written_out_and_read_again_give_the_figures_of_their_scorer(compared: dict[str, Any]) -> None:
    assert figures(compared["mine"]) == figures(compared["mean-abs-z"])
    for what in ("roc_auc", "roc_auc_interval", "recall"):
        assert compared["mine"]["difference"][what] == compared["mean-abs-z"]["difference"][what]


def test_a_backtest_from_python_gives_the_figures_that_compare_gives(compared: dict[str, Any]) -> None:
    columns = {
        "time": pd.to_datetime(ROWS.times_us, unit="us", utc=True),
        "broken": (ROWS.broken == BROKEN).astype(int),
    }
    frame = pd.DataFrame(columns | {f"s{i}": ROWS.values[:, i] for i in range(6)})
    found = trainer.backtest(frame, detector=IsolationForest(random_state=0))
    expected = run_task(Task(scorer=_forest(), seed=0, fold=3), GROUND).figures
    line = found.folds[found.folds["fold"] == "3"].iloc[0]
    assert (line["roc_auc"], line["average_precision"]) == (expected.roc_auc, expected.average_precision)
    scores = found.scores[found.scores["fold"] == 3]
    np.testing.assert_array_equal(scores["score"], expected.rows.score)
    np.testing.assert_array_equal(scores["row"], expected.rows.row)
    assert list(found.folds["fold"]) == [*"12345678", "all folds", "last 4 folds"]
    assert len(found.recall) == 90
    assert len(found.deployed) == 0
    assert str(found).startswith("Breaks warned of in %")


def _forest() -> Any:
    return named_scorers("isolation-forest", base=Recipe(preset=PRESET), texts=[], schema=GROUND.schema)[0]


def test_a_detector_of_ones_own_lies_in_the_folder_where_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [one for one in __import__("sys").path if one])
    (tmp_path / "detector_beside.py").write_text(OWN)
    draw = np.random.default_rng(1)
    fit, rows = draw.normal(size=(200, 3)), draw.normal(size=(40, 3))
    rows[7] += 9
    found = detector_score(load_factory("detector_beside:Distance"), fit, rows, seed=0, name="own")
    assert found.argmax() == 7
    other = detector_score(load_factory("detector_beside:Negated"), fit, rows, seed=0, name="own")
    np.testing.assert_array_equal(other, found)
    with pytest.raises(DataError, match="own: expected a finite score for each of 40 rows"):
        detector_score(load_factory("detector_beside:Broken"), fit, rows, seed=0, name="own")
    for target, message in (
        ("detector_beside", "expected package.module:Factory"),
        ("detector_beside:Nearness", "has no attribute 'Nearness'"),
        ("detector_beside:number", "a int makes no detector"),
        ("no_such_library.x:Y", "there is no module no_such_library"),
    ):
        with pytest.raises(DataError, match=message):
            load_factory(target)


def test_a_changed_detector_is_another_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = tmp_path / "changing_detector.py"
    own.write_text(OWN)

    def identity() -> Any:
        (found,) = outside_scorers(["mine=changing_detector:Distance"], [], preset=PRESET, rows=9, taken=[])
        return found.identity

    before = identity()
    assert before == identity()
    own.write_text(OWN + "# other\n")
    assert before != identity()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,score\n1,2\n1,3\n", "line 3: row 1 stands there twice"),
        ("row,score\n1200,2\n", "line 2: row 1200 is none of the history's, which are 0 to 1,199"),
        ("row,score\n0.5,2\n", "line 2: row 0.5 is none"),
        ("row,score\n4,high\n", 'line 2, column score: "high" is not a number'),
        ("row,score\n4,inf\n", "line 2: a score is infinite"),
        ("row,value\n4,1\n", "line 1: there is no column score, only row, value"),
        ("row,score\n", "no scores stand in it"),
        ("", "columns row and score is expected"),
    ],
)
def test_scores_that_cannot_be_used_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        outside_scorers([], [f"mine={path}"], preset=PRESET, rows=1200, taken=[])


def test_names_and_missing_folds_are_told(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("row,score\n" + "\n".join(f"{i},{i % 7}" for i in range(600)) + "\n")
    with pytest.raises(DataError, match="two scorers called pca"):
        outside_scorers([], [f"pca={path}"], preset=PRESET, rows=1200, taken=["pca"])
    with pytest.raises(DataError, match="NAME=FILE"):
        outside_scorers([], [str(path)], preset=PRESET, rows=1200, taken=[])
    (given,) = outside_scorers([], [f"mine={path}"], preset=PRESET, rows=1200, taken=[])
    run_task(Task(scorer=given, seed=0, fold=1), GROUND)
    with pytest.raises(DataError, match="mine, seed 0, fold 8: the file has no score of the rows 1,080 to 1,199"):
        run_task(Task(scorer=given, seed=0, fold=8), GROUND)


def test_of_a_file_that_a_backtest_wrote_the_test_rows_count(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("row,fold,split,score\n300,2,validation,9\n300,1,test,1\n301,1,test,\n301,2,test,4\n")
    (given,) = outside_scorers([], [f"mine={path}"], preset=PRESET, rows=1200, taken=[])
    assert given.other
    first, second = (given.other.of_fold(number, rows=1200) for number in (1, 2))  # type: ignore[union-attr]  # a file's
    assert first[300] == 1
    assert np.isnan(first[301])
    assert second[301] == 4
    assert np.isnan(second[300])


class Ecod:
    """As PyOD has it: the tails count the rows that it is asked about."""

    higher_is_more_unusual = True

    def fit(self, X: Any) -> None:
        self.past = X

    def decision_function(self, X: Any) -> Any:
        known = np.concatenate([self.past, X])
        low, high = (-np.log(rankdata(sign * known, method="max", axis=0) / len(known)) for sign in (1, -1))
        return np.maximum(low, high).sum(axis=1)[-len(X) :]


class Forecast(Ecod):
    """Scores each row by those before it, so that it must be asked about all at once."""

    def decision_function(self, X: Any) -> Any:
        known = np.concatenate([self.past[-1:], X])
        return np.abs(np.diff(known, axis=0)).sum(axis=1)


def test_no_detector_scores_a_row_by_later_ones_and_ecod_is_pyod_s() -> None:
    rng = np.random.default_rng(5)
    fit, rows = rng.normal(size=(200, 4)), 2 * rng.normal(size=(30, 4))
    found = detector_score(Ecod, fit, rows, seed=None, name="own")
    np.testing.assert_allclose(found, ecod(fit, rows), rtol=1e-12)
    np.testing.assert_array_equal(found[:5], detector_score(Ecod, fit, rows[:5], seed=None, name="own"))
    forecast = detector_score(Forecast, fit, rows, seed=None, name="own")
    np.testing.assert_array_equal(forecast[1:], np.abs(np.diff(rows, axis=0)).sum(axis=1))
