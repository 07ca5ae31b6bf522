"""What the Kafka benchmark feeds: a simulated mill's rows, fanned out to many machines, and a model for them."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sheetbreak.alerts import AlertPolicy
from sheetbreak.artifact import Artifact, Manifest, load, save
from sheetbreak.csvrows import read_csv
from sheetbreak.engine import State, advance
from sheetbreak.features import FeatureParams
from sheetbreak.rows import BROKEN, RowBatch, Schema, encode_row
from sheetbreak.scoring import Scaler, ScoreParams
from sheetbreak.statecodec import StateCodec
from sheetbreak.thresholds import Threshold

DAYS, SEED = 6, 7
HISTORY_ROWS = 2200
"""Rows that every machine has seen before: more than warm-up and a full trailing window (1440 scores)."""
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
        self.state = state_after(history, self.model)
        later = rows.take(slice(HISTORY_ROWS, None))
        self._later = later.take(np.flatnonzero(later.broken != BROKEN))

    def parts(self, machine: str) -> dict[bytes, bytes]:
        """All state parts of a machine with this history."""
        return StateCodec(self.schema).dump(machine, None, self.state)

    def rows(self, machines: int, count: int, *, first: int = 0) -> Iterator[tuple[bytes, bytes]]:
        """(key, wire row) from `first` on, the machines taking turns, each on from its history without a gap."""
        values = [dict(zip(self.schema.sensors, row, strict=True)) for row in self._later.values.tolist()]
        assert self.state.last_us is not None
        start_us, period_us = self.state.last_us, round(self.schema.period_s * 1e6)
        for i in range(first, first + count):
            turn, machine = divmod(i, machines)
            # Each machine is at another place of the same record, and goes round in it.
            place = (turn + 7 * machine) % len(values)
            name = machine_name(machine)
            row = encode_row(
                name, start_us + (turn + 1) * period_us, values=values[place], grade=self._later.grades[place]
            )
            yield name.encode(), row


def machine_name(number: int) -> str:
    return f"pm{number + 1}"


def state_after(history: RowBatch, model: Artifact) -> State:
    """The state of the one machine of a history."""
    states: dict[str, State] = {}
    for start in range(0, len(history), _ADVANCED_AT_ONCE):
        states |= advance(states, history.take(slice(start, start + _ADVANCED_AT_ONCE)), model)[0]
    (state,) = states.values()
    return state


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
