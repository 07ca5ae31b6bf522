"""`python -m sheetbreak` is the console script."""

import sys

from sheetbreak.cli import main

sys.exit(main())
