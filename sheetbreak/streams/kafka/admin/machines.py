"""Machines that have state, listed, and taken out of the topic of states.

A running monitor holds its machines' states in memory and writes what changed of them: what is deleted under it would
come back in part. So the group must have no members, which the broker itself holds us to.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError, NoError

from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.admin.topics import Names, names_for
from sheetbreak.streams.kafka.clients import new_admin, new_reader, new_row_producer
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.group.positions import read_place
from sheetbreak.streams.kafka.group.state_topic import StateReader, machine_of
from sheetbreak.streams.kafka.group.watch import members_of
from sheetbreak.streams.kafka.options import Address, environment_security
from sheetbreak.wire.summary import Summary, summarise

_PATIENCE_S = 20.0
_SEND_S = 15


class Found(NamedTuple):
    """A machine that has state."""

    machine: str
    partition: int
    summary: Summary | None
    """None: its state cannot be read, so that it starts cold."""
    keys: tuple[bytes, ...]
    """Of its parts."""


def list_machines(address: Address, *, prefix: str = "") -> list[Found]:
    """By name. Raises DataError where there is no such installation, StreamUnavailable where no broker answers."""
    try:
        return _read(address, names_for(address.topic, prefix))
    except KafkaError as error:
        raise stream_error(error, f"{address}: machines") from error


def remove_machine(address: Address, machine: str, *, group: str, prefix: str = "") -> list[int]:
    """Delete a machine's state; returns the partitions it was in.

    Raises DataError for a machine that has none, or while monitors of the group run.
    """
    names, security = names_for(address.topic, prefix), environment_security()
    try:
        admin = new_admin(address, security)
        try:
            _refuse_while_running(admin, group)
            known = _read(address, names)
            mine = [one for one in known if one.machine == machine]
            if not mine:
                some = ", ".join(sorted({one.machine for one in known})[:10]) or "none at all"
                raise DataError(f"{names.state} has no state of a machine {machine!r}; it has {some}")
            for one in mine:
                left = sum(other.partition == one.partition for other in known) - 1
                _expect(admin, group, TopicPartition(names.rows, one.partition), machines=left)
        finally:
            admin.close()
        producer = new_row_producer(address, security)
        try:
            sent = [
                producer.send(names.state, key=key, value=None, partition=one.partition)
                for one in mine
                for key in one.keys
            ]
            for future in sent:
                future.get(_SEND_S)
        finally:
            producer.close()
    except KafkaError as error:
        raise stream_error(error, f"{address}: machines") from error
    return [one.partition for one in mine]


def _read(address: Address, names: Names) -> list[Found]:
    security = environment_security()
    with new_reader(address, security) as reader:
        partitions = reader.partitions_for_topic(names.state)
    if not partitions:
        raise DataError(f"there is no topic {names.state}; sheetbreak topics create makes the five")
    found: list[Found] = []
    with closing(StateReader(address, security, names.state)) as states:
        for partition in partitions:
            found += _machines_of(partition, states.read(partition, patience_s=_PATIENCE_S).parts)
    return sorted(found)


def _machines_of(partition: int, parts: Mapping[bytes, bytes]) -> Iterator[Found]:
    keys: dict[bytes, list[bytes]] = {}
    for key in parts:
        keys.setdefault(machine_of(key), []).append(key)
    summaries = summarise(parts)
    for stem, mine in keys.items():
        name = stem.decode(errors="replace")
        yield Found(name, partition, summaries.get(name), tuple(mine))


def _refuse_while_running(admin: Any, group: str) -> None:
    members = members_of(admin, group)
    if members:
        raise DataError(_running(group, [str(one.get("group_instance_id") or one.get("member_id")) for one in members]))


def _running(group: str, members: Sequence[str]) -> str:
    named = f" ({', '.join(members)})" if members else ""
    return (
        f"monitors of the group {group}{named} run, and would write the machine's state back; stop them, run this "
        "again, start them (a stopped monitor leaves the group after its session timeout, 10 s)"
    )


def _expect(admin: Any, group: str, partition: TopicPartition, *, machines: int) -> None:
    """Have the next owner of the partition expect so many machines; the broker refuses it while there are members."""
    committed = admin.list_group_offsets({group: [partition]})[group].get(partition)
    if committed is None or committed.offset < 0:
        return
    place = read_place(committed)._replace(state_at=None, machines=machines)
    answer = admin.alter_group_offsets(group, {partition: OffsetAndMetadata(place.offset, place.metadata, -1)})
    if answer[partition] is not NoError:
        raise DataError(_running(group, []))
