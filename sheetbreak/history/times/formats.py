"""Times as plants write them: read and written in one format, in the plant's zone."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import timezone as fixed_zone
from functools import lru_cache
from zoneinfo import ZoneInfo

from sheetbreak.history.times.words import without_words
from sheetbreak.history.times.zones import common_name
from sheetbreak.times import EARLIEST_US, EPOCH, LATEST_US, format_time, to_us

ISO = "ISO 8601"
EPOCHS = {"epoch s": 1_000_000.0, "epoch ms": 1000.0, "epoch us": 1.0, "epoch ns": 0.001}
"""Numbers counted from 1970 UTC, by the name of their format: µs in one of them."""
EXCEL_DAYS = "Excel days"
"""Days since the end of 1899 by the plant's clock: what a spreadsheet holds where its cells are not shown as times."""

_DAY_US = 86_400_000_000
_EXCEL_START = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet knows no zones
_FINE_DECIMALS = 8
"""Of a day, from which on milliseconds are told apart; fewer give whole seconds."""
_UTC_AT_END = re.compile(r"\s(UTC|GMT)$", re.IGNORECASE)
_POWER = re.compile(r"(?<=\d)[eE]\+?0*(\d{1,2})$")
_DAY_END = re.compile(r"[ T](24):00(:00([.,]0+)?)?$")
_OFFSET_AT_END = re.compile(r"\s?(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?$")
_MIDNIGHT = re.compile(r"[ T](0?0:00(:00(\.0+)?)?|12:00(:00)? AM)$")
_DAY_ZERO = re.compile(r"^(1899-12-3[01]|1900-01-0[01]|(30|31)\.12\.1899|0?[01]\.0?1\.1900|12/3[01]/1899|1/0/1900)[ T]")
_ZONE_NAME = re.compile(r"\s*([A-Za-z]{1,5})$")
_UTC_NAMES = {"UTC", "GMT", "UT", "Z"}
_COMMA = re.compile(r",(?=\d+\s*$|\d+ [AaPp][Mm]$)")


