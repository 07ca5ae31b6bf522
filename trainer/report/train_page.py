"""Page of one training."""

from collections.abc import Mapping, Sequence

from sheetbreak.engine.model import Artifact, Manifest
from sheetbreak.rows import RowBatch
from sheetbreak.wire.labels import Label
from sheetbreak.wire.messages import Plant
from trainer.data.labels import Labels
from trainer.evaluation.holdout import Held, HeldOut
from trainer.metrics.worth import Costs, worth_of
from trainer.report.alarms import Report, alarms_csv, alarms_section, list_alarms
from trainer.report.figures_table import figures_table
from trainer.report.judgement import Judged, Judgement
from trainer.report.page import Page, Section, render_page
from trainer.report.plots.event import lead_plot, recall_plot
from trainer.report.plots.health import health_section
from trainer.report.plots.training import loss_plot
from trainer.report.sections import breaks_section, events_section, row_section, training_section
from trainer.training.fit import Fitted

_TITLES = {"validation": "validation rows", "test": "test rows"}
_RANDOM = (
    "Rows were split at random, so neighbours of these were trained on: the figures flatter, and breaks cannot be "
    "counted. The backtest judges forward in time."
)
_NO_TEST = "No row was left to test on: these rows chose epoch and threshold, and the figures flatter."


def train_page(
    manifest: Manifest,
    model: Artifact,
    fitted: Fitted,
    *,
    held: Mapping[str, Held],
    found: HeldOut,
    rows: RowBatch,
    labels: Labels,
    random_rows: bool,
    name: str,
    costs: Costs,
    verdicts: Sequence[Label] = (),
) -> Report:
    """The page as HTML, and its alarms. rows, labels: the history trained on; name: of its CSV.

    verdicts: of operators, on earlier alarms over these rows.
    """
    schema = manifest.schema
    part = "test" if "test" in held else "validation"
    evaluation, figures, of = found.evaluations[part], found.figures[part], held[part]
    judged = Judged(
        stretches=[Judgement(name=_TITLES[part], figures=figures, batch=of.rows, results=of.results, model=model)],
        evaluation=evaluation,
        period_s=schema.period_s,
        sensors=schema.sensors,
        lead_rows=schema.lead_rows,
        plant=Plant.of(schema),
        verdicts=verdicts,
    )
    alarms = [] if random_rows else list_alarms(judged)
    columns = {_TITLES[which]: found.evaluations[which] for which in ("test", "validation") if which in held}
    note = _RANDOM if random_rows else _NO_TEST if part == "validation" else ""
    losses = loss_plot({"training": (fitted.history, fitted.best_epoch)})
    sections = [
        Section(
            title="In short",
            note=note,
            parts=[figures_table(columns, period_s=schema.period_s, lead_rows=schema.lead_rows)],
        ),
        events_section(
            [
                recall_plot({manifest.family: (evaluation, [figures])}, period_s=schema.period_s),
                lead_plot(evaluation, [figures], period_s=schema.period_s),
            ],
            judged,
        ),
        row_section(judged),
        *([] if random_rows else [*alarms_section(judged, alarms), *breaks_section(judged, alarms)]),
        training_section(losses, manifest.family),
        health_section(rows, schema, labels),
    ]
    page = render_page(
        Page(
            title=f"Model {manifest.version}",
            worth=worth_of(evaluation, costs, lead_rows=schema.lead_rows),
            facts=[
                f"Trained on {name}: {manifest.family}, preset {manifest.preset}, {manifest.threshold.policy}.",
                f"Plots show the {_TITLES[part]}"
                + (", not looked at before." if part == "test" and not random_rows else "."),
            ],
            sections=sections,
        )
    )
    return Report(page, alarms_csv(judged, alarms))
