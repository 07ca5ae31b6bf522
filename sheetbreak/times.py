"""Times of rows, µs since 1970 UTC, and durations for people: from 4 ms to 30 days."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
EARLIEST_US, LATEST_US = ((datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND for year in (2, 9999))
"""Times of rows lie between: what datetime can write whatever the zone."""
OUT_OF_RANGE = "is out of range; expected a year from 2 to 9998"
"""What is said of any other."""

SAY_AGAIN_S = 60.0
"""What lasts is said in the log once in so long."""

_UNITS = ((1.0, 1e-3, "ms"), (60.0, 1.0, "s"), (7200.0, 60.0, "min"), (172_800.0, 3600.0, "h"))
"""(below so many seconds, in units of so many, named)"""


def duration(seconds: float) -> str:
    """Three digits in the largest unit that leaves more than one of it: "4 ms", "60 min", "30 days"."""
    for below, unit, name in _UNITS:
        if seconds < below:
            return f"{seconds / unit:.3g} {name}"
    days = seconds / 86_400
    return f"{days:.3g} days" if days < 1000 else f"{days:,.0f} days"


_SECONDS = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST_S = 3650 * 86_400.0


def parse_duration(text: str) -> float:
    """Seconds of "90s", "30min", "8h" or "2d". Raises ValueError, with what is expected."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)", text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0 < seconds <= _LONGEST_S:
        raise ValueError(f"{text!r} is no duration; expected one above 0 such as 90s, 30min, 8h or 2d")
    return seconds


def format_time(time_us: int) -> str:
    """RFC 3339 in UTC, "1999-05-01T00:00:00Z"; a fraction only where there is one."""
    return (EPOCH + timedelta(microseconds=int(time_us))).replace(tzinfo=None).isoformat() + "Z"


def format_times(times_us: npt.NDArray[np.int64]) -> list[str]:
    """`format_time` of each, a tenth of the time where they are whole seconds."""
    if (times_us % 1_000_000).any():
        return [format_time(time_us) for time_us in times_us.tolist()]
    texts: list[str] = np.datetime_as_string(times_us.astype("M8[us]"), unit="s", timezone="UTC").tolist()
    return texts


def parse_time(text: str) -> int:
    """µs since 1970 UTC of an RFC 3339 time with a zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f'"{text}" has no time zone: end it with Z or an offset')
    return to_us(moment)


def to_us(moment: datetime) -> int:
    """µs since 1970 UTC of an aware datetime."""
    return (moment - EPOCH) // MICROSECOND
