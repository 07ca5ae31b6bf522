"""Entry point: `python -m trainer` is `sheetbreak train`."""

from sheetbreak.cli.commands import command, program

program(command("train"), name="train")
