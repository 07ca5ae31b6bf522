"""Made-up heartbeats, one a row: a small data set that is no paper mill. Synthetic: no patient, no recording.

    python examples/heartbeats.py FOLDER

writes normal.csv (1,500 normal beats, no labels), test.csv (1,000 beats, about a sixth of them anomalous, in the column
`anomalous`) and heartbeats.toml, the schema that says how to read them. The same bytes every time.

A beat is 140 samples t0…t139: three bumps that stand for P wave, QRS complex and T wave, each varying a little in
height, width and place from beat to beat, plus slow wander of the base line and noise. The kinds of anomaly: an early,
wide QRS after a small P wave; a depressed stretch between QRS and T; a flat T wave; a beat of three quarters the
height.
"""

import sys
from pathlib import Path

import numpy as np

SAMPLES, NORMAL, TESTED, SEED = 140, 1500, 1000, 11
KINDS = ("early and wide", "depressed", "flat T", "low")
ANOMALOUS = 1 / 6
SCHEMA = """\
[columns]
broken = "anomalous"   # 1: the beat is anomalous; normal.csv has no such column
ignore = ["kind"]      # which anomaly it is, for the reader
[sampling]
period_s = 0.8         # no time column: beats are numbered, 0.8 s each
lead_rows = 0          # the row itself is judged, not one before it
"""


def beat(draw: np.random.Generator, kind: str = "") -> np.ndarray:
    """(140,) one beat; kind: one of KINDS, or none of them."""
    t = np.linspace(0.0, 1.0, SAMPLES)
    place = np.array([0.18, 0.38, 0.68]) + draw.normal(0, 0.006, 3)
    width = np.array([0.030, 0.014, 0.055]) * draw.normal(1, 0.06, 3)
    height = np.array([0.15, 1.0, 0.30]) * draw.normal(1, 0.08, 3)
    if kind == "early and wide":
        height[0], place[1], width[1] = 0.3 * height[0], place[1] - 0.015, 1.3 * width[1]
    if kind == "flat T":
        height[2] *= -0.1
    if kind == "low":
        height *= 0.75
    signal = (height[:, None] * np.exp(-(((t - place[:, None]) / width[:, None]) ** 2) / 2)).sum(axis=0)
    if kind == "depressed":
        signal[(t > place[1] + 0.05) & (t < place[2])] -= draw.uniform(0.02, 0.1)
    wander = draw.normal(0, 0.03) * np.sin(2 * np.pi * (t + draw.uniform()))
    return signal + wander + draw.normal(0, 0.02, SAMPLES)


def main(folder: Path) -> None:
    """Write the three files."""
    draw = np.random.default_rng(SEED)
    folder.mkdir(parents=True, exist_ok=True)
    names = ",".join(f"t{i}" for i in range(SAMPLES))
    normal = [f"{_cells(beat(draw))},normal" for _ in range(NORMAL)]
    kinds = [KINDS[draw.integers(len(KINDS))] if draw.random() < ANOMALOUS else "" for _ in range(TESTED)]
    tested = [f"{_cells(beat(draw, kind))},{int(kind != '')},{kind or 'normal'}" for kind in kinds]
    (folder / "normal.csv").write_text("\n".join([f"{names},kind", *normal, ""]))
    (folder / "test.csv").write_text("\n".join([f"{names},anomalous,kind", *tested, ""]))
    (folder / "heartbeats.toml").write_text(SCHEMA)


def _cells(values: np.ndarray) -> str:
    return ",".join(f"{value:.4f}" for value in values)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
