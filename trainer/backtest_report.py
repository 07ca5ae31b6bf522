"""What a backtest found, judged: as JSON for scripts, as short tables for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sheetbreak.rows import RowBatch, Schema, format_time
from trainer.bootstrap import interval
from trainer.evaluate import Evaluation, Figures, Interval, mean_known, measure, summarise
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
    """Metrics are means over the folds; what was deployed is counted over all of them."""
    later: Judged
    """The same over the later four."""
    auc_gain: dict[str, Interval | None]
    """By peer: 95 % interval of the model's ROC AUC minus the peer's, mean over the later folds."""


def judge_folds(folds: Sequence[Fold]) -> BacktestReport:
    """Evaluate each fold, all of them and the later ones."""
    model = [measure(fold.model, number=fold.number) for fold in folds]
    peers = {name: [measure(fold.peers[name], number=fold.number) for fold in folds] for name in folds[0].peers}
    aucs = mean_known([one.resampled_auc for one in model[LATER]])
    return BacktestReport(
        folds=[_judge(model, peers, slice(i, i + 1)) for i in range(len(folds))],
        overall=_judge(model, peers, slice(None)),
        later=_judge(model, peers, LATER),
        auc_gain={
            name: interval(aucs - mean_known([one.resampled_auc for one in found[LATER]]))
            for name, found in peers.items()
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
    share = f"{base_rate:.3f}".removeprefix("0")
    return "\n".join(
        [
            fold_table(by_fold, period_s=schema.period_s),
            "Warned: with each fold's best threshold in hindsight; by chance: with the same scores moved against the",
            f"breaks, and an AUC of .50, an AP of {share}. Lines of several folds are means over them.",
            "",
            deployed_table(by_fold, period_s=schema.period_s),
            "",
            scorer_table(scorers, gains, period_s=schema.period_s),
        ]
    )


def _judge(model: Sequence[Figures], peers: Mapping[str, Sequence[Figures]], which: slice) -> Judged:
    return Judged(
        summarise(model[which]), {name: summarise(found[which], deployed=False) for name, found in peers.items()}
    )


def _json(judged: Judged) -> dict[str, Any]:
    peers = {name: found.as_json() for name, found in judged.peers.items()}
    return {**judged.model.as_json(), "baselines": peers}


def _time(rows: RowBatch, fold: Fold, *, first: bool) -> str | None:
    times = rows.times_us[fold.split.test]
    if not len(times):
        return None
    return format_time(int(times.min() if first else times.max()))
