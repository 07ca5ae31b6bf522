"""Memory stream: for programs that embed the monitor, for tests, and the reference for the other streams.

`MemoryTopic` is what survives a crash (the records, what was published, the kept state, the positions); a
`MemoryStream` is one reader's view of it and is lost with its process.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from sheetbreak.errors import StreamLost
from sheetbreak.streams.protocol import Batch, Output, Record, Snapshot

CommitPoint = Literal["before", "during", "after"]


class MemoryTopic:
    """Input records by partition, and all that was ever committed about them."""

    def __init__(self, partitions: int = 1) -> None:
        self.records: list[list[Record]] = [[] for _ in range(partitions)]
        self.outputs: list[Output] = []
        """What downstream sees, in the order of the commits."""
        self.actions: list[list[Record]] = [[] for _ in range(partitions)]
        """What operators said, by partition."""
        self.action_positions = [0] * partitions
        self.ended = False
        """True: no more records will come; readers end when they are through."""
        self.kept: list[dict[bytes, bytes]] = [{} for _ in range(partitions)]
        self.positions = [0] * partitions
        self.owners: list[MemoryStream | None] = [None] * partitions

    def feed(self, values: Iterable[bytes], *, partition: int = 0, timestamp_ms: int | None = None) -> None:
        """Append records to one partition."""
        log = self.records[partition]
        for value in values:
            log.append(Record(value, partition, len(log), timestamp_ms))

    def say(self, values: Iterable[bytes], *, partition: int = 0) -> None:
        """Append operators' actions to one partition."""
        log = self.actions[partition]
        for value in values:
            log.append(Record(value, partition, len(log), None))


class MemoryStream:
    """One reader of a MemoryTopic; it takes over the partitions that it is given from whoever had them."""

    def __init__(
        self,
        topic: MemoryTopic,
        *,
        partitions: Sequence[int] | None = None,
        max_records: int = 500,
        at_commit: Callable[[CommitPoint], None] | None = None,
    ) -> None:
        """`at_commit` is called at three points of each commit; what it raises is a crash or an answer."""
        self._topic = topic
        self._max_records = max_records
        self._at_commit = at_commit or (lambda _point: None)
        self._mine: set[int] = set()
        self._next: dict[int, int] = {}
        self._next_action: dict[int, int] = {}
        self._assigned: list[int] = []
        self._revoked: list[int] = []
        self.take(range(len(topic.records)) if partitions is None else partitions)

    def take(self, partitions: Iterable[int]) -> None:
        """Become the owner of `partitions`: the next poll names them; their old owner loses them."""
        for partition in partitions:
            owner = self._topic.owners[partition]
            if owner is not None and owner is not self:
                owner.lose(partition)
            self._topic.owners[partition] = self
            self._mine.add(partition)
            self._next[partition] = self._topic.positions[partition]
            self._next_action[partition] = self._topic.action_positions[partition]
            self._assigned.append(partition)

    def lose(self, partition: int) -> None:
        """Stop owning `partition`: the next poll names it as revoked."""
        self._mine.discard(partition)
        if partition in self._assigned:  # never announced, so there is nothing to take back
            self._assigned.remove(partition)
        else:
            self._revoked.append(partition)

    def poll(self, timeout_s: float) -> Batch:
        """What is there, at once: nobody can add to the topic while this thread waits."""
        del timeout_s
        records: list[Record] = []
        actions: list[Record] = []
        for partition in sorted(self._mine):
            said = self._topic.actions[partition]
            actions += said[self._next_action[partition] :]
            self._next_action[partition] = len(said)
            start = self._next[partition]
            fresh = self._topic.records[partition][start : start + self._max_records - len(records)]
            records += fresh
            self._next[partition] = start + len(fresh)
        through = all(self._next[mine] == len(self._topic.records[mine]) for mine in self._mine)
        batch = Batch(
            records=records,
            assigned=tuple(self._assigned),
            revoked=tuple(self._revoked),
            end=self._topic.ended and through,
            token={mine: (self._next[mine], self._next_action[mine]) for mine in self._mine},
            actions=actions,
        )
        self._assigned, self._revoked = [], []
        return batch

    def restore(self, partition: int) -> Mapping[bytes, bytes]:
        """All snapshot parts last committed for `partition`, by key."""
        return dict(self._topic.kept[partition])

    def commit(self, batch: Batch, outputs: Sequence[Output], snapshots: Sequence[Snapshot]) -> None:
        """Publish, keep and move on at one instant. StreamLost: another reader took a partition."""
        self._at_commit("before")
        touched = {record.partition for record in (*batch.records, *batch.actions)}
        if not touched <= self._mine:
            self._rewind()
            raise StreamLost(f"partitions {sorted(touched - self._mine)} have another owner; poll again")
        kept = [dict(parts) for parts in self._topic.kept]
        for partition, key, value in snapshots:
            if value is None:
                kept[partition].pop(key, None)
            else:
                kept[partition][key] = value
        positions, action_positions = list(self._topic.positions), list(self._topic.action_positions)
        for partition in touched:
            positions[partition], action_positions[partition] = batch.token[partition]
        self._at_commit("during")
        self._topic.outputs += outputs
        self._topic.kept, self._topic.positions, self._topic.action_positions = kept, positions, action_positions
        self._at_commit("after")

    def lag(self) -> dict[int, int]:
        """Records of each of our partitions that were not polled yet."""
        return {mine: len(self._topic.records[mine]) - self._next[mine] for mine in sorted(self._mine)}

    def _rewind(self) -> None:
        """After a lost batch: what is still ours comes again, from what was committed."""
        self._assigned = []
        self.take(sorted(self._mine))

    def close(self) -> None:
        """Give the partitions back; what was polled and not committed comes again to the next reader."""
        for partition in self._mine:
            self._topic.owners[partition] = None
        self._mine = set()
