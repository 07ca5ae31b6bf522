"""quix-streams, exactly once: rows, states and scores in Kafka's transactions, as the monitor has them.

    python -m benchmarks.kafka.rivals.quix score|lean NAME SERVER TOPIC MODELS STATE FOLDER

Quix hands rows over one by one. States stay decoded in memory and are written to Quix's store, never read back from it.
"""

import sys
from collections.abc import Callable
from typing import Any

from quixstreams import Application

from benchmarks.kafka.rivals.work import EVERY_S, Task, Work


def scoring(work: Work) -> Callable[[bytes, bytes, int, Any, Any], bytes]:
    """Quix's function of a row: value, key, timestamp, headers, state."""
    states: dict[str, Any] = {}
    start = work.start()

    def score(value: bytes, key: bytes, _timestamp: int, _headers: Any, kept: Any) -> bytes:
        machine = key.decode()
        old = states.get(machine, start)
        states[machine], (message,) = work.score(machine, old, [value])
        for name, part in work.changed(machine, old, states[machine]).items():
            kept.set_bytes(name, part)
        return message

    return score


def main() -> None:
    task = Task.read(sys.argv[1:])
    app = Application(
        broker_address=task.server,
        consumer_group=task.name,
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        state_dir=str(task.folder),
        commit_interval=EVERY_S,
        loglevel="WARNING",
    )
    rows = app.topic(task.topic, key_deserializer="bytes", value_deserializer="bytes")
    scores = app.topic(task.scores, key_serializer="bytes", value_serializer="bytes")
    frame = app.dataframe(rows)
    frame = frame.apply(scoring(task.make_work()), stateful=True, metadata=True)
    frame.to_topic(scores)
    app.run()


if __name__ == "__main__":
    main()
