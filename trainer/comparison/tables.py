"""Tables of a comparison: scorers with their intervals, and their differences from the first."""

from collections.abc import Mapping, Sequence

from sheetbreak.times import duration
from trainer.evaluation.tables import NONE, bracketed, percent, recalls, share
from trainer.metrics.evaluation import Evaluation, Interval
from trainer.metrics.events import HORIZONS
from trainer.metrics.hindsight import BUDGETS
from trainer.output.text import table

SHOWN = ((HORIZONS[1], BUDGETS[1]), (HORIZONS[2], BUDGETS[1]))
"""Horizon and rate of the columns: what an operator has time to act on."""


def compared_table(
    scorers: Mapping[str, tuple[Evaluation, Evaluation, str]], *, period_s: float, later: str, events: bool
) -> str:
    """Scorers with intervals: over all folds, over the later ones, and a word on their seeds.

    later: what the later folds are called. events: False where no row foretells another.
    """
    points = SHOWN if events else ()
    warned = ["breaks warned of in %, (by chance), so far ahead, at so many false alarms a day"] if events else []
    heads = ["all", "AUC [95 %]", "seeds", "AP", "rows", *point_heads(points, period_s)]
    shown = {
        name: [
            share(whole.roc_auc),
            share(late.roc_auc) + bracketed(late.roc_auc_interval),
            seeds,
            share(late.average_precision, 3),
            f"{late.rows:,}",
            *(
                f"{percent(r.recall)}{_percents(r.interval)} ({percent(r.chance)})" if r else NONE
                for r in recalls(late, points)
            ),
        ]
        for name, (whole, late, seeds) in scorers.items()
    }
    return "\n".join([f"AUC over all folds; then of the {later}, [95 %]", *warned, *table("scorer", heads, shown)])


def difference_table(
    differences: Mapping[str, Sequence[tuple[float | None, Interval | None]]], *, first: str, heads: Sequence[str]
) -> str:
    """A line a scorer: its figures less those of the first, with 95 %; figures are shares, shown in hundredths."""
    shown = {
        name: [NONE if value is None else f"{100 * value:+.1f}{_hundredths(at)}" for value, at in found]
        for name, found in differences.items()
    }
    return "\n".join(table(f"less {first}", heads, shown))


def point_heads(points: Sequence[tuple[int, int]], period_s: float) -> list[str]:
    """What columns of breaks warned of are called."""
    return [f"{duration(horizon * period_s)} @ {budget}/day" for horizon, budget in points]


def _hundredths(found: Interval | None) -> str:
    return f" [{100 * found[0]:+.1f}, {100 * found[1]:+.1f}]" if found else ""


def _percents(found: Interval | None) -> str:
    return f" [{percent(found[0])}, {percent(found[1])}]" if found else ""
