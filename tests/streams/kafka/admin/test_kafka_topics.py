"""`sheetbreak topics`: what it creates, what it mends, what it refuses, and what the check says."""

import itertools
from typing import Any

import pytest

from sheetbreak.cli.topics import main
from sheetbreak.errors import DataError
from sheetbreak.streams.kafka import session
from sheetbreak.streams.kafka.admin import topics as kafka_topics
from sheetbreak.streams.kafka.admin.topics import Facts, inspect
from sheetbreak.streams.kafka.clients import new_admin
from sheetbreak.streams.kafka.options import Security, parse_address
from sheetbreak.wire.topics import ACTIONS, ROWS, SCORES, STATE, TOPICS
from tests.support.kafka.broker import Broker
from tests.support.kafka.operator import Operator
from tests.support.kafka.rig import KafkaRig
from tests.support.running.patience import patiently, wait_for

_serial = itertools.count()


@pytest.fixture
def prefix() -> str:
    return f"topics{next(_serial)}."


class Mill:
    """The topics of one prefix, and the command on them."""

    def __init__(self, broker: Broker, prefix: str) -> None:
        self.broker, self.prefix = broker, prefix
        self.admin: Any = new_admin(parse_address(broker.url("x")), Security())

    def run(self, action: str, *options: str) -> None:
        assert main([action, self.broker.url(), "--topic-prefix", self.prefix, *options]) == 0

    def facts(self) -> dict[str, Facts]:
        found = inspect(self.admin, [self.prefix + name for name in TOPICS])
        return {name.removeprefix(self.prefix): facts for name, facts in found.items()}

    def make(self, name: str, partitions: int, **configs: str) -> None:
        wanted = {"num_partitions": partitions, "configs": {k.replace("_", "."): v for k, v in configs.items()}}
        self.admin.create_topics({self.prefix + name: wanted}, wait_for_metadata=True)

    def delete(self, name: str) -> None:
        Operator(self.broker.address).delete(self.prefix + name)


@pytest.fixture
def mill(broker: Broker, prefix: str) -> Any:
    mill = Mill(broker, prefix)
    yield mill
    mill.admin.close()


def test_create_makes_five_topics_as_the_monitor_needs_them(mill: Mill) -> None:
    mill.run("create")
    facts = mill.facts()
    assert set(facts) == set(TOPICS)
    assert {fact.partitions for fact in facts.values()} == {4}
    assert {name for name, fact in facts.items() if fact.cleanup_policy == "compact"} == {STATE}
    mill.run("check")


