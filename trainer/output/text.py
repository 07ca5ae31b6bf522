"""Text for a terminal of 80 columns: tables in blocks below one another, lines wrapped, long names cut."""

import shlex
import textwrap
from collections.abc import Mapping, Sequence

from sheetbreak.cli.screen import cut

WIDTH = 80
_NAME = 30
"""A line's name is no longer than this."""


def table(head: str, heads: Sequence[str], lines: Mapping[str, Sequence[str]]) -> list[str]:
    """Cells below their heads, a line a name; columns for which there is no room follow below, names repeated.

    head: what the names are.
    """
    names = max(len(cut(name, _NAME)) for name in (head, *lines)) + 2
    widths = [max(map(len, column)) + 2 for column in zip(heads, *lines.values(), strict=True)]
    blocks: list[list[int]] = []
    left = 0
    for number, width in enumerate(widths):
        if width - 2 > left:  # a line's last cell needs no blanks behind it
            blocks.append([])
            left = WIDTH - names
        blocks[-1].append(number)
        left -= width
    found: list[str] = []
    for number, block in enumerate(blocks):
        found += [""] if number else []
        for name, cells in ((head, heads), *lines.items()):
            line = f"{cut(name, _NAME):<{names}}" + "".join(f"{cells[i]:<{widths[i]}}" for i in block)
            found.append(line.rstrip())
    return found


def wrap(text: str, *, indent: str = "") -> list[str]:
    """Lines of WIDTH at most; what follows the first is indented. A long word is broken, a hyphenated one is not."""
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=True, break_on_hyphens=False, drop_whitespace=True
    )


def wrap_lines(text: str) -> str:
    """A text whose lines that are too long go on in the next, as far in as they begin."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines += [line] if len(line) <= WIDTH else wrap(line, indent=" " * (len(line) - len(line.lstrip())))
    return "\n".join(lines)


def command_lines(command: str, *, indent: str) -> str:
    """A command for the shell, gone on with behind a backslash; it can be pasted, and no word is broken."""
    lines: list[list[str]] = [[]]
    room = WIDTH - len(indent) - 2
    for word in map(shlex.quote, shlex.split(command)):
        if lines[-1] and len(" ".join([*lines[-1], word])) > room:
            lines.append([])
            room = WIDTH - 2 * len(indent) - 2
        lines[-1].append(word)
    return indent + f" \\\n{indent}{indent}".join(" ".join(words) for words in lines)
