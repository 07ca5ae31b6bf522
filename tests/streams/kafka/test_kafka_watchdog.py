"""The watchdog ends a process whose transaction hangs, and no other."""

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from sheetbreak.streams.kafka.commit_thread import Watchdog, can_connect
from tests.support.running.patience import PATIENCE_S, wait_for

TICK_S = 0.01
LIMIT_S = 0.1
LOOKS = 10
"""At the broker, within the limit: one a tick."""


class Expired(threading.Event):
    def __call__(self, reason: str) -> None:
        self.reason = reason
        self.set()


def watchdog(expired: Expired, *, reachable: Callable[[], bool] = lambda: True) -> Watchdog:
    return Watchdog(LIMIT_S, reachable=reachable, expire=expired, tick_s=TICK_S)


def test_a_transaction_that_hangs_with_the_broker_there_expires() -> None:
    expired = Expired()
    with watchdog(expired).watching():
        assert expired.wait(PATIENCE_S)
    assert "hangs" in expired.reason


def test_a_transaction_is_given_up_once_before_the_process_is_ended() -> None:
    given_up: queue.SimpleQueue[bool] = queue.SimpleQueue()
    expired = Expired()
    dog = Watchdog(LIMIT_S, reachable=lambda: True, give_up_s=LIMIT_S / 2, expire=expired, tick_s=TICK_S)
    with dog.watching(lambda: given_up.put(expired.is_set())):
        assert expired.wait(PATIENCE_S)
    assert [given_up.get_nowait() for _ in range(given_up.qsize())] == [False]


def test_a_broker_that_is_away_is_waited_for() -> None:
    expired = Expired()
    looks: list[float] = []

    def away() -> bool:
        looks.append(time.monotonic())
        return False

    dog = watchdog(expired, reachable=away)
    with dog.watching():
        wait_for(lambda: len(looks) > 3 * LOOKS)
        assert not expired.is_set()
    dog.close()


def test_transactions_that_end_never_add_up() -> None:
    """Each ends after half of the looks that it may have, in the midst of one: no clock but the looks themselves."""
    expired = Expired()
    begun: queue.SimpleQueue[None] = queue.SimpleQueue()
    may_end: queue.SimpleQueue[None] = queue.SimpleQueue()

    def look() -> bool:
        begun.put(None)
        may_end.get(timeout=PATIENCE_S)
        return True

    dog = watchdog(expired, reachable=look)
    for _ in range(10):
        with dog.watching():
            for _ in range(LOOKS // 2):
                begun.get(timeout=PATIENCE_S)
                may_end.put(None)
            begun.get(timeout=PATIENCE_S)
        may_end.put(None)
    assert not expired.is_set()
    with dog.watching():  # it still watches
        for _ in range(2 * LOOKS):
            may_end.put(None)
        assert expired.wait(PATIENCE_S)


def test_an_ended_watchdog_leaves_no_thread() -> None:
    expired = Expired()
    dog = watchdog(expired)
    with dog.watching():
        pass
    dog.close()
    wait_for(lambda: not any(thread.name == "kafka-watchdog" for thread in threading.enumerate()))


def test_the_process_ends_at_once_with_a_reason_and_without_cleaning_up() -> None:
    program = f"""
import atexit, logging, time
from sheetbreak.streams.kafka.commit_thread import Watchdog
logging.basicConfig()
atexit.register(print, "cleaned up")
try:
    with Watchdog({LIMIT_S}, reachable=lambda: True, tick_s={TICK_S}).watching():
        time.sleep({PATIENCE_S})
finally:
    print("went on")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "event=watchdog" in done.stderr
    assert done.stdout == ""


def test_a_port_that_nobody_listens_on_is_not_reachable() -> None:
    assert not can_connect(["127.0.0.1:1", "[::1]:1"])
