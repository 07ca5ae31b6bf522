"""Alert options, as in `--alert open_after=2`: knobs of the alert policy, by the manifest's names and bounds."""

from collections.abc import Sequence
from typing import Any, get_type_hints

from sheetbreak.bounds import parse_bounded, wanted
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.errors import DataError

KNOBS = get_type_hints(AlertPolicy, include_extras=True)
ALERT_HELP = f"when alerts open and close, as in --alert open_after=2 --alert close_ratio=.9: {', '.join(KNOBS)}"


def alert_policy(texts: Sequence[str]) -> AlertPolicy:
    """The default policy with the knobs that the texts set. Raises DataError for what is no knob or out of range."""
    given: dict[str, Any] = {}
    for text in texts:
        name, _, written = text.partition("=")
        if name not in KNOBS:
            raise DataError(f'--alert "{text}": the knobs are {", ".join(f"{known}=N" for known in KNOBS)}')
        try:
            given[name] = parse_bounded(KNOBS[name], written)
        except ValueError as error:
            raise DataError(f'--alert "{text}": after {name}= stands {wanted(KNOBS[name])}') from error
    return AlertPolicy(**given)
