"""Scores from outside: a detector of another library, or a file of scores, under the protocol of every other scorer."""

import hashlib
import importlib
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from sheetbreak.errors import DataError
from trainer.comparison.scorers import Scorer
from trainer.data.labels import Floats, Ints
from trainer.evaluation.detectors import load_factory, made, takes_seed
from trainer.evaluation.fold_baselines import FeatureKind
from trainer.training.presets import Preset

_NO_SCORER = "NAME=FILE with a name of letters, digits, dashes and dots is expected, such as mine=scores.csv"


class Detector(NamedTuple):
    """A detector that `--detector` names."""

    target: str
    """package.module:Factory."""
    kind: FeatureKind
    source: str
    """The version of its library, or a digest of its source: with another one it is fitted again."""

    @property
    def algorithm(self) -> str:
        """For file names."""
        return "detector"

    @property
    def identity(self) -> list[str]:
        """Where it comes from, and what it sees."""
        return ["detector", *self]


@dataclass(frozen=True, slots=True)
class GivenScores:
    """Scores that a file holds: one for all folds, or one for each."""

    digest: str
    """Of the file."""
    row: Ints = field(compare=False, repr=False)
    score: Floats = field(compare=False, repr=False)
    fold: Ints | None = field(compare=False, repr=False)

    @property
    def algorithm(self) -> str:
        """For file names."""
        return "scores"

    @property
    def identity(self) -> list[str]:
        """The file's content."""
        return ["scores", self.digest]

    def of_fold(self, number: int, *, rows: int) -> Floats:
        """(rows,) the scores for a fold, NaN where there is none."""
        mine = slice(None) if self.fold is None else self.fold == number
        spread = np.full(rows, np.nan)
        spread[self.row[mine]] = self.score[mine]
        return spread


def outside_scorers(
    detectors: Sequence[str], scores: Sequence[str], *, preset: Preset, rows: int, taken: Sequence[str]
) -> list[Scorer]:
    """What `--detector` and `--scores` name. rows: of the history. taken: names of other scorers. Raises DataError."""
    found = [_detector(text, preset) for text in detectors] + [_given(text, rows=rows) for text in scores]
    names = [*taken]
    for scorer in found:
        if scorer.name in names:
            raise DataError(f"there are two scorers called {scorer.name}; give one another name: NAME=…")
        names.append(scorer.name)
    return found


def _detector(text: str, preset: Preset) -> Scorer:
    name, equals, target = text.partition("=")
    name, target = (name, target) if equals else (text, text)
    detector = made(load_factory(target), seed=0, name=f"--detector {target}")
    other = Detector(target, preset.features, _source_of(target.partition(":")[0]))
    return Scorer(name=name, title=name, other=other, seeded=takes_seed(detector))


def _source_of(module: str) -> str:
    """The version of the library that holds a module; of one's own file or package a digest of its source."""
    package = module.partition(".")[0]
    if distributions := packages_distributions().get(package):
        return " ".join(f"{one} {version(one)}" for one in sorted(set(distributions)))
    file = getattr(sys.modules.get(package) or importlib.import_module(package), "__file__", None)
    if file is None:
        file = getattr(sys.modules[module], "__file__", None)
    if file is None:
        return ""
    path = Path(file)
    paths = sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
    digest = hashlib.sha256()
    for one in paths:
        digest.update(one.name.encode() + b"\0" + hashlib.sha256(one.read_bytes()).digest())
    return digest.hexdigest()


def _given(text: str, *, rows: int) -> Scorer:
    name, equals, file = text.partition("=")
    if not equals or not file or not name or not all(sign.isalnum() or sign in "-_.:" for sign in name):
        raise DataError(f"--scores {text}: {_NO_SCORER}")
    path = Path(file)
    try:
        content = path.read_bytes()
        table = pd.read_csv(path, dtype=str)  # Python reads a number to its last digit
    except (OSError, ValueError, pd.errors.ParserError) as cause:
        reason = getattr(cause, "strerror", None) or " ".join(str(cause).split())
        raise DataError(f"--scores {path}: {reason}; a CSV with the columns row and score is expected") from cause
    given = _checked(table, path, rows=rows, digest=hashlib.sha256(content).hexdigest())
    return Scorer(name=name, title=name, other=given, seeded=False)


def _checked(table: pd.DataFrame, path: Path, *, rows: int, digest: str) -> GivenScores:
    for column in ("row", "score"):
        if column not in table.columns:
            there = ", ".join(map(str, table.columns[:8]))
            raise DataError(f"--scores {path} line 1: there is no column {column}, only {there}; row,score is expected")
    lines = np.arange(2, len(table) + 2)
    if "split" in table.columns:  # as `backtest --scores` writes: a row validates one fold and tests another
        tested = (table["split"] == "test").to_numpy()
        table, lines = table[tested], lines[tested]
    if not len(table):
        raise DataError(f"--scores {path}: no scores stand in it; a line for each row scored is expected")
    numbers = {name: _numbers(table, name, path, lines) for name in ("row", "score", "fold") if name in table.columns}
    row, score, fold = numbers["row"], numbers["score"], numbers.get("fold")
    outside = ~((row >= 0) & (row < rows) & (row == np.floor(row)))
    if outside.any():
        at = int(outside.argmax())
        raise DataError(
            f"--scores {path} line {lines[at]}: row {row[at]:g} is none of the history's, which are 0 to {rows - 1:,}"
        )
    if (infinite := np.isinf(score)).any():
        at = int(infinite.argmax())
        raise DataError(f"--scores {path} line {lines[at]}: a score is infinite; leave it blank where there is none")
    keys = row if fold is None else row + 1j * fold
    _, first = np.unique(keys, return_index=True)
    if len(first) < len(keys):
        again = np.ones(len(keys), np.bool_)
        again[first] = False
        at = int(again.argmax())
        raise DataError(f"--scores {path} line {lines[at]}: row {row[at]:g} stands there twice; one score a row")
    return GivenScores(digest, row.astype(np.int64), score, None if fold is None else fold.astype(np.int64))


def _numbers(table: pd.DataFrame, name: str, path: Path, lines: Ints) -> Floats:
    """(n,) NaN where a score is blank; a row or fold must not be."""
    found = np.full(len(table), np.nan)
    for i, cell in enumerate(table[name].tolist()):
        with suppress(ValueError):
            found[i] = float(cell)  # a blank cell is NaN already
        if np.isnan(found[i]) and (isinstance(cell, str) or name != "score"):
            raise DataError(
                f'--scores {path} line {lines[i]}, column {name}: "{cell}" is not a number; mend or drop it'
            )
    return found
