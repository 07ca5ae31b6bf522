"""The column of labels and its words are found as mills write them, and other columns of two values are not."""

import numpy as np
import pytest

from tests.trainer.data.inspection.test_columns import columns_of
from trainer.data.inspection.columns import Column, read_columns
from trainer.data.inspection.guesses.labels import find_labels
from trainer.data.inspection.guesses.names import BROKEN, GRADE, MACHINE, NO_GRADE, TIME, hint, is_break_word

ROWS = 300
BROKEN_ROWS = (50, 51, 52, 200)


def column(name: str, intact: str, broken: str) -> Column:
    cells = [broken if row in BROKEN_ROWS else intact for row in range(ROWS)]

    def number(text: str) -> float | None:
        try:
            return float(text.replace(",", "."))
        except ValueError:
            return None

    return read_columns([name], ((i, [cell]) for i, cell in enumerate(cells)), number)[0][0]


@pytest.mark.parametrize(
    ("name", "intact", "broken", "plain"),
    [
        ("broken", "0", "1", True),
        ("y", "0", "1", True),
        ("failure", "0.0", "1.0", True),
        ("Abriss", "0,0", "1,0", False),
        ("Abriss", "nein", "ja", False),
        ("Abriss", "", "x", False),
        ("Zustand", "ok", "Abriss", False),
        ("Status", "in Betrieb", "Bahnabriss", False),
        ("Maschinenzustand", "Produktion", "ABRISS", False),
        ("state", "running", "web break", False),
        ("Ratakatko", "ei", "kyllä", False),
        ("tila", "ajossa", "katko", False),
        ("sheet_break", "false", "true", False),
        ("Banbrott", "nej", "ja", False),
        ("casse", "non", "oui", False),
        ("label", "normal", "anomaly", False),
    ],
)
def test_labels_are_found_by_name_and_words(name, intact, broken, plain):
    found = find_labels([column("pump", "off", "on"), column(name, intact, broken), column("x61", "0", "1")])
    assert found is not None
    assert (found.column.name, found.values, found.plain) == (name, (broken,), plain)
    assert np.flatnonzero(found.broken).tolist() == list(BROKEN_ROWS)


@pytest.mark.parametrize(
    ("name", "intact", "broken"),
    [("pump 3", "off", "on"), ("x61", "0", "1"), ("shift", "A", "B"), ("valve", "open", "shut"), ("Sorte", "96", "82")],
)
def test_other_columns_of_two_values_are_no_labels(name, intact, broken):
    assert find_labels([column(name, intact, broken)]) is None


def test_a_word_that_is_only_rarer_is_taken_and_said_to_be_a_guess():
    found = find_labels([column("Abriss", "A", "B")])
    assert found is not None
    assert (found.values, found.sure) == (("B",), False)


def test_of_several_states_those_that_say_break_are_breaks():
    cells = ["läuft", "läuft", "Stillstand", "Abriss Nasspartie", "Abriss Presse", "läuft"] * 50
    (states,) = columns_of(cells)
    found = find_labels([Column("Zustand", *[getattr(states, f) for f in list(Column.__slots__)[1:]])])
    assert found is not None
    assert found.values == ("Abriss Nasspartie", "Abriss Presse")


@pytest.mark.parametrize("text", ["kein Abriss", "no break", "ei katkoa", "ok", "breakfast", "0", ""])
def test_words_that_deny_a_break_mean_none(text):
    assert not is_break_word(text)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (TIME, ["Zeitstempel", "time", "Date", "TIMESTAMP", "Datum/Uhrzeit", "messzeitpunkt", "Aika"]),
        (BROKEN, ["broken", "sheet break", "Abriss", "PM4_Abriss", "web_break", "SheetBreak"]),
        (MACHINE, ["machine", "Maschine", "PM", "line", "Papiermaschine"]),
        (GRADE, ["grade", "Sorte", "product", "Papiersorte", "PaperGrade [code]", "Laji"]),
        (NO_GRADE, ["shift", "Bemerkung", "operator name"]),
    ],
)
def test_names_of_several_languages_are_known(words, names):
    assert all(hint(name, words) for name in names)


def test_a_name_that_only_holds_a_short_word_is_none():
    assert not hint("status", TIME)  # "ts" is no part of it
    assert not hint("pressure", GRADE)
    assert not hint("headbox level", BROKEN)