def test_without_a_prefix_they_have_the_contracts_names(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["create", broker.url(), "--partitions", "2"]) == 0
    assert main(["check", broker.url()]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [*TOPICS, ACTIONS] * 2
    # All tests share the broker, and in some of them these topics are missing.
    Operator(broker.address).delete(*TOPICS)


def test_create_again_changes_nothing_and_takes_the_number_that_is_there(
    mill: Mill, capsys: pytest.CaptureFixture[str]
) -> None:
    mill.run("create", "--partitions", "3")
    before = mill.facts()
    capsys.readouterr()
    mill.run("create")
    assert mill.facts() == before
    assert capsys.readouterr().out.count("as it should be") == 6, "operator-actions, too"


def test_an_input_that_went_missing_is_made_as_the_others_are(mill: Mill) -> None:
    mill.run("create", "--partitions", "3")
    mill.delete(ROWS)
    with pytest.raises(DataError, match=r"^topic \S+sensor-rows is missing; run: .* --partitions 3$"):
        mill.run("check")
    mill.run("create")
    assert mill.facts()[ROWS].partitions == 3


def test_the_check_names_what_is_missing_and_the_command_that_mends_it(mill: Mill) -> None:
    mill.run("create", "--partitions", "2")
    mill.delete("alerts")
    with pytest.raises(DataError) as refused:
        mill.run("check")
    message = str(refused.value)
    assert f"topic {mill.prefix}alerts is missing" in message
    assert "scores" not in message
    command = message.partition("; run: sheetbreak topics ")[2].split()
    assert command[-2:] == ["--partitions", "2"]
    main(command)
    mill.run("check")


@pytest.mark.parametrize(
    ("name", "partitions", "policy", "complaint"),
    [
        (SCORES, 1, "delete", "has 1 partitions, expected 2"),
        (SCORES, 2, "compact", "has cleanup.policy=compact, expected delete"),
        (STATE, 2, "delete", "has cleanup.policy=delete, expected compact"),
        (STATE, 2, "compact,delete", "expected compact"),
        (STATE, 1, "compact", "has 1 partitions, expected 2"),
    ],
)
def test_what_the_check_complains_about_create_mends(
    mill: Mill, name: str, partitions: int, policy: str, complaint: str
) -> None:
    mill.make(ROWS, 2)
    mill.make(name, partitions, cleanup_policy=policy)
    with pytest.raises(DataError, match=complaint.replace(".", r"\.")):
        mill.run("check")
    mill.run("create")
    mill.run("check")
    assert mill.facts()[name].partitions == 2


def test_an_input_that_is_compacted_is_taken_and_told_once(mill: Mill, caplog: pytest.LogCaptureFixture) -> None:
    mill.make(ROWS, 1, cleanup_policy="compact,delete")
    mill.run("create")
    mill.run("check")
    mill.run("check")
    assert caplog.text.count(f"event=input-compacted topic={mill.prefix}sensor-rows policy=compact,delete") == 1


def test_create_ends_when_the_broker_shows_what_it_was_told(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    mill.make(ROWS, 2)
    mill.make(SCORES, 1)
    before, looks = mill.facts(), itertools.count()

    def late(admin: Any, names: Any) -> dict[str, Facts]:
        found = inspect(admin, names)
        return found if next(looks) > 2 else {**found, mill.prefix + SCORES: before[SCORES]}

    monkeypatch.setattr(kafka_topics, "inspect", late)
    mill.run("create")
    assert next(looks) > 3, "one look to see what is to be done, two that still show what was"
    mill.run("check")


def test_state_that_holds_records_is_not_parted_from_its_machines(mill: Mill) -> None:
    mill.make(ROWS, 2)
    mill.make(STATE, 1, cleanup_policy="compact")
    mill.broker.write(mill.prefix + STATE, [b"x"], key=b"k")
    with pytest.raises(DataError, match=r"it holds records, .*--partitions 1, or stop the monitors and run"):
        mill.run("create")
    assert set(mill.facts()) == {ROWS, STATE}, "nothing is changed where not everything can be"


def test_a_topic_with_too_many_partitions_is_refused(mill: Mill) -> None:
    mill.make(SCORES, 4)
    with pytest.raises(DataError, match="Kafka takes no partition away; give --partitions 4, or delete it first"):
        mill.run("create", "--partitions", "2")


def test_an_input_of_the_users_own_takes_the_place_of_sensor_rows(mill: Mill) -> None:
    name = mill.prefix + "press"
    assert main(["create", mill.broker.url(name), "--partitions", "1", "--topic-prefix", mill.prefix]) == 0
    assert set(mill.facts()) == set(TOPICS) - {ROWS}
    assert list(inspect(mill.admin, [name])) == [name]


def test_what_becomes_wrong_under_a_running_monitor_is_told(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The topic of the alerts is missed at the next alert only, and states are forgotten a week later."""
    monkeypatch.setattr(session, "_GLANCE_EVERY_S", 0.2)
    rig = KafkaRig(broker)
    try:
        stream = rig.open()
        wait_for(lambda: patiently(lambda: stream.poll(0.1)).assigned)
        rig.operator.delete(rig.prefix + "alerts")
        rig.operator.configure(rig.prefix + "monitor-state", {"cleanup.policy": "delete"})

        def told() -> bool:
            patiently(lambda: stream.poll(0.1))
            return "monitor-state has cleanup.policy=delete, expected compact" in caplog.text

        wait_for(told)
        assert f"event=topics-wrong reason='topic {rig.prefix}alerts is missing" in caplog.text
    finally:
        rig.tear_down()


def test_a_broker_that_is_not_there_is_named() -> None:
    with pytest.raises(Exception, match=r"kafka://127\.0\.0\.1:1: topics check: .*is the broker there\?") as away:
        main(["check", "kafka://127.0.0.1:1"])
    assert type(away.value).__name__ == "StreamUnavailable"
