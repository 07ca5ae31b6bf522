"""Hostile and foreign records at the door: refused one by one, with words for what they are, and nothing kept."""

import gc
import json
import tracemalloc
from typing import Any

import pytest

from sheetbreak.rows import MAX_NAME_CHARS, Schema
from sheetbreak.wire.messages import encode_dead_letter
from sheetbreak.wire.rows import WireDecoder

MEGABYTE = 1_000_000
ROW: dict[str, Any] = {
    "machine": "pm1",
    "time": "2026-05-01T00:00:00Z",
    "values": {"x1": 1.5, "x2": None},
    "grade": "96",
}


def decoder() -> WireDecoder:
    return WireDecoder(Schema(sensors=("x1", "x2")))


def encoded(**changes: Any) -> bytes:
    return json.dumps(ROW | changes).encode()


LARGE = {
    "machine": encoded(machine="m" * MEGABYTE),
    "grade": encoded(grade="g" * MEGABYTE),
    "time": encoded(time="2" * MEGABYTE),
    "broken": encoded(broken="b" * MEGABYTE),
    "a sensor's name": encoded(values={"x1": 1.0, "s" * MEGABYTE: 1.0}),
    "a sensor's name of odd characters": encoded(values={"x1": 1.0, '"\\\n' * MEGABYTE: 1.0}),
}


@pytest.mark.parametrize("field", sorted(LARGE))
def test_a_field_of_a_megabyte_is_that_records_dead_letter_and_the_next_row_is_taken(field: str):
    found = decoder().decode([LARGE[field], encoded()])
    assert [(place, error.reason) for place, error in found.rejects] == [(0, "not-a-row")]
    assert found.index == [1]
    error = found.rejects[0][1]
    assert len(str(error)) < 500
    assert len(error.machine) <= MAX_NAME_CHARS
    letter = encode_dead_letter(LARGE[field], error, source={"partition": 0, "offset": 1})
    assert len(letter) < 400_000


def test_a_value_of_a_megabyte_is_a_missing_cell_of_which_a_word_is_kept():
    found = decoder().decode([encoded(values={"x1": "v" * MEGABYTE})])
    assert found.index == [0]
    assert [len(word) < 50 for _, word in found.missing] == [True]


def test_a_field_that_no_row_has_is_left_where_it_is():
    found = decoder().decode([encoded(note="n" * MEGABYTE), encoded()])
    assert found.index == [0, 1]


def test_names_as_long_as_allowed_are_taken():
    name = "n" * MAX_NAME_CHARS
    rows = decoder().decode([encoded(machine=name, grade=name, values={"x1": 1.0, name: 2.0})]).rows
    assert (rows.machines, rows.grades) == ([name], [name])


def test_ever_new_large_sensor_names_leave_nothing_behind():
    """Nor do refusals, without a search for garbage: the monitor seldom makes one."""
    under_test = decoder()
    refused = [under_test.decode([encoded(values={"s" * 100_000: 1.0})])]
    gc.disable()
    tracemalloc.start()
    try:
        for i in range(200):
            refused.append(under_test.decode([encoded(values={f"{i}" + "s" * 100_000: 1.0})]))
            refused.append(under_test.decode([f"{i} is no JSON".encode() * 1000]))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert kept / len(refused) < 4000, "bytes of each refusal"


WORDS = {
    "UTF-16": encoded().decode().encode("utf-16"),
    "UTF-16 without a mark": encoded().decode().encode("utf-16-le"),
    "UTF-16 of the other order": encoded().decode().encode("utf-16-be"),
    "UTF-16 of a line in the middle": b"\0" + encoded().decode().encode("utf-16-le"),
    "byte order mark": b"\xef\xbb\xbf" + encoded(),
    "NaN": b'{"machine": "pm1", "time": NaN}',
    "Infinity": b'{"machine": "pm1", "time": -Infinity}',
    "schema registry": b"\0\0\0\0\x07" + encoded(),
    "schema 7": b"\0\0\0\0\x07" + b"\x06pm1\x02",
    "a line of a table": b"time,broken,s1,s2",
    "a line of a table: those": b"Zeit;Abriss;Druck",
    "empty": b"",
    '"payload"': json.dumps({"schema": {"type": "struct"}, "payload": ROW}).encode(),
    "schemas.enable=false": json.dumps({"schema": None, "payload": ROW}).encode(),
    "Debezium": json.dumps({"before": None, "after": ROW, "op": "c"}).encode(),
    '"payload.after"': json.dumps({"schema": {}, "payload": {"before": None, "after": ROW}}).encode(),
    '"data"': json.dumps({"id": 5, "data": ROW}).encode(),
    "encode it once": json.dumps(json.dumps(ROW)).encode(),
    "got `array`": json.dumps([ROW]).encode(),
    "zone": encoded(time="2026-05-01T00:00:00"),
}


@pytest.mark.parametrize("words", sorted(WORDS))
def test_a_dead_letter_says_in_words_what_came(words: str):
    ((_, error),) = decoder().decode([WORDS[words]]).rejects
    assert words.partition(" without")[0].partition(" of ")[0] in str(error)


@pytest.mark.parametrize("value", [b"\0\0\0", b"{", b"nan", b"[1,2", b"\xff", b"\0" * 40, b'{"machine":"NaN"', b"null"])
def test_nothing_is_said_of_what_looks_like_nothing_known(value: bytes):
    ((_, error),) = decoder().decode([value]).rejects
    for word in ("UTF-16", "registry", "NaN is", "stands inside", "table"):
        assert word not in str(error)
