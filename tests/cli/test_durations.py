"""Durations as people say them."""

import pytest

from sheetbreak.times import duration


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
