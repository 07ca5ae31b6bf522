"""Console script as a process that a test starts, waits for and kills."""

import subprocess
import sys
from collections.abc import Callable

from tests.support.running import patience
from tests.support.running.services import plain_environment

# A shell that puts tests in the background has SIGINT ignored, and children inherit that.
PROGRAM = """
import signal
from sheetbreak.cli.commands import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


def start(*arguments: str) -> "subprocess.Popen[str]":
    """The console script, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=plain_environment(),
        start_new_session=True,
    )


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """As long as the program runs."""

    def holds() -> bool:
        if condition():
            return True
        assert process.poll() is None, process.communicate()
        return False

    patience.wait_for(holds, nap_s=0.02)
