"""Patience: how long a test waits for what must come, whatever the machine and whatever else runs on it.

A wait ends as soon as what it waits for is there, so that a long patience costs nothing where the machine is fast.
Nothing here measures: what is promised in seconds is measured by the programs in benchmarks/.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from sheetbreak.errors import StreamUnavailable

PATIENCE_S = 420.0
"""For one event: a broker's first answer, a row's score, the end of a process that was told to end. Longer than what
Kafka itself waits for, five minutes: a group for a member that is away, a client until it asks for metadata anew."""

Answer = TypeVar("Answer")


def wait_for(condition: Callable[[], Answer], *, says: Callable[[], object] = str, nap_s: float = 0.05) -> Answer:
    """What the condition returns once that is true. `says`: what to show if that never comes, such as a log."""
    until = time.monotonic() + PATIENCE_S
    while not (answer := condition()):
        assert time.monotonic() < until, f"it did not come in {PATIENCE_S:.0f} s; {says()}"
        time.sleep(nap_s)
    return answer


def patiently(action: Callable[[], Answer]) -> Answer:
    """What the action returns, tried again while its stream says StreamUnavailable: as the monitor's loop does it."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return action()
        except StreamUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
