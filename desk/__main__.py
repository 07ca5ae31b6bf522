"""Entry point: `python -m desk` is `sheetbreak desk`."""

from sheetbreak.cli.commands import command, program

program(command("desk"), name="desk")
