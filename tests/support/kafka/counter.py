"""Counter: a stand-in for the monitor, as a process, that numbers the rows of each partition; its state is the number.

Every score says how many rows came before it; a row lost, doubled or scored on the wrong state shows as a gap.
"""

import json
import signal
import sys
import time
from typing import Any

from sheetbreak.errors import StreamFenced, StreamLost, StreamUnavailable
from sheetbreak.streams.kafka.options import KafkaOptions, Security
from sheetbreak.streams.kafka.stream import open_kafka
from sheetbreak.streams.protocol import Batch, Output, Snapshot
from sheetbreak.wire.topics import OUTPUTS

FENCED = 3
KEY = b"pm1\0core"


class Counter:
    """Counts over one stream, as the monitor's loop does: state is adopted after the commit."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.counts: dict[int, int] = {}

    def turn(self, timeout_s: float = 0.5) -> Batch:
        """Poll once and commit what came."""
        batch: Batch = self._again(lambda: self.stream.poll(timeout_s))
        for partition in batch.revoked:
            self.counts.pop(partition, None)
        try:
            for partition in batch.assigned:
                parts = self._again(lambda partition=partition: self.stream.restore(partition))
                self.counts[partition] = int(parts.get(KEY, b"0"))
            if batch.records:
                self._commit(batch)
        except StreamLost:
            self.counts.clear()
        return batch

    def _commit(self, batch: Batch) -> None:
        counts = dict(self.counts)
        outputs = []
        for record in batch.records:
            score = {"n": counts[record.partition], "partition": record.partition, "row": json.loads(record.value)}
            outputs.append(Output("scores", b"p%d" % record.partition, json.dumps(score).encode()))
            counts[record.partition] += 1
        seen = {record.partition for record in batch.records}
        snapshots = [Snapshot(partition, KEY, b"%d" % counts[partition]) for partition in seen]
        self._again(lambda: self.stream.commit(batch, outputs, snapshots))
        self.counts = counts

    def _again(self, action: Any) -> Any:
        while True:
            try:
                return action()
            except StreamUnavailable as away:
                print("away:", away, file=sys.stderr, flush=True)
                time.sleep(0.2)


def main(url: str, prefix: str, instance: str, session_s: str) -> int:
    """Until SIGTERM; exit code 3 when fenced twice (a monitor: within a minute)."""
    running = [True]
    signal.signal(signal.SIGTERM, lambda *_: running.clear())
    options = KafkaOptions(
        group=prefix + "group",
        instance_id=instance,
        topic_prefix=prefix,
        session_timeout_s=float(session_s),
        max_rows=100,
        latency_s=0.01,  # many transactions, so that many kills meet one
        security=Security(),
    )
    fenced = False
    while True:
        _, stream = open_kafka(url, emit=OUTPUTS, options=options)
        counter = Counter(stream)
        try:
            while running:
                batch = counter.turn()
                if batch.assigned:
                    print("assigned", *batch.assigned, flush=True)
            return 0
        except StreamFenced:
            print("fenced", flush=True)
            if fenced:
                return FENCED
            fenced = True
        finally:
            stream.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
