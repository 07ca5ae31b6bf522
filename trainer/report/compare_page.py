"""Page of several scorers under one protocol, for whatever command runs them."""

from collections.abc import Mapping, Sequence

from trainer.metrics.evaluation import Evaluation, Figures, summarise
from trainer.metrics.scored_rows import counts_events
from trainer.report.figures_table import scorers_table
from trainer.report.page import Page, Section, Table, render_page
from trainer.report.plots.event import fold_auc_plot, recall_plot
from trainer.report.sections import known


def compare_page(
    scorers: Mapping[str, tuple[Evaluation, Sequence[Figures]]],
    *,
    title: str,
    facts: Sequence[str],
    period_s: float,
    lead_rows: int,
    tables: Sequence[Table] = (),
) -> str:
    """The page as HTML. scorers: by name, the first one is what the others are held against.

    Each comes with its evaluation over all folds and the figures of each fold, in their order. facts: lines under the
    title. tables: more of the caller's own, such as paired differences.
    """
    figures = scorers_table(
        {name: evaluation for name, (evaluation, _) in scorers.items()},
        period_s=period_s,
        lead_rows=lead_rows,
        title="Side by side",
        says="Each figure with its chance. Good: a scorer whose 95 % lie above those of simpler ones; warned: with "
        "each score's best threshold in hindsight.",
    )
    curves = recall_plot(scorers, period_s=period_s, shown=len(scorers))
    by_fold = {name: [summarise([one], deployed=False) for one in folds] for name, (_, folds) in scorers.items()}
    return render_page(
        Page(
            title=title,
            facts=facts,
            sections=[
                Section(title="In short", parts=[figures, *tables]),
                Section(
                    title="Breaks and false alarms",
                    note=f"Chance and time in alarm are those of {next(iter(scorers))}.",
                    parts=known([curves if counts_events(period_s, lead_rows) else None, fold_auc_plot(by_fold)]),
                ),
            ],
        )
    )
