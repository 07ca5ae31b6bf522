"""advance: every row comes out once, the same bits however rows are batched, and each oddity as the contract says."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sheetbreak.engine.advance import advance
from sheetbreak.engine.alerts import WARNED_ROWS, AlertPolicy, Warned
from sheetbreak.engine.features import LARGEST, FeatureParams
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Float32s, Scaler, ScoreParams
from sheetbreak.engine.state import Results, State, cold_state
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, RowBatch, Schema
from sheetbreak.wire.state import StateCodec
from tests.support.models.making import (
    PERIOD_US,
    START_US,
    dense_graph,
    make_artifact,
    make_batch,
    make_manifest,
    make_schema,
    make_values,
    run,
    same,
)

WARM_UP = 20
SENSORS = 6
NEVER_OVER = Threshold(1e9, "fixed")


@cache
def model(window: int = 1) -> Artifact:
    return make_artifact(window=window)


def quiet_model(**changes: Any) -> Artifact:
    """A model whose threshold no row reaches."""
    return make_artifact(**({"threshold": NEVER_OVER} | changes))


def rows_of(
    times: Sequence[int],
    *,
    machine: str | Sequence[str] = "pm1",
    broken: Collection[int] = (),
    label: int = INTACT,
    values: Any = None,
) -> RowBatch:
    """Rows at `times` (in periods from the start)."""
    n = len(times)
    labels = np.full(n, label, np.int8)
    labels[list(broken)] = BROKEN
    return RowBatch(
        [machine] * n if isinstance(machine, str) else list(machine),
        START_US + np.array(times, np.int64) * PERIOD_US,
        make_values(max(n, 1), seed=1)[:n] if values is None else np.asarray(values, np.float64).reshape(n, SENSORS),
        [None] * n,
        labels,
    )


def outcomes(rows: RowBatch, using: Artifact | None = None) -> list[str]:
    return advance({}, rows, using or model())[1].outcome


def reasons(results: Results) -> list[tuple[int, str]]:
    return [(place, error.reason) for place, error in results.rejects]


def strict(message: bytes) -> Any:
    """The message parsed by the letter of JSON: Python's own parser would take NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} left the program: {message!r}")

    return json.loads(message, parse_constant=refuse)


# The batch makes no difference


