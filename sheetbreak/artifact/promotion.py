"""Promotion: the journal of which model became current, which stayed a candidate, by whom and why.

    models/promotions.ndjson    one line a decision, oldest first

A manifest is hashed and not written again; here stands what was decided since, for the model that came and for the one
that was current. The link `current` alone says which model is used: the journal explains it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from sheetbreak.artifact.store import current_version, open_plain, read_manifest, sync_directory, unwritable, use
from sheetbreak.engine.model import Manifest
from sheetbreak.errors import ArtifactError
from sheetbreak.rows import Schema, Text

JOURNAL = "promotions.ndjson"
PROMOTED, CANDIDATE = "promoted", "candidate"
_MEANING = (
    "sensors",
    "units",
    "lead_rows",
    "period_s",
    "grade",
    "broken",
    "machine",
    "time",
    "timezone",
    "broken_values",
)
"""Fields of a schema that say what a row means; the others say how a file is read, or are learned anew each time."""
_LAST_BYTES = 4 * 1024 * 1024
"""Of a journal, so much is read from its end: some thousand decisions."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the journal."""

    time: str
    version: Text
    """The model that it is about."""
    decision: Text
    """PROMOTED: it became current. CANDIDATE: it did not."""
    by: Text
    """"first", "if-better", "always", "never", "models promote" or "models use"."""
    current: str | None = None
    """What was current before it."""
    why: str = ""
    gate: dict[str, Any] = {}
    """The comparison on later rows, where there was one."""


def promote(
    models: Path,
    version: str,
    *,
    by: str,
    why: str,
    gate: dict[str, Any] | None = None,
    only_if_current: str | None = "any",
) -> Decision:
    """Make a model current and write down why; what has become of it.

    only_if_current: the version that it was compared with, None where nothing was current: if another one is current
    by now, it stays a candidate. Raises ArtifactError when it is not there, or `models` cannot be written.
    """
    with _one_at_a_time(models):
        before = current_or_none(models)
        decided = PROMOTED
        if only_if_current not in ("any", before):
            decided, why = CANDIDATE, f"{before or 'nothing'} is current by now, and it was not compared with that"
        else:
            use(models, version)
        return record(models, version, decision=decided, by=by, current=before, why=why, gate=gate)


def record(
    models: Path,
    version: str,
    *,
    decision: str,
    by: str,
    current: str | None,
    why: str,
    gate: dict[str, Any] | None = None,
) -> Decision:
    """Write a decision down. Raises ArtifactError when `models` cannot be written."""
    made = Decision(
        time=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        version=version,
        decision=decision,
        by=by,
        current=current,
        why=why,
        gate=gate or {},
    )
    path = models / JOURNAL
    try:
        new = not path.exists()
        with path.open("ab+") as journal:
            end = journal.seek(0, os.SEEK_END)
            journal.seek(max(end - 1, 0))
            torn = end and journal.read(1) != b"\n"  # whoever wrote the last line was killed meanwhile
            journal.write((b"\n" if torn else b"") + msgspec.json.encode(made) + b"\n")
            journal.flush()
            os.fsync(journal.fileno())
        if new:
            sync_directory(models)
    except OSError as cause:
        raise unwritable(models, cause) from cause
    return made


def read_decisions(models: Path) -> list[Decision]:
    """The journal's last decisions, oldest first; without lines that are damaged. None is an empty list."""
    try:
        with open_plain(models / JOURNAL) as journal:
            end = journal.seek(0, os.SEEK_END)
            journal.seek(max(end - _LAST_BYTES, 0))
            lines = journal.read(_LAST_BYTES).split(b"\n")
    except ArtifactError:
        return []
    found = []
    for line in lines:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            found.append(msgspec.json.decode(line, type=Decision))
    return found


def schema_differences(new: Schema, old: Schema) -> list[str]:
    """How two schemas differ in what a row means, for people; empty where they do not."""
    found = []
    for name in _MEANING:
        one, other = getattr(old, name), getattr(new, name)
        if one == other:
            continue
        if name != "sensors":
            found.append(f"{name} was {_shown(one)} and is {_shown(other)}")
            continue
        gone, come = [x for x in one if x not in other], [x for x in other if x not in one]
        parts = [f"{what} {_some(names)}" for what, names in (("without", gone), ("with", come)) if names]
        found.append(f"sensors {' and '.join(parts) or 'in another order'}")
    return found


def warn_of_schema(models: Path, manifest: Manifest) -> str | None:
    """What to say before a model replaces the current one that has another schema; None where there is nothing."""
    before = current_or_none(models)
    if before is None or before == manifest.version:
        return None
    try:
        differ = schema_differences(manifest.schema, read_manifest(models / before).schema)
    except ArtifactError:
        return None
    if not differ:
        return None
    return (
        f"{manifest.version} has another schema than {before}: {'; '.join(differ)}; a running monitor must be restarted"
    )


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()[:120]


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def current_or_none(models: Path) -> str | None:
    """The version that `current` names, where there is one."""
    try:
        return current_version(models)
    except ArtifactError:
        return None


@contextmanager
def _one_at_a_time(models: Path) -> Iterator[None]:
    """Between "what is current" and "this is" no other program decides. A killed one holds nothing."""
    try:
        handle = os.open(models, os.O_RDONLY)
    except OSError as cause:
        raise ArtifactError(f"{models}: {cause.strerror}; run sheetbreak train, or name it with --models") from cause
    try:
        with suppress(OSError):  # some network drives know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
