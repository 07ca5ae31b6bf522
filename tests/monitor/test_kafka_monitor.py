"""The monitor on a real broker: whatever dies, the scores and alerts of an undisturbed run, each once, in order."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.support.kafka.broker import Broker
from tests.support.kafka.mill import KafkaMill
from tests.support.models.mill import save_model
from tests.support.running.patience import PATIENCE_S, wait_for

MakeMill = Callable[..., KafkaMill]
KILLS = 12
ROUNDS = 5
"""Of so many kills at most, until one has met a transaction."""
SESSION_S = 10.0


@pytest.fixture
def make_mill(broker: Broker, tmp_path: Path) -> Iterator[MakeMill]:
    mills: list[KafkaMill] = []

    def make(**settings: int) -> KafkaMill:
        mills.append(KafkaMill(broker, tmp_path, **settings))
        return mills[-1]

    yield make
    for mill in mills:
        mill.tear_down()


def wait_until(condition: Callable[[], bool], mill: KafkaMill, *, nap_s: float = 0.1) -> None:
    wait_for(condition, says=mill.logs, nap_s=nap_s)


def all_answered(mill: KafkaMill) -> None:
    wait_until(lambda: mill.answered() >= mill.sent * len(mill.rows), mill, nap_s=0.2)


def finish(mill: KafkaMill) -> None:
    """Until every row is answered; then compare with a run that nothing disturbed."""
    all_answered(mill)
    scores, alerts = mill.undisturbed()
    assert mill.read("scores") == scores
    assert mill.read("alerts") == alerts
    assert sum(map(len, alerts.values())) > 20, "too quiet a mill to show anything"
    assert mill.read("dead-letters") == {}


def test_a_dozen_kills_at_random_moments_change_nothing_downstream(make_mill: MakeMill) -> None:
    mill = make_mill(machines=4, rows=12_000, partitions=2)
    chance = random.Random(3)
    for _ in range(ROUNDS):
        with mill.sending(2, pause_s=0.03):
            for kill in range(KILLS):
                before = mill.written()
                monitor = mill.start()
                wait_until(partial(mill.has_written_more, before), mill, nap_s=0.001)
                if kill % 2:  # else now: what is written is not yet committed
                    time.sleep(chance.uniform(0, 0.3))
                monitor.kill()
                monitor.wait()
        last = mill.start()
        finish(mill)
        if len(mill.broker.read(mill.prefix + "scores", committed=False)) > mill.sent * len(mill.rows):
            break
        last.kill()
    else:
        pytest.fail("no kill met a transaction: this test saw nothing")


def test_a_broker_killed_in_the_middle_of_a_transaction_changes_nothing_downstream(make_mill: MakeMill) -> None:
    mill = make_mill(machines=4, rows=30_000, partitions=2)
    monitor = mill.start()
    for outages in range(1, 20):
        before = mill.written()
        mill.send(1500)  # some batches: it is at one of them
        # What is written is not yet committed: now.
        wait_until(partial(mill.has_written_more, before), mill, nap_s=0.001)
        os.kill(mill.broker.pid, signal.SIGKILL)
        mill.broker.kill()  # until it is gone
        mill.broker.start()
        all_answered(mill)
        met = "the transaction has not ended" in mill.log(monitor)
        if met and outages >= 3:
            break
    finish(mill)
    assert monitor.poll() is None, mill.log(monitor)
    assert met, "no outage met a transaction: this test saw nothing"


def test_a_monitor_frozen_past_its_session_and_woken_disturbs_nobody(make_mill: MakeMill) -> None:
    mill = make_mill(machines=8, rows=12_000, partitions=4)
    frozen, other = mill.start("frozen"), mill.start("other")
    mill.send(200)
    all_answered(mill)
    # They share: also where both joined before either had a partition, so that none was revoked.
    wait_until(lambda: all("event=partition-assigned" in mill.log(one) for one in (frozen, other)), mill)
    with mill.sending(10, pause_s=0.1):
        time.sleep(1)
        os.kill(frozen.pid, signal.SIGSTOP)
        time.sleep(SESSION_S + 3)
        os.kill(frozen.pid, signal.SIGCONT)
        time.sleep(5)
    finish(mill)
    assert (frozen.poll(), other.poll()) == (None, None), mill.logs()


def test_a_new_model_is_taken_up_between_batches_and_no_row_is_lost(make_mill: MakeMill) -> None:
    mill = make_mill(machines=3, rows=3000, partitions=1)
    monitor = mill.start()
    mill.send(500)
    all_answered(mill)
    with mill.sending(10, pause_s=0.05):
        time.sleep(0.5)
        second = save_model(mill.models, level=1.2, now=datetime(2026, 6, 1, tzinfo=UTC))
        monitor.send_signal(signal.SIGHUP)
        wait_until(lambda: "event=model-reloaded" in mill.log(monitor), mill)
    mill.send(10)
    all_answered(mill)
    for machine, scores in mill.read("scores").items():
        times = [score["time"] for score in scores]
        assert len(times) == len(set(times)) == mill.sent, machine
        assert times == sorted(times)
        models = [score["model"] for score in scores]
        assert len(set(models)) == 2
        assert models == sorted(models), "each score is of one model, and there is no way back"
        assert models[-1] == second.version


def test_sigterm_in_an_outage_ends_the_monitor_without_waiting_for_the_broker(make_mill: MakeMill) -> None:
    mill = make_mill(machines=2, rows=4000, partitions=1)
    monitor = mill.start()
    mill.send(50)
    all_answered(mill)
    mill.send(1500)
    mill.broker.kill()
    try:
        time.sleep(1)
        monitor.terminate()
        assert monitor.wait(PATIENCE_S) == 0, mill.log(monitor)
    finally:
        mill.broker.start()
    mill.start()
    finish(mill)


def test_without_its_topics_the_monitor_ends_with_the_command_that_mends_it(make_mill: MakeMill) -> None:
    mill = make_mill(machines=1, rows=1, partitions=1)
    mill.prefix = "nobody."
    monitor = mill.start()
    assert monitor.wait(PATIENCE_S) == 2
    assert "run: sheetbreak topics create kafka://" in mill.log(monitor)
    shutil.rmtree(mill.models)
    assert mill.start().wait(PATIENCE_S) == 2