@st.composite
def streams(draw: st.DrawFn) -> RowBatch:
    """Rows of three machines as a careless sender sends them: gaps, repeats, late rows, holes, clocks set back."""
    n = draw(st.integers(0, 140))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    machines = [f"pm{i}" for i in rng.choice(3, n, p=[0.8, 0.15, 0.05])]
    steps = rng.choice([1, 1, 1, 1, 1, 1, 1, 0, -3, 5], n, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.02, 0.02, 0.02, 0.02, 0.02])
    if n > 60 and draw(st.booleans()):
        steps[n // 2] = -50  # a clock set back, or a history sent twice
    values = make_values(max(n, 1), seed=int(rng.integers(100)))[:n]
    values[rng.random((n, SENSORS)) < draw(st.sampled_from([0, 0.02, 0.1]))] = np.nan
    values[rng.random(n) < draw(st.sampled_from([0, 0.1]))] *= 20
    broken = rng.choice([INTACT, BROKEN, UNKNOWN], n, p=[0.85, 0.05, 0.1]).astype(np.int8)
    clocks = {machine: np.cumsum(steps[[m == machine for m in machines]]).tolist() for machine in set(machines)}
    times = [clocks[machine].pop(0) for machine in machines]
    return RowBatch(machines, START_US + np.array(times, np.int64) * PERIOD_US, values, ["96"] * n, broken)


@pytest.mark.parametrize("window", [1, 3])
@given(rows=streams(), cuts=st.sets(st.integers(1, 140)))
def test_whatever_the_batches_the_same_bytes_go_out_and_the_same_state_stays(
    rows: RowBatch, cuts: set[int], window: int
):
    cuts = {cut for cut in cuts if cut < len(rows)}
    whole_state, whole_sent = run(model(window), rows)
    state, sent = run(model(window), rows, cuts=cuts)
    assert sent == whole_sent
    assert {m: same(state[m], whole_state[m]) for m in state} == dict.fromkeys(whole_state, True)


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_model_like_the_trained_ones_scores_the_same_bits_in_batches_of_any_size(window: int, size: int):
    schema = make_schema(59)
    deep = make_artifact(schema, window=window, graph=dense_graph(59, window=window))
    rows = make_batch(300, schema=schema, upset=range(150, 160), breaks=[200], gaps={250: 4}, missing=[(60, 3)])
    whole_state, whole_sent = run(deep, rows)
    state, sent = run(deep, rows, cuts=range(0, 300, size))
    assert sent == whole_sent
    assert same(state, whole_state)


@given(streams(), st.sets(st.integers(1, 140), max_size=6))
def test_a_state_that_went_through_bytes_after_every_batch_gives_the_same_bytes(rows: RowBatch, cuts: set[int]):
    window = model(3)
    codec = StateCodec(window.manifest.schema)
    _, expected = run(window, rows)
    kept: dict[bytes, bytes] = {}
    sent: list[bytes] = []
    edges = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    for first, end in itertools.pairwise(edges):
        before = codec.load(kept)
        batch = rows.take(slice(first, end))
        after, part = run(window, batch, states=before, line=first)
        for machine in set(batch.machines):
            kept |= codec.dump(machine, before.get(machine), after[machine])
        sent += part
    assert sent == expected


@given(streams())
def test_every_row_comes_out_exactly_once_and_each_machine_as_if_it_were_alone(rows: RowBatch):
    states, results = advance({}, rows, model())
    assert len(results.outcome) == len(rows)
    refused = [place for place, _ in results.rejects]
    assert refused == sorted(set(refused))
    assert refused == [i for i, outcome in enumerate(results.outcome) if outcome == "dead_letter"]
    assert set(states) == set(rows.machines)
    for machine in states:
        own = [i for i, name in enumerate(rows.machines) if name == machine]
        alone_states, alone = advance({}, rows.take(own), model())
        assert same(alone_states[machine], states[machine])
        assert alone.outcome == [results.outcome[i] for i in own]
        assert same(alone.score, results.score[own])
        assert same(alone.threshold, results.threshold[own])
        assert [event for _, event in alone.alerts] == [e for _, e in results.alerts if e.machine == machine]


@given(streams())
def test_advance_is_pure(rows: RowBatch):
    states, _first = run(model(3), rows.take(slice(0, len(rows) // 2)))
    copies = StateCodec(model(3).manifest.schema)
    before = {machine: copies.dump(machine, None, state) for machine, state in states.items()}
    again = [run(model(3), rows.take(slice(len(rows) // 2, None)), states=states) for _ in range(2)]
    assert again[0][1] == again[1][1]
    assert same(again[0][0], again[1][0])
    assert before == {machine: copies.dump(machine, None, state) for machine, state in states.items()}


def test_no_rows_give_no_results():
    states, results = advance({}, rows_of([]), model())
    assert states == {}
    assert (results.outcome, results.alerts, results.rejects, results.breaks) == ([], [], [], [])
    assert results.score.shape == (0,)


def test_only_the_machines_seen_are_returned():
    states, _ = run(model(), rows_of([0, 0], machine=["a", "b"]))
    after, _ = advance(states, rows_of([1], machine="b"), model())
    assert set(after) == {"b"}


# Warming up, restarting, stops


def test_an_unseen_machine_warms_up_and_is_then_scored():
    _, results = advance({}, rows_of(range(30)), model())
    assert results.outcome == ["warming_up"] * WARM_UP + ["scored"] * 10
    assert np.isnan(results.score[:WARM_UP]).all()
    assert np.isfinite(results.score[WARM_UP:]).all()
    assert same(np.isnan(results.threshold), np.isnan(results.score))


def test_a_window_of_three_needs_two_more_rows_only_where_there_is_no_warm_up():
    assert outcomes(rows_of(range(30)), model(3)) == ["warming_up"] * WARM_UP + ["scored"] * 10
    plain = make_artifact(window=3, features=FeatureParams("identity", (0.0,) * SENSORS))
    assert outcomes(rows_of(range(6)), plain) == ["warming_up"] * 2 + ["scored"] * 4


def test_rows_after_a_gap_are_restarting_for_15_rows():
    times = [*range(40), *range(60, 80)]
    assert outcomes(rows_of(times))[40:] == ["restarting"] * 15 + ["scored"] * 5


@pytest.mark.parametrize(("periods", "stops"), [(1.0, False), (1.5, False), (1.500001, True), (2.0, True)])
def test_a_gap_longer_than_stop_gap_s_is_a_stop(periods: float, stops: bool):
    rows = rows_of(range(31))
    rows.times_us[30] = rows.times_us[29] + round(periods * PERIOD_US)
    assert outcomes(rows)[30] == ("restarting" if stops else "scored")


def test_a_break_is_stopped_and_a_stop():
    found = outcomes(rows_of(range(60), broken=[40, 41]))
    assert found[40:42] == ["stopped"] * 2
    assert found[42:] == ["restarting"] * 15 + ["scored"] * 3


def test_a_stopped_row_has_neither_score_nor_part_in_features_and_thresholds():
    rows = rows_of(range(60))
    wild = rows_of(range(60), broken=[40])
    wild.values[40] = 1e6
    calm = rows_of(range(60), broken=[40])
    (wild_state, wild_sent), (calm_state, calm_sent) = run(model(), wild), run(model(), calm)
    assert wild_sent == calm_sent
    assert same(wild_state, calm_state)
    assert len(run(model(), rows)[1]) == 60


def test_where_only_a_gap_is_a_stop_the_row_after_a_break_goes_on():
    rows = rows_of([*range(45), *range(60, 63)], broken=[40])
    found = outcomes(rows, quiet_model(break_is_stop=False))
    assert found[40] == "stopped"
    assert found[41:45] == ["scored"] * 4
    assert found[45:] == ["restarting"] * 3


def test_without_lead_rows_a_broken_row_is_scored_and_no_stop():
    judged = make_artifact(make_schema(lead_rows=0))
    rows = rows_of(range(60), broken=[40, 41, 50])
    rows.values[38:43] *= 100
    states, results = advance({}, rows, judged)
    assert results.outcome[20:] == ["scored"] * 40
    assert [place for place, _ in results.breaks] == [40, 50]
    assert not [event for place, event in results.alerts if place in (40, 50) and event.kind == "closed"]
    assert results.breaks[0][1] == "yes"
    assert same(states, run(judged, rows, cuts=range(60))[0])


def test_where_no_row_foretells_another_an_alert_speaks_of_the_row():
    rows = rows_of(range(60))
    rows.values[45:50] *= 100
    said = [advance({}, rows, make_artifact(make_schema(lead_rows=n)))[1].alerts[0][1].message for n in (2, 0)]
    assert "the sheet may break" in said[0]
    assert "this row is very unusual" in said[1]
    assert "break" not in said[1]


def test_a_live_feed_without_labels_shows_stops_as_gaps_alone():
    rows = rows_of([*range(40), *range(50, 60)], label=UNKNOWN)
    _, results = advance({}, rows, model())
    assert results.breaks == []
    assert results.outcome[40:] == ["restarting"] * 10


def test_features_are_held_while_restarting_and_learn_again_after():
    fold_rows = WARM_UP + 20
    times = [*range(fold_rows), *range(fold_rows + 10, fold_rows + 40)]
    rows = rows_of(times)
    before = run(model(), rows.take(slice(0, fold_rows)))[0]["pm1"]
    held = run(model(), rows.take(slice(0, fold_rows + 15)))[0]["pm1"]
    after = run(model(), rows.take(slice(0, fold_rows + 16)))[0]["pm1"]
    assert same(before.memory.features.mean, held.memory.features.mean)
    assert not same(held.memory.features.mean, after.memory.features.mean)


class Spy:
    """A reconstruction that remembers the windows it was given."""

    def __init__(self) -> None:
        self.windows: list[Float32s] = []

    def __call__(self, windows: Float32s) -> Float32s:
        self.windows += list(windows)
        return windows


@given(streams(), st.integers(2, 5), st.sets(st.integers(1, 140), max_size=4))
@example(rows_of([*range(30), *range(40, 50)], broken=[20]), 3, {22})
def test_a_window_never_crosses_a_stop(rows: RowBatch, window: int, cuts: set[int]):
    """Values are row numbers, so each window tells which rows it is made of."""
    rows.values[:] = np.arange(len(rows))[:, None]
    spy = Spy()
    manifest = make_manifest(
        window=window, features=FeatureParams("identity", (0.0,) * SENSORS), scaler=Scaler((0.0,) * 6, (1.0,) * 6)
    )
    run(Artifact.of(manifest, spy), rows, cuts={cut for cut in cuts if cut < len(rows)})
    _, results = advance({}, rows, model(window))
    taken = {machine: list[int]() for machine in rows.machines}
    for place, outcome in enumerate(results.outcome):
        if outcome != "dead_letter":
            taken[rows.machines[place]].append(place)
    for numbers in (w[:, 0].astype(int).tolist() for w in spy.windows):
        own = taken[rows.machines[numbers[0]]]
        skipped = [n for n in own if numbers[0] <= n <= numbers[-1] and n not in numbers]
        before = [max(rows.times_us[m] for m in numbers if m < n) for n in skipped]
        for n, last_us in zip(skipped, before, strict=True):  # of a clock that was odd meanwhile, else none
            assert not last_us < rows.times_us[n] <= rows.times_us[numbers[-1]], "consecutive rows, none of them broken"
        steps = np.diff(rows.times_us[numbers])
        assert (steps > 0).all()
        assert (steps <= 180_000_000).all()
        assert not (rows.broken[numbers] == BROKEN).any()


# Late, repeated, set back, sparse


def test_repeated_and_late_rows_are_refused_and_say_why():
    states, results = advance({}, rows_of([0, 1, 2, 2, 1, 3]), model())
    assert reasons(results) == [(3, "repeated"), (4, "late")]
    [(_, repeated), (_, late)] = results.rejects
    assert "1999-05-01T00:04:00Z is not later than the machine's last row" in str(repeated)
    assert "1999-05-01T00:02:00Z is not later than" in str(late)
    assert late.machine == "pm1"
    assert states["pm1"].clock.last_us == START_US + 3 * PERIOD_US


def test_one_row_from_the_future_does_not_silence_a_machine():
    rows = rows_of([*range(30), 10**6, *range(30, 60)])
    _, results = advance({}, rows, model())
    assert reasons(results) == [(i, "late") for i in range(31, 35)]
    assert results.outcome[30] == "restarting"
    assert results.outcome[35:] == ["scored"] * 26


def test_a_history_sent_twice_does_not_silence_a_machine():
    rows = rows_of([*range(50), *range(50)])
    _, results = advance({}, rows, model())
    assert reasons(results) == [(i, "late") for i in range(50, 54)]
    assert results.outcome[54:74] == ["warming_up"] * 20
    assert results.outcome[74:] == ["scored"] * 26


def test_a_clock_set_back_starts_the_machine_as_cold_as_a_new_one():
    rows = rows_of([*range(100, 150), *range(60)], broken=[49, 104])
    back = advance({}, rows, model(3))[0]["pm1"]
    fresh = advance({}, rows.take(slice(54, None)), model(3))[0]["pm1"]
    for name in ("memory", "trailing"):
        assert same(getattr(back, name), getattr(fresh, name)), name
    assert back.clock._replace(late_us=0) == fresh.clock._replace(late_us=0)


def test_late_rows_that_do_not_ascend_set_no_clock_back():
    descending = rows_of([*range(100, 110), 9, 8, 7, 6, 5, 4, 3, 110])
    assert reasons(advance({}, descending, model())[1]) == [(i, "late") for i in range(10, 17)]
    same_time_again = rows_of([*range(100, 110), 5, 5, 5, 5, 5, 5, 110])
    assert reasons(advance({}, same_time_again, model())[1]) == [(i, "late") for i in range(10, 16)]


def test_late_rows_between_rows_in_time_set_no_clock_back():
    times = [t for i in range(20) for t in (100 + i, i)]
    _, results = advance({}, rows_of(times), model())
    assert reasons(results) == [(i, "late") for i in range(1, 40, 2)]


def test_a_repeated_row_is_refused_however_late_the_clock_seems():
    _, results = advance({}, rows_of([100, 1, 2, 3, 4, 100, 5]), model())
    assert [reason for _, reason in reasons(results)] == ["late"] * 4 + ["repeated"]
    assert results.outcome[6] == "warming_up"


def holes(count: int) -> list[float]:
    return [float("nan")] * count + [1.0] * (10 - count)


def test_a_row_that_lacks_more_than_a_fifth_of_the_sensors_is_refused():
    schema = make_schema(10)
    table = [holes(0), holes(1), holes(2), holes(3), holes(0)]
    rows = RowBatch(["pm1"] * 5, START_US + np.arange(5) * PERIOD_US, np.array(table), [None] * 5, np.zeros(5, np.int8))
    _, results = advance({}, rows, make_artifact(schema))
    assert reasons(results) == [(3, "too-many-missing")]
    assert "more than a fifth of the sensors is missing" in str(results.rejects[0][1])
    assert results.imputed == {1: ("x1",), 2: ("x1", "x2")}


def test_a_row_refused_for_its_gaps_changes_nothing():
    rows = rows_of([*range(100, 130), 1, 2, 3, 4, 5, 130, 131])
    rows.values[34, :2] = np.nan  # would be the fifth late row
    states, results = advance({}, rows, model())
    assert reasons(results) == [(30, "late"), (31, "late"), (32, "late"), (33, "late"), (34, "too-many-missing")]
    assert results.outcome[35:] == ["scored"] * 2
    assert states["pm1"].clock.late == 0


# Extremes

extreme = st.sampled_from([0.0, -0.0, 5e-324, -1e-308, 1.0, 1e15, 1e30, -1e38, 1e300, -1.7e308, float("nan")])


@pytest.mark.parametrize("kind", ["streaming-z", "identity"])
@given(table=st.lists(st.lists(extreme, min_size=6, max_size=6), min_size=1, max_size=50))
def test_whatever_is_read_only_finite_numbers_go_out(table: list[list[float]], kind: Any):
    hardy = make_artifact(
        features=FeatureParams(kind, (0.5,) * 6, start_sd=(1e-300, 0.0, 5e-324, 1.0, 1e300, 1.0), warm_up_rows=2),
        scaler=Scaler((0.0,) * 6, (1e-3, 1.0, 1.0, 1.0, 1.0, 1e3)),
        score=ScoreParams("clipped-mean" if kind == "streaming-z" else "mse", rms=(0.7,) * 6),
        threshold=Threshold(0.0, "fixed"),
    )
    states, sent = run(hardy, rows_of(range(len(table)), values=table))
    for message in sent:
        found = strict(message)
        if found.get("state") in ("scored", "restarting"):
            assert all(math.isfinite(found[name]) for name in ("score", "threshold", "ratio"))
    assert np.isfinite(states["pm1"].memory.features.mean).all()


def test_a_sensor_gone_wild_for_a_thousand_rows_is_forgotten_again():
    values = make_values(3000, seed=2)
    values[1000:2000, 3] = np.resize([1e300, -1e300], 1000)
    values[2000, 3] = 1e300
    states, sent = run(model(), rows_of(range(3000), values=values))
    scores = [found for found in map(strict, sent) if found.get("state") == "scored"]
    assert len(scores) == 3000 - WARM_UP
    assert all(math.isfinite(found["score"]) for found in scores)
    assert abs(states["pm1"].memory.features.mean[3]) < LARGEST


def test_the_reading_that_a_top_sensor_is_said_to_have_is_finite():
    values = make_values(40, seed=2)
    values[30, 2] = 1e300
    _, results = advance({}, rows_of(range(40), values=values), model())
    top = results.top[30][0]
    assert top.sensor == "x3"
    assert math.isfinite(top.observed)
    assert math.isfinite(top.expected)


# Scores, thresholds, alerts


def test_a_score_is_what_scaler_model_and_score_make_of_the_features():
    rows = rows_of(range(60))
    using = model()
    _, results = advance({}, rows, using)
    state = using.features.cold()
    _, found = using.features.fold([state], rows.values, lengths=[60], hold=[False] * 60)
    scaled = np.clip(found.z, -5, 5).astype(np.float32)[:, None]
    residual = np.abs(scaled.astype(float) - using.reconstruct(scaled).astype(float))[:, 0] / 0.7
    expected = np.minimum(residual, 8).mean(axis=1)
    assert results.score[WARM_UP:] == pytest.approx(expected[WARM_UP:], rel=1e-9)


def test_the_trailing_level_takes_over_after_min_rows_and_only_scored_rows_count():
    rows = rows_of([*range(100), *range(110, 140)], broken=[90])
    _, results = advance({}, rows, model())
    threshold = model().manifest.threshold
    counted: list[float] = []
    for place, outcome in enumerate(results.outcome):
        if outcome in ("scored", "restarting"):
            ready = len(counted) >= threshold.min_rows
            expected = np.quantile(np.array(counted[-60:], np.float32), 0.9) if ready else threshold.level
            assert results.threshold[place] == pytest.approx(expected, rel=1e-6)
            assert results.over[place] == (results.score[place] > results.threshold[place])
        if outcome == "scored":
            counted.append(float(results.score[place]))
    assert len(counted) > 60


def test_a_model_change_starts_the_trailing_scores_anew_and_keeps_features_and_alert():
    rows = make_batch(120, upset=range(95, 100))
    old, new = model(), make_artifact(version="20260601T000000Z-1111")
    states, _ = run(old, rows.take(slice(0, 98)))
    assert states["pm1"].alert.open is not None
    after, results = advance(states, rows.take(slice(98, 99)), new)
    assert results.outcome == ["scored"], "no second warm-up"
    assert results.threshold.tolist() == [1.2], "the fixed level serves again"
    assert (len(states["pm1"].trailing), len(after["pm1"].trailing)) == (60, 1)
    assert after["pm1"].alert.open is not None
    assert after["pm1"].model == new.version
    assert len(advance(states, rows.take(slice(98, 99)), old)[0]["pm1"].trailing) == 60


@pytest.mark.parametrize(("first", "second", "warming"), [(1, 3, 2), (3, 1, 0), (5, 3, 0), (3, 5, 2)])
def test_a_model_change_to_another_window_waits_for_a_full_one(first: int, second: int, warming: int):
    rows = rows_of(range(60))
    states, _ = run(model(first), rows.take(slice(0, 50)))
    _, results = advance(states, rows.take(slice(50, 60)), make_artifact(window=second, version="other"))
    assert results.outcome == ["warming_up"] * warming + ["scored"] * (10 - warming)


def test_imputed_sensors_are_named_with_each_row():
    rows = make_batch(40, missing=[(30, 2), (31, 2)])
    _, results = advance({}, rows, model())
    assert results.imputed == {30: ("x3",), 31: ("x3",)}


def test_a_sensor_that_is_gone_for_long_is_named_as_masked_in_the_alert():
    rows = make_batch(80, missing=[(i, 2) for i in range(30, 80)], upset=[75, 76])
    _, results = advance({}, rows, model())
    [event, *_] = [event for place, event in results.alerts if place >= 75]
    assert event.imputed == event.masked == ("x3",)
    _, results = advance({}, make_batch(80, missing=[(i, 2) for i in range(30, 80)], upset=[55]), model())
    [event, *_] = [event for place, event in results.alerts if place >= 55]
    assert (event.imputed, event.masked) == (("x3",), ())


def test_the_top_sensors_say_what_was_observed_and_expected_in_plant_units():
    values = make_values(60, seed=5) + 100
    values[50, 3] += 30
    rows = rows_of(range(60), values=values)
    _, results = advance({}, rows, model())
    assert results.over[50]
    top = results.top[50]
    assert len(top) == 5
    assert top[0].sensor == "x4"
    assert top[0].observed == values[50, 3]
    assert abs(top[0].expected - 100) < 20
    assert [t.share for t in top] == sorted((t.share for t in top), reverse=True)
    assert top[0].share == pytest.approx(results.contributions[50, 3] / results.contributions[50].sum())


def dial(policy: AlertPolicy | None = None, *, level: float = 4.0, **changes: Any) -> Artifact:
    """A model that scores a row by the square of what every sensor reads, from the first row on."""
    manifest = make_manifest(
        features=FeatureParams("identity", (0.0,) * SENSORS),
        scaler=Scaler((0.0,) * SENSORS, (1.0,) * SENSORS),
        score=ScoreParams("mse"),
        threshold=Threshold(level, "fixed"),
        policy=policy or AlertPolicy(),
        **changes,
    )
    return Artifact.of(manifest, np.zeros_like)


def readings(
    *stretches: tuple[int, float], times: Sequence[int] | None = None, broken: Collection[int] = ()
) -> RowBatch:
    """Rows by (count, reading of every sensor)."""
    values = np.concatenate([np.full((count, SENSORS), reading) for count, reading in stretches])
    return rows_of(range(len(values)) if times is None else times, values=values, broken=broken)


def events(results: Results) -> list[tuple[int, str]]:
    return [(place, event.kind) for place, event in results.alerts]


def test_tops_are_given_where_the_row_is_over_or_an_alert_is_open():
    _, results = advance({}, readings((10, 1), (2, 3), (8, 1)), dial(AlertPolicy(open_after=2, close_after=3)))
    assert events(results) == [(11, "opened"), (14, "closed")]
    assert sorted(results.top) == [10, 11, 12, 13, 14]


def test_an_alert_opens_runs_and_closes_in_the_stream():
    policy = AlertPolicy(open_after=2, close_after=3)
    _, results = advance({}, readings((10, 1), (5, 3), (10, 1)), dial(policy))
    assert np.flatnonzero(results.over).tolist() == [10, 11, 12, 13, 14]
    assert events(results) == [(11, "opened"), (17, "closed")]


def test_a_score_at_the_threshold_is_not_over():
    _, results = advance({}, readings((3, 2)), dial(level=4.0))
    assert results.score.tolist() == [4, 4, 4]
    assert not results.over.any()


@pytest.mark.parametrize(
    ("times", "broken", "place", "why"),
    [
        ([*range(45), *range(60, 65)], [], 45, "the machine stopped"),
        (range(50), [45], 45, "the sheet broke"),
        ([*range(45), *range(-60, -50)], [], 49, "the clock was set back"),
    ],
)
def test_a_stop_closes_an_open_alert_and_says_why(times: Sequence[int], broken: list[int], place: int, why: str):
    rows = readings((40, 1), (5, 3), (len(times) - 45, 1), times=times, broken=broken)
    _, results = advance({}, rows, dial(AlertPolicy(close_after=50)))
    assert events(results) == [(40, "opened"), (place, "closed")]
    opening, closing = (event for _, event in results.alerts)
    assert (closing.score, closing.threshold, closing.ratio) == (None, None, None)
    assert closing.time_us == rows.times_us[place]
    assert why in closing.message
    assert opening.alert_id == closing.alert_id


def test_rows_after_a_restart_open_no_alert():
    rows = readings((40, 1), (20, 3), (5, 1), times=[*range(40), *range(60, 85)])
    _, results = advance({}, rows, dial())
    assert results.over[40:60].all(), "they are scored and judged all the same"
    assert events(results)[0] == (55, "opened")
    late = advance({}, rows, dial(AlertPolicy(open_after=3)))[1]
    assert events(late)[0] == (57, "opened"), "nor do they count towards one"


def test_scores_of_restarting_rows_do_not_enter_the_trailing_ones():
    rows = readings((10, 1), (15, 3), (5, 1), times=[*range(10), *range(60, 80)])
    states, _ = advance({}, rows, dial())
    assert states["pm1"].trailing.ring.tolist() == [1] * 15


def test_an_alert_has_the_same_id_in_a_replay_and_another_for_every_opening():
    rows = readings((10, 1), (3, 3), (10, 1), (3, 3), (10, 1))
    first, again = ([event.alert_id for _, event in advance({}, rows, dial())[1].alerts] for _ in range(2))
    assert first == again
    assert len(first) == 4
    assert len(set(first)) == 2
    other = [event.alert_id for _, event in advance({}, rows, dial(version="other"))[1].alerts]
    assert not set(first) & set(other)


@pytest.mark.parametrize("distance", [1, WARNED_ROWS, WARNED_ROWS + 1])
@pytest.mark.parametrize("cut", [False, True])
def test_a_break_is_warned_of_when_an_alert_opened_within_30_rows_before_it(distance: int, cut: bool):
    using, at = dial(AlertPolicy(close_after=1)), 40 + distance
    rows = readings((40, 1), (1, 3), (60, 1), broken=[at])
    _, results = advance({}, rows, using)
    assert events(results) == [(40, "opened"), (41, "closed")]
    word = "yes" if distance <= WARNED_ROWS else "no"
    assert results.breaks == [(at, word)]
    if cut:
        assert b'{"broke":%d,"warned":"%s"}' % (at, word.encode()) in run(using, rows, cuts=range(100))[1]


def test_an_alert_open_from_earlier_covers_a_break():
    rows = readings((20, 1), (45, 3), (5, 1), broken=[60])
    assert advance({}, rows, dial(AlertPolicy(close_after=5)))[1].breaks == [(60, "covered")]


def test_a_break_of_a_machine_that_was_not_scored_yet_is_unscored():
    rows = rows_of(range(60), broken=[10, 40])
    assert [how for _, how in advance({}, rows, model())[1].breaks] == ["unscored", "no"]


def test_a_break_after_a_stop_is_covered_by_an_alert_from_before_it():
    using = dial(AlertPolicy(close_after=1))

    def breaks(*broken: int, times: Sequence[int] = range(101)) -> list[tuple[int, Warned]]:
        return advance({}, readings((40, 1), (1, 3), (60, 1), times=times, broken=broken), using)[1].breaks

    assert breaks(50, 51, 52, 70) == [(50, "yes"), (70, "covered")], "it warned of the first one alone"
    assert breaks(50, 51, 52, 72) == [(50, "yes"), (72, "no")]
    after_a_gap = [*range(41), *range(50, 110)]
    assert breaks(70, times=after_a_gap) == [(70, "covered")]
    assert breaks(72, times=after_a_gap) == [(72, "no")]
    assert breaks(41, times=after_a_gap) == [(41, "covered")], "the gap closes the alert before the break row"


def test_each_break_is_counted_once_however_many_rows_it_lasts():
    rows = rows_of(range(60), broken=[30, 31, 32, 40, 50])
    assert [place for place, _ in advance({}, rows, model())[1].breaks] == [30, 40, 50]
    assert [json.loads(m)["broke"] for m in run(model(), rows, cuts=[31, 32])[1] if b"broke" in m] == [30, 40, 50]


def test_events_of_interleaved_machines_come_in_the_order_of_their_rows():
    machines = ["a", "b"] * 60
    rows = rows_of([i // 2 for i in range(120)], machine=machines)
    rows.values[:] = 1
    rows.values[80:84] = 3
    rows.times_us[[91, 100]] = 0
    _, results = advance({}, rows, dial(AlertPolicy(close_after=2)))
    assert [(event.machine, event.kind) for _, event in results.alerts] == [
        ("a", "opened"),
        ("b", "opened"),
        ("a", "closed"),
        ("b", "closed"),
    ]
    assert [place for place, _ in results.alerts] == [80, 81, 86, 87]
    assert [place for place, _ in results.rejects] == [91, 100]


def test_a_cold_state_is_that_of_a_machine_never_seen():
    cold = cold_state(model())
    rows = rows_of(range(40))
    assert same(advance({"pm1": cold}, rows, model())[0], advance({}, rows, model())[0])


def test_outcomes_are_those_of_the_contract():
    rows = rows_of([*range(30), *range(40, 50), 45], broken=[35])
    assert set(outcomes(rows)) == {"scored", "restarting", "warming_up", "stopped", "dead_letter"}
    assert Counter(outcomes(rows))["stopped"] == 1


def test_a_schema_without_rows_of_lead_and_gap_of_its_own_is_followed():
    slow = make_artifact(Schema(sensors=make_schema().sensors, period_s=600.0, stop_gap_s=900.0))
    rows = rows_of([5 * i for i in range(30)])
    assert outcomes(rows, slow)[20:] == ["scored"] * 10
    assert isinstance(advance({}, rows, slow)[0]["pm1"], State)
