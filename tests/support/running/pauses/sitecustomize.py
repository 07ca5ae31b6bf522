"""Pauses at random where a function of the programs returns: `make shake` finds tests that hang on who comes first.

Python imports this module by itself when its folder is on PYTHONPATH, in the tests and in each program that they start.
A process pauses at most 25 times, and in a function only at its first dozen returns. No two runs are alike.
"""

import os
import random
import sys
import threading
import time
from pathlib import Path
from types import CodeType, FrameType

CHECKOUT = Path(__file__).resolve().parents[4]
OURS = tuple(f"{CHECKOUT / package}{os.sep}" for package in ("desk", "monitor", "replay", "sheetbreak", "trainer"))
SHARE, LONGEST_S, MOST_PAUSES, MOST_RETURNS = 0.1, 0.35, 25, 12


class Pauses:
    """Profile function of the interpreter."""

    def __init__(self) -> None:
        self._draw = random.Random()  # not the one that programs seed
        self._returns: dict[CodeType, int] = {}
        self._left = MOST_PAUSES
        self._sleep = time.sleep  # tests replace the module's

    def __call__(self, frame: FrameType, event: str, _value: object) -> None:
        """Pause now and then before a return."""
        if event != "return" or not self._left:
            return
        code = frame.f_code
        seen = self._returns.get(code)
        if seen is None:
            seen = 0 if code.co_filename.startswith(OURS) and code.co_name[0] != "<" else MOST_RETURNS
        self._returns[code] = seen + 1
        if seen < MOST_RETURNS and self._draw.random() < SHARE:
            self._left -= 1
            self._sleep(self._draw.random() * LONGEST_S)


pauses = Pauses()
sys.setprofile(pauses)
threading.setprofile(pauses)
