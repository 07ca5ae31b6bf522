"""Artifacts on disk: the store of models, and the journal of which became current (promotion.py)."""

from sheetbreak.artifact.store import (
    CURRENT,
    GOLDEN,
    LOAD_LIMIT_S,
    MANIFEST,
    MODEL,
    check_writable,
    current_version,
    list_versions,
    load,
    prune,
    read_manifest,
    save,
    sync_directory,
    unwritable,
    use,
    write,
)

__all__ = [
    "CURRENT",
    "GOLDEN",
    "LOAD_LIMIT_S",
    "MANIFEST",
    "MODEL",
    "check_writable",
    "current_version",
    "list_versions",
    "load",
    "prune",
    "read_manifest",
    "save",
    "sync_directory",
    "unwritable",
    "use",
    "write",
]
