"""Forged artifacts: every way we know in which a model can be unfit although its hashes are right."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

from sheetbreak.artifact import GOLDEN, MANIFEST, MODEL

Forge = Callable[[Path], None]
"""Makes an unfit artifact of the sound one in a directory."""

_WRONG: dict[str, tuple[object, ...]] = {
    "format": (2, 0, "1", None),
    "version": ("other", "../x", 5, None),
    "created": ("yesterday", "", "2026-05-01T10:15:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", 5, None),
    "preset": (5, "p" * 201, "a\0b"),
    "family": (None, "f" * 201, "a\nb"),
    "window": (0, -1, 2, 1.5, "1", None, 10**7, 2**70),
    "schema.sensors": ([], ["x1"] * 6, ["", "b", "c", "d", "e", "f"], ["a\0b"], ['a"b'], ["x" * 201], None, [1] * 6),
    "schema.period_s": (0, -1, None, "120", 1e300),
    "schema.stop_gap_s": (0, -180, "x"),
    "schema.lost_rows_s": (-1, 1e308, "x"),
    "schema.lead_rows": (-1, 1.5, 10**9, 2**70),
    "features.kind": ("none", None),
    "features.fallback": ([], [0.0], [0.0] * 7, [None] * 6, "x"),
    "features.start_sd": ([], [1.0], [1.0] * 7, [-1.0] * 6),
    "features.floor_ratio": (-1, 1e300, None),
    "features.half_life_rows": (0, -1, "x"),
    "features.warm_up_rows": (-1, 2**63, 2**70, 1.5),
    "features.hold_rows": (-5, 2**70),
    "features.clip_sd": (0, -1),
    "scaler.centre": ([], [0.0], [0.0] * 7, [None] * 6),
    "scaler.scale": ([], [1.0], [1.0] * 7, [0.0] * 6, [-1.0] * 6),
    "scaler.clip": (0, -1, "x"),
    "scaler.floor": (5.0, 100, "x"),
    "score.kind": ("other", None),
    "score.rms": ([], [0.2], [0.2] * 7, [0.0] * 6, [-0.2] * 6),
    "score.clip": (0, -1),
    "threshold.level": (-1, None, "x"),
    "threshold.policy": (5, "p" * 201),
    "threshold.quantile": (2, -0.1, "x"),
    "threshold.trailing_rows": (0, -1, 10**9, 2**70),
    "threshold.min_rows": (0, -1),
    "threshold.grade_levels": ({"A": 0}, {"A": -1}, {"A": None}, {"A": 1e300}, {"A": 1e-300}, {"g" * 201: 1}, []),
    "odds.scored": (-1, 10**16, 10**59, 1.5),
    "odds.ahead": (-1, 2**63),
    "policy.open_after": (0, -1, 2**70),
    "policy.close_after": (0, -1),
    "policy.close_ratio": (0, -1, 2),
    "policy.restart_rows": (-1, 2**70),
    "policy.update_every": (0, -1),
    "policy.critical_ratio": (0, -1),
    "policy.rearm_rows": (-1, 2**70),
    "policy.grade_change_rows": (-1, 1.5),
    "break_is_stop": ("yes", None, 1),
    "metrics": ([], 5),
    "training": ([], 5),
    "libraries": ([], {"numpy": 2}),
    "content_sha256": (5, None),
    "more": (1,),
}
_NEEDED = ("version", "created", "preset", "family", "window", "schema", "features", "scaler", "score", "threshold")
_FILES = {"../x", "/dev/zero", "a\0b", "evaluation/../../x", "-rf"}


def forgeries() -> dict[str, Forge]:
    """By a name that says what is wrong."""
    every = {
        f"{field} = {str(value)[:30]!r}": _set(field, value) for field, values in _WRONG.items() for value in values
    }
    every |= {
        f"{field} is an object": _set(field, {"a": {}}) for field in _WRONG if field not in ("metrics", "training")
    }
    every |= {f"no {field}": _without(field) for field in _NEEDED}
    every |= {f"lists {name!r}": _list_file(name) for name in _FILES}
    every |= {f"lists no {name}": _unlist(name) for name in (MODEL, GOLDEN)}
    for name in (MANIFEST, MODEL, GOLDEN):
        every |= {f"{name} {kind}": _place(name, make) for kind, make in _KINDS.items()}
    every |= {
        f"manifest is {text[:20]!r}": _write(MANIFEST, text) for text in (b"null", b"[]", b"[" * 100_000, b"\xff")
    }
    every |= {f"graph {kind}": _with_graph(graph) for kind, graph in _graphs()}
    every |= {f"golden {kind}": _with_golden(content) for kind, content in _goldens()}
    return every


def seal(directory: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest with right hashes of the files that are there, and of itself."""
    for name in manifest["files"]:
        if (directory / name).is_file() and "\0" not in name and not name.startswith("/"):
            manifest["files"][name] = hashlib.sha256((directory / name).read_bytes()).hexdigest()
    if isinstance(manifest.get("content_sha256"), str):
        bare = json.dumps(manifest | {"content_sha256": ""}, separators=(",", ":"), ensure_ascii=False)
        manifest["content_sha256"] = hashlib.sha256(bare.encode()).hexdigest()
    (directory / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False))


def forge(sound: Path, directory: Path, how: Forge) -> None:
    """A copy of a sound artifact, made unfit; its version is the directory's name."""
    shutil.copytree(sound, directory)
    manifest = json.loads((directory / MANIFEST).read_text())
    seal(directory, manifest | {"version": directory.name})
    how(directory)


def _changed(change: Callable[[dict[str, Any]], None]) -> Forge:
    def make(directory: Path) -> None:
        manifest = json.loads((directory / MANIFEST).read_text())
        change(manifest)
        seal(directory, manifest)

    return make


