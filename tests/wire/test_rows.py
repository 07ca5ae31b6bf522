"""The wire format: what goes in comes out again, and whatever else comes in is refused and says why."""

import json
import logging
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sheetbreak.errors import RowError
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, Decoded, Schema
from sheetbreak.times import format_time, parse_time
from sheetbreak.wire.rows import MAX_MACHINE_CHARS, WireDecoder, encode_row
from tests.support.models.making import START, START_US, make_batch, make_rows, make_schema

SENSORS = ("x1", "x2", "größe ✓", "a.b c")
SCHEMA = Schema(sensors=SENSORS)
FIRST_US, LAST_US = parse_time("0002-01-01T00:00:00Z"), parse_time("9998-12-31T23:59:59.999999Z")

printable = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=MAX_MACHINE_CHARS)
readings = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
wire_rows = st.fixed_dictionaries(
    {
        "machine": printable,
        "time_us": st.integers(FIRST_US, LAST_US),
        "values": st.dictionaries(st.sampled_from(SENSORS), readings),
        "grade": st.none() | st.text(st.characters(codec="utf-8", exclude_characters="."), max_size=20),  # "0." is "0"
        "broken": st.none() | st.booleans(),
    }
)


def decode(*records: bytes, schema: Schema = SCHEMA) -> Decoded:
    return WireDecoder(schema).decode(records)


def refusal(record: bytes, schema: Schema = SCHEMA) -> RowError:
    decoded = decode(record, schema=schema)
    assert not len(decoded.rows)
    [(place, error)] = decoded.rejects
    assert place == 0
    return error


def wire(**changes: Any) -> bytes:
    row: dict[str, Any] = {"machine": "pm1", "time": START, "values": {"x1": 1.0, "x2": 2}}
    return json.dumps({k: v for k, v in (row | changes).items() if v is not ...}).encode()


@given(st.lists(wire_rows, max_size=8))
def test_rows_come_back_as_they_were_sent(sent: list[dict[str, Any]]):
    records = [
        encode_row(row["machine"], row["time_us"], **{k: row[k] for k in ("values", "grade", "broken")}) for row in sent
    ]
    decoded = decode(*records)
    rows = decoded.rows
    assert decoded.rejects == []
    assert decoded.index == list(range(len(sent)))
    assert len(rows) == len(sent)
    for i, row in enumerate(sent):
        assert rows.machines[i] == row["machine"]
        assert int(rows.times_us[i]) == row["time_us"]
        assert rows.grades[i] == row["grade"]
        assert int(rows.broken[i]) == {None: UNKNOWN, False: INTACT, True: BROKEN}[row["broken"]]
        for name, value in zip(SENSORS, rows.values[i].tolist(), strict=True):
            expected = row["values"].get(name)
            assert math.isnan(value) if expected is None else value == expected


@given(st.integers(FIRST_US, LAST_US))
@example(START_US)
@example(-1)
def test_a_time_is_written_so_that_it_reads_back_to_the_microsecond(time_us: int):
    text = format_time(time_us)
    assert parse_time(text) == time_us
    assert text.endswith("Z")
    assert ("." in text) == (time_us % 1_000_000 != 0)


def test_a_time_is_written_as_the_contract_shows_it():
    assert format_time(START_US) == "1999-05-01T00:00:00Z"
    assert format_time(START_US + 500_000) == "1999-05-01T00:00:00.500000Z"
    assert parse_time("1999-05-01T03:00:00+03:00") == START_US


def test_a_time_without_a_zone_is_no_time():
    with pytest.raises(ValueError, match="has no time zone"):
        parse_time("1999-05-01T00:00:00")


def test_the_row_of_the_contract_decodes():
    decoded = decode(
        b'{"machine":"pm1","time":"1999-05-01T00:00:00Z","values":{"x1":0.376,"x2":null},"grade":"96","broken":false}'
    )
    assert decoded.rows.values[0, 0] == 0.376
    assert np.isnan(decoded.rows.values[0, 1:]).all()
    assert decoded.rows.grades == ["96"]
    assert decoded.rows.broken.tolist() == [INTACT]


def test_a_row_without_label_and_grade_says_so():
    record = encode_row("pm1", START_US, values={"x1": 1.0})
    assert set(msgspec.json.decode(record)) == {"machine", "time", "values"}
    rows = decode(record).rows
    assert rows.broken.tolist() == [UNKNOWN]
    assert rows.grades == [None]


def test_nan_is_written_as_null():
    record = encode_row("pm1", START_US, values={"x1": float("nan"), "x2": None, "x3": 1})
    assert msgspec.json.decode(record)["values"] == {"x1": None, "x2": None, "x3": 1}


