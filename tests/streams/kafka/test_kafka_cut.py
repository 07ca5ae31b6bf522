"""A message too large for its topic is cut to size and stays a message."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.transaction import RECORD_OVERHEAD, cut
from sheetbreak.streams.protocol import Output


def cut_to(message: dict[str, Any], limit: int, key: bytes = b"pm1") -> dict[str, Any]:
    output = cut(Output(message["topic"], key, json.dumps(message).encode()), "t", limit)
    assert len(output.key) + len(output.value) + RECORD_OVERHEAD <= limit
    assert (output.topic, output.key) == (message["topic"], key)
    result: dict[str, Any] = json.loads(output.value)
    return result


@given(st.binary(min_size=3000, max_size=6000), st.integers(min_value=500, max_value=3000))
def test_a_dead_letter_keeps_the_start_of_its_record_and_says_so(record: bytes, limit: int) -> None:
    letter = {
        "topic": "dead-letters",
        "reason": "not-json",
        "error": "RowError",
        "source": {"topic": "rows", "partition": 0, "offset": 42},
        "record_base64": base64.b64encode(record).decode(),
        "truncated": False,
    }
    result = cut_to(letter, limit)
    kept = base64.b64decode(result["record_base64"], validate=True)
    assert record.startswith(kept)
    assert len(kept) > limit / 2 - 250  # base64 and what stands around it, no more
    assert result | {"record_base64": "", "truncated": False} == letter | {"record_base64": ""}
    assert result["truncated"] is True


SCORE = {
    "topic": "scores",
    "machine": "pm1",
    "score": 1.3141592653589793,
    "top": [{"sensor": "x" * 100, "share": 0.2}] * 5,
    "imputed": ["x2"],
}


def test_a_score_loses_its_top_sensors_and_nothing_else() -> None:
    assert cut_to(SCORE, 400) == SCORE | {"top": []}


def test_a_score_with_very_many_imputed_sensors_loses_their_names_too() -> None:
    many = SCORE | {"imputed": [f"sensor-{i}" for i in range(1000)]}
    assert cut_to(many, 400) == many | {"top": [], "imputed": []}


def test_an_alert_keeps_what_it_says_and_loses_its_lists() -> None:
    alert = {
        "topic": "alerts",
        "alert_id": "a1",
        "top": [{"sensor": "x" * 500}],
        "quality": {"imputed": ["x" * 500], "masked": 0},
        "message": "pm1 may break",
    }
    assert cut_to(alert, 400) == alert | {"top": [], "quality": {"imputed": [], "masked": 0}}


def test_a_long_text_is_cut_where_nothing_else_helps() -> None:
    alert = {"topic": "alerts", "alert_id": "a1", "top": [], "message": "pm1 " + "x" * 5000}
    assert cut_to(alert, 600)["message"].startswith("pm1 xxx")
    letter = {"topic": "dead-letters", "message": "y" * 5000, "record_base64": "e30=", "truncated": False}
    assert cut_to(letter, 600)["truncated"] is True


def test_a_topic_that_takes_next_to_nothing_is_named() -> None:
    with pytest.raises(DataError, match=r"topic t takes 200 bytes a record.*raise its max\.message\.bytes"):
        cut_to(SCORE, 200)
