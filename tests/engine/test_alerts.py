"""The knobs of the alert policy, alone and together: what each promises over whatever a machine sends."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.engine.admission import GAP, REST, RUN, SET_BACK
from sheetbreak.engine.advance import advance
from sheetbreak.engine.alerts import (
    IDLE,
    WARNED_ROWS,
    AlertPolicy,
    AlertState,
    Cause,
    ScoredRow,
    change_grade,
    judge,
    pass_by,
    stop,
)
from sheetbreak.engine.decision import pass_over
from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Scaler, ScoreParams, TopSensor
from sheetbreak.engine.state import Results, State
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.rows import BROKEN, INTACT, RowBatch
from sheetbreak.wire.state import StateCodec
from tests.support.models.making import PERIOD_US, START_US, make_manifest, make_schema, run, same

LEVEL = 4.0
FIXED = Threshold(LEVEL, "fixed")
BY_GRADE = Threshold(LEVEL, "trailing/grade", 0.6, trailing_rows=12, min_rows=4, grade_levels={"B": 3.0})


def dial(policy: AlertPolicy, *, threshold: Threshold = FIXED) -> Artifact:
    """A model of one sensor that scores a row by the square of what it reads, from the first row on."""
    manifest = make_manifest(
        make_schema(1),
        features=FeatureParams("identity", (0.0,)),
        scaler=Scaler((0.0,), (1.0,)),
        score=ScoreParams("mse"),
        threshold=threshold,
        policy=policy,
    )
    return Artifact.of(manifest, np.zeros_like)


def rows_of(text: str, *, grades: str = "") -> RowBatch:
    """A row a character: `.` quiet, `o` over, `x` the sheet is broken, `|` a stop of an hour before the next row."""
    times, hour = list[int](), 0
    for mark in text:
        hour += 30 if mark == "|" else 0
        if mark != "|":
            times.append(START_US + (len(times) + hour) * PERIOD_US)
    marks = [mark for mark in text if mark != "|"]
    return RowBatch(
        ["pm1"] * len(marks),
        np.array(times, np.int64),
        np.array([[3.0 if mark == "o" else 1.0] for mark in marks]).reshape(-1, 1),
        [None if g == "-" else g for g in grades] if grades else [None] * len(marks),
        np.array([BROKEN if mark == "x" else INTACT for mark in marks], np.int8),
    )


def opened(results: Results) -> list[int]:
    return [place for place, event in results.alerts if event.kind == "opened"]


def closed(results: Results) -> list[int]:
    return [place for place, event in results.alerts if event.kind == "closed"]


@pytest.mark.parametrize(("rearm", "second"), [(0, 6), (1, 7), (3, 9), (4, None)])
def test_no_alert_opens_in_the_rows_after_one_was_closed(rearm: int, second: int | None) -> None:
    _, results = advance({}, rows_of("..oo..oooo.."), dial(AlertPolicy(close_after=2, rearm_rows=rearm)))
    assert closed(results)[0] == 5
    assert opened(results) == [2] + ([second] if second else [])


def test_a_stop_that_closes_an_alert_mutes_the_machine_too() -> None:
    text = "..oo|" + "o" * 10
    for rearm in (0, 4):
        policy = AlertPolicy(restart_rows=0, rearm_rows=rearm)
        assert opened(advance({}, rows_of(text), dial(policy))[1]) == [2, 4 + rearm]


def test_a_stop_without_an_alert_mutes_nothing() -> None:
    policy = AlertPolicy(restart_rows=0, rearm_rows=9)
    assert opened(advance({}, rows_of("..|.ooo"), dial(policy))[1]) == [3]


def test_muted_rows_count_towards_no_alert() -> None:
    policy = AlertPolicy(close_after=1, rearm_rows=2, open_after=2)
    _, results = advance({}, rows_of("oo.ooooo"), dial(policy))
    assert (closed(results), opened(results)) == ([2], [1, 6])


def test_rows_after_a_grade_change_open_no_alert() -> None:
    rows = rows_of("oooooooooo", grades="AAABBBBBBB")
    rows.values[:4] = 1.0
    for muted, expected in ((0, [4]), (1, [4]), (2, [5]), (5, [8]), (9, [])):
        assert opened(advance({}, rows, dial(AlertPolicy(grade_change_rows=muted)))[1]) == expected


def test_the_first_grade_known_and_rows_without_one_are_no_change() -> None:
    rows = rows_of("oooooooo", grades="--A---A-")
    assert opened(advance({}, rows, dial(AlertPolicy(grade_change_rows=50)))[1]) == [0]
    rows = rows_of(".ooooooo", grades="A-B---A-")
    assert opened(advance({}, rows, dial(AlertPolicy(grade_change_rows=4)))[1]) == [1], "it was open at the change"
    rows = rows_of("..oooooooo", grades="A-B-------")
    assert opened(advance({}, rows, dial(AlertPolicy(grade_change_rows=4)))[1]) == [6]


def test_a_grade_change_while_the_sheet_is_broken_mutes_the_rows_from_there_on() -> None:
    rows = rows_of("..xxooooooo", grades="AABBBBBBBBB")
    policy = AlertPolicy(restart_rows=0, grade_change_rows=6)
    assert opened(advance({}, rows, dial(policy))[1]) == [8]


def test_an_open_alert_runs_on_through_a_grade_change_and_closes_in_its_time() -> None:
    rows = rows_of("ooooo.....", grades="AABBBBBBBB")
    _, results = advance({}, rows, dial(AlertPolicy(close_after=3, grade_change_rows=100)))
    assert (opened(results), closed(results)) == ([0], [7])
    rows = rows_of("oo..oooooo", grades="AABBBBBBBB")
    _, results = advance({}, rows, dial(AlertPolicy(close_after=2, grade_change_rows=6)))
    assert (opened(results), closed(results)) == ([0, 8], [3]), "rows with an open alert count down, too"


POLICIES = st.builds(
    AlertPolicy,
    open_after=st.integers(1, 3),
    close_after=st.integers(1, 4),
    close_ratio=st.sampled_from([0.5, 1.0]),
    restart_rows=st.sampled_from([0, 3]),
    update_every=st.integers(1, 3),
    rearm_rows=st.sampled_from([0, 1, 5]),
    grade_change_rows=st.sampled_from([0, 1, 6]),
)


@st.composite
def streams(draw: st.DrawFn) -> RowBatch:
    text = draw(st.text("oo..x|", max_size=60)) + "."
    rows = rows_of(text)
    return replace(
        rows, grades=draw(st.lists(st.sampled_from(["A", "B", None]), min_size=len(rows), max_size=len(rows)))
    )


@pytest.mark.parametrize("threshold", [FIXED, BY_GRADE])
@given(rows=streams(), policy=POLICIES, cuts=st.sets(st.integers(1, 60)))
def test_batches_of_any_cut_and_a_state_through_bytes_give_the_same_events_and_ids(
    rows: RowBatch, policy: AlertPolicy, cuts: set[int], threshold: Threshold
) -> None:
    model = dial(policy, threshold=threshold)
    whole_state, whole = run(model, rows)
    state, sent = run(model, rows, cuts={cut for cut in cuts if cut < len(rows)})
    assert sent == whole
    assert same(state, whole_state)
    codec, kept = StateCodec(model.manifest.schema), dict[bytes, bytes]()
    again: list[bytes] = []
    held: dict[str, State] = {}
    for first in range(len(rows)):
        after, some = run(model, rows.take(slice(first, first + 1)), states=codec.load(kept), line=first)
        kept |= codec.dump("pm1", held.get("pm1"), after["pm1"])
        held, again = after, again + some
    assert again == whole


@given(rows=streams(), policy=POLICIES)
def test_no_alert_opens_while_it_is_muted(rows: RowBatch, policy: AlertPolicy) -> None:
    """By hand: of every opening, how far back the last closing and the last change of grade lie."""
    _, results = advance({}, rows, dial(policy))
    ends = closed(results)
    known = [(place, grade) for place, grade in enumerate(rows.grades) if grade is not None]
    changes = [later for (_, one), (later, other) in pairwise(known) if one != other]
    stop_closed = {place for place, event in results.alerts if event.kind == "closed" and event.score is None}
    for place in opened(results):
        assert all(place - end + (end in stop_closed) > policy.rearm_rows for end in ends if end <= place)
        assert all(place - change >= policy.grade_change_rows for change in changes if change <= place)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=60), POLICIES)
def test_a_state_in_which_nothing_happens_becomes_idle(
    rows: list[tuple[bool, bool, bool]], policy: AlertPolicy
) -> None:
    """Or else the engine's short cut for idle machines would be lost after the first alert."""
    state = IDLE
    for over, scored, changed in rows:
        state = change_grade(policy, state) if changed else state
        state = _fold(policy, state, over=over) if scored else pass_by(state)
    for _ in range(60):
        state = _fold(policy, state, over=False)
    assert state == IDLE


