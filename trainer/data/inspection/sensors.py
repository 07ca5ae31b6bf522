"""Sensors of a table: values that are none, levels that step, columns that count rows or know the outcome."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.data.labels import Bools, Floats, Ints

KNOWN_SENTINELS = frozenset(
    {
        *(-9.0, -99.0, -999.0, -9999.0, -99999.0, -999.25, -9999.9, -999.9, -1e30, -1e35, -3.402823466e38),
        *(999.0, 9999.0, 99999.0, 999999.0, 9999.9, 1e30, 1e31, 1e35, 1e36, 1e38, 3.402823466e38),
        *(4095.0, 16383.0, 32767.0, -32768.0, 65535.0, 2147483647.0, -2147483648.0, 4294967295.0),
    }
)
"""Numbers that historians and controllers write where there is no reading."""
_LISTED = np.array(sorted(KNOWN_SENTINELS))
HUGE = 1e30
"""No sensor reads that, in any unit."""
_MORE_SENTINELS = 8
"""Of one column, at most so many values are taken for sentinels."""
_FAR = 3.0
"""Widths of the rest from which on a value that repeats is no reading of it; a known sentinel need only stand apart."""
_FAR_NOUGHT = 2.0
_ABSURD = 100.0
"""Spreads from the middle from which on a value is called absurd."""
_MOST_SHARE = 0.5
_OFF_REST = 10.0
"""Times its size from a sensor that rests, from which on a known sentinel is no reading of it."""
_RISES = 0.95
"""A column that rises in so many of its steps and never falls counts something."""
_COUNTED = 15
"""A sensor that rises so often and never falls, a day or a month long, sums something up: breaks, reels, tonnes."""
_FEW_ROWS = 20
_AFTER_BREAK = 5
"""Rows after a break in which an outcome may still stand: how long the machine stood is typed in later."""
_PARTS = 20
_STEP = 6.0
"""Spreads within a part by which a level must step."""


@dataclass(frozen=True, slots=True)
class Odd:
    """Values of a column that are hardly readings."""

    value: float
    count: int
    row: int
    """The first."""


@dataclass(frozen=True, slots=True)
class Step:
    """A level that changed for good."""

    row: int
    """The first row of the new level."""
    before: float
    after: float
    units: str
    """Which change of unit would do that; empty where none is known."""
    machine: str = ""
    """Whose level it is; empty where there is one machine."""


def find_sentinels(values: Floats, broken: Bools | None = None) -> list[Odd]:
    """Numbers that stand for "no reading": -9999, 1e35, or one value again and again far from all others.

    A nought that stands on break rows alone is what a machine that stands reads, and no sentinel.
    """
    found: list[Odd] = []
    rest = values.copy()
    while len(found) < _MORE_SENTINELS:
        known = rest[~np.isnan(rest)]
        odd = _next_sentinel(known) if len(known) >= _FEW_ROWS else None
        if odd is None:
            break
        hit = rest == odd
        if hit.sum() > _MOST_SHARE * len(known):
            break
        rest[hit] = np.nan
        if odd == 0 and broken is not None and (hit & _near_breaks(broken)).sum() >= 0.9 * hit.sum():
            continue
        found.append(Odd(odd, int(hit.sum()), int(np.argmax(hit))))
    return found


def is_sentinel(values: Floats) -> Bools:
    """Of each value, whether it is a known sentinel, or too large for a reading."""
    found: Bools = np.isin(values, _LISTED) | (np.abs(values) >= HUGE)
    return found


def sure_sentinels(columns: Iterable[Floats], broken: Bools | None = None) -> list[float]:
    """Known sentinels that stand apart from a sensor's readings, and that no other sensor holds as one of its own."""
    found: dict[float, None] = {}
    readings: set[float] = set()
    for values in columns:
        known = {float(one) for one in np.unique(values[is_sentinel(values)])}
        own = {odd.value for odd in find_sentinels(values, broken)} & known if known else set()
        found |= dict.fromkeys(sorted(own))
        readings |= known - own
    return [value for value in found if value not in readings]


def number_text(value: float) -> str:
    """A number to its last digit, without a point behind which nothing stands: -9999, 4294967295, 3.402823466e+38."""
    return repr(float(value)).removesuffix(".0")


def find_absurd(values: Floats, sentinels: Sequence[Odd] = ()) -> Odd | None:
    """Values beyond any that the rest lets expect: how many, and the first."""
    known = values[~np.isnan(values) & ~np.isin(values, [odd.value for odd in sentinels])]
    if len(known) < _FEW_ROWS:
        return None
    low, middle, high = np.percentile(known, [25, 50, 75])
    spread = (high - low) / 1.349
    if not spread > 0 or not np.isfinite(spread):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        beyond = np.abs(values - middle) > _ABSURD * spread
    beyond &= ~np.isin(values, [odd.value for odd in sentinels])
    if not beyond.any() or beyond.sum() > 0.01 * len(known):  # so many belong to it: it spikes, as a flow at its start
        return None
    first = int(np.argmax(beyond))
    return Odd(float(values[first]), int(beyond.sum()), first)


