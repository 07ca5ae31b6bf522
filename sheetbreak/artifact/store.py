"""Store: the directory of artifacts, each with everything that scoring needs, hashed, without pickle.

    models/20260501T101500Z-3f9c/   manifest.json  model.onnx  model.keras  golden.npz  evaluation/
    models/current                  a relative link, replaced atomically

The directory is written beside its place, fsynced and renamed, so that a reader sees all of it or none.
"""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from io import BufferedReader
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, TypeVar, cast

import msgspec
import numpy as np
import numpy.typing as npt

from sheetbreak.engine.model import FORMAT, Artifact, Manifest, check_manifest
from sheetbreak.engine.scores import Float32s, Scorer
from sheetbreak.errors import ArtifactError
from sheetbreak.graph import Graph, check_golden

MANIFEST, MODEL, GOLDEN, CURRENT = "manifest.json", "model.onnx", "golden.npz", "current"
LOAD_LIMIT_S = 20.0
"""A model loads in a tenth of a second; one that takes so long hangs, and must not hang who loads it."""
_MANIFEST_BYTES = 64 * 1024 * 1024
_MODEL_BYTES = 2 * 1024 * 1024 * 1024
"""Most that protobuf, and so ONNX, takes."""
_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]+$")
Loaded = TypeVar("Loaded")
_LEAST_BYTES = 128 * 1024
"""Of an artifact: its graph, manifest and scores; a directory without room for so much is full."""


def save(models: Path, manifest: Manifest, *, files: Mapping[str, bytes], golden: Float32s, now: datetime) -> Manifest:
    """Write an artifact and make it current; see `write`."""
    manifest = write(models, manifest, files=files, golden=golden, now=now)
    use(models, manifest.version)
    return manifest


def write(models: Path, manifest: Manifest, *, files: Mapping[str, bytes], golden: Float32s, now: datetime) -> Manifest:
    """Write an artifact; what is current stays. Returns the manifest with version, hashes and golden rows settled.

    files: path within the artifact -> content; model.onnx is among them. golden: (n, window, sensors) scaled rows that
    every later load scores again. now: aware UTC. Raises ArtifactError when the directory cannot be written, and for
    what `load` would refuse.
    """
    scorer, graph = Scorer(manifest.scaler, manifest.score), Graph(files[MODEL])
    golden_scores = scorer.scores(scorer.contributions(golden, graph.reconstruct(golden)))
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
    _decode_manifest(content[MANIFEST], "the model")
    check_golden(Artifact.of(manifest, graph.reconstruct), graph, content[GOLDEN])
    beside = models / f".{manifest.version}.{os.getpid()}.tmp"
    try:
        models.mkdir(parents=True, exist_ok=True)
        _write_all(beside, content)
        beside.rename(models / manifest.version)
        sync_directory(models)
    except BaseException as cause:
        shutil.rmtree(beside, ignore_errors=True)
        if isinstance(cause, OSError):
            raise unwritable(models, cause) from cause
        raise
    return manifest


