"""Watch over the group: a join that does not end, members that are no monitors, partitions that nobody has."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

from kafka.errors import KafkaError

from sheetbreak.streams.kafka.clients import CLIENT_ID
from sheetbreak.streams.kafka.group.membership import join_again
from sheetbreak.times import SAY_AGAIN_S

_JOIN_S, _AHEAD_S = 30.0, 15.0
_LOOKS, _LOOK_AGAIN_S = 5, 2.0

log = logging.getLogger(__name__)


class Group(NamedTuple):
    """What the coordinator says of a group."""

    word: str
    members: int
    others: list[str]
    """Members that are no monitors."""
    known: bool
    """Whether it is there at all."""
    given: dict[str, set[int]] | None
    """By topic, the partitions that some member has; None while they are being given out."""


def look_at_group(admin: Any, group: str) -> Group:
    """What the coordinator says of a group. Raises errors of kafka-python."""
    found = admin.describe_groups([group])[group]
    members = found.get("members") or ()
    others = sorted({f"{m['client_id']} at {m['client_host']}" for m in members if m["client_id"] != CLIENT_ID})
    word = found.get("error") or f"{found.get('group_state')}, protocol {found.get('protocol_type') or 'none'!r}"
    given: dict[str, set[int]] = {}
    for member in members:
        has = member.get("member_assignment")
        for one in has.get("assigned_partitions") or () if isinstance(has, dict) else ():  # another program's: bytes
            given.setdefault(one["topic"], set()).update(one["partitions"])
    state = found.get("group_state")
    now = given if state == "Stable" else None
    return Group(f"{word}, {len(members)} members", len(members), others, state != "Dead", now)


def members_of(admin: Any, group: str) -> list[dict[str, Any]]:
    """The group's members now. Raises errors of kafka-python."""
    return list(admin.describe_groups([group])[group].get("members") or ())


class GroupWatch:
    """What goes wrong in the group, told, and partitions that nobody has, found."""

    def __init__(self, group: str, topic: str, new_admin: Callable[[], Any]) -> None:
        self._group, self._topic, self._new_admin = group, topic, new_admin
        self._since = self._due = float("-inf")
        self._word = ""
        """Of the coordinator; empty: it is not asked yet."""
        self._others: list[str] = []
        self._left_over: set[int] = set()
        self._given_anew = False

    def opened(self) -> None:
        """The clients are there: the group is to be joined."""
        self._since = time.monotonic()
        self._due, self._word = self._since + _JOIN_S, ""
        self._left_over, self._given_anew = set(), False

    def joining(self) -> None:
        """To be called while it is not joined; tells after half a minute, and then once a minute.

        What the coordinator says is asked before: one that cannot be found takes long to say so.
        """
        now = time.monotonic()
        if now >= self._due - _AHEAD_S and not self._word:
            self._word = "it has not answered yet"
            _aside(self._ask)
        if now < self._due:
            return
        text = "event=not-joined group=%s for_s=%.0f coordinator=%r note=%r"
        note = "is the topic __consumer_offsets whole (offsets.topic.replication.factor), is the group ours?"
        log.error(text, self._group, now - self._since, self._word, note)
        self._due, self._word = now + SAY_AGAIN_S, ""

    def joined(self, mine: int, partitions: int) -> None:
        """We have some partitions. Where others have the rest, they are told unless they are monitors."""
        if mine < partitions:
            _aside(lambda: self._look_for_the_rest(partitions))

    def give_left_over(self, consumer: Any) -> None:
        """Have partitions that nobody has given out, once in a session: only the group's leader can do it.

        A static member that comes back within its session is given what it had, also where there are more by now.
        """
        found, self._left_over = self._left_over, set()
        if found and not self._given_anew:
            self._given_anew = True
            note = "no member of the group has them: all are given out anew"
            log.warning("event=partitions-left-over partitions=%s note=%r", ",".join(map(str, sorted(found))), note)
            join_again(consumer)

    def _ask(self) -> None:
        try:
            self._word = self._look().word
        except KafkaError as error:
            self._word = f"{type(error).__name__}: {error}"

    def _look_for_the_rest(self, partitions: int) -> None:
        for _ in range(_LOOKS):
            try:
                found = self._look()
                break
            except KafkaError:  # it is no more than a question
                time.sleep(_LOOK_AGAIN_S)
        else:
            return
        if found.others and found.others != self._others:
            text = "event=foreign-member group=%s members=%r note=%r"
            note = "another program in our group takes partitions, whose rows are not scored; give it another group"
            log.error(text, self._group, found.others, note)
        self._others = found.others
        if found.given is not None:
            self._left_over = set(range(partitions)) - found.given.get(self._topic, set())

    def _look(self) -> Group:
        with closing(self._new_admin()) as admin:
            return look_at_group(admin, self._group)


def _aside(look: Callable[[], None]) -> None:
    """On a thread of its own: the coordinator may be slow, and a rebalance waits for us."""
    threading.Thread(target=look, name="kafka-group", daemon=True).start()
