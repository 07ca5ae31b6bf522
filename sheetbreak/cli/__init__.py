"""Command line: the console script, what its commands share, and the commands that need no trainer."""

from sheetbreak.cli.commands import main

__all__ = ["main"]
