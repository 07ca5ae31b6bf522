"""Evaluations as short tables where rows are anomalous themselves (lead_rows 0): nothing lies ahead, all is rows."""

from collections.abc import Mapping

from trainer.evaluation.tables import NONE, percent, ranking_lines, rate, share
from trainer.metrics.confusion import Confusion
from trainer.metrics.evaluation import Evaluation
from trainer.output.text import table, wrap


def anomaly_table(found: Evaluation, *, title: str) -> str:
    """One evaluation, for the end of a training; a dash where the rows hold nothing to judge."""
    lines = [
        *wrap(f"{title}: {found.rows:,} rows, {found.positives:,} of them anomalous"),
        *ranking_lines(found),
    ]
    if found.deployed:
        one = found.deployed.horizons[-1]
        by_chance = f" (by chance {one.chance * found.deployed.breaks:.0f})" if one.chance is not None else ""
        text = (
            f"  Deployed threshold: {one.warned:,} of {found.deployed.breaks:,} stretches of anomalous rows found"
            f"{by_chance}; {one.false_alarms:,} false alarms, {rate(one.false_alarms_per_1000_rows)} in 1,000 rows."
        )
        lines += ["", *wrap(text, indent="  ")]
    return "\n".join(lines)


def anomaly_folds(evaluations: Mapping[str, tuple[Evaluation, Confusion]]) -> str:
    """A line an evaluation, by name: how the score ranks rows, and what the deployed threshold made of them."""
    shown: dict[str, list[str]] = {}
    for name, (found, confusion) in evaluations.items():
        one = found.deployed.horizons[-1] if found.deployed else None
        shown[name] = [
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
        ]
    heads = ("rows", "anomalous", "AUC", "AP", "accuracy", "always no", "precision", "recall", "F1", "found %")
    return "\n".join(
        [
            "accuracy to false/1,000: by the deployed threshold, false alarms in 1,000 rows",
            *table("fold", [*heads, "false/1,000"], shown),
        ]
    )