def _set(field: str, value: object) -> Forge:
    def change(manifest: dict[str, Any]) -> None:
        *above, last = field.split(".")
        for name in above:
            manifest = manifest[name]
        manifest[last] = value

    return _changed(change)


def _without(field: str) -> Forge:
    return _changed(lambda manifest: manifest.pop(field))


def _list_file(name: str) -> Forge:
    return _changed(lambda manifest: manifest["files"].update({name: "0" * 64}))


def _unlist(name: str) -> Forge:
    return _changed(lambda manifest: manifest["files"].pop(name))


def _write(name: str, content: bytes) -> Forge:
    return lambda directory: _ignore((directory / name).write_bytes(content))


def _place(name: str, make: Callable[[Path], object]) -> Forge:
    def place(directory: Path) -> None:
        (directory / name).unlink()
        make(directory / name)

    return place


_KINDS: dict[str, Callable[[Path], object]] = {
    "is missing": lambda _path: None,
    "is a pipe": os.mkfifo,
    "is a folder": lambda path: path.mkdir(),
    "leads to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "leads to itself": lambda path: path.symlink_to(path),
    "is empty": lambda path: path.touch(),
}


def _with_graph(graph: bytes) -> Forge:
    def make(directory: Path) -> None:
        (directory / MODEL).write_bytes(graph)
        seal(directory, json.loads((directory / MANIFEST).read_text()))

    return make


def _with_golden(content: bytes) -> Forge:
    def make(directory: Path) -> None:
        (directory / GOLDEN).write_bytes(content)
        seal(directory, json.loads((directory / MANIFEST).read_text()))

    return make


_ANY = ["n", 1, 6]
"""Any number of windows of one row of six sensors."""
_SAME = [helper.make_node("Identity", ["a"], ["y"])]


def _graphs() -> Iterator[tuple[str, bytes]]:
    """Of six sensors, window 1."""
    yield "is garbage", b"garbage"
    yield (
        "without an input",
        _graph([], _ANY, [helper.make_node("Identity", ["c"], ["y"])], constants={"c": 1.0}),
    )
    yield "of two inputs", _graph(["a", "b"], _ANY, [helper.make_node("Add", ["a", "b"], ["y"])])
    yield (
        "of whole numbers",
        _graph(["a"], _ANY, _SAME, kind=TensorProto.INT64),
    )
    yield "that makes NaN", _graph(["a"], _ANY, _through("Mul", "c"), constants={"c": float("nan")})
    yield "that makes infinity", _graph(["a"], _ANY, _through("Add", "c"), constants={"c": float("inf")})
    yield "that scores otherwise", _graph(["a"], _ANY, _through("Mul", "c"), constants={"c": 0.5})
    yield "of other width", _graph(["a"], ["n", 1, 7], _SAME)
    yield "of four rows alone", _graph(["a"], [4, 1, 6], _SAME)
    yield "that makes one number", _graph(["a"], _ANY, [helper.make_node("ReduceSum", ["a"], ["y"], keepdims=0)])
    yield "that never ends", _endless()


def _through(operation: str, constant: str) -> list[Any]:
    return [helper.make_node(operation, ["a", constant], ["y"])]


def _graph(
    inputs: list[str],
    shape: list[Any],
    nodes: list[Any],
    *,
    kind: int = TensorProto.FLOAT,
    constants: dict[str, float] | None = None,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "forged",
        [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info("y", kind, None)],
        [helper.make_tensor(name, kind, [1, 1, 6], [value] * 6) for name, value in (constants or {}).items()],
    )
    return _bytes(graph)


def _endless() -> bytes:
    """A loop whose condition stays true, 2^62 times."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["goes"]),
            helper.make_node("Identity", ["x"], ["x2"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, _ANY),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x2", TensorProto.FLOAT, _ANY),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["times", "true", "a"], ["y"], body=body)],
        "endless",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, _ANY)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, _ANY)],
        [
            helper.make_tensor("times", TensorProto.INT64, [], [2**62]),
            helper.make_tensor("true", TensorProto.BOOL, [], [True]),
        ],
    )
    return _bytes(graph)


def _bytes(graph: Any) -> bytes:
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()
    return content


def _goldens() -> Iterator[tuple[str, bytes]]:
    windows = np.ones((4, 1, 6), np.float32)
    scores = np.ones(4)
    yield "of no rows", _npz(windows=windows[:0], scores=scores[:0])
    yield "without windows", _npz(scores=scores)
    yield "without scores", _npz(windows=windows)
    yield "of NaN windows", _npz(windows=windows * np.nan, scores=scores)
    yield "of NaN scores", _npz(windows=windows, scores=scores * np.nan)
    yield "of infinite windows", _npz(windows=windows * np.inf, scores=scores)
    yield "of doubles", _npz(windows=windows.astype(np.float64), scores=scores)
    yield "of fewer scores", _npz(windows=windows, scores=scores[:3])
    yield "of a table of scores", _npz(windows=windows, scores=np.ones((4, 2)))
    yield "of other scores", _npz(windows=windows, scores=scores * 1e6)
    yield "of words", _npz(windows=windows, scores=np.array(["a"] * 4))
    yield "of Python's objects", _npz(windows=np.array([{}] * 4, object), scores=scores)
    yield "that is garbage", b"garbage"
    yield "that unpacks to 300 MB", _bomb()


def _npz(**arrays: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # the stub takes the names for its own options
    return buffer.getvalue()


def _bomb() -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as members,
        members.open("windows.npy", "w") as member,
    ):
        for _ in range(300):
            member.write(bytes(1024 * 1024))
    return buffer.getvalue()


def _ignore(_: object) -> None:
    """A write's count of bytes is nobody's."""
