"""The command line: the console script `sheetbreak`, what its commands share, and the commands that need no trainer."""

from sheetbreak.cli.commands import main

__all__ = ["main"]
