"""Entry point: `python -m replay` is `sheetbreak replay`."""

from sheetbreak.cli.commands import command, program

program(command("replay"), name="replay")
