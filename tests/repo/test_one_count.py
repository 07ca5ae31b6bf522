"""One way to count breaks: the monitor's engine, a backtest and the desk say the same of every break."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.messages import Arrived, decode
from desk.store import Store
from desk.store.breaks import list_breaks
from sheetbreak.engine.advance import advance
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Scaler, ScoreParams
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.rows import RowBatch
from sheetbreak.wire.messages import encode_alert, encode_scores
from tests.support.models.making import PERIOD_US, START_US, make_manifest
from trainer.data.history import admit_history
from trainer.data.labels import label_rows
from trainer.metrics.alarms import judge_deployed
from trainer.metrics.scored_rows import score_rows
from trainer.training.alarm_replay import ScoredHistory

SENSORS = 6


def loud(policy: AlertPolicy, *, window: int, break_is_stop: bool) -> Artifact:
    """A model that scores a row by the square of what its window reads; the first window - 1 rows have no score."""
    manifest = make_manifest(
        window=window,
        features=FeatureParams("identity", (0.0,) * SENSORS),
        scaler=Scaler((0.0,) * SENSORS, (1.0,) * SENSORS),
        score=ScoreParams("mse"),
        threshold=Threshold(1.0, "fixed"),
        policy=policy,
        break_is_stop=break_is_stop,
    )
    return Artifact.of(manifest, np.zeros_like)


@st.composite
def histories(draw: st.DrawFn) -> RowBatch:
    """A machine that is loud now and then, with breaks of some rows, and gaps; many of them close together."""
    n = draw(st.integers(40, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = np.repeat(np.where(rng.random(n) < draw(st.sampled_from([0.02, 0.1, 0.4])), 3.0, 0.1)[:, None], SENSORS, 1)
    broken = rng.random(n) < draw(st.sampled_from([0.02, 0.1]))
    broken[1:] |= broken[:-1] & (rng.random(n - 1) < 0.3)
    gaps = rng.random(n) < draw(st.sampled_from([0.0, 0.05]))
    times = START_US + PERIOD_US * np.cumsum(1 + 8 * gaps)
    return RowBatch(["pm1"] * n, times, values, [None] * n, broken.astype(np.int8))


@given(
    histories(),
    st.builds(AlertPolicy, close_after=st.sampled_from([1, 5, 50]), restart_rows=st.sampled_from([0, 15])),
    st.sampled_from([1, 8]),
    st.booleans(),
)
def test_a_backtest_counts_every_break_as_the_monitor_does(
    rows: RowBatch, policy: AlertPolicy, window: int, break_is_stop: bool
) -> None:
    model = loud(policy, window=window, break_is_stop=break_is_stop)
    schema, threshold = model.manifest.schema, model.manifest.threshold
    _, results = advance({}, rows, model)
    counted = Counter(how for _, how in results.breaks)
    admitted = admit_history(rows, schema, break_is_stop=break_is_stop)
    history = ScoredHistory(rows, results.score, admitted=admitted, schema=schema, break_is_stop=break_is_stop)
    alarms = history.alarms(threshold, policy)
    assert alarms.breaks == results.breaks
    found = judge_deployed(score_rows(rows, label_rows(rows, schema), alarms, schema))
    assert found.horizons[-1].warned == found.breaks_warned == counted["yes"]
    assert (found.breaks_covered, found.breaks_unscored) == (counted["covered"], counted["unscored"])
    assert found.breaks == counted.total() - counted["unscored"]


def words(broken: list[int], gaps: list[int], loud_rows: list[int]) -> list[str]:
    """What the engine and the desk say of the breaks of 200 rows, which must be the same."""
    values = np.full((200, SENSORS), 0.1)
    values[loud_rows] = 3.0
    labels = np.zeros(200, np.int8)
    labels[broken] = 1
    times = START_US + PERIOD_US * (np.arange(200) + 8 * np.isin(np.arange(200), gaps).cumsum())
    rows = RowBatch(["pm1"] * 200, times, values, [None] * 200, labels)
    _, results = advance({}, rows, loud(AlertPolicy(), window=8, break_is_stop=True))
    told = [(int(rows.times_us[place]), how) for place, how in results.breaks]
    sent = [*encode_scores(rows, results, model="m"), *(encode_alert(event) for _, event in results.alerts)]
    store = Store(None, source="rows.csv")
    try:
        store.take([Arrived(decode(message), 0, message) for message in sent])
        with store.reading() as db:
            assert [(one.time_us, one.warned) for one in reversed(list_breaks(db))] == told
    finally:
        store.close()
    return [how for _, how in told]


@pytest.mark.parametrize(
    ("broken", "gaps", "loud_rows", "expected"),
    [
        ([5], [], [], ["unscored"]),
        ([70], [], [50], ["yes"]),
        ([100], [], [50], ["no"]),
        ([120], [], [*range(60, 119)], ["covered"]),
        ([60, 61, 62, 75], [], [50], ["yes", "covered"]),
        ([75], [60], [50], ["covered"]),
        ([58], [58], [50], ["covered"]),
        ([75], [75], [50], ["covered"]),
        ([60, 100], [62], [50, 90], ["yes", "yes"]),
    ],
)
def test_the_desk_counts_a_break_as_the_monitor_does(
    broken: list[int], gaps: list[int], loud_rows: list[int], expected: list[str]
) -> None:
    assert words(broken, gaps, loud_rows) == expected