def find_step(values: Floats) -> Step | None:
    """The row at which a sensor's level changed once and for good, as °C that become °F; rows in order of time."""
    rows = np.flatnonzero(~np.isnan(values))
    if len(rows) < 4 * _PARTS:
        return None
    known = values[rows]
    cut = _find_cut(known)
    if cut is None and known.min() > 0:
        cut = _find_cut(np.log(known))  # in another unit the spread is another too, by the same factor
    if cut is None:
        return None
    starts = np.arange(_PARTS + 1) * (len(known) // _PARTS)
    before, after = float(np.median(known[: starts[cut - 1]])), float(np.median(known[starts[cut] :]))
    first, last = int(starts[cut - 2]), int(starts[cut + 1])  # near the border of two parts it may be in either
    changed = np.abs(known[first:last] - after) < np.abs(known[first:last] - before)
    so_far = np.concatenate([[0], np.cumsum(changed)])
    fits = so_far[-1] - 2 * so_far + np.arange(len(so_far))  # rows on the right side of a step at each place
    return Step(int(rows[min(first + int(np.argmax(fits)), len(rows) - 1)]), before, after, _units(before, after))


def _find_cut(known: Floats) -> int | None:
    """The part behind the one in which the level steps, None where it does not."""
    rows = len(known) // _PARTS
    low, levels, high = np.percentile(known[: rows * _PARTS].reshape(_PARTS, rows), [25, 50, 75], axis=1)
    spread = float(np.median(high - low) / 1.349)
    best = None
    for cut in range(2, _PARTS - 1):
        old, new = levels[: cut - 1], levels[cut:]  # the part in which it steps belongs to neither
        apart = max(float(new.min() - old.max()), float(old.min() - new.max()))
        within = max(float(np.ptp(old)), float(np.ptp(new)), spread)
        if apart > _STEP * spread and apart > 2 * within and (best is None or apart > best[0]):
            best = (apart, cut)
    return None if best is None else best[1]


def index_like(values: Floats, times_us: Ints | None = None) -> str:
    """Why a column counts rows or time and measures nothing; empty: it does not."""
    known = ~np.isnan(values)
    steps = np.diff(values[known])
    if known.sum() < _FEW_ROWS or (steps < 0).any():
        return ""
    if (steps > 0).mean() < _RISES:
        return "a count: it never falls, and rises time and again" if (steps > 0).sum() >= _COUNTED else ""
    if (steps == steps[0]).all():
        return "a row number: it rises by the same at each row"
    if times_us is not None:
        passed = np.diff(times_us[known]).astype(np.float64)
        rates = steps[passed > 0] / passed[passed > 0]
        middle = np.median(rates) if len(rates) else 0.0
        if middle > 0 and (np.abs(rates - middle) <= 0.01 * middle).mean() >= _RISES:
            return "a time as a number: it rises as the clock does"
    return "a count: it only ever rises"


def outcome_like(values: Floats, broken: Bools) -> str:
    """Why a column is known only once the sheet broke; empty: it is not."""
    if not broken.any() or broken.all():
        return ""
    known = ~np.isnan(values)
    sound = known & ~_near_breaks(broken)
    # Blank but on break rows, or one value but on break rows.
    if not sound.any():
        return "an outcome: it is filled on break rows alone" if (known & broken).any() else ""
    usual = np.median(values[sound])
    odd = known & (values != usual)
    if not (odd & broken).any() or (odd & ~_near_breaks(broken)).any():
        return ""
    if (odd & broken).sum() < 0.1 * broken.sum():
        return ""
    other = np.unique(values[odd])
    shown = f"{other[0]:g}" if len(other) == 1 else f"other than {usual:g}"
    return f"an outcome: it is {shown} on break rows alone"


def same_as(columns: Sequence[tuple[str, Floats]]) -> dict[str, str]:
    """Columns that hold what one before them holds, row by row."""
    first: dict[bytes, str] = {}
    found = {}
    for name, values in columns:
        if np.isnan(values).all() or np.nanmax(values) == np.nanmin(values):
            continue
        key = values.tobytes()
        if key in first:
            found[name] = first[key]
        first.setdefault(key, name)
    return found


def _next_sentinel(known: Floats) -> float | None:
    """The most extreme value at either end that no reading would be, or None."""
    values, counts = np.unique(known, return_counts=True)
    if len(values) < 2:
        return None
    found = []
    for at, beside in ((0, 1), (-1, -2)):
        value, count = float(values[at]), int(counts[at])
        rest = known[known != value]
        low, high = np.percentile(rest, [0.5, 99.5])
        width = high - low
        distance = abs(value - float(values[beside]))
        in_list = bool(is_sentinel(np.array(value)))
        needed = (1.0 if in_list else _FAR_NOUGHT if value == 0 else _FAR) * width
        if width == 0 and in_list:
            needed = _OFF_REST * max(abs(float(low)), 1.0)
        if (in_list or (width > 0 and count >= 2)) and distance > needed:
            found.append((distance, value))
    return max(found)[1] if found else None


def _near_breaks(broken: Bools) -> Bools:
    """(n,) break rows, and those shortly after one."""
    near = broken.copy()
    for after in range(1, _AFTER_BREAK + 1):
        near[after:] |= broken[:-after]
    return near


def _units(before: float, after: float) -> str:
    def near(a: float, b: float) -> bool:
        return abs(a - b) <= 0.03 * max(abs(a), abs(b))

    for name, back, there in (("°C", "°F", 1), ("°F", "°C", -1)):
        low, high = (before, after) if there == 1 else (after, before)
        if near(1.8 * low + 32, high):
            return f"as {name} that became {back}"
    for factor in (1000.0, 100.0, 10.0, 14.504, 6.895, 60.0, 25.4, 3.2808, 2.2046, 3600.0):
        if before and after and (near(before * factor, after) or near(before, after * factor)):
            return f"as by a factor of {factor:g}: another unit"
    return ""
