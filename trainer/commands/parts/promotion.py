"""Promotion of what was trained: by the gate, always or never; the decision in the manifest, the journal and words."""

import argparse
import shlex
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
class Promotion:
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


def decide_promotion(
    how: str, models: Path, new: Artifact, to_compare: "Callable[[], RowsToCompare]", *, asked_per_day: float | None
) -> Promotion:
    """What the option says of a model that is not written yet. new: with its training in the manifest."""
    current = current_or_none(models)
    if how == "never":
        return Promotion(take=False, by="never", why="--promote never", current=current)
    if current is None:
        return Promotion(take=True, by=FIRST, why="nothing was current", current=None)
    if how == "always":
        return Promotion(take=True, by="always", why="--promote always", current=current)
    try:
        old = load(models, current)
    except ArtifactError as unfit:
        why = f"the current model cannot be loaded, so there is nothing to compare with: {unfit}"
        return Promotion(take=False, by="if-better", why=why, current=current)
    from trainer.evaluation.gate import compare

    gate = compare(new, old, to_compare(), asked_per_day=asked_per_day)
    return Promotion(take=gate.passed, by="if-better", why=gate.why, current=current, gate=gate.as_json())


def carry_out(models: Path, manifest: Manifest, promotion: Promotion) -> Decision:
    """Make the model current if that is decided, and write the decision down. Raises ArtifactError."""
    if not promotion.take:
        return record(
            models,
            manifest.version,
            decision=CANDIDATE,
            by=promotion.by,
            current=promotion.current,
            why=promotion.why,
            gate=promotion.gate,
        )
    why = promotion.why
    if promotion.by == "always" and (warning := warn_of_schema(models, manifest)):
        why = f"{why}; warning: {warning}"
    only = "any" if promotion.by == "always" else promotion.current
    return promote(models, manifest.version, by=promotion.by, why=why, gate=promotion.gate, only_if_current=only)


def decision_text(models: Path, decision: Decision) -> str:
    """What became of the model, for the end of a training's summary."""
    version = decision.version
    if decision.decision == PROMOTED:
        if decision.by == FIRST:
            return f"is current in {models}"
        return f"is current in {models}, instead of {decision.current}: {decision.why}"
    stays = f"{decision.current} stays current" if decision.current else "nothing is current"
    why = decision.why if decision.why.endswith("?") else f"{decision.why}."
    return (
        f"is a candidate in {models}; {stays}: {why}\nTo use it all the same:\n"
        f"  sheetbreak models promote {version} --models {shlex.quote(str(models))}"
    )
