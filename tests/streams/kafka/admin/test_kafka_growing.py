"""Growth: every machine goes on from its state in the partition that its key goes to now."""

from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaProducer

from sheetbreak.cli.topics import main
from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.admin import growing
from sheetbreak.streams.kafka.admin.growing import Growth
from sheetbreak.streams.kafka.bulk.producer import Partitioner
from sheetbreak.streams.kafka.group.state_topic import read_state
from sheetbreak.streams.kafka.options import Security, parse_address
from sheetbreak.streams.protocol import Snapshot
from tests.support.kafka.broker import Broker
from tests.support.kafka.rig import KafkaRig
from tests.support.running.patience import PATIENCE_S, patiently, wait_for
from tests.support.streams.checks import answers, commit, poll_until, restore

MACHINES = [b"pm%d" % number for number in range(12)]


@pytest.fixture
def rig(broker: Broker) -> Iterator[KafkaRig]:
    rig = KafkaRig(broker, partitions=2)
    yield rig
    rig.tear_down()


def grow(rig: KafkaRig, partitions: int, *, group: str = "") -> int:
    group = group or rig.prefix + "group"
    options = ["--partitions", str(partitions), "--topic-prefix", rig.prefix, "--group", group]
    return main(["grow", rig.broker.url(), *options])


def stop(rig: KafkaRig) -> None:
    """The monitor's session is over."""
    rig.streams[-1].close()
    rig.leave("one")


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


def whole(rig: KafkaRig, partitions: int) -> None:
    """All topics have so many partitions, and each machine's state is where its key goes, once."""
    assert main(["check", rig.broker.url(), "--topic-prefix", rig.prefix, "--partitions", str(partitions)]) == 0
    now, address = Partitioner(partitions), parse_address(rig.url)
    for partition in range(partitions):
        topic = rig.prefix + "monitor-state"
        kept = read_state(address, Security(), topic=topic, partition=partition, patience_s=PATIENCE_S)
        mine = [machine for machine in MACHINES if now(machine, None) == partition]
        assert kept.parts == {m + b"\0" + part: m + part for m in mine for part in (b"core", b"t00")}


class Killed(BaseException):
    """The command ends here."""


@pytest.mark.parametrize(
    ("step", "then", "by_hand"),
    [("_move", 3, False), ("_publish", 4, False), ("create_topics", 3, False), ("_move", 3, True)],
)
def test_a_growth_killed_at_any_step_is_told_at_the_start_and_finished_by_a_second_one(
    rig: KafkaRig, monkeypatch: pytest.MonkeyPatch, step: str, then: int, by_hand: bool
) -> None:
    """Before the states move, after, and when the input has grown; also where somebody grew the input by hand."""
    answer(rig)
    stop(rig)
    if by_hand:
        rig.operator.grow(rig.prefix + "sensor-rows", 3)
    with monkeypatch.context() as patch:
        after = step == "_publish"
        patch.setattr(growing if step == "create_topics" else Growth, step, dying(getattr(Growth, step, None), after))
        with pytest.raises(Killed):
            grow(rig, 3)
    with pytest.raises(DataError, match=r"stop.* run: sheetbreak topics grow kafka://.* --partitions 3"):
        patiently(lambda: rig.open().poll(0.1))
    assert grow(rig, then) == 0
    whole(rig, then)


def dying(real: Any, after: bool) -> Any:
    def die(*arguments: Any, **options: Any) -> None:
        if after:
            real(*arguments, **options)
        raise Killed

    return die


def test_actions_that_are_not_done_are_refused_and_the_end_of_a_writers_transaction_is_no_row(rig: KafkaRig) -> None:
    answer(rig)
    stop(rig)
    writer = KafkaProducer(bootstrap_servers=rig.broker.address, transactional_id=rig.prefix + "writer")
    writer.init_transactions()
    for end in (writer.abort_transaction, writer.commit_transaction):
        writer.begin_transaction()
        if end == writer.abort_transaction:
            writer.send(rig.prefix + "sensor-rows", b"1", partition=0)
        end()
    writer.close()
    rig.say([b"{}"], partition=1)
    with pytest.raises(DataError, match=r"1 records of .*operator-actions are not done yet"):
        grow(rig, 3)


def test_a_group_in_use_and_rows_that_are_not_scored_are_refused(rig: KafkaRig) -> None:
    answer(rig)
    with pytest.raises(DataError, match=r"is in use.*stop its monitors"):
        grow(rig, 3)
    stop(rig)
    rig.feed([b"1", b"2"], partition=0)
    with pytest.raises(DataError, match=r"2 records of .* are not scored yet"):
        grow(rig, 3)
    with pytest.raises(DataError, match="takes no partition away"):
        grow(rig, 1)


def test_an_input_made_again_with_more_partitions_is_read_from_its_start(rig: KafkaRig) -> None:
    """The states, kept where the old input ended, move; the offsets that they name mean nothing in the new one."""
    answer(rig)
    stop(rig)
    rig.operator.delete(rig.prefix + "sensor-rows")
    rig.broker.run_topics("create", "--topic-prefix", rig.prefix)
    rig.operator.grow(rig.prefix + "sensor-rows", 3)
    for partition in range(3):
        rig.feed([b"1", b"2"], partition=partition)
    assert grow(rig, 3) == 0
    stream = rig.open()
    wait_for(lambda: patiently(lambda: stream.poll(0.1)).assigned)
    kept = [restore(stream, partition) for partition in range(3)]
    assert sum(map(len, kept)) == 2 * len(MACHINES)
    found = [(r.partition, r.offset) for batch in poll_until(stream, 6) for r in batch.records]
    assert sorted(found) == [(partition, offset) for partition in range(3) for offset in range(2)]


def test_rows_that_wait_in_an_input_smaller_than_the_state_do_not_keep_it_from_being_grown(rig: KafkaRig) -> None:
    """Made again with fewer partitions, say: no monitor starts on it, so that none could score them before."""
    answer(rig)
    stop(rig)
    rig.operator.delete(rig.prefix + "sensor-rows")
    rig.operator.ask(lambda admin: admin.create_topics({rig.prefix + "sensor-rows": {"num_partitions": 1}}))
    rig.feed([b"1", b"2"])
    with pytest.raises(DataError, match="grow"):
        rig.open().poll(0.1)
    assert grow(rig, 2) == 0
    stream = rig.open()
    wait_for(lambda: patiently(lambda: stream.poll(0.1)).assigned)
    assert sum(len(restore(stream, partition)) for partition in range(2)) == 2 * len(MACHINES)
    assert [record.offset for batch in poll_until(stream, 2) for record in batch.records] == [0, 1]


def test_a_group_that_the_brokers_do_not_know_is_refused_where_there_is_state(rig: KafkaRig) -> None:
    """A forgotten --group: nothing would say that rows wait, or that monitors run."""
    answer(rig)
    with pytest.raises(DataError, match="know no group sheetbreak-nobody"):
        grow(rig, 3, group="sheetbreak-nobody")
