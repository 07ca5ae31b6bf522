"""`python -m trainer` is `sheetbreak train`."""

import sys

from sheetbreak.cli import command, run

sys.exit(run(command("train")))
