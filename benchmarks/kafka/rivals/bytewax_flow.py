"""bytewax, at least once: less is promised than the monitor and quix-streams do.

    python -m benchmarks.kafka.rivals.bytewax_flow score|lean NAME SERVER TOPIC MODELS STATE FOLDER

States and offsets are kept together in bytewax's own recovery store (SQLite in FOLDER), whole, at each end of an epoch.
Scores go out without a transaction: those since the states last kept come twice after a crash. No consumer group is
committed, so the rows done are counted by the scores. A batch's rows come by machine, all rows of one machine at once.
"""

import sys
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.kafka.rivals.work import EVERY_S, Task, Work

BATCH_ROWS = 4000
"""Of one partition; at 1,000, bytewax's default, every machine has a quarter of the rows at a time."""


class Machine(StatefulBatchLogic):
    """One machine's state."""

    def __init__(self, work: Work, parts: dict[str, bytes] | None) -> None:
        """parts: as a snapshot had them."""
        self._work, self._machine = work, ""
        self._parts = dict(parts or {})
        self._kept = work.restored(parts) if parts else None
        self._state = self._kept if parts else work.start()

    def on_batch(self, rows: list[KafkaSourceMessage]) -> tuple[Iterable[KafkaSinkMessage], bool]:
        self._machine = rows[0].key.decode()
        self._state, scores = self._work.score(self._machine, self._state, [row.value for row in rows])
        messages = [KafkaSinkMessage(row.key, score) for row, score in zip(rows, scores, strict=True)]
        return messages, StatefulBatchLogic.RETAIN

    def snapshot(self) -> dict[str, bytes]:
        """All parts: bytewax keeps a state whole."""
        self._parts |= self._work.changed(self._machine, self._kept, self._state)
        self._kept = self._state
        return dict(self._parts)


def scoring(task: Task) -> Dataflow:
    flow = Dataflow("scoring")
    source = KafkaSource([task.server], [task.topic], batch_size=BATCH_ROWS)
    rows = op.key_on("machine", op.input("rows", flow, source), _machine)
    scores = op.stateful_batch("score", rows, partial(Machine, task.make_work()))
    op.output("scores", op.key_rm("message", scores), KafkaSink([task.server], task.scores))
    return flow


def _machine(row: Any) -> str:
    machine: str = row.key.decode()
    return machine


def main() -> None:
    task = Task.read(sys.argv[1:])
    init_db_dir(task.folder, 1)
    cli_main(
        scoring(task),
        epoch_interval=timedelta(seconds=EVERY_S),
        recovery_config=RecoveryConfig(str(task.folder)),
    )


if __name__ == "__main__":
    main()
