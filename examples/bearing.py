"""A made-up machine with a bearing that goes bad, 250 samples a second. Synthetic: no machine was measured.

    python examples/bearing.py FOLDER

writes bearing.csv (two minutes, 30,000 rows: eight sensors, times with milliseconds, a label `fault`) and bearing.toml.
The same bytes every time.

Shaft speed, load and temperature wander; four accelerometers and the motor current follow them. In nine stretches of a
fifth of a second to two seconds a damaged ball rings: one or two accelerometers swing more than the load explains.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

ROWS, RATE_HZ, SEED = 30_000, 250, 7
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
SENSORS = ("speed", "load", "temperature", "current", "acc1", "acc2", "acc3", "acc4")
SCHEMA = """\
[columns]
time = "time"
broken = "fault"
[sampling]
period_s = 0.004
lead_rows = 0
"""


def main(folder: Path) -> None:
    """Write both files."""
    draw = np.random.default_rng(SEED)
    folder.mkdir(parents=True, exist_ok=True)
    speed, load, temperature = (_wander(draw) for _ in range(3))
    causes = np.stack([speed, load, temperature], axis=1)
    follow = np.stack([causes @ draw.normal(0, 0.6, 3) for _ in range(5)], axis=1) + draw.normal(0, 0.15, (ROWS, 5))
    values = np.concatenate([causes + draw.normal(0, 0.05, causes.shape), follow], axis=1)
    fault = np.zeros(ROWS, int)
    for begin in range(2_500, ROWS, 3_100):
        rows = np.arange(begin, begin + int(draw.integers(50, 500)))
        ring = draw.uniform(0.8, 2.0) * np.sin(2 * np.pi * 37 / RATE_HZ * np.arange(len(rows)))
        for sensor in draw.choice(4, size=int(draw.integers(1, 3)), replace=False):
            values[rows, 4 + sensor] += ring
        fault[rows] = 1
    lines = [f"time,{','.join(SENSORS)},fault"]
    for i, row in enumerate(values):
        time = (START + timedelta(seconds=i / RATE_HZ)).isoformat(timespec="milliseconds")
        lines.append(f"{time},{','.join(f'{value:.4f}' for value in row)},{fault[i]}")
    (folder / "bearing.csv").write_text("\n".join([*lines, ""]))
    (folder / "bearing.toml").write_text(SCHEMA)


def _wander(draw: np.random.Generator) -> np.ndarray:
    """(rows,) a slow walk that returns to 0, of unit spread."""
    steps = draw.normal(0, 1, ROWS)
    walk = np.zeros(ROWS)
    for i in range(1, ROWS):
        walk[i] = 0.998 * walk[i - 1] + steps[i]
    return walk / walk.std()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
