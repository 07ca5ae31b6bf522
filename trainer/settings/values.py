"""Settings: what can be set of a training and of a model family, with type, range and default, by enumeration.

A family's keyword arguments are its settings, and their annotations say what is allowed:

    def pca(windows: Windows, *, latent: Annotated[int, within(1, 4096, "components kept")] = 16) -> keras.Model:

They are bounded types, as those of sheetbreak/bounds.py; a text may have `extra={"parse": …}`, a function that raises
ValueError, saying what it wants, for one that is not to be taken. Beside its own every family has those of `Input`, and
one that learns those of `Training`. A default of None is shown as `auto`: the sentence of the setting says what decides
then. What holds in the end is, first to last: what the user gave, the preset's for this family, the preset's, the
family's, the setting's own default.

`given_settings` turns `--set NAME=VALUE` texts into what each of one or several families was given; `settle` checks
that and fills in the rest.
"""

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints

from msgspec import Meta

from sheetbreak.bounds import bounded_part, parse_bounded, wanted
from sheetbreak.cli.options import OptionParser
from sheetbreak.engine.model import MAX_SMOOTH_ROWS
from sheetbreak.errors import DataError

Scaling = Literal["range", "standard", "min-max"]
Loss = Literal["mse", "mae", "huber", "binary-crossentropy"]
Value = int | float | str
"""What a setting holds; None: auto."""

AUTO = "auto"
CROSS_ENTROPY: Final = "binary-crossentropy"
_FOR_CROSS_ENTROPY = {"scaling": "min-max", "output": "sigmoid"}
"""Cross-entropy compares shares: both sides must lie within 0 and 1."""


def within(low: float, high: float, about: str, *, search: tuple[float, float] | None = None) -> Meta:
    """Bounds of a number, both included, and what it is.

    search: where `tune` looks; None: about the default, or nowhere where that is 0, auto or a common setting's.
    """
    return Meta(ge=low, le=high, description=about, extra={"search": search})


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What becomes of rows before a model sees them, and of their scores after it."""

    window: Annotated[int, within(1, 1000, "rows that the model sees at once; they never reach across a stop")] = 1
    scaling: Annotated[
        Scaling,
        Meta(description="of the inputs: by the 5–95 % range, by mean and standard deviation, or to 0–1"),
    ] = "range"
    smooth: Annotated[
        int, within(1, MAX_SMOOTH_ROWS, "rows whose mean score a row has, never across a stop; 1: its own alone")
    ] = 1


Batch = Annotated[
    int, within(1, 65_536, "windows a step; auto: 128, fewer (at least 16) for short data", search=(32, 512))
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a model learns."""

    epochs: Annotated[int, within(1, 100_000, "passes over the training windows, at most")] = 30
    batch: Batch | None = None
    patience: Annotated[int, within(1, 100_000, "epochs without a better validation loss after which to stop")] = 30
    epoch_windows: Annotated[int, within(1, 10**9, "windows an epoch, at most: of more it draws so many anew")] = 65_536
    learning_rate: Annotated[float, within(1e-7, 1.0, "step size of Adam", search=(3e-4, 1e-2))] = 2e-3
    loss: Annotated[Loss, Meta(description=f"reconstruction loss; {CROSS_ENTROPY} scales to 0–1")] = "mse"
    seed: int = 0
    """Not a setting: --seed."""


@dataclass(frozen=True, slots=True)
class Family:
    """A model family: a function from training windows to a Keras model, and what differs from the usual."""

    function: str | Callable[..., Any]
    """module:function, imported when asked for, since it loads Keras; or the function itself."""
    usual: Mapping[str, Value] = field(default_factory=dict)
    """Its defaults of common settings: window, patience, learning_rate, …"""
    learns: bool = True
    """False: the function returns the model complete, and there is nothing to train."""

    @property
    def build(self) -> Callable[..., Any]:
        """The function."""
        if not isinstance(self.function, str):
            return self.function
        module, _, name = self.function.partition(":")
        build: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return build

    @property
    def summary(self) -> str:
        """The first sentence of the function's docstring."""
        return (inspect.getdoc(self.build) or "").split("\n\n")[0].replace("\n", " ")


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set."""

    name: str
    bounds: Any
    """The bounded type of its values, but for auto."""
    default: Value | None
    may_be_auto: bool = False
    own: bool = False
    """The family's own, as against those that others have too."""

    @property
    def kind(self) -> Any:
        """int, float, str, or the words of a Literal."""
        return get_args(self.bounds)[0]

    @property
    def meta(self) -> Any:
        """msgspec.Meta: bounds, description and extra."""
        return get_args(self.bounds)[1]

    @property
    def about(self) -> str:
        """What is set, for people."""
        return str(self.meta.description)

    @property
    def search(self) -> tuple[float, float] | None:
        """Where `tune` looks; None: about the default, or nowhere where that is 0, auto or a common setting's."""
        found: tuple[float, float] | None = (self.meta.extra or {}).get("search")
        return found

    @property
    def wanted(self) -> str:
        """What is allowed, in words."""
        return f"{wanted(self.bounds)}, or {AUTO}" if self.may_be_auto else wanted(self.bounds)

    def checked(self, value: Value | None) -> Value | None:
        """The value in the setting's type. Raises ValueError saying what is wanted."""
        if self.may_be_auto and value in (None, AUTO):
            return None
        try:
            found: Value = parse_bounded(self.bounds, str(value))
        except ValueError:
            raise ValueError(self.wanted) from None
        (self.meta.extra or {}).get("parse", str)(found)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of one training, settled."""

    input: Input
    training: Training
    own: Mapping[str, Value | None]
    """The family's keyword arguments."""
    names: tuple[str, ...]

    def as_json(self) -> dict[str, Value | None]:
        """Name -> value, as `--set` takes them; None: auto."""
        found: dict[str, Value | None] = {}
        for name in self.names:
            part = next((part for part in (self.input, self.training) if hasattr(part, name)), None)
            found[name] = getattr(part, name) if part else self.own[name]
        return found


