"""Entry point: `python -m sheetbreak` is the console script."""

import sys

from sheetbreak.cli.commands import main

sys.exit(main())
