"""Command `sheetbreak completion`: a script by which a shell completes commands, options and file names."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sheetbreak.cli.commands import COMMANDS, command
from sheetbreak.cli.options import OptionParser, parser_of
from sheetbreak.errors import DataError

SHELLS = ("bash", "zsh", "fish")


def main(argv: Sequence[str]) -> int:
    """Print the script. Raises DataError where shtab, which writes it, is not installed."""
    parser = OptionParser(
        "sheetbreak completion",
        "Write a script that completes sheetbreak's commands, options and file names. Options of commands whose\n"
        "libraries are not installed are left out.",
        example='eval "$(sheetbreak completion bash)"        # now; in ~/.bashrc: for every shell to come\n'
        "sheetbreak completion zsh > ~/.zfunc/_sheetbreak    # a folder of fpath\n"
        "sheetbreak completion fish > ~/.config/fish/completions/sheetbreak.fish",
    )
    parser.add_argument("shell", choices=SHELLS, help="bash, zsh or fish")
    options = parser.parse_args(argv)
    import shtab

    sys.stdout.write(shtab.complete(_whole(), options.shell) + "\n")
    return 0


def _whole() -> argparse.ArgumentParser:
    """One parser of all commands, for its shape alone."""
    whole = argparse.ArgumentParser("sheetbreak")
    whole.add_argument("--version", action="store_true", help="print the version")
    commands = whole.add_subparsers()
    for name, entry in COMMANDS.items():
        commands.add_parser(name, help=entry.summary)
        try:
            own: argparse.ArgumentParser = parser_of(command(name))
        except DataError:
            continue
        _complete_files(own)
        commands.choices[name] = own
    helped = commands.add_parser("help", help="what a command does and takes")
    helped.add_argument("command", choices=list(COMMANDS))
    return whole


def _complete_files(parser: argparse.ArgumentParser) -> None:
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for own in action.choices.values():
                _complete_files(own)
        elif action.type is Path or action.dest == "source":
            kind = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE
            action.complete = kind  # type: ignore[attr-defined]  # where shtab looks for it
