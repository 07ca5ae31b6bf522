"""Roles of a table's columns: time, labels, machine, grade, what is left out and why, and the sensors that remain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sheetbreak.missing import Missing, graded, word_in
from sheetbreak.rows import Schema, grade_name
from trainer.data.inspection.columns import MOST_WORDS, Column
from trainer.data.inspection.guesses.labels import LabelGuess, find_labels, labels_of
from trainer.data.inspection.guesses.names import GRADE, MACHINE, NO_GRADE, hint
from trainer.data.inspection.guesses.status import find_states
from trainer.data.inspection.sensors import index_like, outcome_like
from trainer.data.inspection.times import Times, find_times, is_like_times, read_times
from trainer.data.labels import Bools, Ints

_MOST_MACHINES, _MOST_GRADES = 200, 60
_MOSTLY_MISSING = 0.5
"""A sensor that is missing in more of the rows is left out: rows that lack a fifth of their sensors are refused."""
_HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Roles:
    """What each column of a table is."""

    times: Times | None
    labels: LabelGuess | None
    machine: Column | None
    grade: Column | None
    ignored: dict[str, str] = field(default_factory=dict)
    """Why each column that is none of these and no sensor is left out."""
    sensors: tuple[Column, ...] = ()
    words: tuple[str, ...] = ()
    """Texts in sensors that the schema file must say: they mean that there is no reading."""
    doubtful: dict[str, str] = field(default_factory=dict)
    """Why a sensor that a schema file takes for one is hardly one."""


def find_roles(columns: Sequence[Column], *, day_first: bool, given: Schema | None = None) -> Roles:
    """The roles as guessed from the columns; what a schema file gives stands."""
    by_name = {column.name: column for column in columns}
    if given is None:
        times = find_times(columns, day_first=day_first)
        rest = _without(columns, *(times.names if times else ()))
        states = find_states(rest)
        labels = find_labels(_without(rest, *states)) or find_labels(rest)
        states.pop(labels.column.name if labels else "", None)
        rest = _without(rest, labels.column.name if labels else "", *states)
        machine = _find_machine(rest, times)
        rest = _without(rest, machine.name if machine else "")
        grade = _find_grade(rest)
        rest = _without(rest, grade.name if grade else "")
        ignored, doubtful = states | _ignored(rest, times, labels), {}
    else:
        times = _times_given(by_name, given, day_first=day_first)
        labels = labels_of(by_name[given.broken], given.broken_values) if given.broken in by_name else None
        machine, grade = by_name.get(given.machine or ""), by_name.get(given.grade or "")
        taken = [c for c in (given.time, given.clock, given.broken, given.machine, given.grade) if c]
        rest = _without(columns, *taken, *given.ignore)
        broken, local_us = _known_to(labels, times)
        states = find_states(columns)
        reasons = {c: states.get(c) or _why_ignored(by_name[c], broken, local_us) for c in given.ignore if c in by_name}
        ignored = {name: why or "the plant file leaves it out" for name, why in reasons.items()}
        ignored |= {column.name: _text_kind(column) for column in rest if not len(column.known)}
        doubtful = {
            c.name: why
            for c in rest
            if len(c.known) and (why := states.get(c.name) or _why_ignored(c, broken, local_us))
        }
    sensors = tuple(column for column in rest if column.name not in ignored)
    return Roles(times, labels, machine, grade, ignored, sensors, _unknown_words(sensors, given), doubtful)


def machine_codes(roles: Roles, rows: int) -> Ints:
    """(rows,) each row's machine by number."""
    machine = roles.machine
    return machine.codes if machine is not None and machine.codes is not None else np.zeros(rows, np.int64)


def _times_given(by_name: Mapping[str, Column], given: Schema, *, day_first: bool) -> Times | None:
    column, clock = by_name.get(given.time or ""), by_name.get(given.clock or "")
    if column is None:
        return None
    if given.time_format is not None:
        return read_times(column, clock, time_format=given.time_format)
    return find_times([column] if clock is None else [column, clock], day_first=day_first)


def _without(columns: Sequence[Column], *names: str) -> list[Column]:
    return [column for column in columns if column.name not in names]


