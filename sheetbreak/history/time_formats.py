"""Times as plants write them: recognise a column's format, and read it fast."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from sheetbreak.errors import DataError
from sheetbreak.times import EARLIEST_US, LATEST_US, to_us

ISO = "ISO 8601"
FORMATS = tuple(
    f"{date} {clock}".strip()
    for clock in ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
    for date in ("%m/%d/%y", "%d/%m/%y", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d")
)


class TimeReader:
    """Reads one column's times to µs since 1970 UTC; times without a zone are in `timezone`.

    Calling it raises ValueError for a text that is not in `format`.
    """

    def __init__(self, time_format: str, timezone: str) -> None:
        self.format = time_format
        self._zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
        date_format, _, clock_format = time_format.partition(" ")
        self._by_parts = clock_format == "%H:%M" and timezone == "UTC"
        self._date_us: Callable[[str], int] = lru_cache(maxsize=64)(self._read_with(date_format))
        self._whole_us = self._read_with(time_format)

    def __call__(self, text: str) -> int:
        text = text.strip()
        if self._by_parts:
            date, _, clock = text.partition(" ")
            return self._date_us(date) + _clock_us(clock)
        if self.format == ISO:
            return self._in_range(datetime.fromisoformat(text))
        return self._whole_us(text)

    def _read_with(self, time_format: str) -> Callable[[str], int]:
        def read(text: str) -> int:
            return self._in_range(datetime.strptime(text, time_format))  # noqa: DTZ007 - the zone follows there

        return read

    def _in_range(self, moment: datetime) -> int:
        time_us = to_us(moment if moment.tzinfo else moment.replace(tzinfo=self._zone))
        if not EARLIEST_US <= time_us < LATEST_US:
            raise ValueError("a year from 2 to 9998 is expected")
        return time_us


@lru_cache(maxsize=2048)
def _clock_us(clock: str) -> int:
    moment = datetime.strptime(clock, "%H:%M")  # noqa: DTZ007 - a time of day
    return (moment.hour * 60 + moment.minute) * 60_000_000


def recognise_time_format(samples: Sequence[str], *, name: str) -> str:
    """The format that most samples have: ISO 8601, else the one of FORMATS under which they ascend.

    Most, not all: a cell that is no time is told with its line when its row is read. Raises DataError when none or
    several formats fit (2/3/21: February or March?): the schema file then has to say it.
    """
    texts = [sample.strip() for sample in samples if sample.strip()]
    read = [(f, _read_all(texts, f)) for f in (ISO, *FORMATS)]
    most = max(len(times) for _, times in read)
    fitting = [(f, times) for f, times in read if len(times) == most]
    if not most or 2 * most < len(texts):
        shown = f'"{texts[0][:40]}"' if texts else "no time"
        remedy = "set sampling.time_format in --schema"
        if texts and _is_number(texts[0]):
            remedy = "a number counted from somewhere is no time: name the column under columns.ignore instead of "
            remedy += "columns.time in --schema, and rows are numbered at period_s"
        raise DataError(f"{name}: {shown} is in no format known; {remedy}")
    if fitting[0][0] == ISO:
        return ISO
    ascending = [(f, t) for f, t in fitting if t == sorted(t)] or fitting
    steady = min(_longest_step(t) for _, t in ascending)
    best = [f for f, t in ascending if _longest_step(t) == steady]
    if len(best) > 1:
        raise DataError(f'{name}: "{texts[0]}" could be {" or ".join(best[:2])}; set sampling.time_format in --schema')
    return best[0]


def check_time_format(time_format: str) -> None:
    """Raises ValueError when `time_format` is none that times can be read with."""
    datetime.strptime(datetime(2001, 2, 3, 4, 5, tzinfo=UTC).strftime(time_format), time_format)  # noqa: DTZ007


def _read_all(texts: Sequence[str], time_format: str) -> list[int]:
    read, times = TimeReader(time_format, "UTC"), []
    for text in texts:
        with suppress(ValueError):
            times.append(read(text))
    return times


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _longest_step(times: Sequence[int]) -> int:
    return max((abs(b - a) for a, b in pairwise(times)), default=0)
