"""Space that a search of a family's settings covers, from what the settings declare."""

from collections.abc import Mapping, Sequence
from typing import get_args

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from sheetbreak.errors import DataError
from trainer.settings.values import Family, Setting, Value, settings_of, shown

_ABOUT = 4.0
"""Where nothing is declared: from a quarter of the default to four times as much."""
_DECADE = 10.0
"""A range that wide is searched by the logarithm."""
_DIGITS = 3
"""Of a number that is tried: what is printed is then exactly what was judged."""


def search_space(
    name: str, family: Family, *, given: Mapping[str, Value | None], only: Sequence[str] = ()
) -> dict[str, BaseDistribution]:
    """Setting -> where to look for it: `only` those named, or all that a family declares; not those given.

    Unless named, a choice of words is not searched (nine activations in two places are eighty-one searches), nor a
    common setting that does not declare where. Raises DataError for a name that cannot be searched, or when nothing is
    left to search.
    """
    known = settings_of(family)
    found: dict[str, BaseDistribution] = {}
    for one in only:
        if one not in known:
            raise DataError(f"--search {one}: family {name} has {', '.join(known)}")
        if one in given:
            raise DataError(f"--search {one}: --set gives it the value {shown(given[one])}; leave one of them out")
        where = _where(known[one])
        if where is None:
            raise DataError(f"--search {one}: nothing says where to look; set it: --set {one}={known[one].wanted}")
        found[one] = where
    for one, setting in {} if only else known.items():
        where = _where(setting)
        usual = setting.kind in (int, float) and (setting.own or setting.search is not None)
        if one not in given and where is not None and usual:
            found[one] = where
    if not found:
        raise DataError(f"nothing is left to search of family {name}: its settings are {', '.join(known)}")
    return found


def settings_tried(params: Mapping[str, Value]) -> dict[str, Value | None]:
    """What a trial drew, as settings: numbers of three digits."""
    return {
        name: float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value for name, value in params.items()
    }


def space_text(space: Mapping[str, BaseDistribution]) -> str:
    """The space in words."""
    words = []
    for name, where in space.items():
        if isinstance(where, CategoricalDistribution):
            words.append(f"{name} ({', '.join(map(str, where.choices))})")
        elif isinstance(where, IntDistribution | FloatDistribution):
            log = ", by the logarithm" if where.log else ""
            words.append(f"{name} ({where.low:g} to {where.high:g}{log})")
    return "; ".join(words)


def _where(setting: Setting) -> BaseDistribution | None:
    if words := get_args(setting.kind):
        return CategoricalDistribution(words)
    if setting.kind is str:
        return None
    search = setting.search
    if search is None:
        if not isinstance(setting.default, int | float) or setting.default <= 0:
            return None
        search = max(setting.meta.ge or 0, setting.default / _ABOUT), min(setting.meta.le, setting.default * _ABOUT)
    least, most = search
    log = least > 0 and most / least >= _DECADE
    if setting.kind is int:
        return IntDistribution(max(round(least), 1) if log else round(least), round(most), log=log)
    return FloatDistribution(least, most, log=log)
