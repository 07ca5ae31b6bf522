"""`python -m replay` is `sheetbreak replay`."""

import sys

from sheetbreak.cli import command, run

sys.exit(run(command("replay")))
