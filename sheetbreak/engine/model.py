"""The model as values: the manifest, and the artifact that scores with it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.features import FeatureFold, FeatureParams
from sheetbreak.engine.scoring import Scaler, ScoreParams, Scorer
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.rows import Schema

FORMAT = 1
Float32s = npt.NDArray[np.float32]
Reconstruct = Callable[[Float32s], Float32s]
"""(n, window, sensors) scaled features -> the model's reconstruction, same shape."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that scoring needs beside model.onnx, and where the model comes from."""

    format: int = FORMAT
    version: str
    """"20260501T101500Z-3f9c": when it was made, and the start of a hash of its content."""
    created: str
    preset: str
    family: str
    window: int
    schema: Schema
    features: FeatureParams
    scaler: Scaler
    score: ScoreParams
    threshold: Threshold
    policy: AlertPolicy
    break_is_stop: bool = True
    """False: only a gap is a stop (preset `rows`)."""
    metrics: dict[str, Any] = {}
    """The evaluation on held-out later rows, as the training printed it."""
    training: dict[str, Any] = {}
    """Seed, split, epochs, the data's name, sha256 and row count."""
    libraries: dict[str, str] = {}
    files: dict[str, str] = {}
    """sha256 of every other file, by path within the artifact."""
    content_sha256: str = ""
    """sha256 of this manifest with this field empty."""


@dataclass(frozen=True)
class Artifact:
    """A model ready to score."""

    manifest: Manifest
    reconstruct: Reconstruct
    features: FeatureFold
    scorer: Scorer

    @property
    def version(self) -> str:
        """The manifest's."""
        return self.manifest.version

    @classmethod
    def of(cls, manifest: Manifest, reconstruct: Reconstruct) -> "Artifact":
        """The artifact of a manifest and a reconstruction, with the arrays that scoring uses prepared."""
        return cls(manifest, reconstruct, FeatureFold(manifest.features), Scorer(manifest.scaler, manifest.score))
