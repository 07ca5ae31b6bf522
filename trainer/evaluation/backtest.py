"""Backtest results, judged: as JSON for scripts, as short tables for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sheetbreak.rows import RowBatch, Schema
from sheetbreak.times import format_time
from trainer.evaluation.anomaly_tables import anomaly_folds
from trainer.evaluation.fold_baselines import TITLES
from trainer.evaluation.folds import LATER, Fold
from trainer.evaluation.tables import confusion_table, deployed_table, fold_table, scorer_table, shares_line
from trainer.metrics.bootstrap import interval
from trainer.metrics.confusion import Confusion
from trainer.metrics.evaluation import Evaluation, Figures, Interval, has_enough_breaks, mean_known, measure, summarise
from trainer.metrics.scored_rows import a_day_counts
from trainer.training.pipeline import Recipe


@dataclass(frozen=True, slots=True)
class Summary:
    """The model and its baselines over some folds."""

    model: Evaluation
    confusion: Confusion
    """Of the model's deployed threshold, counted over the folds."""
    baselines: dict[str, Evaluation]


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """Every figure of a backtest."""

    folds: list[Summary]
    overall: Summary
    """Metrics are means over the folds; what was deployed is counted over all of them."""
    later: Summary
    """The same over the later four."""
    auc_gain: dict[str, Interval | None]
    """By baseline: 95 % interval of the model's ROC AUC minus the baseline's, mean over the later folds."""
    model: list[Figures]
    """Of each fold, as measured."""
    baselines: dict[str, list[Figures]]


def judge_folds(folds: Sequence[Fold]) -> BacktestReport:
    """Evaluate each fold, all of them and the later ones."""
    model = [measure(fold.model, number=fold.number) for fold in folds]
    baselines = {
        name: [measure(fold.baselines[name], number=fold.number) for fold in folds] for name in folds[0].baselines
    }
    aucs, enough = mean_known([one.resampled_auc for one in model[LATER]]), has_enough_breaks(model[LATER])
    return BacktestReport(
        folds=[_summary(model, baselines, slice(i, i + 1)) for i in range(len(folds))],
        overall=_summary(model, baselines, slice(None)),
        later=_summary(model, baselines, LATER),
        auc_gain={
            name: interval(aucs - mean_known([one.resampled_auc for one in found[LATER]])) if enough else None
            for name, found in baselines.items()
        },
        model=model,
        baselines=baselines,
    )


def report_json(
    report: BacktestReport, folds: Sequence[Fold], *, rows: RowBatch, recipe: Recipe, source: dict[str, Any]
) -> dict[str, Any]:
    """Everything, as plain values. source: what is known of the CSV; goes in as it is."""
    return {
        "format": 1,
        "data": source,
        "preset": recipe.preset.name,
        "family": recipe.family,
        "window": recipe.settled.input.window,
        "settings": recipe.settled.as_json(),
        "seed": recipe.seed,
        "folds": [
            {
                "fold": fold.number,
                "fit_rows": len(fold.split.fit),
                "validation_rows": len(fold.split.validation),
                "test_rows": len(fold.split.test),
                "test_from": _time(rows, fold, first=True),
                "test_until": _time(rows, fold, first=False),
                **_json(summary),
                "threshold": fold.threshold,
                "seconds": round(fold.seconds, 2),
            }
            for fold, summary in zip(folds, report.folds, strict=True)
        ],
        "overall": _json(report.overall),
        "later": {**_json(report.later), "auc_gain_interval": report.auc_gain},
    }


def report_text(report: BacktestReport, *, recipe: Recipe, schema: Schema) -> str:
    """Tables of folds, the deployed policy, baselines; where no row foretells another, the first two are one."""
    by_name = {str(number): summary for number, summary in enumerate(report.folds, start=1)}
    by_name |= {f"all {len(report.folds)}": report.overall, f"last {len(report.folds[LATER])}": report.later}
    own = f"{recipe.preset.name}, {recipe.family}"
    scorers = {own: (report.overall.model, report.later.model)}
    for name, title in TITLES.items():
        if name in report.overall.baselines:
            scorers[title] = (report.overall.baselines[name], report.later.baselines[name])
    gains = {TITLES[name]: gain for name, gain in report.auc_gain.items()}
    base_rate = report.overall.model.positives / max(report.overall.model.rows, 1)
    share = f"{base_rate:.3f}".removeprefix("0")
    by_scorer = scorer_table(scorers, gains, period_s=schema.period_s, events=schema.lead_rows > 0)
    if not schema.lead_rows:
        lines = [
            anomaly_folds({name: (summary.model, summary.confusion) for name, summary in by_name.items()}),
            f"By chance: an AUC of .50, an AP of {share}. Over several folds they are means, all",
            "else is counted.",
            "",
            confusion_table(report.overall.confusion, lead_rows=0),
        ]
        return "\n".join([*lines, "", by_scorer])
    by_fold = {name: summary.model for name, summary in by_name.items()}
    hindsight = [
        "Warned: with each fold's best threshold in hindsight; by chance: with the same",
        f"scores moved against the breaks, and an AUC of .50, an AP of {share}. Lines of",
        "several folds are means over them.",
    ]
    if not a_day_counts(schema.period_s):
        hindsight = [f"By chance: an AUC of .50, an AP of {share}. Lines of several folds are means over", "them."]
    return "\n".join(
        [
            fold_table(by_fold, period_s=schema.period_s),
            *hindsight,
            "",
            deployed_table(by_fold, period_s=schema.period_s),
            "rows: " + shares_line(report.overall.confusion).replace("; ", ";\n      "),
            "",
            by_scorer,
        ]
    )


def _summary(model: Sequence[Figures], baselines: Mapping[str, Sequence[Figures]], which: slice) -> Summary:
    return Summary(
        model=summarise(model[which]),
        confusion=Confusion.total(Confusion.of(one.rows) for one in model[which]),
        baselines={name: summarise(found[which], deployed=False) for name, found in baselines.items()},
    )


def _json(summary: Summary) -> dict[str, Any]:
    baselines = {name: found.as_json() for name, found in summary.baselines.items()}
    return {**summary.model.as_json(), "confusion": summary.confusion.as_json(), "baselines": baselines}


def _time(rows: RowBatch, fold: Fold, *, first: bool) -> str | None:
    times = rows.times_us[fold.split.test]
    if not len(times):
        return None
    return format_time(int(times.min() if first else times.max()))
