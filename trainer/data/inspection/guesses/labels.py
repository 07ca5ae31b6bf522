"""Labels of a table: which column says that the sheet broke, and which of its words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sheetbreak.missing import Missing
from trainer.data.inspection.columns import Column, Seen
from trainer.data.inspection.guesses.names import BROKEN, MAYBE_BROKEN, hint, is_break_word, is_sound_word
from trainer.data.labels import Bools

_MOST_WORDS = 15
"""Distinct words of a column of labels; an alarm list with more is none."""
_RARE = 0.2
"""Breaks are rarer than this share of the rows, as a rule."""
_GENERIC = frozenset({"1", "true", "yes", "y", "ja", "j", "oui", "si", "sí", "kyllä", "x", "t", "wahr"})
"""Words that mean a break in a column whose name says so, and anything elsewhere."""
_ENOUGH = 3
PLAIN = frozenset({"0", "1", "0.0", "1.0"})
"""Labels that need no `broken_values`, unless blank cells stand for 0."""


@dataclass(frozen=True, slots=True)
class LabelGuess:
    """A column of labels."""

    column: Column
    values: tuple[str, ...]
    """Its texts that mean a break."""
    plain: bool
    """Whether they are 0 and 1, which need not be said."""
    why: str
    sure: bool

    @property
    def broken(self) -> Bools:
        """(rows,) rows labelled as a break."""
        texts, codes = list(self.column.texts or {}), self.column.codes
        assert codes is not None
        found: Bools = np.isin(codes, [i for i, text in enumerate(texts) if text in self.values])
        return found


def find_labels(columns: Sequence[Column]) -> LabelGuess | None:
    """The column that most likely holds the labels, or None."""
    scored = [(score, -i, guess) for i, column in enumerate(columns) for score, guess in _guess(column)]
    best = max(scored, key=lambda one: one[:2], default=None)
    return best[2] if best is not None and best[0] >= _ENOUGH else None


def labels_of(column: Column, values: Sequence[str] = ()) -> LabelGuess:
    """The labels of a column that a schema file names."""
    texts = column.texts or {}
    chosen = tuple(text for text in texts if text in values) if values else _ones(texts)
    return LabelGuess(column, chosen, plain=not values, why="the schema file says so", sure=True)


def _guess(column: Column) -> list[tuple[int, LabelGuess]]:
    """How much speaks for the column, and its guess; empty where it is no column of labels."""
    if column.texts is None or column.codes is None:
        return []
    texts = {text: seen for text, seen in column.texts.items() if text}
    named = 2 * hint(column.name, BROKEN) + hint(column.name, MAYBE_BROKEN)
    if not 0 < len(texts) <= _MOST_WORDS:
        return []
    values, why, sure = _break_values(column, texts, named=named)
    if values is None:
        return []
    share = sum(texts[text].count for text in values) / max(column.rows, 1)
    numeric = not column.words
    special = not numeric and any(text.casefold() not in _GENERIC for text in values)
    two = len({*(text in values for text in texts), *([False] if column.blank else [])}) == 2
    score = named + 2 * special + (share < _RARE) + two
    plain = set(texts) <= PLAIN and not (column.blank and len(values) == len(texts))
    return [(score, LabelGuess(column, values, plain=plain, why=why, sure=sure))]


def _break_values(column: Column, texts: Mapping[str, Seen], *, named: int) -> tuple[tuple[str, ...] | None, str, bool]:
    """The texts that mean a break, why, and whether that is sure; None: this column tells nothing of breaks."""
    if not column.words:
        numbers = {float(number) for number in np.unique(column.known).tolist()}
        if numbers <= {0.0, 1.0}:
            return _ones(texts), "its 1 means a break", True
        if len(numbers) == 2 and named >= 2:
            rare = min(texts, key=lambda text: texts[text].count)
            return (rare,), f'of its two values "{rare}" is the rarer one', False
        return None, "", False
    told = tuple(text for text in texts if is_break_word(text))
    if told and (len(told) < len(texts) or column.blank):
        return told, "its words say so", True
    missing = Missing()
    words = [text for text in texts if not missing.is_word(text)]
    if not told and named >= 1 and len(words) == 2:
        rare, usual = sorted(words, key=lambda text: texts[text].count)
        clear = is_sound_word(usual)
        if clear or (named >= 2 and texts[rare].count < _RARE * column.rows):
            return (rare,), f'"{usual}" is the usual word, "{rare}" the other', clear
    if not told and named >= 2 and len(words) == 1 and column.blank > column.rows / 2:
        return (words[0],), f'"{words[0]}" stands there now and then, else nothing', False
    return None, "", False


def _ones(texts: Mapping[str, Seen]) -> tuple[str, ...]:
    def is_one(text: str) -> bool:
        try:
            return float(text.replace(",", ".")) == 1.0
        except ValueError:
            return False

    return tuple(text for text in texts if is_one(text))
