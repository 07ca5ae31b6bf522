"""Evidence for a threshold: what a model without one makes of training and validation rows."""

from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from sheetbreak.artifact import Artifact
from sheetbreak.engine import State
from sheetbreak.rows import RowBatch
from sheetbreak.thresholds import Threshold
from trainer.deployed import false_openings
from trainer.events import HORIZONS, timeline
from trainer.history import score_history
from trainer.labels import Ints, Labels
from trainer.scored_rows import score_rows
from trainer.threshold_policies import Evidence


def gather_evidence(rows: RowBatch, labels: Labels, artifact: Artifact, *, fit: Ints, validation: Ints) -> Evidence:
    """Scores and labels of break-free fit rows and of validation rows, and a way to try thresholds on the latter.

    fit, validation: row numbers. Of the artifact's own threshold only trailing_rows counts.
    """
    _, results = score_history(rows, artifact)
    scored = ~np.isnan(results.score)
    judged = validation[(labels.judged & scored)[validation]]
    return Evidence(
        fit_scores=results.score[fit[scored[fit]]],
        scores=results.score[judged],
        will_break=labels.will_break[judged],
        false_alarms_per_day=_alarm_counter(rows, labels, artifact, validation),
        period_s=artifact.manifest.schema.period_s,
    )


def _alarm_counter(
    rows: RowBatch, labels: Labels, artifact: Artifact, validation: Ints
) -> Callable[[Threshold], float]:
    """Counts by running the monitor's engine over the validation rows, with all rows before them as history."""
    first, end = (int(validation.min()), int(validation.max()) + 1) if len(validation) else (0, 0)
    before: list[Mapping[str, State]] = []  # filled at the first call: most policies need none
    stretch = rows.take(slice(first, end))
    of_stretch = Labels(labels.will_break[first:end], labels.judged[first:end], labels.run[first:end])

    def false_alarms_per_day(threshold: Threshold) -> float:
        candidate = Artifact.of(msgspec.structs.replace(artifact.manifest, threshold=threshold), artifact.reconstruct)
        if not before:
            before.append(score_history(rows.take(slice(first)), artifact)[0])
        _, results = score_history(stretch, candidate, before[0])
        scored = score_rows(stretch, of_stretch, results, artifact.manifest.schema)
        counted = np.isin(scored.row + first, validation)
        false = (false_openings(scored, timeline(scored), horizon=HORIZONS[-1]) & counted).sum()
        days = scored.take(counted).days
        return float(false) / days if days else 0.0

    return false_alarms_per_day
