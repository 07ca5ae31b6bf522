"""Cells on the wire that hold no number: missing, counted by sensor and word, told once; the row is scored."""

import json
import logging
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.rows import Schema
from sheetbreak.wire.rows import WireDecoder

SENSORS = ("x1", "x2", "größe ✓")


def decoder(*missing: str) -> WireDecoder:
    return WireDecoder(Schema(sensors=SENSORS, missing=missing))


def wire(cell: str, **changes: Any) -> bytes:
    """A row whose x1 holds this piece of JSON."""
    row = {
        "machine": "pm1",
        "time": "1999-05-01T00:00:00Z",
        "values": {"x1": "CELL", "x2": 2.5, "größe ✓": 3},
    } | changes
    return json.dumps(row).replace('"CELL"', cell).encode()


@pytest.mark.parametrize(
    ("cell", "word"),
    [
        ('"Bad"', "Bad"),
        ('"bad input"', "bad input"),
        ('"Kein Wert"', "Kein Wert"),
        ('"Ausfall der Messung"', "Ausfall der Messung"),
        ('"12.3 Bad"', "Bad"),
        ('"0;24"', "bad"),
        ('"12.3*"', "*"),
        ('""', ""),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ('"NaN"', "NaN"),
        ('"1_0"', "1_0"),
        ("1e400", "1e400"),
        ("true", "true"),
        ("{}", "an object"),
        ("[1]", "a list"),
        ('"' + "a" * 3000 + '"', "a" * 39 + "…"),
    ],
)
def test_a_cell_without_a_number_is_missing_and_its_row_is_taken(cell: str, word: str):
    decoded = decoder().decode([wire(cell)])
    assert decoded.rejects == []
    assert np.array_equal(decoded.rows.values, [[np.nan, 2.5, 3]], equal_nan=True)
    assert decoded.missing == {("x1", word): 1}


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ('"12.5"', 12.5),
        ('"12.5 Good"', 12.5),
        ('"12.5;192"', 12.5),
        ('" -3e2 "', -300.0),
        ("7", 7.0),
        ("null", math.nan),
    ],
)
def test_a_number_written_as_text_is_a_number(cell: str, number: float):
    decoded = decoder().decode([wire(cell)])
    assert np.array_equal(decoded.rows.values[0, :1], [number], equal_nan=True)
    assert not decoded.missing


def test_what_stands_in_strings_is_left_alone():
    record = wire("NaN", grade='a "NaN, Infinity', machine="pm NaN 1")
    decoded = decoder().decode([record])
    assert (decoded.rows.machines, decoded.rows.grades) == (["pm NaN 1"], ['a "NaN, Infinity'])


def test_words_are_counted_by_sensor_and_told_once(caplog: pytest.LogCaptureFixture):
    reads = decoder()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            decoded = reads.decode([wire('"Bad"'), wire('"Bad"', machine="pm2"), wire('"Halt"'), wire("1")])
            assert decoded.missing == {("x1", "Bad"): 2, ("x1", "Halt"): 1}
    bad, halt = [record.getMessage() for record in caplog.records]
    assert bad == "event=missing-cell sensor=x1 word='Bad' note='counts as missing'"
    assert "word='Halt' note='counts as missing; no word known for that" in halt


def test_a_sender_of_ever_new_words_is_told_and_counted_within_bounds(caplog: pytest.LogCaptureFixture):
    reads = decoder()
    for start in range(0, 2000, 500):
        decoded = reads.decode([wire(f'"word {number}"') for number in range(start, start + 500)])
        assert sum(decoded.missing.values()) == 500
    assert decoded.missing == {("x1", "other"): 500}
    assert len(caplog.records) == 200


def test_a_sentinel_of_the_schema_is_missing():
    decoded = decoder("-9999", "1e35").decode([wire("-9999"), wire("-9999.5"), wire("1e35")])
    assert np.array_equal(decoded.rows.values[:, 0], [np.nan, -9999.5, np.nan], equal_nan=True)
    assert decoded.missing == {("x1", "a sentinel"): 2}


@given(st.recursive(st.none() | st.floats() | st.text() | st.booleans(), st.lists, max_leaves=5))
def test_whatever_a_sensor_holds_its_row_is_taken(cell: Any):
    reads = decoder()
    decoded = reads.decode([wire(json.dumps(cell))])
    assert decoded.rejects == []
    if isinstance(cell, float) and math.isfinite(cell):
        assert decoded.rows.values[0, 0] == cell
    assert decoded.rows.values[0, 1:].tolist() == [2.5, 3]
