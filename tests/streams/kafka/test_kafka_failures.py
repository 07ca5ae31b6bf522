"""Whatever dies: every row is scored once, in order, on the state that the rows before it left."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition

from sheetbreak.streams.kafka.group.asking import AskingConsumer
from tests.support.kafka.broker import Broker, ends_of
from tests.support.kafka.counter import FENCED
from tests.support.running.beside import beside
from tests.support.running.patience import PATIENCE_S, wait_for

SESSION_S = 6
"""The least that a broker allows."""
ROUNDS = 5
"""Of kills at most, until one has met a transaction."""
REPOSITORY = Path(__file__).resolve().parents[3]


class Mill:
    """Topics with rows going in, counters working on them, and what comes out."""

    def __init__(self, broker: Broker, partitions: int, folder: Path) -> None:
        self.broker, self.partitions, self.folder = broker, partitions, folder
        self.prefix = broker.create_topics(partitions=partitions)
        self.sent = [0] * partitions
        self.processes: list[subprocess.Popen[str]] = []

    def feed(self, count: int) -> None:
        """`count` rows more for every partition; each says which of its partition it is."""
        for partition in range(self.partitions):
            first = self.sent[partition]
            values = [b"%d" % i for i in range(first, first + count)]
            self.broker.write(self.prefix + "sensor-rows", values, partition=partition)
            self.sent[partition] += count

    @contextlib.contextmanager
    def feeding(self) -> Iterator[None]:
        """Rows go in all the time, some 200 a second and partition."""

        def run(stop: threading.Event) -> None:
            producer = KafkaProducer(bootstrap_servers=self.broker.address, linger_ms=5)
            while not stop.wait(0.02):
                for partition in range(self.partitions):
                    for row in range(self.sent[partition], self.sent[partition] + 4):
                        producer.send(self.prefix + "sensor-rows", b"%d" % row, partition=partition)
                    self.sent[partition] += 4
            producer.flush()
            producer.close()

        with beside(run):
            yield

    def start(self, instance: str = "one") -> "subprocess.Popen[str]":
        url = self.broker.url(self.prefix + "sensor-rows")
        command = [sys.executable, "-m", "tests.support.kafka.counter", url, self.prefix, instance, str(SESSION_S)]
        with (self.folder / f"{len(self.processes)}.log").open("w") as log:
            process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT, text=True)
        self.processes.append(process)
        return process

    def log(self, process: "subprocess.Popen[str]") -> str:
        return (self.folder / f"{self.processes.index(process)}.log").read_text()

    def wait_for(self, process: "subprocess.Popen[str]", word: str) -> None:
        wait_for(lambda: word in self.log(process), says=self.logs, nap_s=0.02)

    def scored(self) -> int:
        return len(self.broker.read(self.prefix + "scores"))

    def wait_for_all(self) -> None:
        def says() -> str:
            return f"{self.scored()} of {self.sent} scored\n{self.logs()}"

        wait_for(lambda: self.scored() >= sum(self.sent), says=says, nap_s=0.2)

    def logs(self) -> str:
        return "\n".join(f"--- {process.pid}\n{self.log(process)[-2000:]}" for process in self.processes)

    def check(self) -> None:
        """Every row once, in order, each on the state of those before it."""
        found: list[list[Any]] = [[] for _ in range(self.partitions)]
        for record in self.broker.read(self.prefix + "scores"):
            score = json.loads(record.value)
            found[score["partition"]].append((score["n"], score["row"]))
        expected = [[(i, i) for i in range(count)] for count in self.sent]
        assert found == expected, f"{_first_differences(found, expected)}\n{self.logs()}"

    def tear_down(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def _first_differences(found: list[list[Any]], expected: list[list[Any]]) -> str:
    """Of each partition, (its state's count, its row) from before the first that is wrong."""
    wrong = []
    for partition, (scores, right) in enumerate(zip(found, expected, strict=True)):
        at = next((i for i, (one, other) in enumerate(zip(scores, right, strict=False)) if one != other), len(scores))
        if scores != right:
            wrong.append(f"partition {partition}: {len(scores)} of {len(right)}, {scores[max(at - 2, 0) : at + 3]}")
    return "; ".join(wrong)


@pytest.fixture
def mill_of(broker: Broker, tmp_path: Path) -> Iterator[Callable[[int], Mill]]:
    mills: list[Mill] = []

    def make(partitions: int) -> Mill:
        mills.append(Mill(broker, partitions, tmp_path))
        return mills[-1]

    yield make
    for mill in mills:
        mill.tear_down()


def test_a_process_killed_at_random_moments_loses_and_doubles_nothing(mill_of: Callable[[int], Mill]) -> None:
    mill = mill_of(2)
    chance = random.Random(11)
    watcher = AskingConsumer(bootstrap_servers=mill.broker.address)
    scores = [TopicPartition(mill.prefix + "scores", partition) for partition in range(mill.partitions)]

    def written() -> int:
        """Up to where the scores are written, committed or not."""
        return sum(ends_of(watcher, scores).values())

    def written_beyond(before: int) -> bool:
        return written() > before

    for _ in range(ROUNDS):
        with mill.feeding():
            for kill in range(9):
                process = mill.start()
                mill.wait_for(process, "assigned")
                if kill % 3 == 0:
                    time.sleep(chance.uniform(0, 0.5))
                else:  # now: what is written is not committed yet
                    wait_for(partial(written_beyond, written()), nap_s=0)
                process.kill()
                process.wait()
        last = mill.start()
        mill.wait_for_all()
        mill.check()
        if len(mill.broker.read(mill.prefix + "scores", committed=False)) > mill.scored():
            break
        last.kill()
    else:
        pytest.fail("no kill met a transaction: this test saw nothing")
    watcher.close()


def test_a_broker_killed_in_the_middle_of_transactions_loses_and_doubles_nothing(
    mill_of: Callable[[int], Mill],
) -> None:
    mill = mill_of(2)
    process = mill.start()
    mill.wait_for(process, "assigned")
    with mill.feeding():
        for outage_s in (0.0, 3.0, 0.0):
            time.sleep(2)
            mill.broker.kill()
            time.sleep(outage_s)
            mill.broker.start()
    mill.wait_for_all()
    mill.check()
    assert process.poll() is None, mill.log(process)


def test_a_frozen_process_that_wakes_after_its_session_disturbs_nobody(mill_of: Callable[[int], Mill]) -> None:
    mill = mill_of(4)
    frozen, other = mill.start("frozen"), mill.start("other")
    mill.feed(1000)
    mill.wait_for_all()
    mill.feed(3000)
    time.sleep(0.3)
    os.kill(frozen.pid, signal.SIGSTOP)
    mill.feed(500)
    mill.wait_for_all()  # the other has taken over
    os.kill(frozen.pid, signal.SIGCONT)
    for _ in range(10):
        mill.feed(300)
        time.sleep(0.5)
    mill.wait_for_all()
    mill.check()
    assert frozen.poll() is None, mill.log(frozen)
    assert other.poll() is None, mill.log(other)


def test_a_process_frozen_while_idle_goes_on_from_what_the_other_did_meanwhile(mill_of: Callable[[int], Mill]) -> None:
    mill = mill_of(2)
    frozen, other = mill.start("frozen"), mill.start("other")
    mill.feed(300)
    mill.wait_for_all()
    time.sleep(2)  # nothing is in anybody's hands
    os.kill(frozen.pid, signal.SIGSTOP)
    mill.feed(300)
    mill.wait_for_all()
    os.kill(frozen.pid, signal.SIGCONT)
    for _ in range(8):
        time.sleep(0.5)
        mill.feed(100)
    mill.wait_for_all()
    mill.check()
    assert (frozen.poll(), other.poll()) == (None, None), mill.logs()


def test_of_two_processes_with_one_id_one_ends_with_code_3(mill_of: Callable[[int], Mill]) -> None:
    mill = mill_of(2)
    first = mill.start("twin")
    mill.feed(500)
    mill.wait_for_all()
    second = mill.start("twin")

    def one_has_ended() -> bool:
        mill.feed(200)
        return {first.poll(), second.poll()} != {None}

    wait_for(one_has_ended, says=mill.logs, nap_s=0.2)
    time.sleep(1)
    codes = {first.poll(), second.poll()}
    assert codes == {FENCED, None}, mill.logs()
    mill.feed(200)
    mill.wait_for_all()
    mill.check()


def test_sigterm_ends_a_process_between_batches(mill_of: Callable[[int], Mill]) -> None:
    mill = mill_of(1)
    process = mill.start()
    mill.feed(3000)
    wait_for(mill.scored, says=mill.logs, nap_s=0.02)
    process.terminate()
    assert process.wait(PATIENCE_S) == 0, mill.log(process)
    mill.start()
    mill.wait_for_all()
    mill.check()
