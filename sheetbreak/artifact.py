"""The artifact: everything that scoring needs, in one directory, hashed, without pickle.

    models/20260501T101500Z-3f9c/   manifest.json  model.onnx  model.keras  golden.npz  evaluation/
    models/current                  a relative link, replaced atomically

The directory is written beside its place, fsynced and renamed, so that a reader sees all of it or none.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sheetbreak.engine.model import FORMAT, Artifact, Float32s, Manifest, Reconstruct
from sheetbreak.engine.scoring import Scorer
from sheetbreak.errors import ArtifactError

MANIFEST, MODEL, GOLDEN, CURRENT = "manifest.json", "model.onnx", "golden.npz", "current"
GOLDEN_TOLERANCE = 1e-5
"""Relative: ONNX Runtime on another processor may round otherwise; a wrong model is off by far more."""


def onnx_reconstruct(model: bytes) -> Reconstruct:
    """The reconstruction that an ONNX graph computes, on one thread (one row takes 10 µs; threads cost more).

    Raises ArtifactError when ONNX Runtime does not take it.
    """
    # ONNX Runtime's own builds write an id of this machine to ~/.cache as they are imported and send events to
    # Microsoft; only this variable, set before, prevents both (disable_telemetry_events comes too late for the id).
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as cause:  # its exceptions share no public base
        raise ArtifactError(f"{MODEL} is not a graph that ONNX Runtime takes: {cause}; train again") from cause
    name = session.get_inputs()[0].name

    def reconstruct(windows: Float32s) -> Float32s:
        rebuilt: Float32s = session.run(None, {name: windows})[0]
        return rebuilt

    return reconstruct


def save(models: Path, manifest: Manifest, *, files: Mapping[str, bytes], golden: Float32s, now: datetime) -> Manifest:
    """Write an artifact and make it current; returns the manifest with version, hashes and golden rows settled.

    files: path within the artifact -> content; model.onnx is among them. golden: (n, window, sensors) scaled rows that
    every later load scores again. now: aware UTC. Raises ArtifactError when the directory cannot be written.
    """
    scorer = Scorer(manifest.scaler, manifest.score)
    rebuilt = onnx_reconstruct(files[MODEL])(golden)
    golden_scores = scorer.scores(scorer.contributions(golden, rebuilt))
    content = dict(files) | {GOLDEN: _npz(windows=golden, scores=golden_scores)}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(content.items())}
    settings = msgspec.json.encode(manifest, order="deterministic")
    identity = hashlib.sha256("".join(hashes.values()).encode() + settings + now.isoformat().encode()).hexdigest()
    manifest = msgspec.structs.replace(
        manifest,
        version=f"{now:%Y%m%dT%H%M%SZ}-{identity[:4]}",
        created=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        files=hashes,
        content_sha256="",
    )
    manifest = msgspec.structs.replace(manifest, content_sha256=_content_sha256(manifest))
    content[MANIFEST] = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    try:
        models.mkdir(parents=True, exist_ok=True)
        beside = models / f".{manifest.version}.{os.getpid()}.tmp"
        _write_all(beside, content)
        beside.rename(models / manifest.version)
        _sync_directory(models)
    except OSError as cause:
        raise _unwritable(models, cause) from cause
    use(models, manifest.version)
    return manifest


def load(models: Path, version: str | None = None) -> Artifact:
    """The current artifact, or the named one, verified. Raises ArtifactError saying what is wrong and what to do."""
    version = version or current_version(models)
    directory = models / version
    manifest = read_manifest(directory)
    for name, sha256 in manifest.files.items():
        if _sha256(directory / name) != sha256:
            raise ArtifactError(f"{directory / name} was altered after training; restore it or train again")
    if MODEL not in manifest.files or GOLDEN not in manifest.files:
        raise ArtifactError(f"{directory}: the manifest lists no {MODEL} and {GOLDEN}; train again")
    artifact = Artifact.of(manifest, onnx_reconstruct((directory / MODEL).read_bytes()))
    _check_golden(artifact, directory / GOLDEN)
    return artifact


def read_manifest(directory: Path) -> Manifest:
    """The manifest of an artifact directory, its own hash checked. Raises ArtifactError."""
    path = directory / MANIFEST
    try:
        text = path.read_bytes()
    except OSError as cause:
        raise ArtifactError(f"{path}: {cause.strerror}; train a model or name another with --models") from cause
    try:
        made_for = msgspec.json.decode(text, type=_FormatOnly).format
        if made_for != FORMAT:
            raise ArtifactError(f"{path}: format {made_for}, this program reads format {FORMAT}; train again with it")
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise ArtifactError(f"{path} is damaged: {cause}; restore it or train again") from cause
    sound = _content_sha256(manifest, written=text) == manifest.content_sha256
    if not sound or manifest.version != directory.resolve().name:
        raise ArtifactError(f"{path} was altered after training; restore it or train again")
    return manifest


def current_version(models: Path) -> str:
    """The version that `current` names. Raises ArtifactError when there is none."""
    try:
        return (models / CURRENT).readlink().name
    except OSError as cause:
        raise ArtifactError(f"{models} holds no current model; run sheetbreak train, or name its --models") from cause


def list_versions(models: Path) -> list[str]:
    """All artifacts' versions, oldest first."""
    if not models.is_dir():
        return []
    return sorted(
        p.name for p in models.iterdir() if (p / MANIFEST).is_file() and not p.is_symlink() and p.name[0] != "."
    )


