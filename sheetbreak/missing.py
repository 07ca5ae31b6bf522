"""Missing values: the words and the exact numbers that stand in a cell where there is no reading."""

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
        """Whether a cell of this text says that there is no reading; a blank cell does."""
        plain = _plain(text)
        return not plain or plain in self.words

    def blank_sentinels(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Set cells that hold a sentinel to NaN, in place; returns how many that were, by column of (n, sensors)."""
        found = np.zeros(values.shape[1], np.int64)
        for number in self.sentinels:
            hit = values == number
            if hit.any():
                found += hit.sum(axis=0)
                values[hit] = np.nan
        return found
