"""What a backtest found, judged: as JSON for scripts, as short tables for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sheetbreak.rows import RowBatch, Schema, format_time
from trainer.bootstrap import interval
from trainer.evaluate import Evaluation, Interval, evaluate, resampled_row_metrics
from trainer.peers import TITLES
from trainer.pipeline import Recipe
from trainer.rolling import LATER, Fold
from trainer.tables import deployed_table, fold_table, scorer_table


@dataclass(frozen=True, slots=True)
class Judged:
    """The model and its peers over some folds."""

    model: Evaluation
    peers: dict[str, Evaluation]


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """Every figure of a backtest."""

    folds: list[Judged]
    overall: Judged
    """Row metrics are means over the folds; events of all folds are counted under one threshold."""
    later: Judged
    """The same over the later four."""
    auc_gain: dict[str, Interval | None]
    """By peer: 95 % interval of the model's ROC AUC minus the peer's, mean over the later folds."""


def judge_folds(folds: Sequence[Fold]) -> BacktestReport:
    """Evaluate each fold, all of them and the later ones."""
    later = folds[LATER]
    aucs = resampled_row_metrics([fold.model for fold in later])[0]
    return BacktestReport(
        folds=[_judge([fold]) for fold in folds],
        overall=_judge(folds),
        later=_judge(later),
        auc_gain={
            name: interval(aucs - resampled_row_metrics([fold.peers[name] for fold in later])[0])
            for name in folds[0].peers
        },
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
        "window": recipe.window,
        "seed": recipe.seed,
        "folds": [
            {
                "fold": fold.number,
                "fit_rows": len(fold.split.fit),
                "validation_rows": len(fold.split.validation),
                "test_rows": len(fold.split.test),
                "test_from": _time(rows, fold, first=True),
                "test_until": _time(rows, fold, first=False),
                **_json(judged),
                "threshold": fold.threshold,
                "seconds": round(fold.seconds, 2),
            }
            for fold, judged in zip(folds, report.folds, strict=True)
        ],
        "overall": _json(report.overall),
        "later": {**_json(report.later), "auc_gain_interval": report.auc_gain},
    }


def report_text(report: BacktestReport, *, recipe: Recipe, schema: Schema) -> str:
    """Three tables: each fold, the deployed policy, the peers."""
    by_fold = {str(number): judged.model for number, judged in enumerate(report.folds, start=1)}
    whole = f"all {len(report.folds)}", f"last {len(report.folds[LATER])}"
    by_fold |= dict(zip(whole, (report.overall.model, report.later.model), strict=True))
    own = f"{recipe.preset.name}, {recipe.family}"
    scorers = {own: (report.overall.model, report.later.model)}
    for name, title in TITLES.items():
        if name in report.overall.peers:
            scorers[title] = (report.overall.peers[name], report.later.peers[name])
    gains = {TITLES[name]: gain for name, gain in report.auc_gain.items()}
    base_rate = report.overall.model.positives / max(report.overall.model.rows, 1)
    return "\n".join(
        [
            fold_table(by_fold, period_s=schema.period_s),
            "Recall: with the best threshold in hindsight, one for all folds of a line. Chance: the same scores moved",
            f"against the breaks; AUC .50, AP {base_rate:.3f}. AUC and AP of several folds are their means.",
            "",
            deployed_table(by_fold, period_s=schema.period_s),
            "",
            scorer_table(scorers, gains, period_s=schema.period_s),
        ]
    )


def _judge(folds: Sequence[Fold]) -> Judged:
    return Judged(
        evaluate([fold.model for fold in folds]),
        {name: evaluate([fold.peers[name] for fold in folds], deployed=False) for name in folds[0].peers},
    )


def _json(judged: Judged) -> dict[str, Any]:
    peers = {name: found.as_json() for name, found in judged.peers.items()}
    return {**judged.model.as_json(), "baselines": peers}


def _time(rows: RowBatch, fold: Fold, *, first: bool) -> str | None:
    times = rows.times_us[fold.split.test]
    if not len(times):
        return None
    return format_time(int(times.min() if first else times.max()))
