"""Entry point: `python -m trainer` is `sheetbreak train`."""

import sys

from sheetbreak.cli.commands import command, run

sys.exit(run(command("train")))
