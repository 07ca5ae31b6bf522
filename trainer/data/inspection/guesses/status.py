"""Columns that say how good the readings of another column are: an OPC quality of 192, a word, a flag."""

from collections.abc import Collection, Sequence

import numpy as np

from trainer.data.inspection.columns import Column
from trainer.data.inspection.guesses.names import QUALITY, QUALITY_TOO, VALUE, words_of
from trainer.data.labels import Floats

_MOST_STATES = 16
"""A state has few values; a sensor that is called a quality has many."""
_SHOWN = 4


def find_states(columns: Sequence[Column]) -> dict[str, str]:
    """Columns that hold the state of another one, and why they are no sensors."""
    sensors = [column.name for column in columns if len(column.known) and not column.is_text]
    nameless = [column.name for column in columns if _is_nameless(column.name)]
    found = {}
    for before, column in zip(["", *(column.name for column in columns)], columns, strict=False):
        of = state_of(column.name, sensors)
        if not of and column.name in nameless and len(nameless) > 1 and before in sensors:
            of = before
        if of and _is_state(column):
            found[column.name] = f"a state: of {of}, {_counted(column)}"
    return found


def state_of(name: str, names: Collection[str]) -> str:
    """The column of which a name like "x1.Quality" or "Status x1" tells the state, among `names`; empty: of none."""
    words = words_of(name)
    bases = {tuple(base) for base in (_stripped(words), _stripped(words[::-1])[::-1]) if base and base != words}
    for other in names:
        own = words_of(other)
        if other != name and bases & {own, own[:-1] if own[-1] in VALUE else own}:
            return other
    return ""


def _stripped(words: tuple[str, ...]) -> tuple[str, ...]:
    """Words without those at the end of which one means a state."""
    last = len(words)
    while last and words[last - 1] in QUALITY | QUALITY_TOO:
        last -= 1
    return words[:last] if QUALITY & set(words[last:]) else words


def few_whole(numbers: Floats) -> bool:
    """Whether all that there is are a few whole numbers, as codes are."""
    known = np.unique(numbers[~np.isnan(numbers)])
    return len(known) <= _MOST_STATES and bool((known == np.round(known)).all())


def _is_state(column: Column) -> bool:
    return column.texts is not None and len(column.texts) <= _MOST_STATES and few_whole(column.numbers)


def _counted(column: Column) -> str:
    seen = sorted(((text or "blank", one.count) for text, one in (column.texts or {}).items()), key=lambda one: -one[1])
    if len(seen) == 1:
        return f"always {seen[0][0]}"
    return ", ".join(f"{text[:20]} ({count:,})" for text, count in seen[:_SHOWN]) + ("…" if len(seen) > _SHOWN else "")


def _is_nameless(name: str) -> bool:
    """Whether a name is "Quality" alone, or such a one with a number that tells it from others."""
    words = [word for word in words_of(name) if not word.isdecimal()]
    return bool(words) and set(words) <= QUALITY