def check_writable(models: Path) -> None:
    """Raises ArtifactError where no artifact could be written: before a long training, not after it."""
    there = models
    while not there.exists() and there != there.parent:
        there = there.parent  # nothing is made yet: two trainings may begin at once
    probe = there / f".probe.{os.getpid()}.tmp"
    try:
        try:
            with probe.open("wb") as file:
                file.write(bytes(_LEAST_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
    except OSError as cause:
        raise unwritable(models, cause) from cause


def load(models: Path, version: str | None = None) -> Artifact:
    """The current artifact, or the named one, verified. Raises ArtifactError saying what is wrong and what to do."""
    directory = models / (version or current_version(models))
    try:
        return _within(LOAD_LIMIT_S, partial(_load, directory))
    except ArtifactError:
        raise
    except Exception as cause:  # whatever an unfit model makes of numpy, msgspec or ONNX Runtime
        what = f"{type(cause).__name__}: {cause}"
        raise ArtifactError(f"{directory} cannot be loaded ({what}); restore it or train again") from cause


def _load(directory: Path) -> Artifact:
    manifest = read_manifest(directory)
    if MODEL not in manifest.files or GOLDEN not in manifest.files:
        raise ArtifactError(f"{directory}: the manifest lists no {MODEL} and {GOLDEN}; train again")
    content = {}
    for name, sha256 in manifest.files.items():
        with open_plain(directory / name) as file:
            if name in (MODEL, GOLDEN):  # what is used is what was hashed
                content[name] = file.read(min(os.fstat(file.fileno()).st_size, _MODEL_BYTES))
                found = hashlib.sha256(content[name]).hexdigest()
            else:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise ArtifactError(f"{directory / name} was altered after training; restore it or train again")
    try:
        graph = Graph(content[MODEL])
        artifact = Artifact.of(manifest, graph.reconstruct)
        check_golden(artifact, graph, content[GOLDEN])
    except ArtifactError as unfit:
        raise ArtifactError(f"{directory}: {unfit}") from unfit
    return artifact


def read_manifest(directory: Path) -> Manifest:
    """The manifest of an artifact directory, its own hash checked. Raises ArtifactError."""
    path = directory / MANIFEST
    with open_plain(path) as file:
        text = file.read(_MANIFEST_BYTES)
    manifest = _decode_manifest(text, path)
    sound = _content_sha256(manifest, written=text) == manifest.content_sha256
    if not sound or manifest.version != directory.resolve().name:
        raise ArtifactError(f"{path} was altered after training; restore it or train again")
    return manifest


def _decode_manifest(text: bytes, path: Path | str) -> Manifest:
    """Raises ArtifactError where it is none, or one that the engine does not work with."""
    try:
        made_for = msgspec.json.decode(text, type=_FormatOnly).format
        if made_for != FORMAT:
            raise ArtifactError(f"{path}: format {made_for}, this program reads format {FORMAT}; train again with it")
        manifest = msgspec.json.decode(text, type=Manifest)
        check_manifest(manifest)
    except (ValueError, RecursionError) as cause:  # DecodeError and UnicodeDecodeError are ValueErrors
        raise ArtifactError(f"{path} is damaged: {cause}; restore it or train again") from cause
    return manifest


def current_version(models: Path) -> str:
    """The version that `current` names. Raises ArtifactError when there is none."""
    try:
        return (models / CURRENT).readlink().name
    except OSError as cause:
        raise ArtifactError(f"{models} holds no current model; run sheetbreak train, or name its --models") from cause


def list_versions(models: Path) -> list[str]:
    """All artifacts' versions, oldest first; also what is only named like one, so that nothing unfit goes unnamed."""
    if not models.is_dir():
        return []
    found = (path for path in models.iterdir() if path.is_dir() and not path.is_symlink() and path.name[0] != ".")
    return sorted(path.name for path in found if _VERSION.match(path.name) or os.path.lexists(path / MANIFEST))


def use(models: Path, version: str) -> None:
    """Make a version current, atomically. Raises ArtifactError when it is not there, or `models` cannot be written."""
    if version not in list_versions(models):
        raise ArtifactError(f"{models} holds no model {version}; sheetbreak models lists them")
    beside = models / f".{CURRENT}.{os.getpid()}.tmp"
    try:
        beside.unlink(missing_ok=True)
        beside.symlink_to(version)
        beside.replace(models / CURRENT)
        sync_directory(models)
    except OSError as cause:
        raise unwritable(models, cause) from cause


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
        raise unwritable(models, cause) from cause
    return removed


def unwritable(models: Path, cause: OSError) -> ArtifactError:
    """What to say where a directory of models cannot be written."""
    return ArtifactError(f"{models}: {cause}; --models names a directory that can be written")


class _FormatOnly(msgspec.Struct):
    format: int


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


@contextmanager
def open_plain(path: Path) -> Iterator[BufferedReader]:
    """A file that ends: no pipe, device or directory. Raises ArtifactError, also for what cannot be read."""
    try:
        # Without O_NONBLOCK a pipe without a writer would be waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ArtifactError(f"{path} is no plain file; restore it or train again")
            yield file
    except OSError as cause:
        what = "restore it or train again" if path.parent.is_dir() else "train a model or name another with --models"
        raise ArtifactError(f"{path}: {cause.strerror}; {what}") from cause


def _within(limit_s: float, action: Callable[[], Loaded]) -> Loaded:
    """What `action` returns or raises. Raises ArtifactError when it does not end in time; its thread is left behind."""
    done: Queue[tuple[Loaded | None, BaseException | None]] = Queue()

    def work() -> None:
        try:
            done.put((action(), None))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            done.put((None, error))

    Thread(target=work, name="load-model", daemon=True).start()
    try:
        found, error = done.get(timeout=limit_s)
    except Empty:
        raise ArtifactError(f"the model has not loaded in {limit_s:.0f} s; restore it or train again") from None
    if error is not None:
        raise error
    return cast("Loaded", found)


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
        sync_directory(parent)


def sync_directory(directory: Path) -> None:
    """Names that were made, replaced or removed in it survive a loss of power."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