STEPS = st.lists(st.sampled_from(["scored", "unscored", REST, GAP, SET_BACK]), max_size=40)
CLOSED = st.builds(
    AlertState,
    st.integers(0, 3),
    st.integers(1, WARNED_ROWS),
    st.none(),
    st.integers(0, 9),
    st.integers(1, WARNED_ROWS),
)


@given(CLOSED, STEPS, POLICIES)
def test_steps_at_which_nothing_can_open_are_passed_over_as_if_one_by_one(
    state: AlertState, steps: list[str], policy: AlertPolicy
) -> None:
    one_by_one = state
    for what in steps:
        if what == "scored":
            one_by_one = _fold(policy, one_by_one, over=False)
        elif what in ("unscored", REST):
            one_by_one = pass_by(one_by_one)
        else:
            one_by_one, event = stop(policy, one_by_one, "pm1", time_us=0, model="m", why=what)
            assert event is None
    taken = [(place, RUN if "scored" in what else what, 99) for place, what in enumerate(steps)]
    levels = [LEVEL if what == "scored" else float("nan") for what in steps]
    assert pass_over(state, taken, levels) == one_by_one


def _fold(policy: AlertPolicy, state: AlertState, *, over: bool) -> AlertState:
    cause = Cause((TopSensor("x1", 1.0, 1.0, 0.0),))
    row = ScoredRow(
        "pm1", 0, 9.0 if over else 1.0, LEVEL, over=over, cause=lambda: cause, leading=lambda: "x1", model="m"
    )
    return judge(policy, state, row, may_open=True)[0]
