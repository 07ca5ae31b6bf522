"""Command-line options that are environment variables too: flag, else SHEETBREAK_<OPTION>, else default.

    def main(argv: Sequence[str]) -> int:
        parser = OptionParser("sheetbreak monitor", "Score a stream, warn before the sheet breaks.",
                              example="sheetbreak replay mill.csv --speed 3600x | sheetbreak monitor -")
        parser.add_argument("source", help="kafka://host:9092/topic, rows.csv, rows.ndjson or -")
        parser.add_argument("--models", type=Path, default=Path("models"), help="where the models are")
        parser.add_argument("--metrics-port", type=whole_number(maximum=65535), default=9464)
        parser.add_argument("--json", action="store_true", help="print the manifest")
        options = parser.parse_args(argv)       # SHEETBREAK_MODELS, SHEETBREAK_METRICS_PORT, SHEETBREAK_JSON

All of argparse works as ever (groups, choices, sub-commands), and a type may be a bounded one of sheetbreak/bounds.py.
The variable's name is that of the first long flag, and --help shows it. A bad option, on the command line or in the
environment, raises DataError.
"""

import argparse
import os
import re
import shlex
import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Annotated, Any, NoReturn, get_origin

from msgspec import Meta

from sheetbreak.bounds import parse_bounded
from sheetbreak.cli.logs import LEVELS, set_level
from sheetbreak.errors import DataError

_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_WORDS_OF_A_COMMAND = 2
"""As in "sheetbreak train": a sub-command has its parent's options."""
_WITHOUT_VARIABLE = (argparse._HelpAction, argparse._VersionAction)


class _HelpText(argparse.RawDescriptionHelpFormatter):
    """Paragraphs and lists of what a command does, as wide as the terminal; its examples are never broken."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled: list[str] = []
        for indented, lines in groupby(text.splitlines(), key=lambda line: not line or line.startswith(" ")):
            if not indented:
                filled += textwrap.wrap(" ".join(lines), width, break_on_hyphens=False)
                continue
            for line in lines:
                term = re.match(r" +\S+ {2,}", line)
                behind = " " * (term.end() if term else 0)
                filled += (
                    textwrap.wrap(line, width, subsequent_indent=behind, break_on_hyphens=False) if term else [line]
                )
        return "\n".join(indent + line for line in filled)


class OptionParser(argparse.ArgumentParser):
    """An ArgumentParser whose every flag can come from the environment, and whose errors are DataErrors.

    A variable that is empty counts as absent (compose files write `NAME=${NAME:-}`). A switch (store_true)
    takes 1, true, yes, 0, false or no; a flag that takes several values takes them separated by blanks. A
    sub-command's flag with `default=argparse.SUPPRESS` keeps what its parent's flag of that name was given.
    """

    def __init__(self, prog: str, description: str = "", *, example: str = "", **settings: Any) -> None:
        settings.setdefault("formatter_class", _HelpText)
        settings.setdefault("allow_abbrev", False)  # an abbreviation breaks when a later version adds an option
        if example:
            settings["epilog"] = "example:\n  " + example.strip().replace("\n", "\n  ")
        super().__init__(prog=prog, description=description, **settings)
        self._described: set[argparse.Action] = set()
        if len(prog.split()) == _WORDS_OF_A_COMMAND:
            level_help = f"log lines from this level on: {', '.join(LEVELS)}; default: info where a command runs on"
            self.add_argument("--log-level", choices=LEVELS, metavar="LEVEL", help=level_help)

    # The overload of the base class (namespace given or not) tells callers nothing that they use.
    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse `args`, then fill what was not given from the environment, then from the defaults.

        Raises DataError for a bad option or variable.
        """
        self._describe_variables()
        if _catching:
            raise _Caught(self)
        flags = self._flags()
        before = {action: (action.default, action.required) for action in flags}
        try:
            for action in flags:  # absent from the namespace afterwards: not given
                action.default = argparse.SUPPRESS
                action.required = action.required and not _text(action)
            options, rest = super().parse_known_args(args, namespace)
        finally:
            for action, (default, required) in before.items():
                action.default, action.required = default, required
        for action in flags:
            if action.default is not argparse.SUPPRESS and not hasattr(options, action.dest):
                setattr(options, action.dest, self._from_environment(action))
        if level := getattr(options, "log_level", None):
            set_level(level)
        return options, rest

    def error(self, message: str) -> NoReturn:
        raise DataError(f"{message}; see: {self.prog} --help")

    def _flags(self) -> list[argparse.Action]:
        return [a for a in self._actions if a.option_strings and not isinstance(a, _WITHOUT_VARIABLE)]

    def _describe_variables(self) -> None:
        for action in self._flags():
            if action in self._described or action.help is argparse.SUPPRESS:
                continue
            self._described.add(action)
            notes = [variable_of(action)]
            if action.default is not False and action.default not in (None, "", [], argparse.SUPPRESS):
                notes.append(f"default {action.default}".replace("%", "%%"))
            action.help = f"{action.help or ''} [{', '.join(notes)}]".lstrip()

    def _from_environment(self, action: argparse.Action) -> Any:
        text = _text(action)
        if not text:
            default = action.default
            return self._convert(action, default) if isinstance(default, str) else default
        try:
            return self._parse_variable(action, text)
        except argparse.ArgumentError as error:
            self.error(f"environment variable {variable_of(action)}: {error.message}")

    def _parse_variable(self, action: argparse.Action, text: str) -> Any:
        if action.nargs == 0:
            return _switch(action, text)
        if not isinstance(action, argparse._AppendAction) and action.nargs in (None, argparse.OPTIONAL):
            return self._convert(action, text)
        try:
            words = shlex.split(text)
        except ValueError as error:  # an open quotation mark
            raise argparse.ArgumentError(action, f"{text!r}: {error}") from error
        return [self._convert(action, word) for word in words]

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """The value of a text, by a bounded type too; what is wanted is told in the ValueError's own words."""
        try:
            if get_origin(action.type) is Annotated:
                return parse_bounded(action.type, arg_string)
            if callable(action.type):
                return action.type(arg_string)
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise argparse.ArgumentError(action, str(error)) from error
        return super()._get_value(action, arg_string)

    def _convert(self, action: argparse.Action, text: str) -> Any:
        value = self._get_value(action, text)
        self._check_value(action, value)
        return value