class TimeReader:
    """Reads one column's times to µs since 1970 UTC; times without a zone are in `timezone`.

    Calling it raises ValueError for a text that is not in `format`. A date alone is its midnight: exporters leave the
    clock out there. Days of the week are not looked at, months may have the names of several languages.
    """

    def __init__(self, time_format: str, timezone: str) -> None:
        self.format = time_format
        self._zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
        self._format_bare = time_format.removesuffix("%Z").rstrip()
        self._needs_zone = self._format_bare != time_format
        date_format, _, clock_format = time_format.partition(" ")
        self._date_format = date_format if clock_format else None
        self._by_parts = clock_format == "%H:%M" and timezone == "UTC"
        self._date_us: Callable[[str], int] = lru_cache(maxsize=64)(self._read_date)
        self._epoch = EPOCHS.get(time_format)

    def __call__(self, text: str) -> int:
        """The one time that the text can mean; the first where an hour comes twice."""
        return self.both(text)[0]

    def both(self, text: str) -> tuple[int, int]:
        """The times that the text can mean: two different ones in the hour that comes twice as summer time ends."""
        text = text.strip()
        try:
            return self._both(text)
        except ValueError:
            plain = without_words(text)
            if plain == text:
                raise
            return self._both(plain)

    def _both(self, text: str) -> tuple[int, int]:
        if self._by_parts and "24:00" not in text and not _OFFSET_AT_END.search(text):
            date, _, clock = text.partition(" ")
            time_us = self._date_us(date) + (_clock_us(clock) if clock else 0)
            return time_us, time_us
        if self._epoch is not None:
            time_us = _in_range(_epoch_us(text, self._epoch))
            return time_us, time_us
        moment = self._moment(text)
        if moment.tzinfo is not None or self._zone is UTC:
            time_us = _in_range(to_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
            return time_us, time_us
        local = moment.replace(tzinfo=self._zone)
        first_us = _in_range(to_us(local))
        again = local.replace(fold=1)
        if again.utcoffset() == local.utcoffset():
            return first_us, first_us
        second_us = _in_range(to_us(again))
        return (
            (first_us, second_us) if second_us > first_us else (first_us, first_us)
        )  # a gap in spring: no hour at all

    def _moment(self, text: str) -> datetime:
        """Aware where the text says its zone."""
        if not self._needs_zone and (found := _UTC_AT_END.search(text)):
            return self._plain(text[: found.start()]).replace(tzinfo=UTC)
        if not self._needs_zone:
            try:
                return self._plain(text)
            except ValueError:
                if (found := _OFFSET_AT_END.search(text)) and ":" in text[: found.start()]:
                    return self._plain(text[: found.start()]).replace(tzinfo=_offset(found))
                if not (text[-1:].isalpha() or "," in text):
                    raise
                try:
                    return self._plain(_COMMA.sub(".", re.sub(r",\s+", " ", text)))
                except ValueError:
                    if text[-2:].upper() in ("AM", "PM"):
                        raise
        named = _ZONE_NAME.search(text)
        if named is None:
            raise ValueError(f"{text!r} names no zone")
        return self._in_zone(self._plain(text[: named.start()]), named[1])

    def _plain(self, text: str) -> datetime:
        if found := _DAY_END.search(text):
            return self._plain(f"{text[: found.start(1)]}00{text[found.end(1) :]}") + timedelta(days=1)
        if self._format_bare == ISO:
            return datetime.fromisoformat(text)
        if self._format_bare == EXCEL_DAYS:
            return _from_days(text)
        if self._date_format is not None and " " not in text and ":" not in text:
            return datetime.strptime(text, self._date_format)  # noqa: DTZ007 - the zone follows
        return datetime.strptime(text, self._format_bare)  # noqa: DTZ007 - the zone follows

    def _in_zone(self, moment: datetime, name: str) -> datetime:
        """`moment` in the zone that its cell names: UTC, or one of the plant's own two. Others mean several zones."""
        if name.upper() in _UTC_NAMES:
            return moment.replace(tzinfo=UTC)
        for fold in (0, 1):
            local = moment.replace(tzinfo=self._zone, fold=fold)
            if local.tzname() == common_name(name):
                return local
        raise ValueError(f"{name} is no zone that is known: UTC, GMT or what sampling.timezone calls its own")

    def _read_date(self, text: str) -> int:
        date_format = self._date_format or self.format
        return _in_range(to_us(datetime.strptime(text, date_format).replace(tzinfo=self._zone)))


class TimeWriter:
    """Writes times as `TimeReader` of the same format and zone reads them."""

    def __init__(self, time_format: str | None, timezone: str) -> None:
        self._format = time_format or ISO
        self._zone = ZoneInfo(timezone)
        self._epoch = EPOCHS.get(self._format)

    @property
    def step_us(self) -> int:
        """The finest difference that the format can tell."""
        if self._format == ISO or "%f" in self._format:
            return 1
        if self._format == EXCEL_DAYS:
            return 1000
        if self._epoch is not None:
            return round(max(self._epoch, 1.0))
        if any(sign in self._format for sign in ("%S", "%T", "%X", "%c")):
            return 1_000_000
        return 60_000_000 if "%M" in self._format else _DAY_US

    def __call__(self, time_us: int) -> str:
        """The text of a time; what is finer than `step_us` is cut."""
        if self._format == ISO:
            return format_time(time_us)
        if self._epoch is not None:
            return str(time_us * 1000) if self._epoch < 1 else str(time_us // round(self._epoch))
        moment = (EPOCH + timedelta(microseconds=time_us)).astimezone(self._zone)
        if self._format == EXCEL_DAYS:
            moment -= timedelta(microseconds=moment.microsecond % self.step_us)
            return f"{(moment.replace(tzinfo=None) - _EXCEL_START) / timedelta(days=1):.9f}"
        return moment.strftime(self._format)


def check_time_format(time_format: str) -> None:
    """Raises ValueError when `time_format` is none that times can be read with."""
    if time_format in (ISO, EXCEL_DAYS, *EPOCHS):
        return
    if "%Z" in time_format.removesuffix("%Z"):
        raise ValueError("%Z is read at the end of a time alone")
    bare = time_format.removesuffix("%Z").rstrip()
    datetime.strptime(datetime(2001, 2, 3, 4, 5, tzinfo=UTC).strftime(bare), bare)  # noqa: DTZ007


def is_time_of_day(text: str) -> bool:
    """Whether a cell holds a clock without a date, as "6:00:00 PM"."""
    return re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?", _DAY_ZERO.sub("", text.strip())) is not None


def join_clock(day: str, clock: str) -> str:
    """The time of a date in one cell and a time of day in another; a spreadsheet writes a midnight behind the one, and
    its day zero before the other.
    """
    return f"{_MIDNIGHT.sub('', day.strip())} {_DAY_ZERO.sub('', clock.strip())}"


def _offset(found: re.Match[str]) -> tzinfo:
    """Of "+0100" or "GMT+1"."""
    minutes = 60 * int(found[2]) + int(found[3] or 0)
    return fixed_zone(timedelta(minutes=minutes if found[1] == "+" else -minutes))


def _from_days(text: str) -> datetime:
    days, decimals = float(text.replace(",", ".")), len(text.replace(",", ".").partition(".")[2])
    if not 1 <= days < 2_958_466:
        raise ValueError(f"{text!r} is no day of a spreadsheet")
    unit_s = 0.001 if decimals >= _FINE_DECIMALS else 1.0
    return _EXCEL_START + timedelta(seconds=round(days * 86_400 / unit_s) * unit_s)


def _in_range(time_us: int) -> int:
    if not EARLIEST_US <= time_us < LATEST_US:
        raise ValueError("a year from 2 to 9998 is expected")
    return time_us


def _epoch_us(text: str, unit_us: float) -> int:
    text = text.replace(",", ".")
    if found := _POWER.search(text):  # as spreadsheets write long numbers: 1.772517600E+09
        text = f"{float(text):.{max(0, len(text[: found.start()].partition('.')[2]) - int(found[1]))}f}"
    whole, point, fraction = text.partition(".")
    if not whole.lstrip("-").isdecimal() or (point and not fraction.isdecimal()):
        raise ValueError(f"{text!r} is no number of seconds")
    if unit_us < 1:
        return int(whole) // 1000
    digits = round(float(f"0.{fraction}") * unit_us) if fraction else 0
    return int(whole) * round(unit_us) + (-digits if whole.startswith("-") else digits)


@lru_cache(maxsize=2048)
def _clock_us(clock: str) -> int:
    moment = datetime.strptime(clock, "%H:%M")  # noqa: DTZ007 - a time of day
    return (moment.hour * 60 + moment.minute) * 60_000_000
