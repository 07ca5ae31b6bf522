"""Growth of an installation: more partitions for all topics, each machine's state moved to where its key goes."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from contextlib import closing
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import ConsumerGroupMetadata, MemberState

from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.admin.topics import Facts, Names, create_topics, inspect, is_empty, names_for
from sheetbreak.streams.kafka.bulk.producer import KeyAndValue, Partitioner
from sheetbreak.streams.kafka.clients import close_producer, new_admin, new_producer, new_reader
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.group.positions import Place, read_place
from sheetbreak.streams.kafka.group.state_topic import MARKER, Kept, head, machine_of, read_state
from sheetbreak.streams.kafka.group.watch import look_at_group
from sheetbreak.streams.kafka.options import Address, KafkaOptions, Security, environment_security

_PATIENCE_S = 60.0
_ASK_MS = 10_000
_POLL_MS = 200
_COUNTED = 10_000
"""Records that are in the way: so many are too many, however many they are."""
_GROW_BATCH_BYTES = 500_000


def grow(address: Address, *, prefix: str, group: str, partitions: int) -> list[str]:
    """Grow all topics of an installation whose monitors are stopped; a line for each. Raises DataError."""
    names, security = names_for(address.topic, prefix, actions=True), environment_security()
    try:
        admin = new_admin(address, security)
        try:
            return Growth(admin, address, names, group=group, security=security).run(partitions)
        finally:
            admin.close()
    except KafkaError as error:
        raise stream_error(error, f"{address}: topics grow") from error


class Growth:
    """One run of `sheetbreak topics grow`. The monitors of the group are stopped."""

    def __init__(self, admin: Any, address: Address, names: Names, *, group: str, security: Security) -> None:
        self._admin, self._address, self._names = admin, address, names
        self._group, self._security = group, security

    def run(self, partitions: int) -> list[str]:
        """Grow to so many; a line for each topic, and one for the machines that moved.

        Raises DataError where it cannot be done now, with what to do, and errors of kafka-python.
        """
        names, facts = self._names, inspect(self._admin, list(self._names))
        missing = [name for name in (names.rows, names.state) if name not in facts]
        if missing:
            raise DataError(f"topic {missing[0]} is missing: there is nothing to grow; run sheetbreak topics create")
        sizes = {found.partitions for found in facts.values()}
        if partitions < max(sizes):
            raise DataError(f"--partitions {partitions}: there are {max(sizes)}, and Kafka takes no partition away")
        self._refuse_members()
        # The outputs grow last: while one is small, an earlier run may have come to its end before the states moved.
        moved = self._grow_state(facts, sizes, partitions) if min(sizes) < partitions else 0
        lines = [f"{moved} machines' state moved to where their key goes now"]
        if facts[names.rows].partitions < partitions:
            self._grow(names.rows, partitions)
        with closing(new_reader(self._address, self._security)) as reader:
            return lines + create_topics(self._admin, names, partitions=partitions, reader=reader)

    def _is_empty(self, topic: str) -> bool:
        with closing(new_reader(self._address, self._security)) as reader:
            return is_empty(reader, topic)

    def _refuse_members(self) -> None:
        found = look_at_group(self._admin, self._group)
        if found.members:
            named = f" ({', '.join(found.others)})" if found.others else ""
            raise DataError(
                f"group {self._group} is in use{named}: {found.word}; stop its monitors, wait for their session's "
                "time-out (10 s), and try again"
            )
        if not found.known and not self._is_empty(self._names.state):
            raise DataError(
                f"the brokers know no group {self._group}, and there is state of machines; name the monitors' group "
                "with --group (one that has stood still until its offsets expired is known again once a monitor ran)"
            )

    def _grow_state(self, facts: Mapping[str, Facts], sizes: Set[int], partitions: int) -> int:
        """Returns how many machines moved. sizes: that topics have now; a machine is where its key goes in one."""
        names, rows, held = self._names, facts[self._names.rows], facts[self._names.state].partitions
        places = self._places(names.rows, rows)
        # With a larger state no monitor starts that could score what waits: a growth was killed, or the input was made
        # again with fewer partitions. Rows of which the state lies elsewhere then are answered from a cold start.
        if held <= rows.partitions < partitions:
            self._refuse_unread(names.rows, "scored", places)
            if names.actions in facts:
                said = self._places(names.actions, facts[names.actions])
                self._refuse_unread(names.actions, "done", said)
        kept = {partition: self._read(partition) for partition in range(held)}
        if held < partitions:
            self._grow(names.state, partitions)
        return self._move(kept, places, partitions, [Partitioner(size) for size in sizes], rows.topic_id)

    def _places(self, topic: str, facts: Facts) -> dict[int, Place]:
        """Where the group is in this topic; what it committed in one of that name before says nothing."""
        asked = self._admin.list_group_offsets({self._group: None})
        found = asked.get(self._group, asked)
        by_partition = {tp.partition: read_place(at) for tp, at in found.items() if tp.topic == topic}
        ours = {p: place for p, place in by_partition.items() if place.topic_id in ("", facts.topic_id)}
        return {partition: ours.get(partition, Place(None)) for partition in range(facts.partitions)}

    def _refuse_unread(self, topic: str, done: str, places: Mapping[int, Place]) -> None:
        """Rows that are not scored yet would stay where they are, and their machine's state would not; so would
        operators' actions.
        """
        unread = self._unread(topic, places)
        if unread:
            raise DataError(
                f"{unread}{' or more' if unread >= _COUNTED else ''} records of {topic} are not {done} yet, and would "
                "be parted from their machines' state; stop the feed, let the monitors finish, stop them, and try again"
            )

    def _unread(self, topic: str, places: Mapping[int, Place]) -> int:
        """Records behind what was committed, counted by reading: the end of a writer's transaction takes an offset."""
        reader = new_reader(self._address, self._security)
        try:
            asked = [TopicPartition(topic, partition) for partition in places]
            begins = reader.beginning_offsets(asked, timeout_ms=_ASK_MS)
            ends = reader.end_offsets(asked, timeout_ms=_ASK_MS)
            reader.assign(asked)
            for tp in asked:
                reader.seek(tp, min(max(places[tp.partition].offset or 0, begins[tp]), ends[tp]))
            found, until = 0, time.monotonic() + _PATIENCE_S
            while found < _COUNTED and any((reader.position(tp, timeout_ms=_ASK_MS) or 0) < ends[tp] for tp in asked):
                found += sum(len(records) for records in reader.poll(_POLL_MS).values())
                if time.monotonic() > until:
                    raise DataError(
                        f"topic {topic}: its newest records cannot be read in {_PATIENCE_S:.0f} s; try again"
                    )
            return found
        finally:
            reader.close()

    def _read(self, partition: int) -> Kept:
        return read_state(
            self._address, self._security, topic=self._names.state, partition=partition, patience_s=_PATIENCE_S
        )

    def _grow(self, name: str, partitions: int) -> None:
        self._admin.create_partitions({name: partitions})
        until = time.monotonic() + _PATIENCE_S
        while inspect(self._admin, [name])[name].partitions < partitions:
            if time.monotonic() > until:
                raise DataError(f"topic {name}: the broker does not show its {partitions} partitions; try again")
            time.sleep(0.1)

    def _move(
        self,
        kept: Mapping[int, Kept],
        places: Mapping[int, Place],
        partitions: int,
        homes: Sequence[Partitioner],
        topic_id: str,
    ) -> int:
        """In one transaction, with what the group has committed; a second run finds nothing left to move."""
        now = Partitioner(partitions)
        offsets = {p: _offset(places[p], kept.get(p), topic_id) if p in places else 0 for p in range(partitions)}
        machines = {p: set(kept[p].machines) if p in kept else set() for p in range(partitions)}
        records: defaultdict[int, list[KeyAndValue]] = defaultdict(list)
        moved: set[bytes] = set()
        for partition, here in kept.items():
            for key, part in here.parts.items():
                machine = machine_of(key)
                target = now(machine, None)
                # A feed with a partitioner of its own keeps its homes, and a state that is there already stays.
                own_home = all(home(machine, None) != partition for home in homes)
                taken = target in kept and machine in kept[target].machines
                if target == partition or own_home or taken:
                    continue
                records[partition].append((key, None))
                records[target].append((key, head(offsets[target], topic_id) + part))
                machines[partition].discard(machine)
                machines[target].add(machine)
                moved.add(machine)
        for partition, offset in offsets.items():
            records[partition].append((MARKER, head(offset, topic_id)))
        # Offsets of a partition that is not there yet cannot be committed; it begins at 0, as its state says.
        there = {p: at for p, at in offsets.items() if p in places}
        self._publish(records, {p: Place(at, at, topic_id, len(machines[p])) for p, at in there.items()})
        return len(moved)

    def _publish(self, records: Mapping[int, list[KeyAndValue]], places: Mapping[int, Place]) -> None:
        options = KafkaOptions(group=self._group, instance_id="topics-grow")
        producer = new_producer(self._address, options, self._security, batch_bytes=_GROW_BATCH_BYTES)
        try:
            producer.begin_transaction()
            for partition, some in records.items():
                producer.send_many(self._names.state, partition, some)
            committed = {
                TopicPartition(self._names.rows, partition): OffsetAndMetadata(place.offset, place.metadata, -1)
                for partition, place in places.items()
            }
            nobody = ConsumerGroupMetadata(self._group, -1, "", None, MemberState.UNJOINED)
            producer.send_offsets_to_transaction(committed, nobody)
            producer.commit_transaction()
        finally:
            close_producer(producer)


def _offset(place: Place, kept: Kept | None, topic_id: str) -> int:
    """Where the group is in the input of that id; at its start where the state is only of one that was there before."""
    if place.offset is not None:
        return place.offset
    return 0 if kept is None or kept.last_topic(topic_id) not in ("", topic_id) else kept.newest(topic_id)
