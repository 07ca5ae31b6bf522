"""Alert options, as in `--alert open_after=2`: the knobs of the alert policy, by the names that the manifest has."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.errors import DataError


class Knob(NamedTuple):
    """What may be set."""

    kind: type[int] | type[float]
    allowed: Callable[[float], bool]
    expected: str


_ROWS = Knob(int, lambda n: n >= 0 and n == int(n), "a number of rows, 0 or more")
_SOME_ROWS = Knob(int, lambda n: n >= 1 and n == int(n), "a number of rows, 1 or more")

KNOBS: dict[str, Knob] = {
    "open_after": _SOME_ROWS,
    "close_after": _SOME_ROWS,
    "close_ratio": Knob(float, lambda x: 0 < x <= 1, "a number above 0 and up to 1"),
    "restart_rows": _ROWS,
    "update_every": _SOME_ROWS,
    "critical_ratio": Knob(float, lambda x: 1 <= x < float("inf"), "a number of at least 1"),
    "rearm_rows": _ROWS,
    "grade_change_rows": _ROWS,
}
ALERT_HELP = f"when alerts open and close, as in --alert open_after=2 --alert close_ratio=.9: {', '.join(KNOBS)}"


def alert_policy(texts: Sequence[str]) -> AlertPolicy:
    """The default policy with the knobs that the texts set. Raises DataError for what is no knob or out of range."""
    settings: dict[str, Any] = {}
    for text in texts:
        name, _, written = text.partition("=")
        if name not in KNOBS:
            raise DataError(f'--alert "{text}": the knobs are {", ".join(f"{known}=N" for known in KNOBS)}')
        try:
            value = float(written)
            sound = KNOBS[name].allowed(value)
        except (ValueError, OverflowError):  # no number; infinity is no number of rows
            sound = False
        if not sound:
            raise DataError(f'--alert "{text}": after {name}= stands {KNOBS[name].expected}')
        settings[name] = KNOBS[name].kind(value)
    return AlertPolicy(**settings)
