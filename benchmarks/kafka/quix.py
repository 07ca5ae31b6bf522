"""quix-streams doing the same work, exactly once: run by the benchmark in a virtual environment of its own.

    python -m benchmarks.kafka.quix score|lean SERVER TOPIC GROUP MODELS STATE STATE_DIR

`score` does what the monitor does, by the monitor's own core: decode, streaming z, model, threshold, alert, the parts
of the state that changed, a score message. That core is made for many rows at once and Quix hands them over one by
one, so `lean` is what one would write by hand for a row at a time: decode, streaming z, model, mean error, a fixed
level, mean and variance kept, a short message; no missing values, no adaptive threshold, no alerts. In both, states
stay decoded in memory and are written to Quix's store, never read back from it.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from quixstreams import Application

from sheetbreak.artifact import load
from sheetbreak.engine.advance import advance
from sheetbreak.engine.state import State
from sheetbreak.wire.messages import encode_score
from sheetbreak.wire.rows import WireDecoder
from sheetbreak.wire.state import StateCodec

OUTPUT = "quix-scores"


def scoring(models: Path, kept: Path) -> Callable[[bytes, Any], bytes]:
    """The monitor's work on one row; every machine starts from the state kept in a file."""
    model = load(models)
    schema = model.manifest.schema
    decoder, codec = WireDecoder(schema), StateCodec(schema)
    (start,) = codec.load(msgspec.msgpack.decode(kept.read_bytes(), type=dict[bytes, bytes])).values()
    states: dict[str, State] = {}

    def score(value: bytes, state: Any) -> bytes:
        rows = decoder.decode([value]).rows
        machine = rows.machines[0]
        old = states.get(machine, start)
        new, results = advance({machine: old}, rows, model)
        for key, part in codec.dump(machine, old, new[machine]).items():
            state.set_bytes(key.decode(), part)
        states[machine] = new[machine]
        return encode_score(rows, results, 0, model=model.version)

    return score


def lean(models: Path, _kept: Path) -> Callable[[bytes, Any], bytes]:
    """The least that could be called a score of streaming z."""
    model = load(models)
    schema, params = model.manifest.schema, model.manifest.features
    decoder = msgspec.json.Decoder(_Row)
    start = np.asarray(params.start_sd) ** 2
    alpha = 1 - 0.5 ** (1 / params.half_life_rows)
    moments: dict[str, list[np.ndarray]] = {}

    def score(value: bytes, state: Any) -> bytes:
        row = decoder.decode(value)
        observed = np.array([row.values[sensor] for sensor in schema.sensors])
        known = moments.get(row.machine)
        if known is None:
            known = moments[row.machine] = [observed, start]
        mean, variance = known
        sd = np.sqrt(variance)
        z = np.clip((observed - mean) / sd, -5, 5)
        step = sd * z
        known[:] = mean + alpha * step, (1 - alpha) * (variance + alpha * step * step)
        state.set_bytes("moments", known[0].tobytes() + known[1].astype(np.float32).tobytes())
        window = z.astype(np.float32).reshape(1, 1, -1)
        error = float(np.abs(window - model.reconstruct(window)).mean())
        over = error > model.manifest.threshold.level
        return msgspec.json.encode({"machine": row.machine, "time": row.time, "score": error, "over": over})

    return score


class _Row(msgspec.Struct):
    machine: str
    time: str
    values: dict[str, float]


def main() -> None:
    work, server, topic, group, models, kept, state_dir = sys.argv[1:]
    app = Application(
        broker_address=server,
        consumer_group=group,
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        state_dir=state_dir,
        commit_interval=1.0,
        loglevel="WARNING",
    )
    rows = app.topic(topic, key_deserializer="bytes", value_deserializer="bytes")
    scores = app.topic(OUTPUT, key_serializer="bytes", value_serializer="bytes")
    frame = app.dataframe(rows)
    score = {"score": scoring, "lean": lean}[work](Path(models), Path(kept))
    frame = frame.apply(score, stateful=True)
    frame.to_topic(scores)
    app.run()


if __name__ == "__main__":
    main()
