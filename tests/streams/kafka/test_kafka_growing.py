"""Growth: every machine goes on from its state in the partition that its key goes to now."""

from collections.abc import Iterator

import pytest
from kafka.admin import MemberToRemove

from sheetbreak.cli.topics import main
from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.bulk_producer import Partitioner
from sheetbreak.streams.kafka.clients import new_admin
from sheetbreak.streams.kafka.options import Security, parse_address
from sheetbreak.streams.protocol import Snapshot
from tests.support.kafka_broker import Broker
from tests.support.kafka_rig import KafkaRig
from tests.support.patience import patiently, wait_for
from tests.support.stream_checks import answers, commit, poll_until, restore

MACHINES = [b"pm%d" % number for number in range(12)]


@pytest.fixture
def rig(broker: Broker) -> Iterator[KafkaRig]:
    rig = KafkaRig(broker, partitions=2)
    yield rig
    rig.tear_down()


def grow(rig: KafkaRig, partitions: int) -> int:
    options = ["--partitions", str(partitions), "--topic-prefix", rig.prefix, "--group", rig.prefix + "group"]
    return main(["grow", rig.broker.url(), *options])


def stop(rig: KafkaRig) -> None:
    """The monitor's session is over."""
    rig.streams[-1].close()
    admin = new_admin(parse_address(rig.url), Security())
    admin.remove_group_members(rig.prefix + "group", [MemberToRemove(group_instance_id="one")])
    admin.close()


def answer(rig: KafkaRig) -> None:
    """A monitor that answers a row of each machine and keeps its state."""
    where = Partitioner(2)
    for machine in MACHINES:
        rig.feed([b'"' + machine + b'"'], partition=where(machine, None))
    stream = rig.open()
    wait_for(lambda: patiently(lambda: stream.poll(0.1)).assigned)
    for partition in range(2):
        restore(stream, partition)
    for batch in poll_until(stream, len(MACHINES)):
        if batch.records:
            found = [(record.partition, record.value.strip(b'"')) for record in batch.records]
            state = [Snapshot(p, m + b"\0" + part, m + part) for p, m in found for part in (b"core", b"t00")]
            commit(stream, batch, answers(batch), state)


def test_each_machines_state_is_where_its_key_goes_and_nothing_is_said_to_be_missing(
    rig: KafkaRig, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(rig)
    stop(rig)
    assert grow(rig, 3) == 0
    now, was = Partitioner(3), Partitioner(2)
    moved = sum(now(m, None) != was(m, None) for m in MACHINES)
    assert f"{moved} machines' state moved" in capsys.readouterr().out
    assert main(["check", rig.broker.url(), "--topic-prefix", rig.prefix]) == 0
    stream = rig.open()
    wait_for(lambda: patiently(lambda: stream.poll(0.1)).assigned)
    for partition in range(3):
        mine = [machine for machine in MACHINES if now(machine, None) == partition]
        expected = {m + b"\0" + part: m + part for m in mine for part in (b"core", b"t00")}
        assert restore(stream, partition) == expected
    assert "state-" not in caplog.text
    answered = len(rig.published())
    rig.feed([b"1"], partition=2)
    batch = next(batch for batch in poll_until(stream, 1) if batch.records)
    assert [(record.partition, record.offset) for record in batch.records] == [(2, 0)], "nothing is read twice"
    commit(stream, batch, answers(batch), [])
    assert len(rig.published()) == answered + 1


def test_a_group_in_use_and_rows_that_are_not_scored_are_refused(rig: KafkaRig) -> None:
    answer(rig)
    with pytest.raises(DataError, match=r"is in use.*stop its monitors"):
        grow(rig, 3)
    stop(rig)
    rig.feed([b"1", b"2"], partition=0)
    with pytest.raises(DataError, match=r"2 rows of .* are not scored yet"):
        grow(rig, 3)
    with pytest.raises(DataError, match="takes no partition away"):
        grow(rig, 1)
