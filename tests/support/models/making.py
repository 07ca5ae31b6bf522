"""Rows and models to test with: any number of sensors, any window, real ONNX graphs, no TensorFlow."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sheetbreak.artifact import MODEL, load, save
from sheetbreak.engine.advance import advance
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.model import Artifact, Manifest
from sheetbreak.engine.scores import Scaler, ScoreParams
from sheetbreak.engine.state import Missing, Results, State
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.graph import onnx_reconstruct
from sheetbreak.rows import RowBatch, Schema
from sheetbreak.times import parse_time
from sheetbreak.wire.messages import encode_alert, encode_dead_letter, encode_score
from sheetbreak.wire.rows import WireDecoder, encode_row

START = "1999-05-01T00:00:00Z"
START_US = parse_time(START)
PERIOD_US = 120_000_000
NOW = datetime(2026, 5, 1, 10, 15, tzinfo=UTC)


def make_schema(sensors: int = 6, **changes: Any) -> Schema:
    """A schema of sensors x1, x2, …; `changes` are fields of Schema."""
    meanings = {"time": "time", "broken": "broken", "machine": "machine", "grade": "grade"}
    return Schema(sensors=tuple(f"x{i}" for i in range(1, sensors + 1)), **(meanings | changes))


def low_rank_graph(sensors: int, *, window: int = 1, rank: int = 2, seed: int = 0) -> bytes:
    """An ONNX model that projects (n, window, sensors) on `rank` directions across the whole window."""
    width = window * sensors
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(width, min(rank, width))))[0].astype(np.float32)
    shape = ["n", window, sensors]
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["windows"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "down"], ["code"]),
            helper.make_node("MatMul", ["code", "up"], ["wide"]),
            helper.make_node("Reshape", ["wide", "shape"], ["rebuilt"]),
        ],
        "low-rank",
        [helper.make_tensor_value_info("windows", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("rebuilt", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(basis, "down"),
            numpy_helper.from_array(np.ascontiguousarray(basis.T), "up"),
            numpy_helper.from_array(np.array([-1, window, sensors], np.int64), "shape"),
        ],
    )
    return _checked(graph)


def dense_graph(sensors: int, *, window: int = 1, widths: Sequence[int] = (32, 16, 32), seed: int = 0) -> bytes:
    """An ONNX model like the trained ones: tanh layers of `widths` and a linear output, random weights."""
    rng = np.random.default_rng(seed)
    sizes = [window * sensors, *widths, window * sensors]
    nodes, constants, last = [helper.make_node("Flatten", ["windows"], ["h0"], axis=1)], [], "h0"
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        weights = (rng.normal(size=(n_in, n_out)) / np.sqrt(n_in)).astype(np.float32)
        constants += [numpy_helper.from_array(weights, f"w{i}")]
        constants += [numpy_helper.from_array(0.1 * rng.normal(size=n_out).astype(np.float32), f"b{i}")]
        nodes.append(helper.make_node("MatMul", [last, f"w{i}"], [f"m{i}"]))
        nodes.append(helper.make_node("Add", [f"m{i}", f"b{i}"], [f"a{i}"]))
        last = f"a{i}"
        if i < len(widths):
            nodes.append(helper.make_node("Tanh", [last], [f"t{i}"]))
            last = f"t{i}"
    nodes.append(helper.make_node("Reshape", [last, "shape"], ["rebuilt"]))
    constants.append(numpy_helper.from_array(np.array([-1, window, sensors], np.int64), "shape"))
    shape = ["n", window, sensors]
    return _checked(
        helper.make_graph(
            nodes,
            "dense",
            [helper.make_tensor_value_info("windows", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("rebuilt", TensorProto.FLOAT, shape)],
            constants,
        )
    )


def make_manifest(schema: Schema | None = None, *, window: int = 1, **changes: Any) -> Manifest:
    """A streaming-z manifest with a short warm-up; `changes` are fields of Manifest."""
    schema = schema or make_schema()
    n = len(schema.sensors)
    usual: dict[str, Any] = {
        "version": "20260501T101500Z-0000",
        "created": "2026-05-01T10:15:00Z",
        "preset": "default",
        "family": "pca",
        "window": window,
        "schema": schema,
        "features": FeatureParams("streaming-z", (0.5,) * n, start_sd=(1.0,) * n, warm_up_rows=20),
        "scaler": Scaler((0.0,) * n, (1.0,) * n, clip=5.0),
        "score": ScoreParams("clipped-mean", rms=(0.7,) * n),
        "threshold": Threshold(1.2, "trailing:.9", 0.9, trailing_rows=60, min_rows=40),
        "policy": AlertPolicy(close_after=2),
    }
    return Manifest(**(usual | changes))


def make_artifact(
    schema: Schema | None = None, *, window: int = 1, graph: bytes | None = None, **changes: Any
) -> Artifact:
    """A model in memory that really runs on ONNX Runtime; `changes` are fields of Manifest."""
    manifest = make_manifest(schema, window=window, **changes)
    graph = graph or low_rank_graph(len(manifest.schema.sensors), window=window)
    return Artifact.of(manifest, onnx_reconstruct(graph))


def save_artifact(
    models: Path,
    schema: Schema | None = None,
    *,
    window: int = 1,
    seed: int = 0,
    now: datetime = NOW,
    extra: Mapping[str, bytes] | None = None,
    **changes: Any,
) -> Artifact:
    """Save a model, make it current and load it again; `extra` are more files, `changes` fields of Manifest."""
    manifest = make_manifest(schema, window=window, **changes)
    sensors = len(manifest.schema.sensors)
    golden = np.random.default_rng(1).normal(size=(4, window, sensors)).astype(np.float32)
    files = {MODEL: low_rank_graph(sensors, window=window, seed=seed)} | dict(extra or {})
    return load(models, save(models, manifest, files=files, golden=golden, now=now).version)


def make_values(rows: int, *, sensors: int = 6, seed: int = 0) -> npt.NDArray[np.float64]:
    """(rows, sensors): two common causes that wander, and noise."""
    rng = np.random.default_rng(seed)
    causes = np.cumsum(rng.normal(size=(rows, 2)), axis=0) * 0.1
    return np.round(causes @ rng.normal(size=(2, sensors)) + 0.3 * rng.normal(size=(rows, sensors)), 5)


def make_rows(
    rows: int,
    *,
    schema: Schema | None = None,
    machine: str = "pm1",
    seed: int = 0,
    start_us: int = START_US,
    period_us: int = PERIOD_US,
    breaks: Collection[int] = (),
    gaps: Mapping[int, int] | None = None,
    missing: Collection[tuple[int, int]] = (),
    upset: Collection[int] = (),
    labels: bool = True,
    grade: str | None = None,
) -> list[bytes]:
    """Wire rows of one machine.

    breaks: rows labelled broken. gaps: row -> periods by which it and all later rows come late.
    missing: (row, sensor) cells that are null. upset: rows far from everything, over any threshold.
    """
    names = (schema or make_schema()).sensors
    values = make_values(rows, sensors=len(names), seed=seed)
    for row in upset:
        values[row] += 40.0 * (-1.0) ** np.arange(len(names)) * (1 + row % 3)
    for row, sensor in missing:
        values[row, sensor] = np.nan
    found, delay = [], 0
    for i, cells in enumerate(values):
        delay += (gaps or {}).get(i, 0)
        found.append(
            encode_row(
                machine,
                start_us + (i + delay) * period_us,
                values=dict(zip(names, cells.tolist(), strict=True)),
                grade=grade,
                broken=(i in breaks) if labels else None,
            )
        )
    return found


def make_batch(rows: int, *, schema: Schema | None = None, **how: Any) -> RowBatch:
    """The same rows decoded; `how` as for `make_rows`."""
    schema = schema or make_schema()
    decoded = WireDecoder(schema).decode(make_rows(rows, schema=schema, **how))
    assert not decoded.rejects
    return decoded.rows


def run(
    model: Artifact,
    rows: RowBatch,
    *,
    cuts: Collection[int] = (),
    states: Mapping[str, State] | None = None,
    line: int = 0,
    missing: Missing = "hold",
) -> tuple[dict[str, State], list[bytes]]:
    """Advance over `rows` cut before the rows `cuts`; the states after it, and all that a monitor would send.

    line: the number of the first row in the input.
    """
    held, sent = dict(states or {}), []
    edges = [0, *sorted(set(cuts) - {0}), len(rows)]
    for first, end in pairwise(edges):
        batch = rows.take(slice(first, end))
        after, results = advance(held, batch, model, missing=missing)
        held |= after
        sent += messages(batch, results, model, line=line + first)
    return held, sent


def messages(rows: RowBatch, results: Results, model: Artifact, *, line: int = 0) -> list[bytes]:
    """All that a monitor would send for a batch, in the order of its rows: scores and dead letters, then alerts."""
    sent: list[tuple[int, bytes]] = []
    refused = dict(results.rejects)
    for place in range(len(rows)):
        if place in refused:
            sent.append((place, encode_dead_letter(b"", refused[place], source={"line": line + place})))
        else:
            sent.append((place, encode_score(rows, results, place, model=model.version)))
    sent += [(place, encode_alert(event)) for place, event in results.alerts]
    sent += [
        (place, b'{"broke":%d,"warned":"%s"}' % (line + place, warned.encode())) for place, warned in results.breaks
    ]
    return [message for _, message in sorted(sent, key=lambda entry: entry[0])]


def same(a: object, b: object) -> bool:
    """Whether two states (or parts of them) are the same value, to the bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if hasattr(a, "ring") and hasattr(b, "ring"):
        return bool(a.ring.tobytes() == b.ring.tobytes() and (a.count, a.rows) == (b.count, b.rows))  # type: ignore[attr-defined]
    if isinstance(a, tuple):
        assert isinstance(b, tuple)
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        assert isinstance(b, dict)
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))  # type: ignore[arg-type]
    return a == b


def _checked(graph: Any) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
