"""Entry point: `python -m replay` is `sheetbreak replay`."""

import sys

from sheetbreak.cli.commands import command, run

sys.exit(run(command("replay")))
