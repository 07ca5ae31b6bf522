"""Page of a backtest."""

from collections.abc import Sequence

from sheetbreak.rows import RowBatch, Schema
from sheetbreak.wire.labels import Label
from sheetbreak.wire.messages import Plant
from trainer.data.labels import Labels
from trainer.evaluation.backtest import BacktestReport
from trainer.evaluation.fold_baselines import TITLES
from trainer.evaluation.folds import LATER, Fold
from trainer.metrics.worth import Costs, worth_of
from trainer.report.alarms import Report, alarms_csv, alarms_section, list_alarms
from trainer.report.figures_table import figures_table, scorers_table
from trainer.report.judgement import Judged, Judgement
from trainer.report.page import Page, Section, render_page
from trainer.report.plots.event import fold_auc_plot, fold_recall_plot, lead_plot, recall_plot
from trainer.report.plots.health import health_section
from trainer.report.plots.training import loss_plot
from trainer.report.sections import breaks_section, events_section, row_section, training_section
from trainer.training.pipeline import Recipe


def backtest_page(
    report: BacktestReport,
    folds: Sequence[Fold],
    *,
    rows: RowBatch,
    labels: Labels,
    schema: Schema,
    recipe: Recipe,
    name: str,
    costs: Costs,
    verdicts: Sequence[Label] = (),
) -> Report:
    """The page as HTML, and its alarms. name: of the CSV; verdicts: of operators, on alarms over these rows."""
    period_s = schema.period_s
    judged = Judged(
        stretches=[
            Judgement(
                name=f"fold {fold.number}", figures=figures, batch=rows, results=fold.results, model=fold.artifact
            )
            for fold, figures in zip(folds, report.model, strict=True)
        ],
        evaluation=report.overall.model,
        period_s=period_s,
        sensors=schema.sensors,
        lead_rows=schema.lead_rows,
        plant=Plant.of(schema),
        verdicts=verdicts,
    )
    alarms = list_alarms(judged)
    own = f"{recipe.preset.name}, {recipe.family}"
    baselines = {title: baseline for baseline, title in TITLES.items() if baseline in report.baselines}
    by_fold = [one.model for one in report.folds]
    whole, later = f"all {len(folds)} folds", f"last {len(folds[LATER])} folds"
    figures = figures_table(
        {whole: report.overall.model, later: report.later.model}, period_s=period_s, lead_rows=schema.lead_rows
    )
    against = scorers_table(
        {own: report.later.model} | {title: report.later.baselines[baseline] for title, baseline in baselines.items()},
        period_s=period_s,
        lead_rows=schema.lead_rows,
        title=f"Against simpler scores, {later}",
        says="A model is worth what it adds to scores that need none. Good: the first line is well above the others; "
        "warned: with each score's best threshold in hindsight.",
    )
    curves = {own: (report.overall.model, report.model)} | {
        title: (report.overall.baselines[baseline], report.baselines[baseline]) for title, baseline in baselines.items()
    }
    losses = loss_plot({f"fold {fold.number}": (fold.history, fold.best_epoch) for fold in folds})
    page = Page(
        title=f"Backtest of {name}",
        worth=worth_of(report.overall.model, costs, lead_rows=schema.lead_rows),
        facts=[
            f"{own}, seed {recipe.seed}: {len(folds)} times trained on the past, judged on the rows that follow.",
            "Figures are means over the folds, counts are sums.",
            f"The last {len(folds[LATER])} folds are those that no choice of design was made on.",
        ],
        sections=[
            Section(title="In short", parts=[figures, against]),
            events_section(
                [
                    recall_plot(curves, period_s=period_s),
                    lead_plot(report.overall.model, report.model, period_s=period_s),
                    fold_recall_plot(by_fold, period_s=period_s),
                ],
                judged,
                others=[fold_auc_plot({"model": by_fold})],
            ),
            row_section(judged),
            *alarms_section(judged, alarms),
            *breaks_section(judged, alarms),
            training_section(losses, recipe.family),
            health_section(rows, schema, labels),
        ],
    )
    return Report(render_page(page), alarms_csv(judged, alarms))
