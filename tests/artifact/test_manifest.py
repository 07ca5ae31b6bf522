"""A manifest's hash: an artifact of an earlier version loads with what was added at its default, an altered one not."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from sheetbreak.artifact import MANIFEST, load
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.errors import ArtifactError
from tests.support.models.making import make_manifest, save_artifact

ADDED = {"policy": ("rearm_rows", "grade_change_rows"), "threshold": ("grade_levels",)}
"""What manifests of the first version of format 1 do not have."""


def rewrite(models: Path, manifest: dict[str, Any], *, sha256: str | None) -> None:
    """As the earlier version wrote it; sha256: None for the right one."""
    bare = json.dumps(manifest | {"content_sha256": ""}, separators=(",", ":")).encode()
    manifest = manifest | {"content_sha256": sha256 or hashlib.sha256(bare).hexdigest()}
    (models / "current" / MANIFEST).write_text(json.dumps(manifest, indent=2))


def saved(models: Path) -> dict[str, Any]:
    save_artifact(models, policy=AlertPolicy(open_after=2, rearm_rows=7))
    manifest: dict[str, Any] = json.loads((models / "current" / MANIFEST).read_text())
    return manifest


def test_an_artifact_of_an_earlier_version_loads_and_what_was_added_since_is_off(tmp_path: Path) -> None:
    manifest = saved(tmp_path)
    for part, names in ADDED.items():
        for name in names:
            del manifest[part][name]
    rewrite(tmp_path, manifest, sha256=None)
    loaded = load(tmp_path).manifest
    assert loaded.policy == AlertPolicy(open_after=2)
    assert loaded.threshold == make_manifest().threshold


@pytest.mark.parametrize("alter", ["drop", "change"])
def test_a_field_dropped_or_changed_after_training_is_found(tmp_path: Path, alter: str) -> None:
    manifest = saved(tmp_path)
    if alter == "drop":
        del manifest["policy"]["rearm_rows"]
    else:
        manifest["policy"]["rearm_rows"] = 8
    rewrite(tmp_path, manifest, sha256=manifest["content_sha256"])
    with pytest.raises(ArtifactError, match="altered after training"):
        load(tmp_path)
