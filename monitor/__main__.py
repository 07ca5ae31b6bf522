"""Entry point: `python -m monitor` is `sheetbreak monitor`."""

import sys

from sheetbreak.cli.commands import command, run

sys.exit(run(command("monitor")))
