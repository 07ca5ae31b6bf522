"""Judged stretches of rows, each with the history it lies in: what plots of an evaluation are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import Results
from sheetbreak.rows import RowBatch
from sheetbreak.wire.labels import Label
from sheetbreak.wire.messages import ANY_PLANT, Plant
from trainer.data.labels import Floats, Ints
from trainer.metrics.evaluation import Evaluation, Figures
from trainer.metrics.scored_rows import ScoredRows


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One stretch of judged rows: a fold's test rows, or those of a training."""

    name: str
    figures: Figures
    batch: RowBatch
    """The history that the rows' numbers count in."""
    results: Results
    """The model's, of every row of `batch`."""
    model: Artifact | None = None
    """To ask what it expected; None: it is not shown."""

    @property
    def rows(self) -> ScoredRows:
        """The judged stretch."""
        return self.figures.rows

    @property
    def times_us(self) -> Ints:
        """(n,) of the stretch's rows."""
        return self.batch.times_us[self.rows.row]

    @property
    def threshold(self) -> Floats:
        """(n,) the deployed one; NaN where a row was not scored."""
        return self.results.threshold[self.rows.row]

    @property
    def shares(self) -> Floats:
        """(n, sensors) each sensor's share of the row's error; NaN where a row was not scored."""
        return error_shares(self.results.contributions[self.rows.row])


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A model over one or several stretches."""

    stretches: Sequence[Judgement]
    evaluation: Evaluation
    """Over all of them."""
    period_s: float
    sensors: tuple[str, ...]
    lead_rows: int
    plant: Plant = ANY_PLANT
    """Its clock and units."""
    verdicts: Sequence[Label] = ()
    """Of operators, on alarms over the same rows that other models may have raised."""

    @property
    def positives_named(self) -> str:
        """What the rows are that a score should rank high."""
        return "rows just before a break" if self.lead_rows else "anomalous rows"


def error_shares(contributions: Floats) -> Floats:
    """(n, sensors) each sensor's share of its row's error; NaN where a row was not scored."""
    whole = contributions.sum(axis=1, keepdims=True)
    shares: Floats = np.full_like(contributions, np.nan)
    np.divide(contributions, whole, out=shares, where=whole > 0)
    return shares