def use(models: Path, version: str) -> None:
    """Make a version current, atomically. Raises ArtifactError when it is not there, or `models` cannot be written."""
    if version not in list_versions(models):
        raise ArtifactError(f"{models} holds no model {version}; sheetbreak models lists them")
    beside = models / f".{CURRENT}.{os.getpid()}.tmp"
    try:
        beside.unlink(missing_ok=True)
        beside.symlink_to(version)
        beside.replace(models / CURRENT)
        _sync_directory(models)
    except OSError as cause:
        raise _unwritable(models, cause) from cause


def prune(models: Path, *, keep: int) -> list[str]:
    """Remove all but the newest `keep` artifacts, never the current one; returns what was removed.

    Raises ArtifactError when none is current, or `models` cannot be written.
    """
    current = current_version(models)
    removed = [v for v in list_versions(models)[: -keep or None] if v != current]
    try:
        for version in removed:
            shutil.rmtree(models / version)
    except OSError as cause:
        raise _unwritable(models, cause) from cause
    return removed


def _unwritable(models: Path, cause: OSError) -> ArtifactError:
    return ArtifactError(f"{models}: {cause}; --models names a directory that can be written")


class _FormatOnly(msgspec.Struct):
    format: int


def _check_golden(artifact: Artifact, path: Path) -> None:
    manifest = artifact.manifest
    try:
        with np.load(path, allow_pickle=False) as golden:
            windows, expected = golden["windows"], golden["scores"]
        shape = (manifest.window, len(manifest.schema.sensors))
        if windows.shape[1:] != shape or windows.dtype != np.float32 or len(windows) != len(expected):
            raise ValueError(f"golden rows of shape {windows.shape}, expected (n, {shape[0]}, {shape[1]})")
        scores = artifact.scorer.scores(artifact.scorer.contributions(windows, artifact.reconstruct(windows)))
    except Exception as cause:  # whatever ONNX Runtime or a shape makes of an unfit graph
        raise ArtifactError(f"{path.parent}: the model cannot score its golden rows: {cause}; train again") from cause
    if not np.allclose(scores, expected, rtol=GOLDEN_TOLERANCE, atol=1e-9):
        worst = float(np.max(np.abs(scores - expected)))
        raise ArtifactError(f"{path.parent}: golden rows score otherwise than at training, by {worst:.2g}; train again")


def _content_sha256(manifest: Manifest, *, written: bytes | None = None) -> str:
    """Of a manifest that was read, only the fields count that were `written`: later versions have more of them."""
    bare = msgspec.json.encode(msgspec.structs.replace(manifest, content_sha256=""), order="deterministic")
    if written is not None:
        bare = msgspec.json.encode(_only(msgspec.json.decode(written), msgspec.json.decode(bare)))
    return hashlib.sha256(bare).hexdigest()


def _only(known: Any, value: Any) -> Any:
    """`value` without the keys, at any depth, that `known` does not have."""
    if isinstance(known, dict) and isinstance(value, dict):
        return {key: _only(known[key], entry) for key, entry in value.items() if key in known}
    return value


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as cause:
        raise ArtifactError(f"{path}: {cause.strerror}; restore it or train again") from cause


def _npz(**arrays: npt.NDArray[Any]) -> bytes:
    import io

    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _write_all(directory: Path, content: Mapping[str, bytes]) -> None:
    for name, data in content.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    for parent in {directory, *(p for p in directory.rglob("*") if p.is_dir())}:
        _sync_directory(parent)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
