"""Times of a table: which column holds them, or which two, how they are written, and the clock they show."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from sheetbreak.errors import DataError
from sheetbreak.history.edges import MOST, is_no_row
from sheetbreak.history.times.formats import EPOCHS, EXCEL_DAYS, ISO, TimeReader, is_time_of_day, join_clock
from sheetbreak.history.times.order import run_back
from sheetbreak.history.times.recognition import FORMATS, are_excel_days, may_be_times, recognise_time_format
from sheetbreak.history.times.zones import zone_by_name
from trainer.data.inspection.clock import ZoneGuess, guess_zone
from trainer.data.inspection.columns import Column
from trainer.data.inspection.guesses.names import TIME, hint
from trainer.data.inspection.tables import Table
from trainer.data.labels import Bools, Ints

_NAMED = re.compile(r"\s*\b([A-Z]{2,4})$")
_OFFSET = re.compile(r"(Z|[+-]\d{2}:?\d{2}|\b(UTC|GMT)([+-]\d{1,2})?)$")
_MOSTLY = 0.9


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a table's rows."""

    column: Column
    clock: Column | None
    """The time of day, where `column` holds the date alone."""
    format: str
    local_us: Ints
    """(rows,) as the clock shows them, µs as if they were UTC; 0 where a cell is no time."""
    readable: Bools
    """(rows,)"""
    zone: ZoneGuess
    also: str = ""
    """Another format that fits as well: dates such as 05/03 alone."""

    @property
    def run_back(self) -> bool:
        """Whether the newest row stands first."""
        return run_back([self.local_us[self.readable]])

    @property
    def names(self) -> tuple[str, ...]:
        """The columns."""
        return (self.column.name,) if self.clock is None else (self.column.name, self.clock.name)


@dataclass(frozen=True, slots=True)
class _Candidate:
    column: Column
    clock: Column | None
    format: str
    also: str
    ascends: bool

    @property
    def rank(self) -> tuple[bool, int, bool, bool, int]:
        """What speaks for it: its rows ascend, its name, a clock is in it, many distinct."""
        has_clock = (
            self.clock is not None
            or "H" in self.format
            or "I" in self.format
            or self.format in (ISO, EXCEL_DAYS, *EPOCHS)
        )
        joined = self.clock is not None
        return self.ascends, hint(self.column.name, TIME), joined, has_clock, len(self.column.texts or range(10_000))


def find_times(columns: Sequence[Column], *, day_first: bool, period_us: int | None = None) -> Times | None:
    """The time column of a table, or None. day_first: which of 05/03 and 03/05 the file's country writes."""
    candidates = [c for column in columns if (c := _candidate(column, None, day_first=day_first)) is not None]
    for day in [c.column for c in candidates if not _has_clock(c)]:
        for column in columns:
            if column is not day and _is_clock(column):
                joined = _candidate(day, column, day_first=day_first)
                candidates += [joined] if joined is not None else []
    if not candidates:
        return None
    best = max(candidates, key=lambda c: c.rank)
    return read_times(best.column, best.clock, time_format=best.format, also=best.also, period_us=period_us)


def read_times(
    column: Column,
    clock: Column | None = None,
    *,
    time_format: str,
    also: str = "",
    period_us: int | None = None,
) -> Times:
    """The times of the named columns, read in a format; period_us: None is found from the rows."""
    texts = texts_of(column, clock)
    bare, zone = _without_zone_names(texts, time_format)
    read = TimeReader(time_format.removesuffix(" %Z"), "UTC")
    known: dict[str, int | None] = {}
    for text in bare:
        if text not in known:
            known[text] = None
            with suppress(ValueError, OverflowError):
                known[text] = read(text)
    readable = np.array([known[text] is not None for text in bare], np.bool_)
    local_us = np.array([known[text] or 0 for text in bare], np.int64)
    if zone is None:
        shown = local_us[readable][:: -1 if run_back([local_us[readable]]) else 1]
        steps = np.diff(shown)
        usual = period_us or int(np.median(steps[steps > 0])) if (steps > 0).any() else 120_000_000
        zone = guess_zone(shown, period_us=usual) if readable.any() else ZoneGuess("UTC", "", sure=False)
    return Times(column, clock, time_format, local_us, readable, zone, also)