def add_set_option(parser: OptionParser) -> None:
    """`--set NAME=VALUE`, as often as one likes; SHEETBREAK_SET takes several, separated by blanks."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the family, such as window=30; again for another; sheetbreak families lists them",
    )


def settings_of(family: Family) -> dict[str, Setting]:
    """All settings of a family, with its defaults; its own come last."""
    parts: list[type] = [Input, Training] if family.learns else [Input]
    common = {
        setting.name: setting
        for part in parts
        for setting in _declared(part, {f.name: f.default for f in fields(part)}, usual=family.usual, own=False)
    }
    keywords = inspect.signature(family.build).parameters.values()
    defaults = {p.name: p.default for p in keywords if p.kind is p.KEYWORD_ONLY}
    return common | {s.name: s for s in _declared(family.build, defaults, usual=family.usual, own=True)}


def given_settings(texts: Sequence[str], families: Mapping[str, Family]) -> dict[str, dict[str, Value | None]]:
    """What `--set` gave each of `families`: NAME=VALUE goes to all that have it, FAMILY.NAME=VALUE to one.

    Raises DataError for a text of another form, a name that none of them has, or a value that is not allowed.
    """
    found: dict[str, dict[str, Value | None]] = {name: {} for name in families}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise DataError(f"--set {text!r} is not NAME=VALUE; write for example --set window=30")
        only, _, bare = name.rpartition(".")
        if only and only not in families:
            raise DataError(f"--set {text}: no family {only!r} is to be trained; it is {', '.join(families)}")
        asked = {only: families[only]} if only else families
        having = [one for one, family in asked.items() if bare in settings_of(family)]
        if not having:
            raise DataError(f"--set {text}: {_no_such(bare, asked)}")
        for one in having:
            found[one][bare] = _checked(one, settings_of(families[one])[bare], value)
    return found


def settle(
    name: str, family: Family, *, given: Mapping[str, Value | None], preset: Mapping[str, Value | None], seed: int = 0
) -> Settings:
    """Every setting of a family: what was given over the preset's over its own defaults.

    Raises DataError for a setting that the family does not have, a value that is not allowed, or two that exclude
    each other.
    """
    known = settings_of(family)
    for one in given:
        if one not in known:
            raise DataError(f"--set {one}={given[one]}: {_no_such(one, {name: family})}")
    values = {one: setting.default for one, setting in known.items()}
    values |= {one: value for one, value in preset.items() if one in known}
    values |= {one: _checked(name, known[one], value) for one, value in given.items()}
    if values.get("loss") == CROSS_ENTROPY:
        for one, needed in _FOR_CROSS_ENTROPY.items():
            if given.get(one, needed) != needed:
                raise DataError(
                    f"--set {one}={given[one]}: loss {CROSS_ENTROPY} is for data scaled to 0–1 and needs "
                    f"{one}={needed}; leave {one} out, or choose loss mse, mae or huber"
                )
            values[one] = needed

    def part(of: type) -> dict[str, Any]:
        return {f.name: values[f.name] for f in fields(of) if f.name in values}

    return Settings(
        input=Input(**part(Input)),
        training=Training(**part(Training), seed=seed),
        own={one: values[one] for one, setting in known.items() if setting.own},
        names=tuple(known),
    )


def shown(value: Value | None) -> str:
    """A value as `--set` takes it."""
    if value is None:
        return AUTO
    return f"{value:g}" if isinstance(value, float) else str(value)


def _declared(owner: Any, defaults: Mapping[str, Any], *, usual: Mapping[str, Value], own: bool) -> Iterator[Setting]:
    hints = get_type_hints(owner, include_extras=True)
    for name, default in defaults.items():
        if bounds := bounded_part(hints[name]):
            may_be_auto = NoneType in get_args(hints[name])
            yield Setting(name, bounds, usual.get(name, default), may_be_auto=may_be_auto, own=own)


def _checked(family: str, setting: Setting, value: Value | None) -> Value | None:
    try:
        return setting.checked(value)
    except ValueError as error:
        raise DataError(
            f"--set {setting.name}={value}: family {family} wants {error} ({setting.about}; "
            f"default {shown(setting.default)})"
        ) from error


def _no_such(name: str, families: Mapping[str, Family]) -> str:
    known = list(dict.fromkeys(one for family in families.values() for one in settings_of(family)))
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    owner = f"family {next(iter(families))} has" if len(families) == 1 else f"families {', '.join(families)} have"
    return f"{owner} no setting {name!r}; {hint}there are {', '.join(known)}"
