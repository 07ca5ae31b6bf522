"""Text of a comparison: tables for people, JSON for scripts."""

from typing import Any

from sheetbreak.rows import Schema
from sheetbreak.times import format_time
from trainer.comparison.result import Compared, Comparison
from trainer.comparison.tables import SHOWN, compared_table, difference_table, point_heads
from trainer.comparison.tasks import Ground
from trainer.evaluation.folds import LATER
from trainer.evaluation.tables import deployed_table
from trainer.metrics.evaluation import Interval
from trainer.metrics.scored_rows import counts_events
from trainer.output.text import wrap

_LEGEND = """\
By chance: an AUC of .50, an AP of {base}. Figures of several folds and
seeds are means; ± is the standard deviation over seeds."""
_LEGEND_OF_EVENTS = """
Warned: with each fold's best threshold in hindsight, at so many false alarms
a day."""
_READING = """\
In hundredths, with 95 % from the same resampled blocks of rows for both. An
interval that holds 0: not told apart from the first. Of twenty that are no
different, one excludes 0 by chance."""


def comparison_text(found: Comparison, *, schema: Schema) -> str:
    """The scorers, their differences from the first, what was deployed. The same outcomes give the same text."""
    events = counts_events(schema.period_s, schema.lead_rows)
    every, late = len(found.first.folds), len(found.first.folds[LATER])
    names = {one.scorer.title: one for one in found.scorers}
    scores = {name: (one.overall, one.later, _seeds(one)) for name, one in names.items()}
    later = found.first.later
    base = f"{later.positives / later.rows:.3f}".removeprefix("0") if later.rows else "–"
    parts = [
        compared_table(scores, period_s=schema.period_s, later=f"last {late} of {every} folds", events=events),
        _LEGEND.format(base=base) + (_LEGEND_OF_EVENTS if events else ""),
    ]
    if len(names) > 1:
        first = found.first.scorer.title
        parts += [difference_table(differences(found, schema), first=first, heads=heads(schema)), _READING]
    if any(one.later.rows != later.rows for one in found.scorers):
        parts.append("Not all score the same rows; a difference of AUC is of the rows that both score.")
    deployed = {name: one.later for name, one in names.items() if one.later.deployed}
    if deployed and schema.lead_rows:
        parts.append(deployed_table(deployed, period_s=schema.period_s, head=f"last {late} folds"))
    return "\n\n".join(parts)


def differences(found: Comparison, schema: Schema) -> dict[str, list[tuple[float | None, Interval | None]]]:
    """By title: each scorer less the first, AUC and then the breaks warned of, with intervals."""
    lines: dict[str, list[tuple[float | None, Interval | None]]] = {}
    for one in found.scorers:
        if one.difference:
            recall = {(r.horizon_rows, r.false_alarms_per_day): (r.recall, r.interval) for r in one.difference.recall}
            auc = (one.difference.roc_auc, one.difference.roc_auc_interval)
            lines[one.scorer.title] = [auc, *(recall.get(point, (None, None)) for point in _shown(schema))]
    return lines


def heads(schema: Schema) -> list[str]:
    """What the figures of `differences` are."""
    return ["AUC", *point_heads(_shown(schema), schema.period_s)]


def seconds_text(found: Comparison) -> str:
    """How long each took: apart from the rest, which does not change from run to run."""
    each = (f"{one.scorer.name} {one.seconds:.1f}" for one in found.scorers)
    return "\n".join(wrap(f"seconds to fit and score, a fold and seed: {', '.join(each)}", indent="  "))


def comparison_json(found: Comparison, *, ground: Ground, source: dict[str, Any]) -> dict[str, Any]:
    """Everything, as plain values. source: what is known of the CSV; goes in as it is."""
    folds = []
    for number, split in ground.splits.items():
        times = ground.rows.times_us[split.test]
        folds.append(
            {
                "fold": number,
                "fit_rows": len(split.fit),
                "validation_rows": len(split.validation),
                "test_rows": len(split.test),
                "test_from": format_time(int(times.min())) if len(times) else None,
                "test_until": format_time(int(times.max())) if len(times) else None,
            }
        )
    return {
        "format": 1,
        "data": source,
        "preset": ground.preset.name,
        "folds": folds,
        "later_folds": [fold["fold"] for fold in folds[LATER]],
        "first": found.first.scorer.name,
        "scorers": [one.as_json() for one in found.scorers],
    }


def _seeds(one: Compared) -> str:
    """How many, and how far the later AUC differs between them."""
    spread = f" ±{one.spread:.3f}".replace("±0", "±") if one.spread is not None else ""
    return f"{len(one.seeds)}{spread}"


def _shown(schema: Schema) -> tuple[tuple[int, int], ...]:
    return SHOWN if counts_events(schema.period_s, schema.lead_rows) else ()