def lines_at_the_edges(table: Table, times: Times | None, labels: Column | None) -> set[tuple[int, int]]:
    """The lines at either end of each file that say no time, as the reader of histories leaves them out."""
    found: set[tuple[int, int]] = set()
    if times is None or times.readable.all():
        return found
    texts = texts_of(times.column)
    said: Sequence[str | None] = [None] * len(texts) if labels is None else texts_of(labels)
    for file in range(len(table.layouts)):
        rows = np.flatnonzero(table.files == file).tolist()
        for ordered in (rows, rows[::-1]):
            edge = [
                *takewhile(
                    lambda i: not times.readable[i] and is_no_row(texts[i], said[i], filled=1, width=1), ordered[:MOST]
                )
            ]
            found |= {(file, int(table.lines[i])) for i in edge} if len(edge) < MOST else set()
    return found


def is_like_times(column: Column) -> bool:
    """Whether a column of text holds times, whatever for."""
    samples = column.samples(60)
    with suppress(DataError):
        return bool(samples) and bool(recognise_time_format(samples, name=column.name))
    return bool(_fitting(samples)) or _is_clock(column)


def texts_of(column: Column, clock: Column | None = None) -> list[str]:
    """Each row's text, of a column with few of them or one of text; with the clock's behind it where there is one."""
    if column.cells is not None:
        own = column.cells
    elif column.texts is not None and column.codes is not None:
        texts = list(column.texts)
        own = [texts[code] for code in column.codes.tolist()]
    else:
        own = [
            "" if number != number else f"{number:.9f}".rstrip("0").rstrip(".") for number in column.numbers.tolist()
        ]
    if clock is None:
        return own
    return [join_clock(day, hour).strip() for day, hour in zip(own, texts_of(clock), strict=True)]


def _candidate(column: Column, clock: Column | None, *, day_first: bool) -> _Candidate | None:
    if column.is_text or clock is not None:
        samples = _samples(texts_of(column, clock)) if clock is not None else column.samples()
    elif column.name and hint(column.name, TIME):
        samples = _samples(texts_of(column))
        if not (len(column.known) and column.known.min() > 1e7) and not are_excel_days(samples):
            return None
    else:
        return None
    named = [text for text in samples if (found := _NAMED.search(text)) and zone_by_name(found[1])]
    suffix = " %Z" if samples and len(named) >= _MOSTLY * len(samples) else ""
    if suffix:
        samples = [_NAMED.sub("", text) for text in samples]
    also = ""
    try:
        time_format = recognise_time_format(samples, name=column.name)
    except DataError:
        fitting = _fitting(samples)
        if not fitting:
            return None
        fitting.sort(key=lambda f: f.startswith("%d") is not day_first)
        time_format, also = fitting[0], fitting[1] if len(fitting) > 1 else ""
    if not column.is_text and clock is None and time_format not in (ISO, EXCEL_DAYS, *EPOCHS):
        return None
    steps = np.diff(_read_all(time_format, samples))
    ascends = not len(steps) or bool((steps >= 0).mean() >= _MOSTLY)
    return _Candidate(column, clock, time_format + suffix, also, ascends)


def _samples(texts: Sequence[str], most: int = 400) -> list[str]:
    step = max(len(texts) // most, 1)
    return [text for text in (texts[::step] if step > 1 else texts) if text]


def _fitting(samples: Sequence[str]) -> list[str]:
    """The formats that read nearly all samples."""
    if not may_be_times(samples):
        return []
    few = samples[:: max(len(samples) // 5, 1)]
    return [f for f in FORMATS if _read_all(f, few) and len(_read_all(f, samples)) >= _MOSTLY * len(samples)]


def _read_all(time_format: str, samples: Sequence[str]) -> list[int]:
    read, times = TimeReader(time_format, "UTC"), []
    for text in samples:
        with suppress(ValueError, OverflowError):
            times.append(read(text))
    return times


def _has_clock(candidate: _Candidate) -> bool:
    return any(":" in join_clock(text, "") for text in candidate.column.samples(20))


def _is_clock(column: Column) -> bool:
    samples = column.samples(200)
    return bool(samples) and sum(is_time_of_day(text) for text in samples) >= _MOSTLY * len(samples)


def _without_zone_names(texts: Sequence[str], time_format: str) -> tuple[Sequence[str], ZoneGuess | None]:
    """The texts to read, and their zone where they say it."""
    filled = [text for text in texts[:400] if text]
    if time_format.endswith("%Z"):
        names = {found[1] for text in filled if (found := _NAMED.search(text))}
        zone = next((zone for name in sorted(names) if (zone := zone_by_name(name))), "UTC")
        return [_NAMED.sub("", text) for text in texts], ZoneGuess(zone, f"the times say {', '.join(names)}", sure=True)
    if time_format in EPOCHS:
        return texts, ZoneGuess("UTC", "numbers since 1970 are UTC", sure=True)
    if filled and all(_OFFSET.search(text) and ":" in text for text in filled):
        return texts, ZoneGuess("UTC", "the times say their offset from UTC", sure=True)
    return texts, None
