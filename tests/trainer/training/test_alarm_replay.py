"""Scores judged again raise what the monitor would have raised, whatever the rows, the threshold and the policy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from sheetbreak.engine.advance import advance
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.rows import RowBatch
from tests.engine.test_alerts import POLICIES
from tests.engine.test_engine import streams
from tests.support.models.making import make_artifact, make_schema
from trainer.data.history import admit_history
from trainer.training.alarm_replay import ScoredHistory

THRESHOLDS = st.one_of(
    st.builds(Threshold, st.sampled_from([0.2, 0.6, 2.0]), st.just("fixed")),
    st.builds(
        Threshold, st.just(0.6), st.just("trailing"), st.sampled_from([0.5, 0.8]),
        trailing_rows=st.sampled_from([10, 30]), min_rows=st.just(5), grade_levels=st.sampled_from([{}, {"B": 1.5}]),
    ),
)  # fmt: skip


def in_order(times_us: np.ndarray) -> np.ndarray:
    """As a history has them: each later than the one before, with stops, without a clock that jumps and comes back."""
    steps = np.clip(np.diff(times_us, prepend=times_us[:1]), 120_000_000, 600_000_000)
    return np.cumsum(steps)


@pytest.mark.parametrize(("lead_rows", "break_is_stop"), [(2, True), (2, False), (0, True)])
@given(rows=streams(), threshold=THRESHOLDS, policy=POLICIES, grades=st.lists(st.sampled_from(["A", "B", None])))
def test_scores_judged_again_raise_what_the_engine_raises(
    rows: RowBatch,
    threshold: Threshold,
    policy: AlertPolicy,
    grades: list[str | None],
    lead_rows: int,
    break_is_stop: bool,
) -> None:
    rows = replace(
        rows,
        grades=(grades * len(rows))[: len(rows)] if grades else rows.grades,
        times_us=in_order(rows.times_us),
    )
    model = _model(threshold, policy, lead_rows=lead_rows, break_is_stop=break_is_stop)
    _, results = advance({}, rows, model)
    schema = model.manifest.schema
    history = ScoredHistory(
        rows,
        results.score,
        admitted=admit_history(rows, schema, break_is_stop=break_is_stop),
        schema=schema,
        break_is_stop=break_is_stop,
    )
    found = history.alarms(threshold, policy)
    for kind, places in (("opened", found.opened), ("closed", found.closed)):
        assert sorted(places) == [place for place, event in results.alerts if event.kind == kind]
    assert found.over.tolist() == results.over.tolist()


def test_the_example_streams_raise_alerts() -> None:
    """Or else the promise above would be an empty one."""
    model = _model(Threshold(0.6, "fixed"), AlertPolicy(), lead_rows=2, break_is_stop=True)
    find(
        streams(), lambda rows: {event.kind for _, event in advance({}, rows, model)[1].alerts} >= {"opened", "closed"}
    )


def _model(threshold: Threshold, policy: AlertPolicy, *, lead_rows: int, break_is_stop: bool) -> Artifact:
    return make_artifact(
        make_schema(lead_rows=lead_rows), threshold=threshold, policy=policy, break_is_stop=break_is_stop
    )
