"""Operators' actions on a real broker: whatever is killed, each counts once; a stack without the topic goes on."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sheetbreak.wire.actions import encode_action, make_action
from tests.support.kafka.broker import Broker
from tests.support.kafka.mill import KafkaMill
from tests.support.kafka.operator import Operator
from tests.support.models.mill import START_US
from tests.support.programs.monitor_process import run
from tests.support.running.patience import PATIENCE_S, wait_for

KILLS = 3


@pytest.fixture
def mill(broker: Broker, tmp_path: Path) -> Iterator[KafkaMill]:
    mill = KafkaMill(broker, tmp_path, machines=2, rows=12_000, partitions=2)
    yield mill
    mill.tear_down()


def act(machine: str, action: str, **fields: Any) -> bytes:
    return encode_action(make_action(machine, action, time_us=START_US, by="Aino", **fields))


def say(mill: KafkaMill, *actions: bytes) -> None:
    for action in actions:
        mill.broker.write(mill.prefix + "operator-actions", [action], key=json.loads(action)["machine"].encode())


def test_kills_lose_and_repeat_no_action(mill: KafkaMill) -> None:
    """A bad one is answered by one dead letter; the others come to what they come to in order."""
    with mill.sending(2, pause_s=0.03):
        for kill in range(KILLS):
            before = mill.written()
            monitor = mill.start()
            wait_for(partial(mill.has_written_more, before), says=mill.logs, nap_s=0.001)
            for machine in mill.rows:
                say(
                    mill,
                    act(machine, "mask", sensor=f"x{kill % 3 + 1}"),
                    act(machine, "unmask", sensor=f"x{(kill + 1) % 3 + 1}"),
                    act(machine, "mask", sensor=f"no-{kill}"),  # last: where it is answered, so are those before
                )
            if kill % 2:  # else now: what was said is not yet committed
                before = mill.written()
                wait_for(partial(mill.has_written_more, before), says=mill.logs, nap_s=0.001)
            monitor.kill()
            monitor.wait()
    mill.start()
    letters: list[bytes] = []

    def all_refused() -> bool:
        letters[:] = mill.broker.values(mill.prefix + "dead-letters")
        return len(letters) >= 2 * KILLS

    wait_for(all_refused, says=mill.logs, nap_s=0.2)
    mill.send(1)
    wait_for(lambda: sum(map(len, mill.read("scores").values())) >= 2 * mill.sent, says=mill.logs, nap_s=0.2)
    assert all_refused()
    places = [tuple(json.loads(letter)["source"].values()) for letter in letters]
    assert len(set(places)) == len(places) == 2 * KILLS
    assert {place[0] for place in places} == {mill.prefix + "operator-actions"}
    for scores in mill.read("scores").values():
        times = [score["time"] for score in scores]
        assert (len(times), times) == (mill.sent, sorted(set(times)))
        assert scores[-1]["masked"] == ["x2", "x3"]


def test_a_stack_without_the_topic_goes_on_and_one_of_another_size_is_refused(mill: KafkaMill) -> None:
    topic = mill.prefix + "operator-actions"
    operator = Operator(mill.broker.address)
    operator.delete(topic)
    monitor = mill.start()
    mill.send(5)
    wait_for(lambda: mill.answered() == 10, says=mill.logs)
    assert f"event=no-actions-topic topic={topic}" in mill.log(monitor)
    assert "run: sheetbreak topics create kafka://" in mill.log(monitor)
    monitor.terminate()
    assert monitor.wait(PATIENCE_S) == 0
    operator.ask(lambda admin: admin.create_topics({topic: {"num_partitions": 3}}, wait_for_metadata=True))
    options = ["--models", str(mill.models), "--topic-prefix", mill.prefix, "--group", mill.prefix + "group"]
    done = run(mill.broker.url(mill.prefix + "sensor-rows"), *options)
    assert done.returncode == 2
    assert f"topic {topic} has 3 partitions, expected 2 as in all of them".encode() in done.stderr
