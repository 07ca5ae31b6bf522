"""Streaming z: equal to the textbook recurrence, to the bit however rows are batched, blind to nothing but gaps."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.engine.features import LARGEST, MASK_AFTER_ROWS, FeatureFold, FeatureParams, Features, FeatureState
from tests.support.models.making import same

Floats = npt.NDArray[np.float64]
SENSORS = 3
NAN = float("nan")


def make_fold(**changes: Any) -> FeatureFold:
    usual: dict[str, Any] = {"fallback": (10.0, 20.0, 30.0), "start_sd": (1.0, 2.0, 0.5), "warm_up_rows": 5}
    return FeatureFold(FeatureParams(**({"kind": "streaming-z"} | usual | changes)))


def fold_rows(
    fold: FeatureFold, values: Floats, hold: Sequence[bool] | None = None, state: FeatureState | None = None
) -> tuple[FeatureState, Features]:
    holds = [False] * len(values) if hold is None else hold
    (after,), found = fold.fold([state or fold.cold()], values, lengths=[len(values)], hold=holds)
    return after, found


def plain_z(values: Sequence[float], held: Sequence[bool], params: FeatureParams, sensor: int) -> list[float]:
    """One sensor's z, by the recurrence as detection.md words it: no arrays, no rounding, no state to store."""
    alpha = 1 - 0.5 ** (1 / params.half_life_rows)
    mean, variance = values[0], params.start_sd[sensor] ** 2
    floor = (params.floor_ratio * params.start_sd[sensor]) ** 2
    found = []
    for value, stays in zip(values, held, strict=True):
        sd = math.sqrt(max(variance, floor))
        z = (value - mean) / sd
        found.append(z)
        if stays:
            continue
        step = max(-params.clip_sd, min(params.clip_sd, z)) * sd
        variance = (1 - alpha) * (variance + alpha * step**2)
        mean += alpha * step
    return found


reading = st.floats(-1e4, 1e4).map(lambda x: round(x, 3))
row = st.lists(reading, min_size=SENSORS, max_size=SENSORS)
gappy_row = st.lists(reading | st.just(NAN), min_size=SENSORS, max_size=SENSORS)


def table(rows: list[list[float]]) -> Floats:
    return np.array(rows, np.float64).reshape(-1, SENSORS)


@given(st.lists(st.tuples(row, st.booleans()), min_size=1, max_size=60))
def test_z_is_that_of_the_textbook_recurrence(rows: list[tuple[list[float], bool]]):
    fold = make_fold(half_life_rows=20.0)
    values, held = table([cells for cells, _ in rows]), [stays for _, stays in rows]
    z = fold_rows(fold, values, held)[1].z
    for sensor in range(SENSORS):
        expected = plain_z(values[:, sensor].tolist(), held, fold.params, sensor)
        rounding = 2e-8 * np.abs(values[:, sensor]).max() / (fold.params.floor_ratio * fold.params.start_sd[sensor])
        assert z[:, sensor] == pytest.approx(expected, rel=1e-6, abs=1e-6 + rounding)


def test_z_of_a_long_run_is_that_of_the_textbook_recurrence():
    fold = make_fold(half_life_rows=120.0)
    rng = np.random.default_rng(0)
    values = 1350 + np.cumsum(rng.normal(scale=0.02, size=(5000, SENSORS)), axis=0) + rng.normal(size=(5000, SENSORS))
    z = fold_rows(fold, values)[1].z
    for sensor in range(SENSORS):
        expected = plain_z(values[:, sensor].tolist(), [False] * 5000, fold.params, sensor)
        assert np.abs(z[:, sensor] - expected).max() < 5e-5, "rounded to the nearest, errors do not add up"


@given(
    st.lists(st.tuples(gappy_row, st.booleans()), max_size=40), st.sets(st.integers(0, 40)), st.sampled_from([0, 1, 5])
)
def test_features_and_state_are_the_same_bits_however_rows_are_batched(
    rows: list[tuple[list[float], bool]], cuts: set[int], warm_up_rows: int
):
    for kind in ("streaming-z", "identity"):
        fold = make_fold(kind=kind, warm_up_rows=warm_up_rows)
        values, held = table([cells for cells, _ in rows]), [stays for _, stays in rows]
        whole_state, whole = fold_rows(fold, values, held)
        state = fold.cold()
        edges = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
        for first, end in pairwise(edges):
            state, part = fold_rows(fold, values[first:end], held[first:end], state)
            for name in ("z", "observed", "centre", "spread"):
                assert getattr(part, name).tobytes() == getattr(whole, name)[first:end].tobytes()
            assert part.imputed == {i - first: s for i, s in whole.imputed.items() if first <= i < end}
            assert part.masked == {i - first: s for i, s in whole.masked.items() if first <= i < end}
        assert same(state, whole_state)


