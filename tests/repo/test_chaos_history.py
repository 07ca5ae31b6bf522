"""The checker of a campaign of faults sees each sabotage, and nothing where nothing is wrong."""

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.kafka.campaign.history import answers, broken_lives, compare, compare_states, not_answered_once

ROWS = 30
Lanes = dict[str, list[bytes]]


def score(row: int) -> bytes:
    fields = {"topic": "scores", "machine": "pm1", "time": f"1999-05-01T{row // 60:02}:{row % 60:02}:00Z"}
    return json.dumps(fields | {"score": row / 7, "model": "m"}).encode()


def alert(number: int, kind: str, row: int) -> bytes:
    return json.dumps({"topic": "alerts", "alert_id": f"a{number}", "kind": kind, "time": f"t{row}"}).encode()


def letter(offset: int) -> bytes:
    source = {"topic": "sensor-rows", "partition": 0, "offset": offset}
    return json.dumps({"topic": "dead-letters", "reason": "late", "source": source}).encode()


ALERTS = [alert(n, kind, 9 * n + at) for n in range(3) for at, kind in enumerate(("opened", "updated", "closed"))]


SOUND = {
    "pm1 scores": [score(row) for row in range(ROWS)],
    "pm1 alerts": ALERTS,
    "pm1 letters": [letter(offset) for offset in range(5)],
    "pm2 scores": [score(row) for row in range(3)],
}
ANSWERS = {lane: answers(messages) for lane, messages in SOUND.items()}


def lanes() -> Lanes:
    return {lane: list(messages) for lane, messages in SOUND.items()}


def told(found: Lanes) -> dict[str, int]:
    return dict(compare(ANSWERS, {lane: answers(messages) for lane, messages in found.items()}).counts)


def test_the_undisturbed_history_has_nothing_wrong() -> None:
    assert told(lanes()) == {}


class Sabotage(NamedTuple):
    kind: str
    do: Callable[[list[bytes], int, int], None]


def drop(lane: list[bytes], at: int, _bit: int) -> None:
    del lane[at]


def double(lane: list[bytes], at: int, _bit: int) -> None:
    lane.insert(at, lane[at])


def double_later(lane: list[bytes], at: int, _bit: int) -> None:
    lane.append(lane[at])


def swap(lane: list[bytes], at: int, _bit: int) -> None:
    other = at + 1 if at + 1 < len(lane) else at - 1
    lane[at], lane[other] = lane[other], lane[at]


def flip(lane: list[bytes], at: int, bit: int) -> None:
    changed = bytearray(lane[at])
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    lane[at] = bytes(changed)


SABOTAGES = [
    Sabotage("lost", drop),
    Sabotage("doubled", double),
    Sabotage("doubled", double_later),
    Sabotage("swapped", swap),
]


@pytest.mark.parametrize("lane", sorted(SOUND))
@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.do.__name__)
def test_an_answer_dropped_doubled_or_swapped_anywhere_is_told_as_that_and_once(lane: str, sabotage: Sabotage) -> None:
    for at in range(len(SOUND[lane])):
        found = lanes()
        sabotage.do(found[lane], at, 0)
        assert told(found) == {sabotage.kind: 1}, at


@given(st.sampled_from(sorted(SOUND)), st.integers(0, 10_000), st.integers(0, 100_000))
@settings(max_examples=40, deadline=None)
def test_any_bit_that_is_changed_is_told(lane: str, at: int, bit: int) -> None:
    found = lanes()
    flip(found[lane], at % len(found[lane]), bit)
    assert told(found)


def test_bits_of_the_text_that_says_nothing_of_the_name_are_told_as_changed() -> None:
    found = lanes()
    found["pm1 scores"][7] = found["pm1 scores"][7].replace(b'"m"', b'"n"')
    assert told(found) == {"changed": 1}


def test_a_lane_that_is_not_there_or_that_nobody_asked_for_is_told() -> None:
    found = lanes()
    del found["pm1 letters"]
    found["pm3 scores"] = [score(1)]
    assert told(found) == {"lost": 5, "foreign": 1}


def test_a_row_that_is_answered_twice_in_the_reference_too_is_no_difference() -> None:
    """A row sent again may be scored again, where the clock was set back: the reference does the same."""
    twice = {"pm1 scores": answers([score(1), score(2), score(1)])}
    assert compare(twice, twice).wrong == 0
    assert dict(compare(twice, {"pm1 scores": answers([score(1), score(2)])}).counts) == {"lost": 1}


@pytest.mark.parametrize(
    ("alerts", "wrong"),
    [
        (ALERTS, 0),
        (ALERTS[:-1], 0),  # the last is still open
        (ALERTS[1:], 2),  # updated and closed, never opened
        ([*ALERTS[:2], *ALERTS[3:]], 1),  # not closed before the next
        ([*ALERTS, ALERTS[0]], 1),
        ([*ALERTS, ALERTS[-1]], 1),
        ([b"{"], 1),
        ([b"[]"], 1),
    ],
)
def test_an_alert_whose_life_is_not_whole_is_told(alerts: Sequence[bytes], wrong: int) -> None:
    assert len(broken_lives(alerts)) == wrong


def test_each_row_is_answered_just_once() -> None:
    rows = [("pm1", "t1"), ("pm1", "t2"), ("pm1", "t2"), ("pm2", "t1")]
    assert not_answered_once(rows, reversed(rows)) == []
    assert not_answered_once(rows, rows[1:]) == ["pm1 t1: 0 answers of 1"]
    assert not_answered_once(rows, [*rows, ("pm2", "t1")]) == ["pm2 t1: 2 answers of 1"]
    assert not_answered_once(rows, [*rows, ("pm3", "t1")]) == ["pm3 t1: 1 answers of 0"]


def test_a_state_lost_foreign_or_changed_is_told() -> None:
    states = {"pm1": b"one", "pm2": b"two"}
    assert compare_states(states, dict(states)).wrong == 0
    assert dict(compare_states(states, {"pm1": b"onf", "pm3": b"two"}).counts) == {
        "state changed": 1,
        "state lost": 1,
        "state foreign": 1,
    }
