"""Sensors far from nought: a constant added to one changes no score, whether or not a cell is missing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.engine.advance import advance
from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Scaler
from sheetbreak.engine.state import State
from sheetbreak.rows import RowBatch
from sheetbreak.wire.state import StateCodec
from tests.support.models.making import make_artifact, make_batch, make_schema, same

SENSORS = 6
MEDIANS = (0.5,) * SENSORS
NONE = np.zeros(SENSORS)


def model(added: np.ndarray, *, kind: str = "streaming-z", window: int = 1, version: str = "v") -> Artifact:
    """A model of a plant with so much added to its sensors."""
    medians = tuple((np.array(MEDIANS) + added).tolist())
    start = (1.0,) * SENSORS if kind == "streaming-z" else ()
    features = FeatureParams(kind, medians, start_sd=start, warm_up_rows=20, offset=medians)  # type: ignore[arg-type]
    scaler = Scaler((0.0,) * SENSORS, (1.0,) * SENSORS, clip=5.0)
    return make_artifact(features=features, scaler=scaler, window=window, version=version)


def moved(rows: RowBatch, added: np.ndarray) -> RowBatch:
    return replace(rows, values=rows.values + added)


def scores(rows: RowBatch, under: Artifact, *, cut: int | None = None) -> np.ndarray:
    """Of all rows; `cut`: the state goes through bytes before that row."""
    if cut is None:
        return advance({}, rows, under)[1].score
    codec = StateCodec(under.manifest.schema)
    states, first = advance({}, rows.take(slice(cut)), under)
    restored = codec.load(codec.dump("pm1", None, states["pm1"]))
    assert same(restored, states)
    return np.concatenate([first.score, advance(restored, rows.take(slice(cut, None)), under)[1].score])


@given(
    added=st.lists(st.sampled_from([0.0, 7.0, -3e3, 1e6, 1.234e8, -1e9]), min_size=SENSORS, max_size=SENSORS),
    missing=st.sets(st.tuples(st.integers(0, 59), st.integers(0, SENSORS - 1)), max_size=12),
    kind=st.sampled_from(["streaming-z", "identity"]),
    window=st.sampled_from([1, 3]),
    cut=st.none() | st.integers(1, 58),
)
def test_a_constant_added_to_sensors_changes_no_score(
    added: list[float], missing: set[tuple[int, int]], kind: str, window: int, cut: int | None
):
    some = dict(missing)  # one a row: no row is refused
    rows = make_batch(60, missing=list(some.items()))
    by = np.array(added)
    near = scores(rows, model(NONE, kind=kind, window=window))
    far = scores(moved(rows, by), model(by, kind=kind, window=window), cut=cut)
    assert (np.isnan(near) == np.isnan(far)).all()
    np.testing.assert_allclose(far, near, rtol=1e-6, atol=1e-7)


def test_a_meter_in_the_billions_with_a_cell_missing():
    by = np.array([0, 0, 1_234_567_890.0, 0, 0, 0])
    rows = make_batch(120, missing=[(80, 2), (81, 2), (100, 2)])
    far, near = scores(moved(rows, by), model(by)), scores(rows, model(NONE))
    np.testing.assert_allclose(far, near, rtol=1e-6, atol=1e-7)


def test_what_is_read_is_shown_to_the_last_digit():
    by = np.array([1e9, 0, 0, 0, 0, 0])
    rows = moved(make_batch(60, upset=[40]), by)
    _, results = advance({}, rows, model(by))
    assert results.over[40]
    assert {top.observed for top in results.top[40]} <= set(rows.values[40].tolist())


@pytest.mark.parametrize("kind", ["streaming-z", "identity"])
@pytest.mark.parametrize("window", [1, 3])
def test_a_state_of_another_model_is_taken_over_whatever_each_is_relative_to(kind: str, window: int):
    rows = make_batch(120, missing=[(60, 1)])
    old, new = model(NONE, kind=kind, window=window, version="old"), model(NONE + 2.5, kind=kind, window=window)
    plain = replace(new.manifest.features, offset=())
    for first in (old, make_artifact(features=plain, window=window, version="before", scaler=new.manifest.scaler)):
        states, _ = advance({}, rows.take(slice(60)), first)
        after = advance(states, rows.take(slice(60, None)), new)[1].score
        assert not np.isnan(after).any()
        if kind == "streaming-z":
            np.testing.assert_allclose(after, advance({}, rows, new)[1].score[60:], rtol=1e-5)


def test_states_in_plant_units_are_read_and_written_as_before():
    plain = make_artifact(features=FeatureParams("streaming-z", MEDIANS, start_sd=(1.0,) * SENSORS, warm_up_rows=20))
    states, _ = advance({}, make_batch(60), plain)
    codec = StateCodec(make_schema())
    parts = codec.dump("pm1", None, states["pm1"])
    assert b"pm1\0offset" not in parts
    assert same(codec.load(parts), states)


def test_the_offset_is_written_once_and_a_state_without_it_starts_cold(caplog: pytest.LogCaptureFixture):
    under, codec = model(NONE + 1e6), StateCodec(make_schema())
    rows = moved(make_batch(60), NONE + 1e6)
    states, _ = advance({}, rows.take(slice(40)), under)
    first = codec.dump("pm1", None, states["pm1"])
    later, _ = advance(states, rows.take(slice(40, 41)), under)
    then = codec.dump("pm1", states["pm1"], later["pm1"])
    assert b"pm1\0offset" in first
    assert b"pm1\0offset" not in then
    assert same(codec.load(first | then), later)
    kept: dict[str, State] = codec.load({key: part for key, part in first.items() if b"offset" not in key})
    assert kept == {}
    assert "event=state-dropped machine=pm1" in caplog.text