@pytest.mark.parametrize(
    ("record", "reason", "says"),
    [
        (b"", "not-json", "send one row as UTF-8 JSON"),
        (b"not json", "not-json", "not a JSON object"),
        (b'{"machine":"pm1"', "not-json", "truncated"),
        (b"\xff\xfe\x00", "not-json", "not a JSON object"),
        (b'{"machine":"\xff","time":"1999-05-01T00:00:00Z","values":{}}', "not-json", "utf-8"),
        (wire() + b"{}", "not-json", "not a JSON object"),
        (b"[" * 200_000, "not-a-row", "got `array`"),
        (b'{"a":' * 200_000, "not-json", "not a JSON object"),
        (b"null", "not-a-row", "got `null`"),
        (b"[1,2]", "not-a-row", "got `array`"),
        (b"{}", "not-a-row", "`machine`"),
        (wire(machine=...), "not-a-row", "`machine`"),
        (wire(machine=""), "not-a-row", "machine"),
        (wire(machine=7), "not-a-row", "machine"),
        (wire(machine="m" * (MAX_MACHINE_CHARS + 1)), "not-a-row", "machine"),
        (wire(machine="pm1\n"), "not-a-row", "control character"),
        (wire(machine="pm\x00core"), "not-a-row", "control character"),
        (wire(time=...), "not-a-row", "`time`"),
        (wire(time=None), "not-a-row", "time"),
        (wire(time=925516800), "not-a-row", "time"),
        (wire(time="5/1/99 0:00"), "not-a-row", "time"),
        (wire(time="1999-05-01T00:00:00"), "not-a-row", "timezone"),
        (wire(time="1999-02-30T00:00:00Z"), "not-a-row", "time"),
        (wire(time="0001-01-01T00:00:00Z"), "not-a-row", "out of range"),
        (wire(time="9999-12-31T23:59:59-14:00"), "not-a-row", "out of range"),
        (wire(values=...), "not-a-row", "`values`"),
        (wire(values=None), "not-a-row", "values"),
        (wire(values=[1, 2]), "not-a-row", "values"),
        (wire(machine=float("nan")), "not-a-row", "machine"),
        (wire(time=5, values={"x1": "Bad"}), "not-a-row", "time"),
        (wire(grade=96), "not-a-row", "grade"),
        (wire(broken=1), "not-a-row", "broken"),
        (wire(broken="false"), "not-a-row", "broken"),
    ],
)
def test_what_is_not_a_row_is_refused_and_says_why(record: bytes, reason: str, says: str):
    error = refusal(record)
    assert error.reason == reason
    assert says in str(error)


def test_a_refused_row_names_its_machine_where_that_can_be_read():
    assert refusal(wire(values={"x1": "high"}, time=5)).machine == "pm1"
    assert refusal(wire(time="0001-01-01T00:00:00Z")).machine == "pm1"
    assert refusal(wire(machine="pm1\n")).machine == ""
    assert refusal(wire(machine="m\n" * 300, values=7)).machine == ""
    assert refusal(b"nonsense").machine == ""


def test_every_refusal_says_what_was_expected():
    assert "expected machine, time with a zone, values of numbers or null" in str(refusal(wire(values=7)))


def test_numbers_at_the_edge_of_what_a_double_holds_are_kept():
    record = b'{"machine":"m","time":"1999-05-01T00:00:00Z","values":{"x1":1e308,"x2":5e-324,"a.b c":%d}}' % 10**30
    assert decode(record).rows.values[0, [0, 1, 3]].tolist() == [1e308, 5e-324, 1e30]


def test_good_rows_between_bad_ones_keep_their_places():
    good = make_rows(3, schema=SCHEMA)
    decoded = decode(b"bad", good[0], wire(values=7), good[1], good[2], b"")
    assert decoded.index == [1, 3, 4]
    assert [place for place, _ in decoded.rejects] == [0, 2, 5]
    assert np.array_equal(decoded.rows.values, decode(*good).rows.values)


def test_no_records_are_no_rows():
    decoded = decode()
    assert (len(decoded.rows), decoded.index, decoded.rejects) == (0, [], [])
    assert decoded.rows.values.shape == (0, len(SENSORS))


@given(
    st.lists(
        st.binary(max_size=40) | st.recursive(readings | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
    )
)
def test_whatever_arrives_is_either_a_row_or_a_refusal(records: list[bytes]):
    decoded = decode(*records)
    assert sorted(decoded.index + [place for place, _ in decoded.rejects]) == list(range(len(records)))


@given(st.data())
def test_a_row_with_bytes_changed_is_either_a_row_or_a_refusal(data: st.DataObject):
    record = bytearray(wire(grade="96", broken=True))
    for _ in range(data.draw(st.integers(1, 3))):
        record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
    decoded = decode(bytes(record))
    assert len(decoded.rows) + len(decoded.rejects) == 1
    assert np.isfinite(decoded.rows.values[~np.isnan(decoded.rows.values)]).all()


# Sensors that the schema does not know


def unknown_sensors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "event=unknown-sensor" in record.getMessage()]


def test_an_unknown_sensor_is_ignored_and_logged_once(caplog: pytest.LogCaptureFixture):
    decoder = WireDecoder(SCHEMA)
    for _ in range(3):
        decoded = decoder.decode([wire(values={"x1": 5, "zz": 1})] * 2)
        assert decoded.rejects == []
        assert decoded.rows.values[:, 0].tolist() == [5, 5]
    assert len(unknown_sensors(caplog)) == 1
    assert "'zz'" in unknown_sensors(caplog)[0]


