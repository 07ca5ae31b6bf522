"""Operators' actions on the wire: what goes in comes out, and whatever else comes in is refused and says why."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.errors import DataError, RowError
from sheetbreak.times import EARLIEST_US, LATEST_US, parse_time
from sheetbreak.wire.actions import (
    KINDS,
    MAX_COMMENT_CHARS,
    SHELF_US,
    VERDICTS,
    Action,
    decode_action,
    encode_action,
    make_action,
)

TIME_US = parse_time("2026-05-01T06:00:00Z")
LATER_US = parse_time("2026-05-01T14:00:00Z")
SCRIPT = "<script>alert('1')</script> & \"Söhne\" 紙"
"""No name may steer a page: to the wire it is a text like any other."""
FIELDS: dict[str, dict[str, Any]] = {
    "acknowledge": {"alert_id": "a1"},
    "shelve": {"until_us": LATER_US},
    "unshelve": {},
    "mask": {"sensor": "x35", "until_us": LATER_US},
    "unmask": {"sensor": "x35"},
    "verdict": {"alert_id": "a1", "verdict": "false"},
    "cause": {"cause": "hole in the felt", "alert_id": "a1"},
}

texts = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=200).filter(str.strip).map(str.strip)
names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=200)
times = st.integers(EARLIEST_US, LATEST_US - 2)


@st.composite
def actions(draw: st.DrawFn) -> Action:
    kind, time_us = draw(st.sampled_from(KINDS)), draw(times)
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "alert_id": names,
        "sensor": names,
        "until_us": st.integers(time_us + 1, LATEST_US - 1),
        "verdict": st.sampled_from(VERDICTS),
        "cause": texts,
    }
    fields = {name: draw(drawn[name]) for name in FIELDS[kind]}
    comment = draw(st.none() | texts)
    return make_action(draw(names), kind, time_us=time_us, by=draw(texts), comment=comment, **fields)


def make(kind: str, **fields: Any) -> Action:
    return make_action("pm1", kind, time_us=TIME_US, by="Aino", **FIELDS[kind] | fields)


@given(actions())
def test_an_action_that_went_over_the_wire_is_the_same(action: Action) -> None:
    value = encode_action(action)
    assert decode_action(value) == action
    assert b"\n" not in value
    assert "null" not in json.loads(value).values()


@given(st.binary(max_size=60) | st.lists(st.none() | st.integers() | st.text(max_size=9)).map(msgspec.json.encode))
def test_whatever_bytes_come_they_are_an_action_or_refused(value: bytes) -> None:
    with pytest.raises(RowError) as refused:
        decode_action(value)
    assert refused.value.reason in ("not-json", "not-an-action")


@given(
    actions(), st.sampled_from(["machine", "time", "action", "by", "until", "verdict", "sensor", "comment"]), st.data()
)
def test_a_field_of_another_kind_is_refused(action: Action, name: str, data: st.DataObject) -> None:
    fields = json.loads(encode_action(action))
    fields[name] = data.draw(st.integers() | st.lists(st.text()) | st.booleans())
    with pytest.raises(RowError) as refused:
        decode_action(json.dumps(fields).encode())
    assert refused.value.reason == "not-an-action"
    assert refused.value.machine == ("" if name == "machine" else action.machine)


@pytest.mark.parametrize("kind", KINDS)
def test_the_message_has_the_contracts_fields_and_only_those_it_needs(kind: str) -> None:
    fields = json.loads(encode_action(make(kind, comment=SCRIPT)))
    assert fields["machine"] == "pm1"
    assert fields["time"] == "2026-05-01T06:00:00Z"
    assert fields["action"] == kind
    assert fields["by"] == "Aino"
    assert fields["comment"] == SCRIPT
    own = {name.removesuffix("_us") for name in FIELDS[kind]}
    assert set(fields) == {"machine", "time", "action", "by", "comment", *own}


@pytest.mark.parametrize(
    ("kind", "absent"),
    [("shelve", "until"), ("mask", "sensor"), ("unmask", "sensor"), ("verdict", "verdict"), ("verdict", "alert_id"),
     ("cause", "cause")],
)  # fmt: skip
def test_an_action_without_what_it_needs_is_refused_and_says_what(kind: str, absent: str) -> None:
    fields = json.loads(encode_action(make(kind)))
    del fields[absent]
    with pytest.raises(RowError, match=f"expected '{absent}'"):
        decode_action(json.dumps(fields).encode())


def test_fields_that_nobody_knows_or_needs_are_ignored() -> None:
    fields = json.loads(encode_action(make("unshelve")))
    found = decode_action(json.dumps(fields | {"sensor": "x1", "shift": "night"}).encode())
    assert found == make("unshelve")


@pytest.mark.parametrize("name", ["by", "comment", "cause", "alert_id"])
def test_a_text_with_html_in_it_is_that_text(name: str) -> None:
    kind = "cause" if name in ("cause", "alert_id") else "unshelve"
    text: dict[str, Any] = {name: SCRIPT}
    action = replace(make(kind), **text)
    assert getattr(decode_action(encode_action(action)), name) == SCRIPT


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"by": "x" * 201}, "by has 201 characters; at most 200"),
        ({"comment": "x" * (MAX_COMMENT_CHARS + 1)}, "at most 2000"),
        ({"comment": "a\x1b[2Jb"}, "control character"),
        ({"by": "a\nb"}, "control character"),
        ({"by": " "}, "by is empty"),
        ({"machine": ""}, "machine is empty"),
        ({"machine": "pm\u202e1"}, "machine is empty or holds a control character"),
        ({"sensor": "x1"}, "unshelve takes no sensor"),
        ({"until_us": LATER_US}, "unshelve takes no until"),
        ({"verdict": "maybe"}, "expected one of true, false, unsure"),
        ({"action": "silence"}, "expected one of acknowledge, shelve"),
        ({"time_us": LATEST_US}, "a year from 2 to 9998"),
        ({"action": "shelve", "until_us": TIME_US}, "is not later than its time"),
    ],
)
def test_what_a_person_gave_wrong_is_said(fields: dict[str, Any], says: str) -> None:
    given_: dict[str, Any] = {"machine": "pm1", "action": "unshelve", "time_us": TIME_US, "by": "Aino"} | fields
    with pytest.raises(DataError, match=says):
        make_action(given_.pop("machine"), given_.pop("action"), **given_)


def test_a_shelf_without_an_end_lasts_for_a_shift_and_a_comment_may_have_lines() -> None:
    assert make("shelve", until_us=None).until_us == TIME_US + SHELF_US
    assert make("unshelve", comment=" one\r\n\ttwo \n").comment == "one\r\n\ttwo"
