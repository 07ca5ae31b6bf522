"""Promotion of what was trained: by the gate, always or never; the decision in the manifest, the journal and words."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sheetbreak.artifact import load
from sheetbreak.artifact.promotion import (
    CANDIDATE,
    PROMOTED,
    Decision,
    current_or_none,
    promote,
    record,
    warn_of_schema,
)
from sheetbreak.engine.model import Artifact, Manifest
from sheetbreak.errors import ArtifactError

if TYPE_CHECKING:
    from trainer.evaluation.gate import RowsToCompare

WAYS = ("if-better", "always", "never")
FIRST = "first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to become of a new model."""

    take: bool
    by: str
    """One of WAYS, or FIRST."""
    why: str
    current: str | None
    """What it was held against; None where nothing was current."""
    gate: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the manifest, which is written before anything becomes current."""
        return {"take": self.take, "by": self.by, "why": self.why, "current": self.current, "gate": self.gate}


def add_promote_option(parser: argparse.ArgumentParser) -> None:
    """`--promote`."""
    parser.add_argument(
        "--promote",
        choices=WAYS,
        default=WAYS[0],
        help="whether the new model takes the current one's place: if-better (the default), if it is not worse on "
        "later rows that neither has seen; always; never. The first model is current at once, unless never",
    )


def give_verdict(
    how: str, models: Path, new: Artifact, to_compare: "Callable[[], RowsToCompare]", *, asked_per_day: float | None
) -> Verdict:
    """What the option says of a model that is not written yet. new: with its training in the manifest."""
    current = current_or_none(models)
    if how == "never":
        return Verdict(take=False, by="never", why="--promote never", current=current)
    if current is None:
        return Verdict(take=True, by=FIRST, why="nothing was current", current=None)
    if how == "always":
        return Verdict(take=True, by="always", why="--promote always", current=current)
    try:
        old = load(models, current)
    except ArtifactError as unfit:
        why = f"the current model cannot be loaded, so there is nothing to compare with: {unfit}"
        return Verdict(take=False, by="if-better", why=why, current=current)
    from trainer.evaluation.gate import compare

    gate = compare(new, old, to_compare(), asked_per_day=asked_per_day)
    return Verdict(take=gate.passed, by="if-better", why=gate.why, current=current, gate=gate.as_json())


def carry_out(models: Path, manifest: Manifest, verdict: Verdict) -> Decision:
    """Make the model current if the verdict says so, and write the decision down. Raises ArtifactError."""
    if not verdict.take:
        return record(
            models,
            manifest.version,
            decision=CANDIDATE,
            by=verdict.by,
            current=verdict.current,
            why=verdict.why,
            gate=verdict.gate,
        )
    why = verdict.why
    if verdict.by == "always" and (warning := warn_of_schema(models, manifest)):
        why = f"{why}; warning: {warning}"
    only = "any" if verdict.by == "always" else verdict.current
    return promote(models, manifest.version, by=verdict.by, why=why, gate=verdict.gate, only_if_current=only)


def decision_text(models: Path, decision: Decision) -> str:
    """What became of the model, for the end of a training's summary."""
    version = decision.version
    if decision.decision == PROMOTED:
        if decision.by == FIRST:
            return f"is current in {models}"
        return f"is current in {models}, instead of {decision.current}: {decision.why}"
    stays = f"{decision.current} stays current" if decision.current else "nothing is current"
    return (
        f"is a candidate in {models}; {stays}: {decision.why}.\n"
        f"To use it all the same: sheetbreak models promote {version} --models {models}"
    )
