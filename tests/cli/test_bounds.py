"""Bounded types: a text and a manifest are held against one range, whoever names it."""

import argparse
import math
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from sheetbreak.bounds import Finite, NotNegative, Positive, Share, SomeRows, parse_bounded, wanted
from sheetbreak.cli.commands import COMMANDS, command
from sheetbreak.cli.options import parser_of
from sheetbreak.engine.model import Manifest
from sheetbreak.wire.state_core import Core4
from trainer.settings.families import FAMILIES
from trainer.settings.values import settings_of
from trainer.training.threshold_policies import POLICIES

MOST = 2**53
NUMBERS = {int: st.integers(-MOST, MOST), float: st.floats(-MOST, MOST)}


@st.composite
def kinds(draw: st.DrawFn) -> Any:
    """A number type with a lower bound, an upper one, both or none."""
    number = draw(st.sampled_from([int, float]))
    low, high = sorted(draw(st.tuples(NUMBERS[number], NUMBERS[number])))
    lower = draw(st.sampled_from([{}, {"ge": low}, {"gt": low}]))
    upper = draw(st.sampled_from([{}, {"le": high}, {"lt": high}]))
    bounds: dict[str, Any] = lower | upper
    return Annotated[number, Meta(**bounds)]


def allows(kind: Any, value: float) -> bool:
    meta = get_args(kind)[1]
    return (
        (meta.ge is None or value >= meta.ge)
        and (meta.gt is None or value > meta.gt)
        and (meta.le is None or value <= meta.le)
        and (meta.lt is None or value < meta.lt)
    )


def hold(kind: Any, value: float) -> None:
    """A text of the value and a manifest with it are both taken, or both refused."""
    if allows(kind, value):
        assert parse_bounded(kind, repr(value)) == value
        assert type(parse_bounded(kind, repr(value))) is get_args(kind)[0]
        assert msgspec.json.decode(msgspec.json.encode(value), type=kind) == value
        return
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the message is compared
        parse_bounded(kind, repr(value))
    assert str(refused.value) == f"'{value!r}' is not {wanted(kind)}"
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(value), type=kind)


def edges(kind: Any) -> list[float]:
    """The bounds of a type, and the numbers beside them."""
    number, meta = get_args(kind)
    bounds = [number(one) for one in (meta.ge, meta.gt, meta.le, meta.lt) if one is not None]
    beside = (
        [one + step for one in bounds for step in (-1, 1)]
        if number is int
        else [math.nextafter(one, far) for one in bounds for far in (-math.inf, math.inf)]
    )
    return [*bounds, *beside, number(0)]


def bounded_within(hint: Any) -> Iterator[Any]:
    """The bounded types of a type, of its fields and of what it is made of."""
    if get_origin(hint) is Annotated and get_args(hint)[0] in NUMBERS:
        yield hint
        return
    fields = (
        get_type_hints(hint, include_extras=True) if is_dataclass(hint) or hasattr(hint, "__struct_fields__") else {}
    )
    for part in (*fields.values(), *get_args(hint)):
        yield from bounded_within(part)


def option_types(parser: argparse.ArgumentParser) -> Iterator[Any]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in set(action.choices.values()):
                yield from option_types(below)
        if get_origin(action.type) is Annotated:
            yield action.type


def of_options() -> list[Any]:
    return [kind for name in COMMANDS for kind in option_types(parser_of(command(name)))]


def of_settings() -> list[Any]:
    settings = [setting for family in FAMILIES.values() for setting in settings_of(family).values()]
    return [setting.bounds for setting in settings if setting.kind in NUMBERS]


BOUNDED = {
    "options": (of_options, 20),
    "manifest": (lambda: list(bounded_within(Manifest)), 20),
    "settings": (of_settings, 60),
    "policies": (lambda: [policy.bounds for policy in POLICIES.values()], 8),
    "state": (lambda: list(bounded_within(Core4)), 20),
}


@pytest.mark.parametrize("where", BOUNDED)
def test_every_bounded_type_takes_its_bounds_and_nothing_beyond_them(where: str) -> None:
    find, at_least = BOUNDED[where]
    found = find()
    assert len(found) >= at_least
    for kind in found:
        for value in edges(kind):
            hold(kind, value)


@given(st.data())
def test_a_text_and_a_manifest_are_held_against_the_same_bounds(data: st.DataObject) -> None:
    kind = data.draw(kinds())
    hold(kind, data.draw(NUMBERS[get_args(kind)[0]]))


@pytest.mark.parametrize("text", ["", "many", "nan", "inf", "-inf", "1e999", "9" * 5000, "1,5", "0x10", "None"])
@pytest.mark.parametrize("kind", [SomeRows, Share, Positive, Finite])
def test_what_is_no_finite_number_is_refused(text: str, kind: Any) -> None:
    with pytest.raises(ValueError, match=r" is not a (whole )?number"):
        parse_bounded(kind, text)


def test_of_some_words_those_alone_are_taken() -> None:
    kind = Annotated[Literal["linear", "tanh"], Meta(description="activation")]
    assert parse_bounded(kind, "tanh") == "tanh"
    with pytest.raises(ValueError, match="'Tanh' is not one of linear, tanh"):
        parse_bounded(kind, "Tanh")


@pytest.mark.parametrize("text", ["2", "2.0", "2e0", " 2 ", "+2"])
def test_a_number_is_whole_by_its_value_not_by_its_spelling(text: str) -> None:
    found = parse_bounded(SomeRows, text)
    assert (found, type(found)) == (2, int)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (SomeRows, "a whole number from 1 to 1,000,000"),
        (Annotated[int, Meta(ge=0)], "a whole number ≥ 0"),
        (Share, "a number from 0 to 1"),
        (Positive, "a number above 0"),
        (NotNegative, "a number ≥ 0"),
        (Annotated[float, Meta(gt=0, lt=1)], "a number above 0 and below 1"),
        (Annotated[float, Meta(gt=0, le=1)], "a number above 0 and up to 1"),
        (Annotated[float, Meta(ge=1e-7, le=1)], "a number from 1e-07 to 1"),
        (Finite, "a number"),
        (Annotated[Literal["linear", "tanh"], Meta(description="one")], "one of linear, tanh"),
        (Annotated[str, Meta(description="any")], "text"),
        (SomeRows | None, "a whole number from 1 to 1,000,000"),
    ],
)
def test_what_is_wanted_is_said_in_words(kind: Any, words: str) -> None:
    assert wanted(kind) == words
