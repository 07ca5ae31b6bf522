"""Cells on the wire that hold no number: a historian's words for "no reading", text, NaN; each becomes a missing cell.

A row with one such cell is no dead letter: that would be a hole in the machine's time, and then a stop. All this is
the slow way, for records that the strict decoder has refused.
"""

import re
from collections import Counter
from collections.abc import Collection

import msgspec
import numpy as np

from sheetbreak.missing import graded, is_good

LONGEST_WORD = 40
"""Characters of a word that are kept."""
_BARE = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+]?\b(?:nan|inf(?:inity)?)\b', re.DOTALL | re.IGNORECASE)
"""A string, to be passed over, or what programs write for a number that is none, which JSON does not know."""
_NAMED = {b"{": "an object", b"[": "a list"}

Words = Counter[tuple[str, str]]
"""By sensor and word: cells."""


def quote_bare_words(record: bytes) -> bytes | None:
    """The record with each NaN and Infinity as a list of that one word, which no name is; None where it has none."""
    quoted = _BARE.sub(lambda found: found[0] if found[0][:1] == b'"' else b'["' + found[0] + b'"]', record)
    return quoted if len(quoted) != len(record) else None


def blank_words(record: bytes, sensors: Collection[str]) -> tuple[bytes, Words] | None:
    """A row's JSON with null where a sensor holds no number, and the words that stood there; None where all do.

    A number written as text is taken as the number. Raises msgspec.DecodeError for what is no object of objects.
    """
    fields = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    cells = msgspec.json.decode(fields.get("values", b"null"), type=dict[str, msgspec.Raw])
    words, mended = Words(), dict[str, msgspec.Raw]()
    for sensor in cells.keys() & sensors:
        cell = bytes(cells[sensor])
        number, word = _read(cell)
        if word is not None:
            words[sensor, word] += 1
            mended[sensor] = msgspec.Raw(b"null")
        elif cell[:1] == b'"':
            mended[sensor] = msgspec.Raw(msgspec.json.encode(number))
    if not mended:
        return None
    return msgspec.json.encode(fields | {"values": cells | mended}), words


def _read(cell: bytes) -> tuple[float | None, str | None]:
    """A cell's number, or the word that stands instead of one; neither where it is null."""
    if cell == b"null":
        return None, None
    if cell[:1] != b'"':
        try:
            return msgspec.json.decode(cell, type=float), None
        except msgspec.DecodeError:
            if cell.startswith(b'["') and _BARE.fullmatch(cell[2:-2]):
                return None, cell[2:-2].decode()
            return None, _NAMED.get(cell[:1], _short(cell.decode("utf-8", "replace")))
    text = msgspec.json.decode(cell, type=str)
    if (found := graded(text)) is not None:
        if not is_good(found[1]):
            return None, _short(found[1])
        text = found[0]
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    if not np.isfinite(number) or "_" in text:  # float() takes "1_0", "nan" and "inf"
        return None, _short(text)
    return number, None


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_WORD else text[: LONGEST_WORD - 1] + "…"
