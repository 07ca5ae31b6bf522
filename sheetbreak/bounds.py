"""Bounds: what a number may be, said once, as a type; options, settings, policies and manifests are held against it.

    Share = Annotated[float, Meta(ge=0, le=1)]

msgspec holds such a type against a manifest. Where a user types the number, `parse_bounded(Share, "1.5")` does, and
says what is wanted: '1.5' is not a number from 0 to 1.
"""

import math
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Meta

MOST_ROWS = 1_000_000
"""No count of rows in a manifest is larger: 3.8 years at 2 minutes; as many trailing scores take 8 MB a machine."""
Rows = Annotated[int, Meta(ge=0, le=MOST_ROWS)]
SomeRows = Annotated[int, Meta(ge=1, le=MOST_ROWS)]
Seconds = Annotated[float, Meta(gt=0, le=1e9)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
InnerShare = Annotated[float, Meta(gt=0, lt=1)]
"""Neither none nor all."""
Finite = Annotated[float, Meta()]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""Of what is drawn by numpy or TensorFlow: they take no larger one."""

_WORDS = {"ge": "≥", "gt": "above", "le": "up to", "lt": "below"}


def parse_bounded(kind: Any, text: str) -> Any:
    """The number of a bounded type that a text says; 2.0 and 2e0 are whole. Raises ValueError: what is wanted."""
    try:
        return msgspec.convert(_number(text), kind, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not {wanted(kind)}") from None


def wanted(kind: Any) -> str:
    """What a bounded type, or one or None, takes: "a whole number from 1 to 1,000", "a number above 0 and below 1"."""
    number, meta = get_args(next((part for part in get_args(kind) if get_origin(part) is Annotated), kind))
    name = "a whole number" if number is int else "a number"
    if meta.ge is not None and meta.le is not None:
        return f"{name} from {_plain(meta.ge)} to {_plain(meta.le)}"
    bounds = [f"{word} {_plain(getattr(meta, key))}" for key, word in _WORDS.items() if getattr(meta, key) is not None]
    return f"{name} {' and '.join(bounds)}".rstrip()


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
