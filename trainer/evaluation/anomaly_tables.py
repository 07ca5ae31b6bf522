"""Evaluations as short tables where rows are anomalous themselves (lead_rows 0): nothing lies ahead, all is rows."""

from collections.abc import Mapping

from trainer.evaluation.tables import NONE, percent, ranking_lines, rate, share
from trainer.metrics.confusion import Confusion
from trainer.metrics.evaluation import Evaluation


def anomaly_table(found: Evaluation, *, title: str) -> str:
    """One evaluation, for the end of a training; a dash where the rows hold nothing to judge."""
    lines = [
        f"{title}: {found.rows:,} rows, {found.positives:,} of them anomalous",
        *ranking_lines(found),
    ]
    if found.deployed:
        one = found.deployed.horizons[-1]
        by_chance = f" (by chance {one.chance * found.breaks:.0f})" if one.chance is not None else ""
        lines += [
            "",
            f"  Deployed threshold: {one.warned:,} of {found.breaks:,} stretches of anomalous rows found{by_chance};",
            f"  {one.false_alarms:,} false alarms, {rate(one.false_alarms_per_1000_rows)} in 1,000 rows.",
        ]
    return "\n".join(lines)


def anomaly_folds(evaluations: Mapping[str, tuple[Evaluation, Confusion]]) -> str:
    """A line an evaluation, by name: how the score ranks rows, and what the deployed threshold made of them."""
    lines = [
        f"{'':<41}by the deployed threshold:",
        _line("", "", "anom-", "", "", "accu-", "always", "preci-", "", "", "found", "false in"),
        _line("fold", "rows", "alous", "AUC", "AP", "racy", "no", "sion", "recall", "F1", "%", "1,000 rows"),
    ]
    for name, (found, confusion) in evaluations.items():
        one = found.deployed.horizons[-1] if found.deployed else None
        lines.append(
            _line(
                name,
                f"{found.rows:,}",
                f"{found.positives:,}",
                share(found.roc_auc),
                share(found.average_precision, 3),
                share(confusion.accuracy, 3),
                share(confusion.accuracy_of_no, 3),
                share(confusion.precision),
                share(confusion.recall),
                share(confusion.f1),
                percent(one.recall) if one else NONE,
                rate(one.false_alarms_per_1000_rows) if one else NONE,
            )
        )
    return "\n".join(lines)


def _line(name: str, *cells: str) -> str:
    widths = (8, 8, 6, 7, 10, 8, 8, 8, 6, 8, 12)
    return (f"{name:<8}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))).rstrip()
