"""Words and exact numbers that mean "no reading", in files and on the wire alike."""

import numpy as np
import pytest

from sheetbreak.missing import Missing
from sheetbreak.rows import grade_name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "NaN",
        "null",
        "N/A",
        "#N/A",
        "-",
        "Bad",
        "Bad Input",
        "No Data",
        "I/O  Timeout",
        "COMM FAIL",
        "Not Connect",
        "Kein Wert",
        "ungültig",
        "\\N",
        "-1.#IND",
        "coercion failed",
        "communication failure",
    ],
)
def test_a_known_word_means_no_reading_whatever_its_case(text: str) -> None:
    assert Missing().is_word(text)


@pytest.mark.parametrize("text", ["A12", "AUTO", "1.5", "0", "1,5", "x"])
def test_any_other_text_is_no_known_word(text: str) -> None:
    assert not Missing().is_word(text)


def test_a_schema_adds_words_and_exact_numbers() -> None:
    missing = Missing.of(["Wartung", "-9999", "1e35"])
    assert missing.is_word("wartung")
    assert missing.is_word("bad")
    values = np.array([[1.0, -9999.0], [1e35, -9999.5], [2.0, -9999.0]])
    assert missing.blank_sentinels(values).tolist() == [1, 2]
    assert np.array_equal(values, [[1.0, np.nan], [np.nan, -9999.5], [2.0, np.nan]], equal_nan=True)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("96", "96"),
        ("96.0", "96"),
        (" 96.00 ", "96"),
        ("0.0", "0"),
        ("96.5", "96.5"),
        ("007", "007"),
        ("007.0", "007.0"),
        ("Kraft 1.0", "Kraft 1.0"),
        ("1.", "1"),
        ("", None),
        ("  ", None),
    ],
)
def test_a_grade_has_one_spelling(text: str, name: str | None) -> None:
    assert grade_name(text) == name
