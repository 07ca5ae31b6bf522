"""Width of a terminal, and names cut to it. What goes to a file or another program is left whole."""

import os
import shutil
import sys


def columns() -> int | None:
    """Of the terminal, or as COLUMNS says; None where the text goes to a file or another program."""
    said = os.environ.get("COLUMNS", "").isdecimal()
    return shutil.get_terminal_size().columns if said or sys.stdout.isatty() else None


def cut(text: str, width: int) -> str:
    """A long name, cut in the middle: names that go by number differ at their ends."""
    if len(text) <= width:
        return text
    keep = max(width - 1, 0)
    return text[: keep - keep // 2] + "…" + text[len(text) - keep // 2 :]
