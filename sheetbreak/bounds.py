"""Bounds: what a value may be, said once, as a type; options, settings, policies and manifests are held against it.

    Share = Annotated[float, Meta(ge=0, le=1)]

msgspec holds such a type against a manifest. Where a user types the value, `parse_bounded(Share, "1.5")` does, and
says what is wanted: '1.5' is not a number from 0 to 1. `Annotated[Literal["a", "b"], …]` is one of some words.
"""

import math
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Meta

MOST_ROWS = 1_000_000
"""No count of rows in a manifest is larger: 3.8 years at 2 minutes; as many trailing scores take 8 MB a machine."""
Rows = Annotated[int, Meta(ge=0, le=MOST_ROWS)]
SomeRows = Annotated[int, Meta(ge=1, le=MOST_ROWS)]
Count = Annotated[int, Meta(ge=0, le=10**15)]
"""Of rows ever seen: a state holds it as 64 bits."""
Seconds = Annotated[float, Meta(gt=0, le=1e9)]
SecondsOrNone = Annotated[float, Meta(ge=0, le=1e9)]
"""0 is none."""
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Ratio = Annotated[float, Meta(ge=0, le=1e6)]
Share = Annotated[float, Meta(ge=0, le=1)]
InnerShare = Annotated[float, Meta(gt=0, lt=1)]
"""Neither none nor all."""
Finite = Annotated[float, Meta()]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""Of what is drawn by numpy or TensorFlow: they take no larger one."""

_WORDS = {"ge": "≥", "gt": "above", "le": "up to", "lt": "below"}


def parse_bounded(kind: Any, text: str) -> Any:
    """The value of a bounded type that a text says; 2.0 and 2e0 are whole. Raises ValueError: what is wanted."""
    try:
        value = _number(text) if get_args(bounded_part(kind))[0] in (int, float) else text
        return msgspec.convert(value, kind, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not {wanted(kind)}") from None


def wanted(kind: Any) -> str:
    """What a bounded type, or one or None, takes: "a whole number from 1 to 1,000", "a number above 0 and below 1"."""
    value, meta = get_args(bounded_part(kind))
    if value not in (int, float):
        return f"one of {', '.join(get_args(value))}" if get_args(value) else "text"
    name = "a whole number" if value is int else "a number"
    if meta.ge is not None and meta.le is not None:
        return f"{name} from {_plain(meta.ge)} to {_plain(meta.le)}"
    bounds = [f"{word} {_plain(getattr(meta, key))}" for key, word in _WORDS.items() if getattr(meta, key) is not None]
    return f"{name} {' and '.join(bounds)}".rstrip()


def bounded_part(hint: Any) -> Any:
    """The bounded type of a type: itself, or that of "one or None"; None where there is none."""
    return next((part for part in (hint, *get_args(hint)) if get_origin(part) is Annotated), None)


def _number(text: str) -> float:
    try:
        return int(text)  # to its last digit, where a float has 16
    except ValueError:
        number = float(text)
        if not math.isfinite(number):
            raise
        return number


def _plain(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:g}"