machine_rows = st.lists(st.tuples(gappy_row, st.booleans()), max_size=12)


@given(
    st.lists(st.tuples(machine_rows, machine_rows), min_size=1, max_size=6),
    st.sampled_from(["streaming-z", "identity"]),
)
def test_machines_folded_side_by_side_have_the_same_bits_as_each_alone(
    machines: list[tuple[list[tuple[list[float], bool]], list[tuple[list[float], bool]]]], kind: str
):
    fold = make_fold(kind=kind)
    states = [fold_rows(fold, table([cells for cells, _ in before]))[0] for before, _ in machines]
    lengths = [len(rows) for _, rows in machines]
    values = table([cells for _, rows in machines for cells, _ in rows])
    hold = [held for _, rows in machines for _, held in rows]
    after, together = fold.fold(states, values, lengths=lengths, hold=hold)
    first = 0
    for state, rows, found in zip(states, lengths, after, strict=True):
        own = slice(first, first + rows)
        alone, features = fold_rows(fold, values[own], hold[own], state)
        assert same(found, alone)
        for name in ("z", "observed", "centre", "spread"):
            assert getattr(together, name)[own].tobytes() == getattr(features, name).tobytes()
        for name in ("imputed", "masked"):
            theirs = {row - first: s for row, s in getattr(together, name).items() if first <= row < first + rows}
            assert theirs == getattr(features, name)
        first += rows


def test_a_fold_changes_neither_the_state_nor_the_rows_it_is_given():
    fold = make_fold()
    state, _ = fold_rows(fold, table([[1, 2, 3], [NAN, 2, 3]]))
    before = [a.copy() for a in (state.mean, state.variance, state.last, state.missing)]
    values = table([[4, NAN, 6], [7, 8, 9]])
    given_values = values.copy()
    fold_rows(fold, values, state=state)
    after = (state.mean, state.variance, state.last, state.missing)
    assert all(same(a, b) for a, b in zip(before, after, strict=True))
    assert same(values, given_values)


def test_no_rows_change_nothing():
    for kind in ("streaming-z", "identity"):
        fold = make_fold(kind=kind)
        for state in (fold.cold(), fold_rows(fold, table([[1, 2, NAN]]))[0]):
            after, found = fold_rows(fold, table([]), state=state)
            assert same(after, state)
            assert found.z.shape == (0, SENSORS)


def test_a_row_is_scored_before_it_is_learned_from():
    fold = make_fold()
    z = fold_rows(fold, table([[0, 0, 0], [1, 2, 0.5], [1, 2, 0.5]]))[1].z
    assert z[0].tolist() == [0, 0, 0], "the mean starts at the first row"
    assert z[1] == pytest.approx([1, 1, 1], rel=1e-2), "one start_sd away"
    assert (z[2] < z[1]).all()


def test_half_of_a_step_is_learned_in_a_half_life():
    fold = make_fold(half_life_rows=50.0, start_sd=(1e3,) * SENSORS)
    values = np.full((51, SENSORS), 100.0)
    values[0] = 0.0
    state, _ = fold_rows(fold, values)
    assert state.mean == pytest.approx(np.full(SENSORS, 50.0), rel=1e-3)


def test_a_spike_moves_the_mean_by_no_more_than_clip_sd():
    fold = make_fold(clip_sd=6.0, half_life_rows=1.0, start_sd=(1.0,) * SENSORS)
    state, found = fold_rows(fold, table([[0] * 3, [1e6, -1e6, 3]]))
    assert found.z[1, :2].tolist() == pytest.approx([1e6 / 0.5**0.5, -1e6 / 0.5**0.5])
    assert state.mean == pytest.approx([6 * 0.5 * 0.5**0.5, -6 * 0.5 * 0.5**0.5, 1.5])


def test_mean_and_variance_stay_while_held():
    fold = make_fold()
    state, _ = fold_rows(fold, table([[1, 2, 3], [2, 3, 4]]))
    after, found = fold_rows(fold, table([[50, 60, 70], [NAN, 61, 71]]), [True, True], state)
    assert same(after.mean, state.mean)
    assert same(after.variance, state.variance)
    assert after.last.tolist() == [50, 61, 71]
    assert (found.z[0] > 6).all(), "a held row has its features all the same"


def test_a_constant_sensor_has_finite_features():
    fold = make_fold(start_sd=(0.0, 0.0, 1.0))
    values = np.full((3000, SENSORS), 7.0)
    values[-1] = 8.0
    z = fold_rows(fold, values)[1].z
    assert np.isfinite(z).all()
    assert (z[:-1] == 0).all()
    assert z[-1, 0] == pytest.approx(20), "the floor is floor_ratio of 1 in the sensor's unit"


# Missing values


