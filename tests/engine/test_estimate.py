"""Missing sensors by the model: the least-squares fit, the same bits in any batch, and nothing learnt from it."""

import itertools
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sheetbreak.engine.advance import advance
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.features import MASK_AFTER_ROWS, FeatureParams
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import MAX_ROUNDS, TOLERANCE, Float32s, Scaler, ScoreParams, estimate
from sheetbreak.engine.state import Missing
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.rows import BROKEN, INTACT, RowBatch
from sheetbreak.wire.state import StateCodec
from tests.support.models.making import (
    PERIOD_US,
    START_US,
    dense_graph,
    make_artifact,
    make_schema,
    make_values,
    run,
    same,
)

SENSORS, WARM_UP = 6, 20
NAN = float("nan")
ANYWHERE = (-1e6, 1e6)
Floats = npt.NDArray[np.float64]


@cache
def model(window: int = 1) -> Artifact:
    return make_artifact(window=window)


def rows_of(values: Floats, *, stops: tuple[int, ...] = (), broken: tuple[int, ...] = ()) -> RowBatch:
    """Rows of pm1, a period apart, with a gap before each of the rows `stops`."""
    n = len(values)
    times = np.arange(n) + 10 * np.isin(np.arange(n), stops).cumsum()
    labels = np.where(np.isin(np.arange(n), broken), BROKEN, INTACT).astype(np.int8)
    return RowBatch(["pm1"] * n, START_US + times * PERIOD_US, values, [None] * n, labels)


@st.composite
def holed_rows(draw: st.DrawFn) -> RowBatch:
    """Rows with stops in which a sensor is missing at times: for one row, for a few, or for so long that it is masked.

    No more than one of six a row, or the row would be refused.
    """
    n = draw(st.integers(WARM_UP + 1, 110))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values, row = make_values(n, seed=int(rng.integers(100))), 0
    while row < n:
        length = int(rng.choice([1, 2, 7, 35]))
        if rng.random() < 0.4:
            values[row : row + length, rng.integers(SENSORS)] = NAN
        row += length
    stops = draw(st.sets(st.integers(1, n - 1), max_size=2))
    return rows_of(values, stops=tuple(stops), broken=tuple(draw(st.sets(st.integers(0, n - 1), max_size=1))))


# The estimate itself


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 4))
def test_for_principal_components_the_estimate_is_the_least_squares_fit_to_what_is_known(
    seed: int, window: int, rank: int
):
    rng = np.random.default_rng(seed)
    width = window * SENSORS
    basis = np.linalg.qr(rng.normal(size=(width, rank)))[0]
    unseen = rng.random((8, width)) < 0.2
    shares = [np.linalg.eigvalsh((basis @ basis.T)[np.ix_(u, u)]).max(initial=0) for u in unseen]
    assume(max(shares) < 0.6)  # how fast it settles: by this factor a round
    true = rng.normal(size=(8, width))

    def project(windows: Float32s) -> Float32s:
        flat: Floats = windows.reshape(len(windows), -1).astype(np.float64) @ basis @ basis.T
        return flat.astype(np.float32).reshape(windows.shape)

    start = np.where(unseen, 0.0, true).astype(np.float32).reshape(8, window, SENSORS)
    filled, rebuilt = estimate(start, unseen.reshape(start.shape), project, limits=ANYWHERE)
    for i in range(8):
        code, *_ = np.linalg.lstsq(basis[~unseen[i]], true[i, ~unseen[i]])
        expected = np.where(unseen[i], basis @ code, true[i])
        assert np.abs(filled[i].ravel() - expected).max() < 3 * TOLERANCE * np.sqrt(width)
    assert np.array_equal(filled[unseen.reshape(start.shape)], rebuilt[unseen.reshape(start.shape)])
    assert np.array_equal(filled[~unseen.reshape(start.shape)], start[~unseen.reshape(start.shape)])


