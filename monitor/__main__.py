"""`python -m monitor` is `sheetbreak monitor`."""

import sys

from sheetbreak.cli import command, run

sys.exit(run(command("monitor")))
