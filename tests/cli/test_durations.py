"""Durations as people say them."""

import pytest

from sheetbreak.times import duration, parse_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.004, "4 ms"),
        (0.12, "120 ms"),
        (59.0, "59 s"),
        (240.0, "4 min"),
        (3600.0, "60 min"),
        (9000.0, "2.5 h"),
        (86_400.0, "24 h"),
        (30 * 86_400.0, "30 days"),
        (4000 * 86_400.0, "4,000 days"),
    ],
)
def test_a_duration_is_told_in_a_unit_that_suits_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30min", 1800), ("30m", 1800), ("8h", 28_800), ("1.5 h", 5400), ("2d", 172_800)]
)
def test_a_duration_that_a_person_types_is_understood(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["8", "h", "-1h", "0s", "1e3s", "8 hours", "9999d", "nan h", ""])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90s, 30min, 8h or 2d"):
        parse_duration(text)
