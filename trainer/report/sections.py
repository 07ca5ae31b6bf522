"""Sections that every page about one model has."""

from collections.abc import Sequence

from trainer.metrics.scored_rows import counts_events
from trainer.report.alarms import Alarm
from trainer.report.judgement import Judged
from trainer.report.page import Plot, Section
from trainer.report.plots.curves import curves_plot
from trainer.report.plots.row import confusion_plot, error_plot, precision_recall_plot, roc_plot
from trainer.report.plots.sensor import breaks_plot, worst_sensors_plot


def row_section(judged: Judged) -> Section:
    """Rows judged one by one."""
    plots = [error_plot(judged), roc_plot(judged), precision_recall_plot(judged), confusion_plot(judged)]
    missing = "" if judged.evaluation.roc_auc is not None else "No ROC, precision or recall: a class is missing."
    return Section(
        title=f"Row by row: is the score higher {'before a break' if judged.lead_rows else 'on anomalous rows'}?",
        note=missing,
        parts=known([*plots, worst_sensors_plot(judged)]),
    )


def events_section(plots: Sequence[Plot | None], judged: Judged, *, others: Sequence[Plot | None] = ()) -> Section:
    """Plots of warnings and false alarms, where they can be counted, and others beside them."""
    counted = known(plots) if counts_events(judged.period_s, judged.lead_rows) else []
    note = ""
    if not judged.lead_rows:
        note = "Rows are judged themselves here, none foretells another: there is no warning ahead to count."
    elif not counts_events(judged.period_s, judged.lead_rows):
        note = "At this sampling a day says nothing, so false alarms a day are not drawn."
    elif not counted:
        note = "Nothing to count: these rows are no stretch of time, or hold no break."
    return Section(title="Breaks and false alarms", note=note, parts=[*counted, *known(others)])


def breaks_section(judged: Judged, alarms: Sequence[Alarm]) -> list[Section]:
    """The time around each break and each false alarm; none where a row foretells nothing."""
    if not judged.lead_rows:
        return []
    plots = known([breaks_plot(judged), curves_plot(judged, alarms)])
    note = "" if plots else "These rows hold no break that could be looked at."
    return [Section(title="Break by break", note=note, parts=plots)]


def training_section(losses: Plot | None, family: str) -> Section:
    """Training curves, of families that have any."""
    note = "" if losses else f"Family {family} is computed in one step: there are no training curves."
    return Section(title="Training", note=note, parts=known([losses]))


def known(plots: Sequence[Plot | None]) -> list[Plot]:
    """Those that have something to show."""
    return [plot for plot in plots if plot]
