"""Entry point: `python -m monitor` is `sheetbreak monitor`."""

from sheetbreak.cli.commands import command, program

program(command("monitor"), name="monitor")
