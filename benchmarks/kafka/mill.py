"""Input of the Kafka benchmark: a simulated mill's rows, fanned out to many machines, and a model for them."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sheetbreak.artifact import load, save
from sheetbreak.engine.advance import advance
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.model import Artifact, Manifest
from sheetbreak.engine.scores import Scaler, ScoreParams
from sheetbreak.engine.state import State
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.history.reader import read_csv
from sheetbreak.rows import BROKEN, RowBatch, Schema
from sheetbreak.wire.rows import encode_row
from sheetbreak.wire.state import StateCodec

DAYS, SEED = 6, 7
HISTORY_ROWS = 2200
"""Rows that every machine has seen before, at least: more than warm-up and a full trailing window (1440 scores)."""
_STARTS, _APART = 8, 100
"""Machines start at so many places of the record, so many rows apart: not all have their alarms at once."""
LAYERS = (32, 16, 32)
_ADVANCED_AT_ONCE = 500


class Mill:
    """A mill's history, the state of a machine after it, and the rows that follow."""

    def __init__(self, folder: Path) -> None:
        """Simulate and save the model under `folder`."""
        csv = folder / "mill.csv"
        command = [sys.executable, "-m", "sheetbreak", "simulate", "--days", str(DAYS), "--seed", str(SEED)]
        subprocess.run([*command, "--out", str(csv)], check=True, stderr=subprocess.DEVNULL)
        self.schema, rows = read_csv(csv)
        self.models = folder / "models"
        history = rows.take(slice(0, HISTORY_ROWS))
        _save_model(self.models, self.schema, history)
        self.model = load(self.models)
        self._states = states_after(rows, [HISTORY_ROWS + i * _APART for i in range(_STARTS)], self.model)
        later = rows.take(slice(HISTORY_ROWS, None))
        self._later = later.take(np.flatnonzero(later.broken != BROKEN))

    def parts(self, machine: int) -> dict[bytes, bytes]:
        """All state parts of a machine with its history."""
        return StateCodec(self.schema).dump(machine_name(machine), None, self._states[machine % _STARTS])

    def rows(self, machines: int, count: int) -> Iterator[tuple[bytes, bytes]]:
        """(key, wire row), the machines taking turns, each on from its history without a gap, round and round."""
        values = [dict(zip(self.schema.sensors, row, strict=True)) for row in self._later.values.tolist()]
        period_us = round(self.schema.period_s * 1e6)
        for i in range(count):
            turn, machine = divmod(i, machines)
            start = machine % _STARTS
            place = (turn + start * _APART) % len(values)
            last_us = self._states[start].clock.last_us
            assert last_us is not None
            name, time_us = machine_name(machine), last_us + (turn + 1) * period_us
            row = encode_row(name, time_us, values=values[place], grade=self._later.grades[place])
            yield name.encode(), row


def machine_name(number: int) -> str:
    return f"pm{number + 1}"


def states_after(rows: RowBatch, ends: Sequence[int], model: Artifact) -> list[State]:
    """The one machine's state after so many rows, for each of `ends`, ascending."""
    found, states, start = list[State](), dict[str, State](), 0
    for end in ends:
        for at in range(start, end, _ADVANCED_AT_ONCE):
            states |= advance(states, rows.take(slice(at, min(at + _ADVANCED_AT_ONCE, end))), model)[0]
        found += states.values()
        start = end
    return found


def _save_model(models: Path, schema: Schema, history: RowBatch) -> Manifest:
    """A dense autoencoder of the product's shape with random weights: what it costs does not depend on them."""
    n = len(schema.sensors)
    fit = history.values[: len(history) // 10]
    manifest = Manifest(
        version="",
        created="",
        preset="default",
        family="dense",
        window=1,
        schema=schema,
        features=FeatureParams(
            "streaming-z",
            tuple(np.nanmedian(history.values, axis=0).tolist()),
            start_sd=tuple(np.nanstd(fit, axis=0).tolist()),
        ),
        scaler=Scaler((0.0,) * n, (1.0,) * n, clip=5.0),
        score=ScoreParams("clipped-mean", rms=(1.0,) * n),
        threshold=Threshold(2.0, "trailing:.985", 0.985),
        policy=AlertPolicy(),
    )
    rng = np.random.default_rng(SEED)
    sizes = (n, *LAYERS, n)
    weights = [
        (rng.normal(scale=1 / np.sqrt(a), size=(a, b)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in pairwise(sizes)
    ]
    golden = rng.normal(size=(4, 1, n)).astype(np.float32)
    now = datetime(2026, 5, 1, 10, 15, tzinfo=UTC)
    return save(models, manifest, files={"model.onnx": _graph(weights)}, golden=golden, now=now)


def _graph(weights: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]) -> bytes:
    """The layers with tanh between them, linear at the end; (n, 1, sensors) to the same shape."""
    sensors = weights[0][0].shape[0]
    nodes, constants, flow = [], [], "windows"
    for i, (kernel, bias) in enumerate(weights):
        last = i == len(weights) - 1
        constants += [numpy_helper.from_array(kernel, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        nodes.append(helper.make_node("MatMul", [flow, f"w{i}"], [f"m{i}"]))
        flow = "rebuilt" if last else f"a{i}"
        nodes.append(helper.make_node("Add", [f"m{i}", f"b{i}"], [flow]))
        if not last:
            nodes.append(helper.make_node("Tanh", [flow], [f"t{i}"]))
            flow = f"t{i}"
    shape = ["n", 1, sensors]
    graph = helper.make_graph(
        nodes,
        "dense",
        [helper.make_tensor_value_info("windows", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("rebuilt", TensorProto.FLOAT, shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
