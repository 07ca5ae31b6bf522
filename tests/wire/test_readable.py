"""Lines for people: what each message looks like on a terminal."""

import pytest

from sheetbreak.wire.readable import readable_line

SCORE = (
    b'{"topic":"scores","machine":"pm1","time":"1999-05-01T00:00:00Z","state":"scored","score":1.31415,'
    b'"threshold":1.22468,"ratio":1.073,"over":true,"model":"v","imputed":[]}'
)
ALERT = (
    b'{"topic":"alerts","kind":"opened","machine":"pm1","time":"1999-05-01T00:02:00Z","severity":"critical",'
    b'"message":"pm1: act now"}'
)
DEAD_LETTER = (
    b'{"topic":"dead-letters","reason":"not-json","error":"RowError","message":"not a JSON object",'
    b'"source":{"file":"rows.ndjson","line":3},"record_base64":"ew==","truncated":false}'
)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (ALERT, "1999-05-01 00:02:00  opened  critical  pm1: act now"),
        (ALERT.replace(b"critical", b"warning"), "1999-05-01 00:02:00  opened  warning   pm1: act now"),
        (SCORE, "1999-05-01 00:00:00  pm1  scored  score 1.314  threshold 1.225  OVER"),
        (
            SCORE.replace(b"true", b"false").replace(b"1.31415", b"0.5"),
            "1999-05-01 00:00:00  pm1  scored  score 0.5  threshold 1.225",
        ),
        (
            SCORE.replace(b"1.31415", b"null").replace(b"scored", b"stopped"),
            "1999-05-01 00:00:00  pm1  stopped",
        ),
        (DEAD_LETTER, "dead letter  file rows.ndjson line 3  not-json: not a JSON object"),
    ],
)
def test_a_message_is_one_line_with_its_time_and_machine(value: bytes, line: str) -> None:
    assert readable_line(value) == line


@pytest.mark.parametrize("value", [b"{", b"[]", b'{"topic":"other"}', b'{"topic":"alerts"}', b'{"topic":[]}', b"\xff"])
def test_what_is_no_message_is_shown_as_it_is(value: bytes) -> None:
    assert readable_line(value) == value.decode("utf-8", "replace")


def test_a_machines_name_cannot_steer_the_terminal() -> None:
    line = readable_line(ALERT.replace(b"pm1: act", rb"pm1\u001b[2J\n: act"))
    assert line == r"1999-05-01 00:02:00  opened  critical  pm1\x1b[2J\n: act now"
    assert readable_line(b"\x1b[2J") == r"\x1b[2J"
