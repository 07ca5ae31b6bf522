"""Mill, a tiny one, and a model for it: real artifacts and rows, in milliseconds and without TensorFlow."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sheetbreak.artifact import save
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.features import FeatureParams
from sheetbreak.engine.model import Manifest
from sheetbreak.engine.scores import Scaler, ScoreParams
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.rows import Schema
from sheetbreak.times import to_us
from sheetbreak.wire.rows import encode_row

SENSORS = tuple(f"x{i}" for i in range(1, 7))
WARM_UP_ROWS = 20
START_US = to_us(datetime(1999, 5, 1, tzinfo=UTC))
PERIOD_US = 120_000_000


def save_model(
    models: Path,
    *,
    sensors: Sequence[str] = SENSORS,
    level: float = 1.5,
    trailing_rows: int = 60,
    lost_rows_s: float = 0.0,
    now: datetime = datetime(2026, 5, 1, 10, 15, tzinfo=UTC),
) -> Manifest:
    """Save a rank-2 projection as the current model: two common causes, as `mill_values` has them."""
    n = len(sensors)
    causes = _causes(n)
    manifest = Manifest(
        version="",
        created="",
        preset="default",
        family="pca",
        window=1,
        schema=Schema(sensors=tuple(sensors), time="time", broken="broken", machine="machine", lost_rows_s=lost_rows_s),
        features=FeatureParams("streaming-z", (0.0,) * n, start_sd=(1.0,) * n, warm_up_rows=WARM_UP_ROWS),
        scaler=Scaler((0.0,) * n, (1.0,) * n, clip=5.0),
        score=ScoreParams("clipped-mean", rms=(0.2,) * n),
        threshold=Threshold(level, "trailing:.9", 0.9, trailing_rows=trailing_rows, min_rows=40),
        policy=AlertPolicy(close_after=2),
    )
    projection = (causes.T @ np.linalg.inv(causes @ causes.T) @ causes).astype(np.float32)
    golden = np.random.default_rng(1).normal(size=(4, 1, n)).astype(np.float32)
    return save(models, manifest, files={"model.onnx": _graph(projection)}, golden=golden, now=now)


def mill_values(rows: int, *, seed: int = 7, sensors: int = len(SENSORS)) -> npt.NDArray[np.float64]:
    """(rows, sensors): two common causes and noise; now and then one sensor leaves the others for a while.

    Another number of rows gives other values: cut what you need from one call.
    """
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 2)) @ _causes(sensors) + 0.2 * rng.normal(size=(rows, sensors))
    for start in range(50, rows, 45):
        values[start : start + 6, rng.integers(sensors)] += 6.0
    return np.round(values, 4)


def mill_rows(
    rows: int,
    *,
    machine: str = "pm1",
    seed: int = 7,
    first: int = 0,
    breaks: Sequence[int] = (),
    labels: bool = True,
) -> list[bytes]:
    """Wire rows of one machine, one every two minutes; `first` rows of it are left out."""
    return [
        encode_row(
            machine,
            START_US + i * PERIOD_US,
            values=dict(zip(SENSORS, row.tolist(), strict=True)),
            broken=(i in breaks) if labels else None,
        )
        for i, row in enumerate(mill_values(rows, seed=seed))
        if i >= first
    ]


def mill_csv(path: Path, rows: int, *, machine: str = "pm1", seed: int = 7, breaks: Sequence[int] = ()) -> Path:
    """The same rows as a CSV that `save_model`'s schema reads."""
    lines = ["time,broken,machine," + ",".join(SENSORS)]
    for i, row in enumerate(mill_values(rows, seed=seed)):
        time = datetime.fromtimestamp((START_US + i * PERIOD_US) / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(f"{time},{int(i in breaks)},{machine}," + ",".join(map(str, row.tolist())))
    path.write_text("\n".join(lines) + "\n")
    return path


def _causes(sensors: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(3).normal(size=(2, sensors))


def _graph(projection: npt.NDArray[np.float32]) -> bytes:
    shape = ["n", 1, len(projection)]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["windows", "projection"], ["rebuilt"])],
        "projection",
        [helper.make_tensor_value_info("windows", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("rebuilt", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(projection, "projection")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
