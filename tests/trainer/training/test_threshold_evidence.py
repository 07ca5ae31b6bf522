"""Promises of the evidence for a threshold: false alarms are counted as the monitor would raise them."""

from dataclasses import replace

import numpy as np
import pytest

from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Float32s, Scaler, ScoreParams, Scorer
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.rows import BROKEN, RowBatch
from tests.support.data.histories import STEP_US, mill_like, schema_of
from tests.support.models.making import make_manifest
from trainer.data.history import score_history
from trainer.data.inputs import compute_inputs
from trainer.data.labels import Labels, label_rows
from trainer.training.alarm_replay import ScoredHistory
from trainer.training.threshold_evidence import gather_evidence

SCHEMA = schema_of(3)


def sizes_of_rows(*, threshold: Threshold) -> Artifact:
    """A model whose score is the mean square of a row's values."""
    manifest = make_manifest(
        SCHEMA,
        features=FeatureParams("identity", (0.0,) * 3),
        scaler=Scaler((0.0,) * 3, (1.0,) * 3),
        score=ScoreParams("mse"),
        threshold=threshold,
        policy=AlertPolicy(),
    )

    def nothing(windows: Float32s) -> Float32s:
        return np.zeros_like(windows)

    return Artifact.of(manifest, nothing)


def sizes_scored(rows: RowBatch) -> ScoredHistory:
    """The history as that model scores it, before it has a threshold."""
    inputs = compute_inputs(rows, SCHEMA, features=FeatureParams("identity", (0.0,) * 3), window=1, break_is_stop=True)
    score, _ = inputs.score(np.zeros_like, Scorer(Scaler((0.0,) * 3, (1.0,) * 3), ScoreParams("mse")))
    return ScoredHistory(rows, score, admitted=inputs.admitted, schema=SCHEMA, break_is_stop=True)


def counted_by_hand(rows: RowBatch, labels: Labels, threshold: Threshold, validation: np.ndarray) -> float:
    """Alerts of a monitor that saw the history from its first row, without a break of the run within 30 rows."""
    _, results = score_history(rows, sizes_of_rows(threshold=threshold))
    false = 0
    for row, event in results.alerts:
        if event.kind != "opened" or row not in validation:
            continue
        ahead = [i for i in range(row + 1, len(rows)) if rows.machines[i] == rows.machines[row]][:30]
        warned = [i for i in ahead if rows.broken[i] == BROKEN and labels.run[i] == labels.run[row]]
        false += not [i for i in warned if i <= validation.max()]
    return float(false) / float((rows.broken[validation] != BROKEN).sum() / 720)


THRESHOLDS = [Threshold(level, "") for level in (0.5, 2.0, 6.0)] + [
    Threshold(4.0, "", quantile=q, min_rows=20) for q in (0.8, 0.97)
]


@pytest.mark.parametrize("machines", [("pm1",), ("a", "b")])
@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("shuffled", [False, True])
def test_false_alarms_are_the_alerts_of_a_monitor_that_saw_the_whole_history(
    machines: tuple[str, ...], threshold: Threshold, shuffled: bool
) -> None:
    rows = mill_like(700, sensors=3, machines=machines, break_every=110)
    stops = np.arange(len(rows)) // (60 * len(machines)) * (10 * STEP_US)
    rows = replace(rows, values=rows.values - np.median(rows.values, axis=0), times_us=rows.times_us + stops)
    labels = label_rows(rows, SCHEMA)
    last = np.arange(len(rows))
    validation = last[last % 3 == 0] if shuffled else last[int(0.6 * len(rows)) : int(0.8 * len(rows))]
    evidence = gather_evidence(
        labels, sizes_scored(rows), AlertPolicy(), fit=last[:5], validation=validation, past=last[:5]
    )
    expected = counted_by_hand(rows, labels, threshold, validation)
    assert evidence.false_alarms_per_day(threshold) == pytest.approx(expected)
    past = gather_evidence(
        labels,
        sizes_scored(rows),
        AlertPolicy(),
        fit=last[:9],
        validation=np.arange(400, 500),
        past=last[:500],
    )
    expected = counted_by_hand(rows, labels, threshold, np.arange(500))
    assert past.past_false_alarms_per_day(threshold) == pytest.approx(expected)
    assert expected > 0, "an example without a false alarm shows nothing"


def test_scores_are_those_of_the_rows_named_without_break_rows_and_refused_rows() -> None:
    rows = mill_like(300, sensors=3)
    rows.values[[7, 160]] = np.nan
    labels = label_rows(rows, SCHEMA)
    validation = np.arange(150, 250)
    evidence = gather_evidence(
        labels, sizes_scored(rows), AlertPolicy(), fit=np.array([3, 7, 8]), validation=validation, past=validation
    )
    squares = (rows.values.astype(np.float32).astype(np.float64) ** 2).mean(axis=1)
    judged = validation[(rows.broken[validation] != BROKEN) & (validation != 160)]
    np.testing.assert_allclose(evidence.fit_scores, squares[[3, 8]])
    np.testing.assert_allclose(evidence.scores, squares[judged])
    assert evidence.will_break.tolist() == labels.will_break[judged].tolist()
    assert evidence.will_break.sum() == 4


def test_without_validation_rows_there_are_no_alarms() -> None:
    rows = mill_like(100, sensors=3)
    evidence = gather_evidence(
        label_rows(rows, SCHEMA),
        sizes_scored(rows),
        AlertPolicy(),
        fit=np.arange(50),
        validation=np.empty(0, np.int64),
        past=np.empty(0, np.int64),
    )
    assert (len(evidence.scores), evidence.false_alarms_per_day(Threshold(0.0, ""))) == (0, 0.0)
