"""Time formats: which one a column has, from samples of it, and which of two times an hour that comes twice means."""

import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

from sheetbreak.errors import DataError
from sheetbreak.history.times.formats import EPOCHS, EXCEL_DAYS, ISO, TimeReader, is_time_of_day
from sheetbreak.history.times.zones import zone_by_name

DATES = ("%m/%d/%y", "%d/%m/%y", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d")
MORE_DATES = ("%d-%m-%y", "%Y.%m.%d")
SELDOM = ("%y/%m/%d", "%y-%m-%d", "%y.%m.%d", "%m-%d-%Y", "%m-%d-%y")
"""Dates that few write: taken where no other of the same steps fits."""
NAMED_MONTHS = ("%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%d %b %y", "%b %d %Y")
CLOCKS = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M:%S.%f %p", "%H.%M", "%H.%M.%S")
FORMATS = tuple(f"{date} {clock}".strip() for clock in CLOCKS for date in (*DATES, *NAMED_MONTHS, *MORE_DATES, *SELDOM))
_BETWEEN = re.compile(r"[-./: ]")
_ZONE = re.compile(r"\s+\[?([A-Za-z][A-Za-z_]*(?:/[A-Za-z_]+)*)\]?$")
_UNPARTED = re.compile(r"\d{8}|\d[^\W\d_]{3,}\d|\d\s?[年년]\s?\d|\dW\d{3}")
_FIRST_FEW = (5, 30)
"""Samples that all formats are tried on; those that read one of them are tried on all samples."""
_EXCEL_DAYS = (36_526, 55_153)
"""Days of a spreadsheet from 2000 to 2050."""
_EPOCH_S = (3e8, 4.2e9)
"""Seconds since 1970 from 1979 to 2103: a count of rows or of seconds since a start is far below."""


def recognise_time_format(
    samples: Sequence[str], *, name: str, before: str | None = None, timezone: str = "UTC"
) -> str:
    """The format that most samples have: `before` (what training recognised), ISO 8601, numbers since 1970, else the
    one of FORMATS under which they ascend.

    Most, not all: a cell that is no time is told with its line when its row is read. Raises DataError when none or
    several formats fit (2/3/21: February or March?): the schema file then has to say it.
    """
    texts = [sample.strip() for sample in samples if sample.strip()]
    if before is not None and 2 * len(_read_all(texts, before, timezone)) > len(texts):
        return before
    if (counted := _counted_since_1970(texts)) is not None:
        return counted
    if are_excel_days(texts):
        return EXCEL_DAYS
    if not may_be_times(texts):
        raise DataError(_unknown(texts, name))
    tried: list[str] = []
    for first in _FIRST_FEW:
        few = texts[:: max(1, len(texts) // first)]
        tried = tried or [f for f in (ISO, *FORMATS) if _read_all(few, f, timezone)]
    read = [(f, _read_all(texts, f, timezone)) for f in tried]
    most = max((len(times) for _, times in read), default=0)
    fitting = [(f, times) for f, times in read if len(times) == most]
    if not most or 2 * most < len(texts):
        raise DataError(_unknown(texts, name))
    if fitting[0][0] == ISO:
        return ISO
    # A date alone is read by a format with a clock too: the shortest that reads all is meant.
    bare = [(f, t) for f, t in fitting if " " not in f and not any(" " in text for text in texts)]
    ascending = [(f, t) for f, t in bare or fitting if t == sorted(t)] or bare or fitting
    steady = min(_longest_step(t) for _, t in ascending)
    best = [f for f, t in ascending if _longest_step(t) == steady]
    best = [f for f in best if not f.startswith(SELDOM)] or best
    if len(best) > 1 and len({tuple(t) for f, t in ascending if f in best}) > 1:
        raise DataError(f'{name}: "{texts[0]}" could be {" or ".join(best[:2])}; set sampling.time_format in --schema')
    return best[0]


def choose_fold(first_us: int, second_us: int, *, last_us: int | None, ambiguous: str) -> int:
    """Which of the two times is meant where an hour comes twice: the first that is later than the row before."""
    if ambiguous == "infer":
        return second_us if last_us is not None and first_us <= last_us else first_us
    return second_us if ambiguous == "second" else first_us


def may_be_times(texts: Sequence[str]) -> bool:
    """Whether half of them look like dates: a hundred and fifty formats tried on each cell of a column take seconds."""
    return 2 * sum(map(_may_be_time, texts)) >= len(texts)


def _may_be_time(text: str) -> bool:
    """Whether a text has what each date has: two signs or blanks between its parts, a month's name, or eight digits."""
    return len(_BETWEEN.findall(text.lstrip("+-"))) > 1 or _UNPARTED.search(text) is not None


def _zone_named(text: str) -> str:
    """The zone that stands behind a time that is in a known format without it; "" where none does."""
    found = _ZONE.search(text)
    if found is None or found[1].upper() in ("AM", "PM"):
        return ""
    plain = text[: found.start()]
    return found[1] if any(_read_all([plain], time_format, "UTC") for time_format in (ISO, *FORMATS)) else ""


def _unknown(texts: Sequence[str], name: str) -> str:
    shown = f'"{texts[0][:40]}"' if texts else "no time"
    remedy = "set sampling.time_format in --schema"
    if texts and _is_number(texts[0]):
        remedy = "a number counted from somewhere is no time: name the column under columns.ignore instead of "
        remedy += (
            "columns.time in --schema, and rows are numbered at period_s; seconds or milliseconds since 1970 are read"
        )
    elif texts and is_time_of_day(texts[0]):
        remedy = "a time of day needs its date: where another column holds that, join them in --schema, "
        remedy += 'columns.time = ["Date", "Time"]'
    elif texts and (zone := _zone_named(texts[0])):
        remedy = "UTC, GMT, offsets such as +02:00 and what sampling.timezone calls its own are: "
        example = f", such as {found}," if (found := zone_by_name(zone)) else ""
        remedy += f"set that to the plant's zone{example} in --schema, or export times in UTC"
        return f"{name}: {shown} names {zone}, which is no zone that is known; {remedy}"
    return f"{name}: {shown} is in no format known; {remedy}"


def _counted_since_1970(texts: Sequence[str]) -> str | None:
    """The format of numbers since 1970, where most samples are such numbers of one size."""
    sizes = [abs(float(text.replace(",", "."))) for text in texts if _is_number(text.replace(",", "."))]
    if not sizes or 2 * len(sizes) <= len(texts):
        return None
    middle = sorted(sizes)[len(sizes) // 2]
    for time_format, unit_us in EPOCHS.items():
        seconds = middle * unit_us / 1e6
        if _EPOCH_S[0] <= seconds <= _EPOCH_S[1]:
            return time_format
    return None


def are_excel_days(texts: Sequence[str]) -> bool:
    """Whether most samples are days of a spreadsheet, and not all of them whole ones, which may count anything."""
    days = [float(text.replace(",", ".")) for text in texts if _is_number(text.replace(",", "."))]
    found = [day for day in days if _EXCEL_DAYS[0] <= day < _EXCEL_DAYS[1]]
    return 2 * len(found) > len(texts) and any(day % 1 for day in found)


def _read_all(texts: Sequence[str], time_format: str, timezone: str) -> list[int]:
    read, times = TimeReader(time_format, timezone), []
    for text in texts:
        with suppress(ValueError):
            times.append(read(text))
    return times


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def _longest_step(times: Sequence[int]) -> int:
    return max((abs(b - a) for a, b in pairwise(times)), default=0)
