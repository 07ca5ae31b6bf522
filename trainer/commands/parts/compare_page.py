"""Page of a comparison: the scorers, their differences from the first, plots."""

from collections.abc import Sequence

from sheetbreak.rows import Schema
from trainer.comparison.result import Comparison
from trainer.comparison.text import differences, heads
from trainer.evaluation.tables import NONE
from trainer.metrics.evaluation import Interval
from trainer.report.compare_page import compare_page
from trainer.report.page import Cell, Table


def comparison_page(found: Comparison, *, schema: Schema, facts: Sequence[str]) -> str:
    """The page as HTML; facts: what it was made from, a line each."""
    first = found.first.scorer.title
    paired = Table(
        title=f"Against {first}, on the later folds",
        says="Each scorer less the first, in hundredths, with 95 % from the same resampled blocks of rows for both. An "
        "interval that holds 0: the data do not tell the two apart.",
        heads=("", *heads(schema)),
        lines=[
            (name, [_cell(value, interval) for value, interval in line])
            for name, line in differences(found, schema).items()
        ],
    )
    return compare_page(
        {one.scorer.title: (one.overall, one.figures) for one in found.scorers},
        title="Comparison",
        facts=facts,
        period_s=schema.period_s,
        lead_rows=schema.lead_rows,
        tables=[paired] if len(found.scorers) > 1 else [],
    )


def _cell(value: float | None, interval: Interval | None) -> Cell:
    if value is None:
        return Cell(NONE)
    beside = f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}" if interval else ""
    return Cell(f"{100 * value:+.1f}", beside=beside, value=value)
