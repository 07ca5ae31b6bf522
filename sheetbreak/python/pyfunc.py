"""Model in MLflow's format: a directory that MLflow loads as a pyfunc, written without it and without a pickle.

    DIR/MLmodel           YAML: what loads the model, from where
    DIR/data/VERSION/     the artifact as it is, hashes and all
    DIR/requirements.txt  conda.yaml  python_env.yaml

`_load_pyfunc` is the name that MLflow looks for. This module's own name stands in every directory that was exported, so
it stays where it is.
"""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from sheetbreak.artifact import MANIFEST, current_version, load
from sheetbreak.engine.model import Manifest
from sheetbreak.errors import DataError
from sheetbreak.python.model import Model

_DATA = "data"
_REQUIREMENTS, _CONDA, _VIRTUALENV = "requirements.txt", "conda.yaml", "python_env.yaml"


def export(models: Path, target: Path, *, version: str | None = None) -> str:
    """Write a model, by default the current one, to a new directory `target`; all of it or nothing. Its version.

    Raises ArtifactError for a model that is not sound, DataError where the directory exists or cannot be made.
    """
    if os.path.lexists(target):
        raise DataError(f"{target} exists; an export makes a new directory: name another, or remove it")
    version = version or current_version(models)
    manifest = load(models, version).manifest
    beside = target.absolute().with_name(f".{target.absolute().name}.{os.getpid()}.tmp")
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        for name in (MANIFEST, *manifest.files):
            place = beside / _DATA / version / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(models / version / name, place)
        for name, text in _texts(manifest).items():
            (beside / name).write_text(text, encoding="utf-8")
        beside.rename(target)
    except BaseException as cause:
        shutil.rmtree(beside, ignore_errors=True)
        if isinstance(cause, OSError):
            raise DataError(f"{target}: {cause.strerror}; name a directory in a place that can be written") from cause
        raise
    return version


class ScoringModel:
    """What MLflow calls: `predict` is `sheetbreak.Model.score`."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:  # noqa: ARG002 - MLflow's
        """State, score, threshold, ratio and over of every row of a table, in a table of the same kind."""
        return self.model.score(model_input)


def _load_pyfunc(path: str) -> ScoringModel:
    """The model of an exported directory, verified as `sheetbreak.load` does. path: the artifact, data/VERSION.

    Raises ArtifactError for what was altered.
    """
    directory = Path(path)
    return ScoringModel(Model(load(directory.parent, directory.name)))


def _texts(manifest: Manifest) -> dict[str, str]:
    """MLflow's own files, by name."""
    python = platform.python_version()
    created = datetime.fromisoformat(manifest.created)
    flavour = {
        "data": f"{_DATA}/{manifest.version}",
        "env": {"conda": _CONDA, "virtualenv": _VIRTUALENV},
        "loader_module": __name__,
        "python_version": python,
    }
    # No signature: MLflow would leave out columns that it does not name, and refuse times in another of the forms that
    # `score` reads.
    description = {
        "flavors": {"python_function": flavour},
        "metadata": {
            "version": manifest.version,
            "preset": manifest.preset,
            "family": manifest.family,
            "threshold": manifest.threshold.policy,
            "sensors": list(manifest.schema.sensors),
        },
        "model_uuid": manifest.content_sha256[:32],
        "utc_time_created": f"{created:%Y-%m-%d %H:%M:%S}",
    }
    conda = {
        "name": "sheetbreak",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": [f"-r {_REQUIREMENTS}"]}],
    }
    virtualenv = {"python": python, "build_dependencies": ["pip"], "dependencies": [f"-r {_REQUIREMENTS}"]}
    return {
        "MLmodel": _yaml(description),
        _CONDA: _yaml(conda),
        _VIRTUALENV: _yaml(virtualenv),
        _REQUIREMENTS: f"mlflow\npandas\nsheetbreak[frames]{_own_version()}\n",
    }


def _own_version() -> str:
    """As a requirement; none where the program is run from its folder and was never installed."""
    try:
        return f"=={importlib.metadata.version('sheetbreak')}"
    except importlib.metadata.PackageNotFoundError:
        return ""


def _yaml(value: Mapping[str, Any], indent: str = "") -> str:
    """Mappings, lists and texts as YAML; a text in JSON's quotation marks is one of YAML."""
    lines = []
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            lines.append(f"{indent}{key}:\n{_yaml(entry, indent + '  ')}")
        elif isinstance(entry, list):
            lines.append(f"{indent}{key}:\n{_entries(entry, indent)}")
        else:
            lines.append(f"{indent}{key}: {_text(entry)}\n")
    return "".join(lines)


def _entries(entries: Sequence[Any], indent: str) -> str:
    lines = []
    for entry in entries:
        shown = _yaml(entry, indent + "  ").lstrip(" ") if isinstance(entry, Mapping) else f"{_text(entry)}\n"
        lines.append(f"{indent}- {shown}")
    return "".join(lines)


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()