def test_a_model_that_runs_away_is_stopped_at_the_limits_after_the_last_round():
    calls: list[int] = []

    def double(windows: Float32s) -> Float32s:
        calls.append(len(windows))
        return windows * -2

    windows, unseen = np.ones((2, 1, 3), np.float32), np.zeros((2, 1, 3), np.bool_)
    unseen[0, 0, 1] = True
    filled, rebuilt = estimate(windows, unseen, double, limits=(-5.0, 5.0))
    assert calls == [2, *[1] * (MAX_ROUNDS - 1)], "a window that has settled is left alone"
    assert abs(filled[0, 0, 1]) == 5
    assert filled[0, 0, 1] == rebuilt[0, 0, 1]
    assert rebuilt[1].tolist() == [[-2, -2, -2]]


# In the engine


@pytest.mark.parametrize("window", [1, 4])
@given(rows=holed_rows(), cuts=st.sets(st.integers(1, 110)))
def test_whatever_the_batches_the_same_bytes_go_out_and_the_same_state_stays(
    rows: RowBatch, cuts: set[int], window: int
):
    cuts = {cut for cut in cuts if cut < len(rows)}
    whole_state, whole_sent = run(model(window), rows, missing="model")
    state, sent = run(model(window), rows, cuts=cuts, missing="model")
    assert sent == whole_sent
    assert same(state, whole_state)


@pytest.mark.parametrize("size", [1, 7, 60])
def test_a_net_like_the_trained_ones_estimates_the_same_bits_in_batches_of_any_size(size: int):
    schema = make_schema(59)
    deep = make_artifact(schema, window=2, graph=dense_graph(59, window=2))
    values = make_values(120, sensors=59, seed=3)
    values[np.random.default_rng(0).random(values.shape) < 0.05] = NAN
    whole = run(deep, rows_of(values), missing="model")
    cut = run(deep, rows_of(values), cuts=range(0, 120, size), missing="model")
    assert cut[1] == whole[1]
    assert same(cut[0], whole[0])


@given(holed_rows(), st.sets(st.integers(1, 110), max_size=4))
def test_a_state_that_went_through_bytes_estimates_the_same(rows: RowBatch, cuts: set[int]):
    codec, kept, sent = StateCodec(model(4).manifest.schema), dict[bytes, bytes](), list[bytes]()
    edges = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    for first, end in itertools.pairwise(edges):
        before = codec.load(kept)
        after, part = run(model(4), rows.take(slice(first, end)), states=before, line=first, missing="model")
        kept |= codec.dump("pm1", before.get("pm1"), after["pm1"])
        sent += part
    assert sent == run(model(4), rows, missing="model")[1]


@pytest.mark.parametrize("window", [1, 4])
@given(rows=holed_rows())
def test_a_window_with_nothing_missing_has_the_same_bits_as_under_hold(rows: RowBatch, window: int):
    _, by_hold = advance({}, rows, model(window))
    _, by_model = advance({}, rows, model(window), missing="model")
    assert by_model.outcome == by_hold.outcome
    assert by_model.imputed == by_hold.imputed
    missing = np.isnan(rows.values).sum(axis=1)
    for row in range(len(rows)):
        if not missing[max(row - window + 1, 0) : row + 1].any():
            assert same(by_model.score[row : row + 1], by_hold.score[row : row + 1])
            assert same(by_model.contributions[row], by_hold.contributions[row])


@given(holed_rows())
def test_features_learn_from_what_was_measured_alone(rows: RowBatch):
    (by_hold, _), (by_model, _) = run(model(4), rows), run(model(4), rows, missing="model")
    for machine in by_hold:
        assert same(by_hold[machine].memory.features, by_model[machine].memory.features)
        seen = np.isfinite(by_model[machine].memory.recent)
        assert same(by_hold[machine].memory.recent[seen], by_model[machine].memory.recent[seen])


