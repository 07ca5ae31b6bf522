"""Topics as the monitor needs them: named, created, checked and mended."""

import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from kafka import TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource

from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.clients import new_admin, new_reader
from sheetbreak.streams.kafka.errors import stream_error
from sheetbreak.streams.kafka.group.positions import topic_id_text
from sheetbreak.streams.kafka.options import Address, environment_security, topic_name
from sheetbreak.wire.topics import ACTIONS, OUTPUTS, ROWS, STATE, TOPICS

DEFAULT_PARTITIONS = 4
_STATE_SETTINGS = {
    "cleanup.policy": "compact",
    # A restart reads what is not compacted yet, too. With the defaults (1 GB, half) that would take minutes.
    "segment.bytes": str(32 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.1",
}
_STAMPED = {"message.timestamp.type": "LogAppendTime"}
"""The broker stamps what we write: a host whose clock is years off cannot have its scores deleted as too old."""
_YEAR_MS = 365 * 24 * 3600 * 1000
_ASKED = ("cleanup.policy", "max.message.bytes", "message.timestamp.type")
_SHOWN_S = 10.0
"""For so long a broker is given to show what was created or changed."""
_told: set[str] = set()
"""Inputs that are compacted, as it was said."""

log = logging.getLogger(__name__)


class Facts(NamedTuple):
    """What the broker says about a topic; None: it would not say."""

    partitions: int
    cleanup_policy: str | None
    max_message_bytes: int | None
    timestamp_type: str | None
    topic_id: str
    """Empty where the broker tells none."""


@dataclass(frozen=True, slots=True)
class Names:
    """The full names of the topics that one monitor reads and writes."""

    rows: str
    state: str
    outputs: Mapping[str, str]
    """By the contract's name; only those that are written."""
    actions: str = ""
    """Empty where it is of no concern."""

    def __iter__(self) -> Iterator[str]:
        own = (self.actions,) if self.actions else ()
        return iter((self.rows, *self.outputs.values(), self.state, *own))

    def settings(self, name: str) -> dict[str, str]:
        """How one of them is created."""
        if name == self.state:
            return _STATE_SETTINGS | _STAMPED
        kept = {"cleanup.policy": "delete"}
        if name == self.actions:
            return kept | _STAMPED | {"retention.ms": str(_YEAR_MS)}
        return kept if name == self.rows else kept | _STAMPED


def administer(
    action: Literal["create", "check"],
    address: Address,
    *,
    prefix: str = "",
    partitions: int | None = None,
    replicas: int | None = None,
) -> list[str]:
    """Create or check the topics of an installation; returns a line for each.

    partitions: of each topic; None: as many as the input has. replicas: of each that is created; None: the broker's
    default. Raises DataError where they are not as they should be.
    """
    names, security = names_for(address.topic, prefix, actions=True), environment_security()
    try:
        admin = new_admin(address, security)
        try:
            if action == "check":
                mend = mend_command(address, address.topic, prefix)
                facts = check_topics(admin, names, mend, partitions=partitions)
                return [f"{name}: as it should be, {facts[name].partitions} partitions" for name in names]
            reader = new_reader(address, security)
            try:
                return create_topics(admin, names, partitions=partitions, replicas=replicas, reader=reader)
            finally:
                reader.close()
        finally:
            admin.close()
    except kafka_errors.KafkaError as error:
        raise stream_error(error, f"{address}: topics {action}") from error


def names_for(input_topic: str, prefix: str, emit: Iterable[str] = OUTPUTS, *, actions: bool = False) -> Names:
    """The names under a prefix, around an input that may have a name of the user's own.

    actions: with the topic of what operators do, which the monitor does not need. Raises DataError for an input
    that the monitor itself writes: each answer to a record would be a record.
    """
    rows = topic_name(input_topic or ROWS, prefix)
    if rows in {prefix + name for name in (*TOPICS, ACTIONS) if name != ROWS}:
        raise DataError(
            f"{rows} is a topic that the monitor writes, or the desk; name the one with the rows, {prefix + ROWS}"
        )
    return Names(
        rows=rows,
        state=prefix + STATE,
        outputs={name: prefix + name for name in TOPICS if name in emit},
        actions=prefix + ACTIONS if actions else "",
    )


def check_topics(admin: Any, names: Names, mend: str, *, partitions: int | None = None) -> dict[str, Facts]:
    """The facts of all the topics. Raises DataError, with the command that mends it, if one is not right.

    `partitions`: None asks for as many as the input has. Raises errors of kafka-python, too.
    """
    facts = inspect(admin, list(names))
    _refuse_half_grown(names, facts, mend)
    wanted = partitions or _usual_partitions(names, facts)
    found = [problem for name in names if (problem := _problem(name, names, wanted, facts.get(name)))]
    if found:
        small = any(name in facts and facts[name].partitions < wanted for name in names)
        how = f"stop the monitors and run: {mend.replace(' create ', ' grow ', 1)}" if small else f"run: {mend}"
        raise DataError(f"{'; '.join(found)}; {how} --partitions {wanted}")
    _tell_of_compaction(names.rows, facts[names.rows].cleanup_policy or "")
    return facts


def _tell_of_compaction(rows: str, policy: str) -> None:
    """Once: nothing tells rows that were compacted away from the ends of a writer's transactions."""
    if "compact" in policy and rows not in _told:
        _told.add(rows)
        note = "of rows with a key, a machine's, the broker keeps the last alone: others go before they are read, and "
        note += "nothing counts them; set cleanup.policy=delete"
        log.warning("event=input-compacted topic=%s policy=%s note=%r", rows, policy, note)


def _refuse_half_grown(names: Names, facts: Mapping[str, Facts], mend: str) -> None:
    """Raise DataError where the state has more partitions than the input: so it is while `topics grow` runs."""
    rows, state = facts.get(names.rows), facts.get(names.state)
    if rows is not None and state is not None and rows.partitions < state.partitions:
        raise DataError(
            f"topic {names.state} has {state.partitions} partitions and {names.rows} only {rows.partitions}: "
            "a growth has not come to its end, or the input was made again with fewer; with the monitors stopped run: "
            f"{mend.replace(' create ', ' grow ', 1)} --partitions {state.partitions}"
        )


def _usual_partitions(names: Names, facts: Mapping[str, Facts]) -> int:
    """As many as the input has; where it is missing, as the state has, which must not be parted from it."""
    known = (facts[name].partitions for name in (names.rows, names.state, *names) if name in facts)
    return next(known, DEFAULT_PARTITIONS)


def inspect(admin: Any, names: Sequence[str]) -> dict[str, Facts]:
    """Facts by topic; one that does not exist is left out. Raises errors of kafka-python."""
    described: dict[str, Any] = {}
    for topic in admin.describe_topics(list(names)):
        error = kafka_errors.for_code(topic["error_code"])
        if error is kafka_errors.UnknownTopicOrPartitionError:
            continue
        if error is not kafka_errors.NoError:
            raise error(topic["name"])
        described[topic["name"]] = topic
    resources = [ConfigResource("TOPIC", name, list(_ASKED)) for name in described]
    configs = admin.describe_configs(resources, config_filter="all")["topic"] if resources else {}
    return {name: _facts(topic, configs.get(name, {})) for name, topic in described.items()}


def _facts(topic: Mapping[str, Any], config: Mapping[str, Mapping[str, Any]]) -> Facts:
    values = {name: entry.get("value") for name, entry in config.items()}
    limit = values.get("max.message.bytes")
    return Facts(
        partitions=len(topic["partitions"]),
        cleanup_policy=values.get("cleanup.policy"),
        max_message_bytes=int(limit) if limit else None,
        timestamp_type=values.get("message.timestamp.type"),
        topic_id=topic_id_text(_uuid(topic.get("topic_id"))),
    )


def _uuid(topic_id: Any) -> uuid.UUID | None:
    return topic_id if isinstance(topic_id, uuid.UUID) else uuid.UUID(topic_id) if topic_id else None


def _problem(name: str, names: Names, wanted: int, facts: Facts | None) -> str | None:
    policy = "compact" if name == names.state else "delete"
    if facts is None:
        return f"topic {name} is missing"
    if facts.partitions != wanted:
        return f"topic {name} has {facts.partitions} partitions, expected {wanted} as in all of them"
    if facts.cleanup_policy is None:
        log.warning(
            "event=topic-unclear topic=%s problem=%r expected=%s", name, "cleanup.policy cannot be read", policy
        )
        return None
    # The input is its owner's, who is told if it is compacted. "compact,delete" would forget a machine's state.
    if facts.cleanup_policy != policy and name != names.rows:
        return f"topic {name} has cleanup.policy={facts.cleanup_policy}, expected {policy}"
    return None


def mend_command(address: Address, input_topic: str, prefix: str) -> str:
    """What to type to create the topics, without --partitions."""
    own = "" if input_topic in {"", ROWS, prefix + ROWS} else f"/{input_topic}"
    option = f" --topic-prefix {prefix}" if prefix else ""
    return f"sheetbreak topics create kafka://{','.join(address.servers)}{own}{option}"


def create_topics(
    admin: Any, names: Names, *, partitions: int | None, reader: Any, replicas: int | None = None
) -> list[str]:
    """Create what is missing and mend what can be mended; one line for each topic, what was done.

    `reader`: a consumer, asked whether a topic is empty. Raises DataError for what only the user can decide.
    """
    facts = inspect(admin, list(names))
    wanted = partitions or _usual_partitions(names, facts)
    for name in names:  # nothing is changed if not everything can be
        _refuse_what_cannot_be_mended(name, names, wanted, facts.get(name), reader)
    lines = [f"{name}: {_mend(admin, name, names, wanted, facts.get(name), replicas)}" for name in names]
    _wait_until_shown(admin, names, wanted)
    return lines


def _wait_until_shown(admin: Any, names: Names, wanted: int) -> None:
    """A broker shows what it was told a moment later; who is told that a topic has grown may look at once."""
    until = time.monotonic() + _SHOWN_S
    while True:
        facts = inspect(admin, list(names))
        problems = [problem for name in names if (problem := _problem(name, names, wanted, facts.get(name)))]
        if not problems:
            return
        if time.monotonic() > until:
            log.warning("event=topics-not-shown-yet problem=%r", problems[0])
            return
        time.sleep(0.1)


def _refuse_what_cannot_be_mended(name: str, names: Names, wanted: int, facts: Facts | None, reader: Any) -> None:
    if facts is None or facts.partitions == wanted:
        return
    text = f"topic {name} has {facts.partitions} partitions, expected {wanted}"
    if facts.partitions > wanted:
        raise DataError(
            f"{text}: Kafka takes no partition away; give --partitions {facts.partitions}, or delete it first"
        )
    if name in (names.rows, names.state) and not all(is_empty(reader, one) for one in (names.rows, names.state)):
        raise DataError(
            f"{text}: it holds records, and more partitions would part a machine from its state; give "
            f"--partitions {facts.partitions}, or stop the monitors and run: sheetbreak topics grow"
        )


def is_empty(reader: Any, name: str) -> bool:
    """Whether a topic holds no record, as the reader is told. Raises errors of kafka-python."""
    every = [TopicPartition(name, partition) for partition in reader.partitions_for_topic(name) or ()]
    return bool(reader.beginning_offsets(every) == reader.end_offsets(every))


def _mend(admin: Any, name: str, names: Names, wanted: int, facts: Facts | None, replicas: int | None) -> str:
    settings = names.settings(name)
    if facts is None:
        try:
            # Without it the broker's default replication factor: 3 on a cluster that has it so, 1 on a laptop.
            copies = {} if replicas is None else {"replication_factor": replicas}
            wish = {"num_partitions": wanted, "configs": settings, **copies}
            admin.create_topics({name: wish}, wait_for_metadata=True)
        except kafka_errors.TopicAlreadyExistsError:
            return "created by somebody else at this moment"
        return f"created with {wanted} partitions, clean-up: {settings['cleanup.policy']}"
    done = []
    if facts.partitions < wanted:
        admin.create_partitions({name: wanted})
        done.append(f"grown from {facts.partitions} to {wanted} partitions")
    if facts.cleanup_policy != settings["cleanup.policy"] and name != names.rows:
        admin.alter_configs([ConfigResource("TOPIC", name, dict(settings))])
        done.append(f"cleanup.policy set to {settings['cleanup.policy']}")
    elif "message.timestamp.type" in settings and facts.timestamp_type not in (None, "LogAppendTime"):
        admin.alter_configs([ConfigResource("TOPIC", name, dict(settings))])
        done.append("message.timestamp.type set to LogAppendTime")
    return ", ".join(done) or "as it should be"
