"""Kustomizations built as `kubectl kustomize` does, as far as deploy/kubernetes uses them: no binary is needed."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

Manifest = dict[str, Any]
_KNOWN = {"apiVersion", "kind", "resources", "namespace", "images", "patches"}
_ALONE = {"Namespace"}
"""Kinds that are in no namespace."""
_LISTS_BY_NAME = {"containers", "env", "volumes", "ports"}
"""Of the API's own kinds; a patch of a custom resource replaces a list."""


def build(folder: Path) -> list[Manifest]:
    """The manifests of a kustomization. Fails where it says something that is not understood here."""
    told = msgspec.yaml.decode((folder / "kustomization.yaml").read_bytes())
    assert set(told) <= _KNOWN, f"{folder}: {set(told) - _KNOWN}"
    found: list[Manifest] = []
    for name in told["resources"]:
        path = folder / name
        found += build(path) if path.is_dir() else documents(path)
    for patch in told.get("patches", ()):
        assert set(patch) == {"path"}, f"{folder}: a patch with {set(patch)}"
        for change in documents(folder / patch["path"]):
            (one,) = (manifest for manifest in found if identity(manifest) == identity(change))
            _merge(one, change, custom="." in change["apiVersion"].partition("/")[0])
    for manifest in found:
        if "namespace" in told and manifest["kind"] not in _ALONE:
            manifest["metadata"]["namespace"] = told["namespace"]
        for container in containers(manifest):
            for image in told.get("images", ()):
                if container["image"] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"
    return found


def documents(path: Path) -> list[Manifest]:
    return parts(path.read_text())


def parts(text: str) -> list[Manifest]:
    """The manifests of a YAML text, which lines of three hyphens divide."""
    return [msgspec.yaml.decode(part) for part in re.split(r"(?m)^---\n", text) if part.strip()]


def identity(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def pod_spec(manifest: Mapping[str, Any]) -> Manifest | None:
    """What a manifest says of its pods; None where it makes none."""
    spec = manifest.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    found: Manifest | None = spec.get("template", {}).get("spec")
    return found


def containers(manifest: Mapping[str, Any]) -> list[Manifest]:
    return list((pod_spec(manifest) or {}).get("containers", ()))


def _merge(target: Manifest, change: Mapping[str, Any], *, custom: bool) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value, custom=custom)
        elif isinstance(value, list) and key in _LISTS_BY_NAME and not custom:
            raise AssertionError(f"a patch of the list {key} is not understood here")
        else:
            target[key] = value
