"""Page: a template, what it is filled with, and the parameters that a link to it carries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from desk.service import Desk

Params = Mapping[str, str]


class NotThere(Exception):
    """There is no such machine or alarm; the message says so."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a template needs."""

    template: str
    title: str
    fill: dict[str, Any] = field(default_factory=dict)


MakePage = Callable[[Desk, Params], Page]
"""Raises NotThere."""


def whole(params: Params, name: str, *, default: int, most: int) -> int:
    """A whole number from 1 to `most`; the default for anything else."""
    text = params.get(name, "")
    return min(max(int(text), 1), most) if text.isascii() and text.isdigit() and len(text) < 10 else default
