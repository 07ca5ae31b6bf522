"""The replay's faults: how they are written, and that they strike what they name and nothing else."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.encoding import wire_encoder
from replay.faults import (
    DEFAULT_SIZES,
    GRAMMAR,
    RECORD_KINDS,
    SENSOR_KINDS,
    Fault,
    damage_values,
    garble,
    parse_fault,
    sending_order,
)
from sheetbreak.errors import DataError, RowError
from sheetbreak.rows import Schema
from sheetbreak.wire.rows import WireDecoder
from tests.support.programs.replaying import MINUTE_US, SENSORS, START_US, Time, decoded, history_of, played


def make_fault(kind: str, sensors: list[str], first: int, rows: int, size: float) -> Fault:
    if kind not in DEFAULT_SIZES:
        size = 0.0
    elif kind == "late":
        size = float(math.ceil(size))
    return Fault(kind, tuple(sensors) if kind in SENSOR_KINDS else (), first, first + rows, size)


FAULTS = st.builds(
    make_fault,
    st.sampled_from((*SENSOR_KINDS, *RECORD_KINDS)),
    st.lists(st.sampled_from(SENSORS), min_size=1, max_size=3, unique=True),
    st.integers(0, 30),
    st.integers(1, 10),
    st.floats(0.5, 20).map(lambda size: round(size, 2)),
)


@given(FAULTS)
def test_a_fault_is_read_back_from_what_it_is_written_as(fault):
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("stuck:x17@100-200", Fault("stuck", ("x17",), 100, 200)),
        ("drift:x17@100-200", Fault("drift", ("x17",), 100, 200, 5.0)),
        ("drift:x17@100-200=-2.5", Fault("drift", ("x17",), 100, 200, -2.5)),
        ("spike:x3@150", Fault("spike", ("x3",), 150, 151, 10.0)),
        ("missing:x5,x6@0-2", Fault("missing", ("x5", "x6"), 0, 2)),
        ("missing:Flow 3 (l/s)@7", Fault("missing", ("Flow 3 (l/s)",), 7, 8)),
        ("duplicate@3", Fault("duplicate", (), 3, 4)),
        ("late@3=5", Fault("late", (), 3, 4, 5.0)),
        ("garbage@3-9", Fault("garbage", (), 3, 9)),
    ],
)
def test_a_fault_says_what_where_and_how_much(text, fault):
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("stuck", "not of the form"),
        ("stuck:x1", "not of the form"),
        ("stuck:x1@", "not of the form"),
        ("stuck:x1@-5", "not of the form"),
        ("stuck@1-2", "needs a sensor"),
        ("stuck:@1-2", "needs a sensor"),
        ("stuck:x1,@1-2", "needs a sensor"),
        ("loose:x1@1-2", "no kind 'loose'"),
        ("garbage:x1@1-2", "takes no sensor"),
        ("stuck:x1@5-5", "no row is from 5 to before 5"),
        ("stuck:x1@1-2=3", "stuck has no size"),
        ("spike:x1@1-2=big", "'big' is not a number"),
        ("spike:x1@1-2=nan", "not finite"),
        ("late@1=0", "not a number of rows"),
        ("late@1=1.5", "not a number of rows"),
    ],
)
def test_a_bad_fault_is_refused_with_the_grammar(text, why):
    with pytest.raises(DataError, match=re.escape(why)) as refused:
        parse_fault(text)
    assert text in str(refused.value)
    assert GRAMMAR in str(refused.value)


@given(st.text(alphabet="stuckdrifpelamgb:x123@-=,. \n", max_size=30))
def test_any_text_is_a_fault_or_refused_with_the_grammar(text):
    try:
        found = str(parse_fault(text))
    except DataError as refused:
        found = str(refused)
    assert GRAMMAR in found or str(parse_fault(found)) == found


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("stuck:x9@0-2", "no sensor 'x9'; the sensors are x1, x2, x3"),
        ("garbage@50", "none of these rows is played; what is played is in rows 0 to 2"),
    ],
)
def test_a_fault_that_strikes_nothing_is_refused(fault, message):
    with pytest.raises(DataError, match=message):
        played(history_of([0, 2, 4]), fault)


def struck(*faults: str, machines: list[str] | None = None, rows: int = 12):
    history = history_of(list(range(rows)), machines)
    parsed = [parse_fault(fault) for fault in faults]
    after = damage_values(
        history.rows.values,
        parsed,
        numbers=history.numbers,
        machines=history.rows.machines,
        sensors=SENSORS,
        deviations=np.array([1.0, 2.0, 3.0]),
    )
    return history.rows.values, after


def test_a_stuck_sensor_keeps_its_first_value():
    before, after = struck("stuck:x2@3-7")
    assert (after[3:7, 1] == before[3, 1]).all()
    assert (after != before).sum() == 3


def test_a_drift_grows_to_its_size_in_deviations():
    before, after = struck("drift:x2@4-8=3")
    assert (after - before)[4:8, 1] == pytest.approx([1.5, 3.0, 4.5, 6.0])
    assert (after != before).sum() == 4


def test_a_spike_is_its_size_away_in_every_row():
    before, after = struck("spike:x3@4-6=-2", "spike:x1@0")
    assert (after - before)[4:6, 2] == pytest.approx([-6.0, -6.0])
    assert (after - before)[0, 0] == pytest.approx(10.0)
    assert (after != before).sum() == 3


def test_a_missing_value_is_null_on_the_wire():
    sent = played(history_of([0, 2]), "missing:x1,x3@1")
    assert b'"x1":null' in sent[1][1].value
    assert np.isnan(decoded(sent).values[1]).tolist() == [True, False, True]


def test_each_machine_is_struck_by_itself():
    before, after = struck("stuck:x1@2-8", machines=["a", "b"] * 6)
    assert (after[2:8:2, 0] == before[2, 0]).all()
    assert (after[3:8:2, 0] == before[3, 0]).all()


@given(st.lists(FAULTS.filter(lambda fault: fault.kind in SENSOR_KINDS), max_size=4))
def test_what_no_fault_strikes_stays_as_it_is(faults):
    before, after = struck(*map(str, faults), rows=40)
    meant = np.zeros(before.shape, dtype=bool)
    for fault in faults:
        meant[fault.first : fault.until, [SENSORS.index(name) for name in fault.sensors]] = True
    np.testing.assert_array_equal(before[~meant], after[~meant])


@given(
    st.lists(FAULTS.filter(lambda fault: fault.kind in RECORD_KINDS), max_size=4),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=41, max_size=41),
)
def test_every_row_is_sent_and_only_duplicates_are_sent_again(faults, machines):
    order = sending_order(faults, numbers=np.arange(41), machines=machines)
    expected = np.ones(41, dtype=int)
    for fault in faults:
        if fault.kind == "duplicate":
            expected[fault.first : fault.until] += 1
    assert np.bincount(order, minlength=41).tolist() == expected.tolist()
    late = {row for fault in faults if fault.kind == "late" for row in range(fault.first, fault.until)}
    punctual = [row for row in order.tolist() if row not in late]
    assert punctual == sorted(punctual)


@given(
    st.integers(0, 30), st.integers(1, 10), st.integers(1, 5), st.lists(st.sampled_from("ab"), min_size=41, max_size=41)
)
def test_late_rows_come_in_their_order_after_the_rows_of_their_machine_that_follow(first, rows, size, machines):
    fault = parse_fault(f"late@{first}-{first + rows}={size}")
    order = sending_order([fault], numbers=np.arange(41), machines=machines).tolist()
    for machine in "ab":
        own = [row for row in order if machines[row] == machine]
        late = [row for row in own if first <= row < first + rows]
        after = [row for row in range(first + rows, 41) if machines[row] == machine]
        assert late == sorted(late)
        if late:
            following = own[: own.index(late[0])]
            assert [row for row in following if row > late[-1]] == after[:size]


def test_a_late_row_goes_out_when_the_row_that_overtook_it_is_due_and_holds_up_no_other():
    time = Time()
    sent = played(history_of([0, 2, 4, 6, 8, 10, 12]), "late@1=2", time=time, speed=60.0)
    assert [at - 100 for at, _ in sent] == pytest.approx([0, 4, 6, 6, 8, 10, 12])
    assert (decoded(sent).times_us - START_US).tolist() == [m * MINUTE_US for m in (0, 4, 6, 2, 8, 10, 12)]


def test_a_duplicate_is_the_same_bytes_again():
    sent = [message for _, message in played(history_of([0, 2, 4]), "duplicate@1")]
    assert len(sent) == 4
    assert sent[1] == sent[2] != sent[3]


@given(st.integers(0, 1000))
def test_garbage_is_one_line_that_is_no_row(number):
    history = history_of([0])
    record = garble(wire_encoder(history.rows, history.schema, labels=True)(0, START_US, ["pm1"])[0], number)
    assert record.strip()
    assert b"\n" not in record
    found = WireDecoder(history.schema).decode([record])
    assert [type(reject) for _, reject in found.rejects] == [RowError]


def test_garbage_takes_the_place_of_its_row_and_keeps_its_key():
    sent = [message for _, message in played(history_of([0, 2, 4], ["a", "b", "a"]), "garbage@1")]
    found = WireDecoder(Schema(sensors=SENSORS)).decode([message.value for message in sent])
    assert found.index == [0, 2]
    assert [message.machine for message in sent] == ["a", "b", "a"]
