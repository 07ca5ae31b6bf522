"""Model as values: the manifest, and the artifact that scores with it."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec

from sheetbreak.bounds import SomeRows
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.features import FeatureFold, FeatureParams
from sheetbreak.engine.odds import UNKNOWN_ODDS, Odds
from sheetbreak.engine.scores import Reconstruct, Scaler, ScoreParams, Scorer
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.rows import MAX_NAME_CHARS, Schema, Text

FORMAT = 1
MAX_SENSORS, MAX_CELLS = 10_000, 1_000_000
"""Of a model, and of one window of it (sensors times rows): what one row may cost."""
MAX_GRADE_RATIO = 1e6
"""Between a grade's level and that of all: beyond it float32, which holds the trailing scores, loses them."""
MAX_SMOOTH_ROWS = 100
"""A machine's state holds as many scores."""
_FILE = r"^(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._ /-]{0,199}$"
"""A file of an artifact lies within it."""
_NO_SENSOR = re.compile(r'[\x00-\x1f\x7f"\\]')
"""A sensor's name becomes a field of JSON and a label; such characters cannot."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that scoring needs beside model.onnx, and where the model comes from."""

    format: int = FORMAT
    version: Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[A-Za-z0-9._-]*$")]
    """"20260501T101500Z-3f9c": when it was made, and the start of a hash of its content."""
    created: str
    preset: Text
    family: Text
    window: SomeRows
    schema: Schema
    features: FeatureParams
    scaler: Scaler
    score: ScoreParams
    threshold: Threshold
    policy: AlertPolicy
    break_is_stop: bool = True
    """False: only a gap is a stop (preset `rows`)."""
    smooth_rows: Annotated[int, msgspec.Meta(ge=1, le=MAX_SMOOTH_ROWS)] = 1
    """A row's score is the mean of so many, its own the last of them; 1: its own alone."""
    odds: Odds = UNKNOWN_ODDS
    """What held-out rows showed of this model's warnings: where a machine that was never seen begins."""
    metrics: dict[str, Any] = {}
    """The evaluation on held-out later rows, as the training printed it."""
    training: dict[str, Any] = {}
    """Seed, split, epochs, the data's name, sha256 and row count."""
    libraries: dict[str, str] = {}
    files: dict[Annotated[str, msgspec.Meta(pattern=_FILE)], str] = {}
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


def check_manifest(manifest: Manifest) -> None:
    """What the fields' own ranges cannot say: lengths that must agree, names, times.

    Raises ValueError, naming the field, what it is and what was expected.
    """
    sensors = manifest.schema.sensors
    _check_sensors(sensors, manifest.window)
    streaming, clipped = manifest.features.kind == "streaming-z", manifest.score.kind == "clipped-mean"
    for name, entries, needed in (
        ("features.fallback", manifest.features.fallback, True),
        ("features.start_sd", manifest.features.start_sd, streaming),
        ("features.level_sd", manifest.features.level_sd, False),
        ("features.offset", manifest.features.offset, False),
        ("scaler.centre", manifest.scaler.centre, True),
        ("scaler.scale", manifest.scaler.scale, True),
        ("score.rms", manifest.score.rms, clipped),
    ):
        if len(entries) != len(sensors) and (needed or entries):
            raise ValueError(f"{name} has {len(entries)} entries, expected one for each of {len(sensors)} sensors")
    floor, clip, threshold = manifest.scaler.floor, manifest.scaler.clip, manifest.threshold
    if floor is not None and clip is not None and floor >= clip:
        raise ValueError(f"scaler.floor is {floor}, expected less than scaler.clip, {clip}")
    for grade, level in threshold.grade_levels.items():
        if not threshold.level / MAX_GRADE_RATIO <= level <= threshold.level * MAX_GRADE_RATIO or not threshold.level:
            raise ValueError(f"threshold.grade_levels: {grade!r} has {level} beside a level of {threshold.level}")
    moment = datetime.fromisoformat(manifest.created)
    if moment.tzinfo is None or not 1970 <= moment.year < 9999:
        raise ValueError(f"created is {manifest.created!r}, expected a time with a zone since 1970")


def _check_sensors(sensors: tuple[str, ...], window: int) -> None:
    if not 0 < len(sensors) <= MAX_SENSORS or len(sensors) * window > MAX_CELLS:
        raise ValueError(
            f"{len(sensors)} sensors in windows of {window} rows, expected 1 to {MAX_SENSORS} sensors and at most "
            f"{MAX_CELLS} cells a window"
        )
    for name in sensors:
        if not 0 < len(name) <= MAX_NAME_CHARS or _NO_SENSOR.search(name):
            raise ValueError(
                f"schema.sensors: {name[:60]!r} is no name of 1 to {MAX_NAME_CHARS} characters without quotation "
                "marks, backslashes and control characters"
            )
    if len(set(sensors)) != len(sensors):
        raise ValueError("schema.sensors: a name stands there twice")