def _find_machine(columns: Sequence[Column], times: Times | None) -> Column | None:
    """The column that tells machines apart: by its name, or because times ascend only within each of its values."""
    if times is None:
        return None
    fitting = [c for c in columns if c.codes is not None and 0 < len(c.texts or {}) <= _MOST_MACHINES and not c.blank]
    whole = [c for c in fitting if c.is_text or (c.known == np.round(c.known)).all()]
    disordered = _disorder(times, np.zeros(len(times.local_us), np.int64))
    named = sorted(whole, key=lambda c: -hint(c.name, MACHINE))
    for column in named:
        strength, codes = hint(column.name, MACHINE), column.codes
        assert codes is not None
        if not strength and not disordered:
            break
        better = bool(disordered) and _disorder(times, codes) <= 0.01 * disordered
        if better or (strength and not disordered and column.is_text) or (strength == 2 and not disordered):
            return column
    return None


def _disorder(times: Times, codes: Ints) -> int:
    """Rows whose time is not later than their machine's last, but for the hour by which a clock goes back."""
    order = np.argsort(codes, kind="stable")
    same = np.diff(codes[order]) == 0
    steps = np.diff(times.local_us[order]) * (-1 if times.run_back else 1)
    return int((same & (steps <= 0) & ((steps == 0) | (steps < -_HOUR_US))).sum())


def _find_grade(columns: Sequence[Column]) -> Column | None:
    found = []
    for column in columns:
        strength = hint(column.name, GRADE)
        if not strength or hint(column.name, NO_GRADE) or column.texts is None or column.codes is None:
            continue
        names = {grade_name(text) for text in column.texts if text}
        spelled = [grade_name(text) for text in column.texts]
        one_code = np.array([spelled.index(name) for name in spelled], np.int64)
        stays = (np.diff(one_code[column.codes]) != 0).mean() < 0.1 if column.rows > 1 else True
        codes = column.is_text or bool((column.known == np.round(column.known)).all())
        if 0 < len(names) <= _MOST_GRADES and stays and codes:
            found.append((strength, column))
    return max(found, key=lambda one: one[0])[1] if found else None


def _ignored(columns: Sequence[Column], times: Times | None, labels: LabelGuess | None) -> dict[str, str]:
    broken, local_us = _known_to(labels, times)
    found = {column.name: why for column in columns if (why := _why_ignored(column, broken, local_us))}
    left = [column for column in columns if column.name not in found]
    return found if left else {name: why for name, why in found.items() if why.startswith(("text", "empty", "times"))}


def _known_to(labels: LabelGuess | None, times: Times | None) -> tuple[Bools | None, Ints | None]:
    """Rows labelled as a break, and the rows' times, where there are such."""
    broken = labels.broken if labels is not None else None
    return broken, times.local_us if times is not None and times.readable.all() else None


def _why_ignored(column: Column, broken: Bools | None, local_us: Ints | None) -> str:
    """Why a column is left out; empty: it is a sensor."""
    if not column.filled:
        return "empty: not one cell is filled"
    if not len(column.known) or column.is_text:
        return _text_kind(column)
    if why := index_like(column.numbers, local_us):
        return why
    if broken is not None and (why := outcome_like(column.numbers, broken)):
        return why
    missing = 1 - len(column.known) / column.rows
    if missing > _MOSTLY_MISSING:
        return f"no value in {missing:.0%} of the rows"
    return ""


def _text_kind(column: Column) -> str:
    if is_like_times(column):
        return "times of something else"
    missing = Missing()
    if marks := {word_in(word) for word in column.words if graded(word)}:
        return f"marked: {', '.join(sorted(marks)[:3])} behind its numbers, which means that they are no readings"
    if column.words and all(missing.is_word(word) for word in column.words):
        return (
            "empty: no number, and words that mean that there is none" if not len(column.known) else "hardly a number"
        )
    if len(column.known):
        return "text: codes, some of which are numbers"
    return "text: no number in it"


def _unknown_words(sensors: Sequence[Column], given: Schema | None) -> tuple[str, ...]:
    """Words that mean no reading though no list knows them, of sensors that have some."""
    missing = Missing.of(given.missing if given is not None else ())
    found = (dict.fromkeys(map(word_in, column.words)) for column in sensors)
    return tuple(
        dict.fromkeys(w for words in found if len(words) < MOST_WORDS for w in words if not missing.is_word(w))
    )
