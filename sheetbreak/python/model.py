"""Model from Python: tables scored and explained by the monitor's own `advance`, from a cold start."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

from sheetbreak import artifact
from sheetbreak.engine.advance import Expectation, advance_explained
from sheetbreak.engine.alerts import ratio_of
from sheetbreak.engine.model import MAX_CELLS, Artifact, Manifest
from sheetbreak.engine.scores import largest_parts
from sheetbreak.engine.state import DEAD_LETTER, WARMING_UP, Missing, Results, State
from sheetbreak.errors import ArtifactError, DataError
from sheetbreak.python.columns import rows_of
from sheetbreak.python.tables import Column, Table, table_of
from sheetbreak.rows import RowBatch

_AT_ONCE_ROWS, _AT_ONCE_CELLS = 4096, 4 * MAX_CELLS
"""Rows, and cells of windows, that one call of `advance` takes: they bound memory and change no score."""
_STATES = {WARMING_UP: "warming-up", DEAD_LETTER: "dead-letter"}
Frame = TypeVar("Frame")
Array = npt.NDArray[Any]
log = logging.getLogger(__name__)


_REFUSED = {
    "late": "each row must be later than its machine's last: sort the table by time",
    "repeated": "each row must be later than its machine's last: drop rows that stand twice",
}
"""By reason: what to do about rows that are refused."""


def load(models: str | PathLike[str] = "models", version: str | None = None) -> "Model":
    """The model that is current in a directory of models, or the named version, verified.

    Raises ArtifactError saying what is wrong and what to do.
    """
    if version is not None and version not in (there := artifact.list_versions(Path(models))):
        raise ArtifactError(f"{models} holds no model {version}; it holds {', '.join(there) or 'none'}")
    return Model(artifact.load(Path(models), version))


@dataclass(frozen=True)
class Model:
    """A trained model that scores tables of rows as the monitor scores a stream.

    A table is a pandas or polars DataFrame, a mapping of column names to arrays, or an array of (rows, sensors) in the
    order of `sensors`; every answer is of the same kind with one row for each, an array's answer a structured array of
    (rows,). Columns are found by the names in the model's schema: the sensors, in plant units, and where they are there
    machine, time, grade and label. Without a machine the rows are one machine's. Times are texts in the schema's
    format, or datetimes; without a zone they are in the schema's. A DataFrame's index of times may stand for the
    column. Without times the rows are one period apart. Each machine's rows must be in the order of time, and begin
    with a cold start: what the monitor would write of a file with the same rows.
    """

    artifact: Artifact

    @property
    def version(self) -> str:
        """As `sheetbreak models` lists it."""
        return self.artifact.version

    @property
    def manifest(self) -> Manifest:
        """Schema, settings and held-out metrics."""
        return self.artifact.manifest

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names in the order of an array's columns."""
        return self.manifest.schema.sensors

    def __repr__(self) -> str:
        manifest = self.manifest
        return f"<sheetbreak model {self.version}: {manifest.preset}, {manifest.family}, {len(self.sensors)} sensors>"

    @overload
    def score(self, frame: Array, *, missing: Missing = "hold") -> Array: ...
    @overload
    def score(self, frame: Mapping[str, Any], *, missing: Missing = "hold") -> dict[str, Any]: ...
    @overload
    def score(self, frame: Frame, *, missing: Missing = "hold") -> Frame: ...
    def score(self, frame: Any, *, missing: Missing = "hold") -> Any:
        """State, score, threshold, ratio and over of every row, behind its machine and time where the table has them.

        state: "scored", "warming-up", "restarting" (scored, soon after a stop: opens no alert), "stopped" (the sheet
        is broken) or "dead-letter" (refused: late, or too many missing values; counted in the log). score: float64,
        the mean over the sensors of their errors, higher is more unusual. threshold: the level at that row. ratio:
        score / threshold. over: whether the score is above it. The three numbers are NaN in a row without a score.
        missing: what stands in for a missing value, its last one ("hold") or what the model makes of the other sensors
        ("model"), as `monitor --missing`.

        Raises DataError for a table that cannot be read, naming the missing column, or column, row and value.
        """
        table, rows = self._read(frame, missing)
        columns = _empty_scores(len(rows))
        for part, results, _ in self._advance(rows, missing):
            _put_scores(columns, part, results)
        return table.answer(columns, kept=self._kept(table))

    @overload
    def explain(self, frame: Array, *, leading: int | None = None, missing: Missing = "hold") -> Array: ...
    @overload
    def explain(
        self, frame: Mapping[str, Any], *, leading: int | None = None, missing: Missing = "hold"
    ) -> dict[str, Any]: ...
    @overload
    def explain(self, frame: Frame, *, leading: int | None = None, missing: Missing = "hold") -> Frame: ...
    def explain(self, frame: Any, *, leading: int | None = None, missing: Missing = "hold") -> Any:
        """What every row's sensors were, and what the model expected of them, in plant units.

        Columns "SENSOR observed" and "SENSOR expected" for every sensor, float64, NaN in a row without a score; behind
        machine and time where the table has them. leading=N: instead the N sensors with the largest part in the row's
        score, largest first, as "sensor 1", "share 1" (of the whole, 0 to 1), "observed 1", "expected 1", …; the
        monitor's `top` are the first five. Where a value was missing, observed is what stood in for it.

        Raises DataError as `score` does, and for a `leading` below 1.
        """
        if leading is not None and not 1 <= leading <= len(self.sensors):
            raise DataError(f"leading is {leading}, expected 1 to {len(self.sensors)}, the number of sensors, or None")
        table, rows = self._read(frame, missing)
        shape = len(rows), len(self.sensors)
        observed, expected, contributions = np.empty(shape), np.empty(shape), np.empty(shape)
        for part, results, found in self._advance(rows, missing):
            observed[part], expected[part] = found
            contributions[part] = results.contributions
        if leading is not None:
            columns = _leading(self.sensors, contributions, observed=observed, expected=expected, count=leading)
        else:
            columns = {}
            for i, sensor in enumerate(self.sensors):
                columns[f"{sensor} observed"], columns[f"{sensor} expected"] = observed[:, i], expected[:, i]
        return table.answer(columns, kept=self._kept(table))

    def _read(self, frame: Any, missing: Missing) -> tuple[Table, RowBatch]:
        if missing not in ("hold", "model"):
            raise DataError(f'missing is {missing!r}, expected "hold" or "model"')
        table = table_of(frame, sensors=self.sensors, time=self.manifest.schema.time)
        return table, rows_of(table, self.manifest.schema, graded=bool(self.manifest.threshold.grade_levels))

    def _kept(self, table: Table) -> list[str]:
        schema = self.manifest.schema
        named = (schema.machine, schema.time, schema.clock)
        return [name for name in named if name is not None and name in table.names]

    def _advance(self, rows: RowBatch, missing: Missing) -> Iterator[tuple[slice, Results, Expectation]]:
        """All rows from a cold start, some at a time."""
        states: dict[str, State] = {}
        refused: Counter[str] = Counter()
        step = max(1, min(_AT_ONCE_ROWS, _AT_ONCE_CELLS // (self.manifest.window * len(self.sensors))))
        for first in range(0, len(rows), step):
            part = slice(first, min(first + step, len(rows)))
            after, results, found = advance_explained(states, rows.take(part), self.artifact, missing=missing)
            states |= after
            refused.update(error.reason for _, error in results.rejects)
            yield part, results, found
        for reason, count in refused.items():
            note = _REFUSED.get(reason, "")
            log.warning("event=rows-refused reason=%s count=%d of=%d note=%r", reason, count, len(rows), note)


def _empty_scores(n: int) -> dict[str, Column]:
    numbers = {name: np.full(n, np.nan) for name in ("score", "threshold", "ratio")}
    return {"state": np.empty(n, "U12"), **numbers, "over": np.zeros(n, np.bool_)}


def _put_scores(columns: Mapping[str, Column], part: slice, results: Results) -> None:
    """As the monitor's messages have them: a row without a score has no threshold either."""
    columns["state"][part] = [_STATES.get(outcome, outcome) for outcome in results.outcome]
    scored = ~np.isnan(results.score)
    columns["score"][part], columns["over"][part] = results.score, results.over & scored
    columns["threshold"][part] = np.where(scored, results.threshold, np.nan)
    columns["ratio"][part] = [
        ratio_of(score, level) for score, level in zip(results.score.tolist(), results.threshold.tolist(), strict=True)
    ]


def _leading(
    sensors: Sequence[str], contributions: Column, *, observed: Column, expected: Column, count: int
) -> dict[str, Column]:
    """The largest parts in each row's score; blank names in a row without one."""
    rows, names = np.flatnonzero(~np.isnan(contributions[:, 0])), np.array(sensors)
    order, share = largest_parts(contributions[rows], count=count)
    columns: dict[str, Column] = {}
    for rank in range(count):
        which, found = order[:, rank], dict[str, Column]()
        found["sensor"] = np.full(len(contributions), "", names.dtype)
        found["sensor"][rows] = names[which]
        for what, cells in (
            ("share", share[:, rank]),
            ("observed", observed[rows, which]),
            ("expected", expected[rows, which]),
        ):
            found[what] = np.full(len(contributions), np.nan)
            found[what][rows] = cells
        columns |= {f"{what} {rank + 1}": column for what, column in found.items()}
    return columns
