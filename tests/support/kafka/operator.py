"""Operator of a broker: what is done to its topics and groups, and stands when the call returns.

A broker shows what it was told a moment later, and one that is busy does not answer at first.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, MemberToRemove
from kafka.errors import KafkaError, NoError, UnknownMemberIdError, UnknownTopicOrPartitionError

from sheetbreak.streams.kafka.admin.topics import inspect
from sheetbreak.streams.kafka.clients import new_admin
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.group.watch import members_of
from sheetbreak.streams.kafka.options import Address, Security
from tests.support.running.patience import patiently, wait_for

Answer = TypeVar("Answer")


class Operator:
    """At the brokers of this address: host:port, several with commas."""

    def __init__(self, address: str) -> None:
        self._address = Address(tuple(address.split(",")), "")

    def ask(self, question: Callable[[Any], Answer]) -> Answer:
        """What an admin client of kafka-python's answers, asked again while the broker is busy."""

        def once() -> Answer:
            try:
                admin = new_admin(self._address, Security())
                try:
                    return question(admin)
                finally:
                    admin.close()
            except KafkaError as error:
                raise stream_error(error, str(self._address)) from error

        return patiently(once)

    def delete(self, *topics: str) -> None:
        """The topics; nobody is shown them any more."""
        self.ask(partial(_delete, topics=topics))
        wait_for(lambda: not self.ask(lambda admin: inspect(admin, topics)))

    def grow(self, topic: str, partitions: int) -> None:
        """To so many partitions."""
        self.ask(lambda admin: admin.create_partitions({topic: partitions}))
        wait_for(lambda: self.ask(lambda admin: inspect(admin, [topic]))[topic].partitions == partitions)

    def configure(self, topic: str, settings: Mapping[str, str]) -> None:
        """The topic's settings."""
        self.ask(lambda admin: admin.alter_configs([ConfigResource("TOPIC", topic, dict(settings))]))

        def shown(admin: Any) -> bool:
            asked = ConfigResource("TOPIC", topic, list(settings))
            found = admin.describe_configs([asked], config_filter="all")["topic"][topic]
            return {name: found[name]["value"] for name in settings} == settings

        wait_for(lambda: self.ask(shown))

    def dismiss(self, group: str, instance: str) -> None:
        """A member that stopped: a static one leaves only after its session."""
        member = MemberToRemove(group_instance_id=instance)

        def dismissed(admin: Any) -> bool:
            answers = admin.remove_group_members(group, [member])
            assert set(answers.values()) <= {NoError, UnknownMemberIdError}, answers
            return all(one.get("group_instance_id") != instance for one in members_of(admin, group))

        wait_for(lambda: self.ask(dismissed))

    def commit(self, group: str, partition: TopicPartition, offset: int, metadata: str = "") -> None:
        """An offset of a group without members, as with kafka-consumer-groups --reset-offsets."""
        offsets = {partition: OffsetAndMetadata(offset, metadata, -1)}
        answer = self.ask(lambda admin: admin.alter_group_offsets(group, offsets))
        assert answer[partition] is NoError, answer

    def forget(self, group: str) -> None:
        """A group without members, with its offsets: as a broker does after offsets.retention.minutes."""
        answers = dict(self.ask(lambda admin: admin.delete_groups([group])))
        assert answers == {group: "OK"}


def _delete(admin: Any, *, topics: tuple[str, ...]) -> None:
    try:
        admin.delete_topics(list(topics))
    except UnknownTopicOrPartitionError:  # deleted by the question before this one, whose answer was lost
        return