@given(holed_rows(), st.integers(1, 109))
def test_a_monitor_may_be_restarted_the_other_way(rows: RowBatch, cut: int):
    assume(cut < len(rows))
    ways: tuple[Missing, Missing]
    for ways in (("hold", "model"), ("model", "hold")):
        states, _ = advance({}, rows.take(slice(0, cut)), model(4), missing=ways[0])
        after, results = advance(states, rows.take(slice(cut, None)), model(4), missing=ways[1])
        scored = np.isin(results.outcome, ["scored", "restarting"])
        assert np.isfinite(results.score[scored]).all()
        assert ways[1] == "model" or not np.isnan(after["pm1"].memory.recent).any()


def exact(window: int = 1) -> Artifact:
    """A projection of plain values: x1 is twice x2, x3 and x4 are what they are, x5 and x6 are 0."""
    direction = np.array([2, 1, 0, 0, 0, 0]) / np.sqrt(5)
    others = np.diag([0.0, 0, 1, 1, 0, 0])
    projection = (np.outer(direction, direction) + others).astype(np.float32)
    manifest = make_artifact(
        window=window,
        features=FeatureParams("identity", (0.0,) * SENSORS),
        scaler=Scaler((0.0,) * SENSORS, (1.0,) * SENSORS),
        score=ScoreParams("mse"),
        threshold=Threshold(0.0, "fixed"),
        policy=AlertPolicy(),
    ).manifest
    return Artifact.of(manifest, lambda windows: windows @ projection)


def test_what_follows_from_the_other_sensors_is_estimated_and_costs_no_score():
    values = np.tile([[4.0, 2, 7, 8, 1, 3]], (4, 1))
    values[1:3, 1] = NAN  # x2, of which x1 tells all: it settles by a fifth a round
    values[2, 0] = 6.0
    _, results = advance({}, rows_of(values), exact(), missing="model")
    assert results.score == pytest.approx([10 / 6, 10 / 5, 10 / 5, 10 / 6], abs=1e-5)
    assert results.imputed == {1: ("x2",), 2: ("x2",)}
    assert results.contributions[1:3, 1].tolist() == [0, 0]
    _, by_hold = advance({}, rows_of(values), exact())
    assert by_hold.score[2] > 10 / 6 + 0.1, "the held value contradicts x1"


def test_top_shows_the_estimate_as_observed_and_as_expected():
    values = np.tile([[4.0, 2, 7, 8, 0, 0]], (3, 1))
    values[2, :2] = [6, NAN]
    _, results = advance({}, rows_of(values), exact(window=2), missing="model")
    [x2] = [top for top in results.top[2] if top.sensor == "x2"]
    assert x2.observed == x2.expected == pytest.approx(3, abs=3 * TOLERANCE)
    _, by_hold = advance({}, rows_of(values), exact(window=2))
    [x2] = [top for top in by_hold.top[2] if top.sensor == "x2"]
    assert x2.observed == 2


def test_a_sensor_gone_for_longer_than_30_rows_is_still_estimated():
    values = np.tile([[4.0, 2, 7, 8, 0, 0]], (2 * MASK_AFTER_ROWS, 1))
    values[1:, 1] = NAN
    values[40:, 0] = 10.0
    _, results = advance({}, rows_of(values), exact(), missing="model")
    assert results.score == pytest.approx(0, abs=1e-5), "x1 alone says what x2 must be, however long it is away"


def test_missing_cells_of_earlier_rows_of_a_window_are_estimated_with_the_rest_of_it():
    asked: list[Float32s] = []
    spied = exact(window=3)

    def spy(windows: Float32s) -> Float32s:
        asked.append(windows.copy())
        return spied.reconstruct(windows)

    values = np.tile([[4.0, 2, 7, 8, 0, 0]], (5, 1))
    values[2] = [6, NAN, 7, 8, 0, 0]
    _, results = advance({}, rows_of(values), Artifact.of(spied.manifest, spy), missing="model")
    assert results.score[2:] == pytest.approx(0, abs=1e-5)
    assert asked[-1][:, :, 1] == pytest.approx(np.array([[2, 2, 3], [2, 3, 2], [3, 2, 2]]), abs=0.01)