_catching = False
"""Whether the next parser that is asked to parse is only wanted itself."""


class _Caught(BaseException):
    """A parser, whole, before it has parsed anything."""

    def __init__(self, parser: OptionParser) -> None:
        super().__init__()
        self.parser = parser


def parser_of(main: Callable[[Sequence[str]], int]) -> OptionParser:
    """The parser of a command, which is run up to the moment at which it parses its arguments.

    Raises DataError where a library that the command needs is not installed.
    """
    global _catching  # noqa: PLW0603 - commands make their parsers themselves, each in its own place
    _catching = True
    try:
        main([])
    except _Caught as caught:
        return caught.parser
    finally:
        _catching = False
    raise RuntimeError("a command parsed no arguments")


def variable_of(action: argparse.Action) -> str:
    """The environment variable of a flag: `--metrics-port` is SHEETBREAK_METRICS_PORT."""
    name = next((flag for flag in action.option_strings if flag.startswith("--")), action.option_strings[0])
    return "SHEETBREAK_" + name.lstrip("-").replace("-", "_").upper()


def whole_number(minimum: int = 0, maximum: int | None = None) -> Any:
    """The bounded type of whole numbers from `minimum` to `maximum`, both included."""
    return Annotated[int, Meta(ge=minimum, le=maximum)]


def _text(action: argparse.Action) -> str:
    return os.environ.get(variable_of(action), "").strip()


def _switch(action: argparse.Action, text: str) -> Any:
    """What a flag without a value makes of its variable: given or not."""
    if text.lower() not in _WORDS:
        raise argparse.ArgumentError(action, f"{text!r} is not one of {', '.join(_WORDS)}")
    given = _WORDS[text.lower()]
    if isinstance(action, argparse.BooleanOptionalAction):  # --color and --no-color in one
        return given
    return action.const if given else action.default
