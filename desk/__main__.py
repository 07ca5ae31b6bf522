"""Entry point: `python -m desk` is `sheetbreak desk`."""

import sys

from sheetbreak.cli.commands import command, run

sys.exit(run(command("desk")))
