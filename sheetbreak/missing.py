"""Missing values: the words and the exact numbers that stand in a cell where there is no reading."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_WORDS = r"""
nan | null | (null) | <null> | none | nil | \n | missing | n/a | na | n.a. | n. a. | #n/a | #n/a n/a | #na
<na> | - | -- | --- | – | — | ? | . | * | inf | +inf | -inf | infinity | 1.#inf | -1.#inf | 1.#ind | -1.#ind
1.#qnan | -1.#qnan | 1.#snan | #value! | #div/0! | #ref! | #name? | #num! | #null! | #wert! | #nv | #bezug!
#zahl! | #valeur! | #valor! | bad | bad input | bad value | bad data | bad quality | bad total | badq | no data
nodata | no value | no good data | no result | no sample | no reading | no good data for calculation
questionable | uncertain | invalid | invalid data | invalid float | invalid value | i/o timeout | io timeout
timeout | timed out | scan timeout | scan off | comm fail | comm failure | communication failure | comm error
communication error | comm lost | no comm | not connect | not connected | no connection | disconnected | offline
off-line | arc off-line | error | err | fail | failed | fault | sensor failure | sensor fault | device failure
equip fail | configuration error | config error | configure | out of service | out of serv | out of range
over range | overrange | under range | underrange | overflow | underflow | open circuit | short circuit
pt created | intf shut | shutdown | digital state | calc failed | calc off | calc overflow | calc timeout
coercion failed | access denied | kein wert | keine werte | keine daten | kein signal | keine verbindung
nicht verbunden | ungültig | schlecht | fehler | störung | fehlt | k.a. | k. a. | defekt | pas de valeur
pas de données | mauvais | erreur | défaut | sin datos | sin valor | malo | ei arvoa | ei dataa | virhe
inget värde | saknas | fel
"""
"""As historians, spreadsheets and programs write them: digital states of PI, errors of Excel, floats."""

MISSING = "missing"
"""The key of a plant file under which more of them stand; left out, numbers that are sure to be none are found."""
_KNOWN = frozenset(word for line in _WORDS.strip().splitlines() for word in map(str.strip, line.split(" | ")) if word)


_GOOD_WORDS = """
good ok o.k. okay gut gültig valid normal bon bonne valide bueno buena buono buona hyvä god bra bom boa 正常 良 良好
"""
_GOOD = frozenset(_GOOD_WORDS.split())
_LETTERS = {"g": "good", "b": "bad", "q": "questionable", "u": "uncertain"}
_GRADED = re.compile(
    r"([+-]?(?:[\d.,][\d.,' \xa0\u202f]*)?\d(?:[eE][+-]?\d+)?)"  # a number, and behind it
    r"(?:\s*(?P<sign>[;|(\[])\s*(?P<mark>[^;|()\[\]]+?)\s*[)\]]?"  # "(192)", ";Good", "|G", "[Bad]"
    r"|\s*(?P<signs>[*?#!@]+)|(?:\s+|\s*/\s*)(?P<words>[^\W\d_][^;|()\[\]]*))"  # "*", " Good", "/ok"
)
_SIGNS = re.compile(r"[*?#!@.\-–—_ ]+")
"""Signs alone in a cell, or behind a number, say that it is no good: "????", "####", "12.3*"."""
_BETWEEN = re.compile(r"[\s,:_-]+")
_LONGEST = 100
"""A longer cell is no number with a quality; the pattern would try it in many ways."""
_OPC = {192: "good", 216: "good", **dict.fromkeys((*range(0, 32, 4), 64, 68, 80, 84, 88), "bad")}
"""The codes of OPC's quality; what is only uncertain is taken for bad."""


def graded(text: str) -> tuple[str, str] | None:
    """The number and the quality of a cell that holds both: "12.3 Good", "12.3;192", "12.3*"; None: it does not."""
    found = _GRADED.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if found is None:
        return None
    mark = found["mark"] or found["signs"] or found["words"]
    if found["sign"]:
        mark = _OPC.get(int(mark), mark) if mark.isdecimal() else _LETTERS.get(mark.casefold(), mark)
    return found[1], mark


def word_in(text: str) -> str:
    """What a cell without a reading says: of a number with a quality that, of others all."""
    found = graded(text)
    return text if found is None or any(sign.isdigit() for sign in found[1]) else found[1]


def is_good(mark: str) -> bool:
    """Whether a quality behind a number says that it is a reading."""
    first, *rest = _BETWEEN.split(_plain(mark))
    return (first in _GOOD or first.startswith("good")) and not any(word in _KNOWN for word in rest)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


@dataclass(frozen=True, slots=True)
class Missing:
    """What counts as no reading: words, whatever their case, and numbers that match exactly."""

    words: frozenset[str] = _KNOWN
    sentinels: frozenset[float] = frozenset()

    @classmethod
    def of(cls, more: Iterable[str]) -> "Missing":
        """The known words and these: `[values] missing`; one that is a number is a sentinel."""
        words, sentinels = set(_KNOWN), set()
        for text in more:
            try:
                sentinels.add(float(text))
            except ValueError:
                words.add(_plain(text))
        return cls(frozenset(words), frozenset(number for number in sentinels if number == number))

    def is_word(self, text: str) -> bool:
        """Whether a cell of this text says that there is no reading, as a blank one does and a number called bad."""
        plain = _plain(text)
        if not plain or plain in self.words or _SIGNS.fullmatch(plain):
            return True
        found = graded(plain)
        return found is not None and self._is_bad(found[1])

    def _is_bad(self, mark: str) -> bool:
        some = any(word in self.words or word.startswith("bad") for word in _BETWEEN.split(mark))
        return some or mark in self.words or bool(_SIGNS.fullmatch(mark))

    def blank_sentinels(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Set cells that hold a sentinel to NaN, in place; returns how many that were, by column of (n, sensors)."""
        found = np.zeros(values.shape[1], np.int64)
        for number in self.sentinels:
            hit = values == number
            if hit.any():
                found += hit.sum(axis=0)
                values[hit] = np.nan
        return found
