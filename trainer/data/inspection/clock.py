"""The clock of a history: the zone that its local times are likely to be in, and what speaks for and against it.

In the night in which summer time ends a local clock shows an hour twice, and in the one in which it begins an hour is
left out. Which hour of which night tells the zone, as far as zones differ in it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from sheetbreak.times import EPOCH
from trainer.data.labels import Bools, Ints

ZONES = {
    "Europe/Berlin": "central European time, as in Paris, Rome, Stockholm and Warsaw",
    "Europe/Helsinki": "eastern European time, as in Athens, Kyiv, Riga and Sofia",
    "Europe/London": "western European time, as in Dublin and Lisbon",
    "America/New_York": "a zone of North America: all of them change at the same hour, set the one of the mill",
    "America/Santiago": "the time of Chile",
    "Australia/Sydney": "the time of south-eastern Australia",
    "Pacific/Auckland": "the time of New Zealand",
}
"""Zones whose clocks change at hours of their own, the likeliest first."""
_HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a zone's clock, by what the clock shows, µs as if it were UTC."""

    local_us: int
    """In autumn the beginning of the hour that comes twice, in spring of the one that is left out."""
    autumn: bool


@dataclass(frozen=True, slots=True)
class ZoneGuess:
    """The zone in which a history's local times make sense."""

    zone: str
    why: str
    sure: bool
    """Whether the rows themselves show it; else UTC is but the default."""


def guess_zone(local_us: Ints, *, period_us: int) -> ZoneGuess:
    """The zone of times in file order, as the clock showed them; several machines' interleaved are as good as one's."""
    back = np.flatnonzero(np.diff(local_us) < 0)
    back = back[np.abs(np.diff(local_us)[back] - period_us + _HOUR_US) <= max(period_us, _HOUR_US // 2)]
    covered: list[Change] = []
    possible: list[str] = []
    for zone, called in ZONES.items():
        changes = changes_of(zone, int(local_us.min()), int(local_us.max()))
        shown = [change for change in changes if _is_shown(change, local_us, back, period_us=period_us)]
        against = [change for change in changes if _speaks_against(change, local_us, back, period_us=period_us)]
        explained = [_again(change, local_us, back) for change in changes if change.autumn]
        if shown and not against and np.logical_or.reduce([*explained, np.zeros(len(back), np.bool_)]).all():
            nights = ", ".join(sorted({_day(change.local_us) for change in shown}))
            return ZoneGuess(zone, f"the clock changes in the night of {nights} as in {called}", sure=True)
        covered += against
        possible += [zone] if changes and not against else []
    if possible:
        why = f"the times name no zone; in {' or '.join(possible)} the clock would change while no row was logged"
        return ZoneGuess("UTC", why, sure=False)
    if covered:
        nights = ", ".join(sorted({_day(change.local_us) for change in covered})[:3])
        return ZoneGuess("UTC", f"the clock runs through the night of {nights} without a change", sure=True)
    return ZoneGuess("UTC", "the times name no zone, and no change of the clock falls into them", sure=False)


@lru_cache(maxsize=64)
def changes_of(zone: str, first_us: int, last_us: int) -> tuple[Change, ...]:
    """The changes of a zone's clock between two local times."""
    info, found = ZoneInfo(zone), []
    day = _moment(first_us).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    if _moment(last_us) - day > timedelta(days=366 * 30):
        return ()
    while day <= _moment(last_us):
        after = day + timedelta(days=1)
        before_s, after_s = (_offset_s(info, moment) for moment in (day, after))
        if before_s != after_s:
            at = _find_change(info, day, after)
            earlier = min(_offset_s(info, at), _offset_s(info, at - timedelta(seconds=1)))
            autumn = after_s < before_s
            local = at + timedelta(seconds=earlier)
            found.append(Change((local - EPOCH) // timedelta(microseconds=1), autumn=autumn))
        day = after
    return tuple(change for change in found if first_us < change.local_us < last_us)


def _is_shown(change: Change, local_us: Ints, back: Ints, *, period_us: int) -> bool:
    """Whether the rows jump as the clock does: back into the hour, or over it."""
    if change.autumn:
        return bool(_again(change, local_us, back).any())
    after = int(np.argmax(local_us >= change.local_us))
    if not 0 < after < len(local_us):
        return False
    step = int(local_us[after] - local_us[after - 1])
    inside = local_us[after] < change.local_us + _HOUR_US
    return not inside and abs(step - period_us - _HOUR_US) < period_us / 2


def _speaks_against(change: Change, local_us: Ints, back: Ints, *, period_us: int) -> bool:
    """Whether rows stand in an hour that was left out, or run evenly through one that comes twice."""
    inside = (local_us >= change.local_us) & (local_us < change.local_us + _HOUR_US)
    if not change.autumn:
        return bool(inside.any())
    again = bool(_again(change, local_us, back).any())
    steps = np.diff(local_us[inside])
    whole = inside.sum() * period_us >= 0.9 * _HOUR_US
    return bool(whole and not again and len(steps) and steps.max() <= 1.5 * period_us)


def _again(change: Change, local_us: Ints, back: Ints) -> Bools:
    """(jumps back,) which of them lead into the hour that comes twice."""
    into = local_us[back + 1] - change.local_us
    found: Bools = (into >= 0) & (into < _HOUR_US)
    return found


def _find_change(info: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second, UTC, of the offset that holds at `high`."""
    until = _offset_s(info, high)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        middle = middle.replace(microsecond=0)
        if middle <= low:
            break
        low, high = (low, middle) if _offset_s(info, middle) == until else (middle, high)
    return high


def _offset_s(info: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(info).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def _moment(time_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=int(time_us))


def _day(local_us: int) -> str:
    return f"{datetime.fromtimestamp(local_us / 1e6, UTC):%Y-%m-%d}"
