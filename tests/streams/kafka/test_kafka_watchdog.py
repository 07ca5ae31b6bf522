"""The watchdog ends a process whose transaction hangs, and no other."""

import subprocess
import sys
import threading
import time

import pytest

from sheetbreak.streams.kafka.commit_thread import Watchdog, can_connect

TICK_S = 0.01
LIMIT_S = 0.1


class Expired(threading.Event):
    def __call__(self, reason: str) -> None:
        self.reason = reason
        self.set()


def watchdog(expired: Expired, *, reachable: bool = True) -> Watchdog:
    return Watchdog(LIMIT_S, reachable=lambda: reachable, expire=expired, tick_s=TICK_S)


def test_a_transaction_that_hangs_with_the_broker_there_expires() -> None:
    expired = Expired()
    with watchdog(expired).watching():
        assert expired.wait(5)
    assert "hangs" in expired.reason


def test_a_broker_that_is_away_is_waited_for() -> None:
    expired = Expired()
    dog = watchdog(expired, reachable=False)
    with dog.watching():
        assert not expired.wait(10 * LIMIT_S)
    dog.close()


def test_transactions_that_end_never_add_up() -> None:
    expired = Expired()
    dog = watchdog(expired)
    until = time.monotonic() + 10 * LIMIT_S
    while time.monotonic() < until:
        with dog.watching():
            time.sleep(LIMIT_S / 4)
    assert not expired.is_set()
    with dog.watching():  # it still watches
        assert expired.wait(5)


def test_an_ended_watchdog_leaves_no_thread() -> None:
    expired = Expired()
    dog = watchdog(expired)
    with dog.watching():
        pass
    dog.close()
    for _ in range(100):
        if not any(thread.name == "kafka-watchdog" for thread in threading.enumerate()):
            return
        time.sleep(0.05)
    pytest.fail("its thread goes on")


def test_the_process_ends_at_once_with_a_reason_and_without_cleaning_up() -> None:
    program = f"""
import atexit, logging, time
from sheetbreak.streams.kafka.commit_thread import Watchdog
logging.basicConfig()
atexit.register(print, "cleaned up")
try:
    with Watchdog({LIMIT_S}, reachable=lambda: True, tick_s={TICK_S}).watching():
        time.sleep(60)
finally:
    print("went on")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "event=watchdog" in done.stderr
    assert done.stdout == ""


def test_a_port_that_nobody_listens_on_is_not_reachable() -> None:
    assert not can_connect(["127.0.0.1:1", "[::1]:1"])