def test_a_missing_value_is_the_last_one_seen_and_before_that_the_training_median():
    fold = make_fold()
    found = fold_rows(fold, table([[1, NAN, 3], [NAN, 5, NAN], [2, NAN, 4]]))[1]
    assert found.observed.tolist() == [[1, 20, 3], [1, 5, 3], [2, 5, 4]]
    assert found.imputed == {0: [1], 1: [0, 2], 2: [1]}
    assert found.masked == {}


def test_a_held_value_teaches_nothing():
    fold = make_fold()
    state, _ = fold_rows(fold, table([[1, 2, 3], [2, 3, 4]]))
    after, _ = fold_rows(fold, table([[NAN, 9, NAN]]), state=state)
    assert after.mean[[0, 2]].tolist() == state.mean[[0, 2]].tolist()
    assert after.variance[[0, 2]].tolist() == state.variance[[0, 2]].tolist()
    assert after.mean[1] > state.mean[1]


@pytest.mark.parametrize("kind", ["streaming-z", "identity"])
def test_a_sensor_missing_for_more_than_30_rows_counts_as_normal_until_it_is_back(kind: str):
    fold = make_fold(kind=kind)
    rows = [[100.0, 2, 3], [-50.0, 2, 3], *[[NAN, 2.0, 3.0]] * 35, [7.0, 2, 3]]
    found = fold_rows(fold, table(rows))[1]
    assert sorted(found.masked) == list(range(2 + MASK_AFTER_ROWS, 37)) == [32, 33, 34, 35, 36]
    assert set(found.imputed) == set(range(2, 37))
    normal = 0.0 if kind == "streaming-z" else fold.params.fallback[0]
    assert (found.z[32:37, 0] == normal).all()
    assert (found.z[2:32, 0] != normal).all()
    assert (found.observed[2:37, 0] == -50).all()
    assert found.z[37, 0] != normal


def test_a_sensor_missing_for_a_week_is_counted_without_overflow():
    fold = make_fold()
    state, found = fold_rows(fold, table([[1, 2, 3], *[[NAN, 2.0, 3.0]] * 5000]))
    assert state.missing.tolist() == [MASK_AFTER_ROWS + 1, 0, 0]
    assert 5000 in found.masked
    assert fold_rows(fold, table([[1, 2, 3]]), state=state)[0].missing.tolist() == [0, 0, 0]


# Extremes

extreme = st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1e-300, 1e-30, 1.0, -1.0, 1e15, LARGEST, -LARGEST, NAN])


@given(
    st.lists(st.lists(extreme, min_size=3, max_size=3), max_size=60),
    st.lists(st.sampled_from([0.0, 5e-324, 1e-300, 1e-170, 1e-20, 1.0, 1e20, 1e300]), min_size=3, max_size=3),
)
def test_extreme_values_leave_every_number_finite(rows: list[list[float]], start_sd: list[float]):
    fold = make_fold(start_sd=tuple(start_sd))
    state, found = fold_rows(fold, table(rows))
    for numbers in (found.z, found.observed, found.centre, found.spread, state.mean, state.variance):
        assert np.isfinite(numbers).all()
    assert not np.isinf(state.last).any()


def test_a_sensor_that_jumps_between_extremes_for_ever_leaves_every_number_finite():
    fold = make_fold()
    values = np.resize([[LARGEST] * 3, [-LARGEST] * 3], (3000, 3))
    state, found = fold_rows(fold, values)
    assert np.isfinite(found.z).all()
    assert np.isfinite(state.variance).all()
    state, found = fold_rows(fold, np.ones((20_000, 3)), state=state)
    assert np.isfinite(found.z).all()
    assert np.abs(found.z[-1]).max() < 6, "it finds back"


# States of other models


def test_a_state_that_another_kind_of_features_began_starts_as_a_cold_one_does():
    rows = table([[1, 2, 3], [2, 4, 3.5], [1, 2, 3]])
    plain, streaming = make_fold(kind="identity"), make_fold()
    state, _ = fold_rows(plain, rows)
    taken_over = fold_rows(streaming, rows, state=state)[1]
    assert taken_over.z.tobytes() == fold_rows(streaming, rows)[1].z.tobytes()


def test_identity_features_are_the_values_and_need_no_warm_up():
    fold = make_fold(kind="identity", start_sd=())
    rows = table([[1, 2, 3], [4, 5, 6]])
    _, found = fold_rows(fold, rows)
    assert fold.warm_up_rows == 0
    assert same(found.z, rows)
    assert (found.centre + found.z * found.spread).tolist() == rows.tolist()
    assert make_fold().warm_up_rows == 5


def test_features_lead_back_to_plant_units():
    fold = make_fold()
    values = np.random.default_rng(0).normal(50, 3, size=(200, SENSORS))
    _, found = fold_rows(fold, values)
    assert found.centre + found.z * found.spread == pytest.approx(values)
