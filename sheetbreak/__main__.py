"""Entry point: `python -m sheetbreak` is the console script."""

from sheetbreak.cli.commands import main

main()
