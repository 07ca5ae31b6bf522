"""Words and exact numbers that mean "no reading", in files and on the wire alike."""

import numpy as np
import pytest

from sheetbreak.history.cells import Numbers, is_number
from sheetbreak.missing import Missing, word_in
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
        "????",
        "#######",
        "- - -",
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


@pytest.mark.parametrize(
    "mark",
    [" Good", ";Good", "|G", " (192)", ";192", " [OK]", "/ok", " gut", " Good, Annotated", " GoodNonSpecific"],
)
def test_a_number_that_is_called_good_is_the_number(mark: str) -> None:
    assert not Missing().is_word(f"12.3{mark}")
    assert Numbers().read(f"12.3{mark}") == 12.3
    assert is_number(f"12.3{mark}")
    assert Numbers(",", ".").read(f"-1.012,3{mark}") == -1012.3


@pytest.mark.parametrize(
    ("mark", "word"),
    [
        (" Bad", "Bad"),
        (";bad", "bad"),
        ("|B", "bad"),
        (" (24)", "bad"),
        (";64", "bad"),
        ("*", "*"),
        ("?", "?"),
        (" #", "#"),
        (" I/O Timeout", "I/O Timeout"),
        (" [Comm Fail]", "Comm Fail"),
        (" Good Questionable", "Good Questionable"),
        (" schlecht", "schlecht"),
    ],
)
def test_a_number_that_is_called_bad_is_missing_by_that_word(mark: str, word: str) -> None:
    assert Missing().is_word(f"0{mark}")
    assert word_in(f"0{mark}") == word
    assert not is_number(f"0{mark}")
    with pytest.raises(ValueError, match="0"):
        Numbers().read(f"0{mark}")


@pytest.mark.parametrize(
    "text", ["17A", "17 A", "80 g/m²", "12:30", "2026-01-05", "5 (3)", "3 of 5", "12;5", "A 12", "Good"]
)
def test_a_code_or_a_time_is_neither_good_nor_bad(text: str) -> None:
    assert not Missing().is_word(text)
    assert not is_number(text)


def test_a_schemas_own_word_behind_a_number_is_missing_too() -> None:
    assert not Missing().is_word("12.3 Wartung")
    assert Missing.of(["Wartung"]).is_word("12.3 Wartung")