def test_a_row_of_another_plant_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture):
    WireDecoder(SCHEMA).decode([wire(values={f"tag{i}": 1 for i in range(60)})])
    [line] = unknown_sensors(caplog)
    assert "count=60 sensors='tag0','tag1'," in line
    assert len(line) < 300


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\x01", "a\nb", "", "f0", "ключ", "\U0001f4a5", "x" * 10_000])
def test_an_unknown_sensor_may_have_any_name(name: str, caplog: pytest.LogCaptureFixture):
    decoder = WireDecoder(SCHEMA)
    for _ in range(2):
        decoded = decoder.decode([wire(values={"x1": 5, name: 1, "x2": 6})])
        assert decoded.rejects == []
        assert decoded.rows.values[0, :2].tolist() == [5, 6]
    assert len(unknown_sensors(caplog)) == 1
    assert "\n" not in unknown_sensors(caplog)[0]


@pytest.mark.parametrize("value", ["1e400", '"text"', "[[[{}]]]", "true", "null", "[" * 500 + "]" * 500])
def test_an_unknown_sensor_may_hold_anything(value: str):
    decoder = WireDecoder(SCHEMA)
    for _ in range(3):
        record = wire(values={"x1": 5, "zz": "?"}).replace(b'"?"', value.encode())
        assert decoder.decode([record]).rows.values[:, 0].tolist() == [5]


def test_a_known_sensors_word_is_missing_beside_an_unknown_sensor_too():
    decoder = WireDecoder(SCHEMA)
    for _ in range(2):
        decoded = decoder.decode([wire(values={"x1": "high", "x2": 3, "zz": 1})])
        assert np.array_equal(decoded.rows.values[0, :2], [np.nan, 3], equal_nan=True)
        assert decoded.missing == {("x1", "high"): 1}


def test_a_sender_of_ever_new_names_is_served_without_end_and_logged_within_bounds(caplog: pytest.LogCaptureFixture):
    decoder = WireDecoder(SCHEMA)
    names = iter(range(10**9))
    for _ in range(8):
        fresh = {f"new{next(names)}": 1 for _ in range(200)}
        assert decoder.decode([wire(values={"x1": 5} | fresh)]).rows.values[:, 0].tolist() == [5]
    assert len(unknown_sensors(caplog)) == 5  # a line a row with new names, until 1000 are known
    assert decoder.decode([wire(values={"x1": 5, "new7": 1})]).rejects == []
    assert len(unknown_sensors(caplog)) == 5


# Schema and batch


def test_the_digest_changes_with_what_a_state_depends_on_and_with_nothing_else():
    schema = make_schema(3)
    same = make_schema(3, time="t", broken=None, machine=None, grade=None, timezone="Europe/Helsinki", ignore=("a",))
    assert schema.digest == same.digest == make_schema(3, stop_gap_s=300.0).digest
    others = [
        make_schema(2),
        Schema(sensors=("x2", "x1", "x3")),
        make_schema(3, period_s=60.0),
        make_schema(3, lead_rows=0),
    ]
    assert len({schema.digest, *(other.digest for other in others)}) == 1 + len(others)


def test_the_digest_does_not_tell_whole_numbers_from_fractions():
    assert make_schema(3, period_s=60).digest == make_schema(3, period_s=60.0).digest


@given(st.lists(st.integers(0, 9), max_size=12))
def test_rows_are_taken_in_the_order_named(places: list[int]):
    rows = make_batch(10, grade="96", breaks=[4])
    taken = rows.take(places)
    assert taken.times_us.tolist() == [rows.times_us[i] for i in places]
    assert taken.machines == [rows.machines[i] for i in places]
    assert taken.broken.tolist() == [rows.broken[i] for i in places]
    assert np.array_equal(taken.values, rows.values[places].reshape(-1, 6))


def test_a_slice_of_rows_is_those_rows():
    rows = make_batch(10, breaks=[4])
    taken = rows.take(slice(3, 6))
    assert len(taken) == len(taken.grades) == len(taken.machines) == 3
    assert np.array_equal(taken.values, rows.values[3:6])
    assert taken.broken.tolist() == [INTACT, BROKEN, INTACT]


def test_nothing_is_logged_for_rows_as_they_should_be(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        make_batch(50)
    assert caplog.records == []


def test_a_grade_has_one_spelling_on_the_wire_as_in_a_file():
    decode = WireDecoder(Schema(sensors=("x1",))).decode
    row = '{"machine":"pm1","time":"2026-01-05T00:00:00Z","values":{"x1":1},"grade":%s}'
    found = decode([(row % grade).encode() for grade in ('"96.0"', '"96.00"', '"96"', '"Kraft"', "null")])
    assert found.rows.grades == ["96", "96", "96", "Kraft", None]
