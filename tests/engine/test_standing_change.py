"""Standing changes: a sensor that stays far from where training rows had it is told, a burst is not."""

import json
from dataclasses import replace

import numpy as np

from monitor.metrics.sensors import TELL_EVERY_S, Sensors
from sheetbreak.engine.advance import advance
from sheetbreak.engine.features import DRIFTED_SD, FeatureParams
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Scaler
from sheetbreak.engine.state import State
from sheetbreak.rows import RowBatch
from sheetbreak.wire.messages import encode_scores
from tests.support.data.histories import mill_like, schema_of
from tests.support.models.making import make_artifact, make_batch
from trainer.data.inputs import fit_features

SENSORS, HALF_LIFE, CHANGED = 6, 20.0, 60


def model(level_sd: tuple[float, ...] = (1.0,) * SENSORS) -> Artifact:
    medians = (5.0,) * SENSORS
    features = FeatureParams(
        "streaming-z",
        medians,
        start_sd=(1.0,) * SENSORS,
        level_sd=level_sd,
        offset=medians,
        warm_up_rows=10,
        half_life_rows=HALF_LIFE,
    )
    return make_artifact(features=features, scaler=Scaler((0.0,) * SENSORS, (1.0,) * SENSORS, clip=5.0))


def rows_with(values: np.ndarray) -> RowBatch:
    batch = make_batch(len(values))
    return replace(batch, values=values)


def changed(*, by: float, until: int = 400) -> RowBatch:
    values = 5.0 + np.random.default_rng(3).normal(0, 1, (400, SENSORS))
    values[CHANGED:until, 2] += by
    return rows_with(values)


def test_a_sensor_that_stays_away_is_told_of_once_its_moving_mean_is_there_and_from_then_on() -> None:
    rows = changed(by=2 * DRIFTED_SD)
    _, results = advance({}, rows, model())
    told = sorted(results.drifted)
    assert set(results.drifted.values()) == {("x3",)}
    assert CHANGED + HALF_LIFE / 2 < told[0] < CHANGED + 3 * HALF_LIFE
    assert told == list(range(told[0], 400))
    messages = [json.loads(text) for text in encode_scores(rows, results, model="v")]
    assert [place for place, message in enumerate(messages) if "health" in message] == told
    assert messages[-1]["health"] == {"drifted": ["x3"]}


def test_where_a_batch_ends_changes_nothing() -> None:
    rows = changed(by=2 * DRIFTED_SD)
    states: dict[str, State] = {}
    found: dict[int, tuple[str, ...]] = {}
    for first in range(0, 400, 7):
        states, results = advance(states, rows.take(slice(first, first + 7)), model())
        found |= {first + place: sensors for place, sensors in results.drifted.items()}
    assert found == advance({}, rows, model())[1].drifted


def test_a_burst_a_small_change_and_a_model_that_does_not_know_its_spreads_tell_nothing() -> None:
    assert not advance({}, changed(by=1e6, until=CHANGED + 5), model())[1].drifted
    assert not advance({}, changed(by=DRIFTED_SD / 2), model())[1].drifted
    assert not advance({}, changed(by=1e6), model(level_sd=()))[1].drifted


def test_the_spread_of_levels_holds_what_lies_between_machines() -> None:
    """Else each of two machines on other levels would count as drifted for ever."""
    rows = mill_like(400, machines=("a", "b"), break_every=None)
    values = rows.values + 50.0 * (np.array(rows.machines) == "b")[:, None]
    apart = RowBatch(rows.machines, rows.times_us, values, rows.grades, rows.broken)
    fitted = fit_features(apart, np.arange(400), kind="streaming-z", schema=schema_of(6))
    assert min(fitted.level_sd) > 20
    assert max(fitted.start_sd) < 10


def test_the_monitor_tells_each_machine_once_a_day_and_shows_the_sensor() -> None:
    _, results = advance({}, changed(by=2 * DRIFTED_SD), model())
    shown = Sensors([f"x{i}" for i in range(1, 7)])
    for now_s in (0.0, 5.0, TELL_EVERY_S - 1):
        shown.show("pm1", results, 399, now_s=now_s)
    assert shown.take_newly_drifted() == [("pm1", ("x3",))]
    assert shown.take_newly_drifted() == []
    shown.show("pm1", results, 399, now_s=TELL_EVERY_S)
    assert shown.take_newly_drifted() == [("pm1", ("x3",))]
    (health,) = (metric for metric in shown.collect(1) if metric.name == "sheetbreak_sensor_health")
    assert [sample.labels for sample in health.samples] == [{"machine": "pm1", "sensor": "x3", "kind": "drifted"}]
