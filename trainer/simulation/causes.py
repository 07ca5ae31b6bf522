"""Causes of breaks: the sensors in which each one shows beforehand, and in what shape."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Shape = Literal["drift", "step", "variance", "oscillation", "decorrelation"]


@dataclass(frozen=True)
class Cause:
    """One way to break a sheet. Its precursor is added to what the sensors would have shown."""

    name: str
    share: float
    """Of all breaks; what is missing to 1 has no precursor."""
    shape: Shape
    shortest_rows: int
    longest_rows: int
    size: float
    """Of the precursor at its end, in spreads of a sensor, before the event's own severity."""
    sensors: dict[str, float]
    """Sign and relative size per sensor: across the plant's usual pattern, not along it."""


NO_CAUSE = "none"

CAUSES = (
    Cause("headbox-pulsation", 0.14, "oscillation", 4, 20, 7.0,
          {"x14": 1.0, "x15": -0.8, "x17": 0.9, "x18": -0.6, "x19": 0.5}),
    Cause("steam-shortage", 0.13, "drift", 10, 30, 8.0,
          {"x36": -0.7, "x37": -1.0, "x38": -0.9, "x41": 0.8, "x48": 1.0, "x57": 0.7}),
    Cause("felt-plugging", 0.13, "variance", 8, 30, 7.5,
          {"x32": 1.0, "x33": 1.0, "x35": 1.0, "x30": 0.6}),
    Cause("consistency-upset", 0.11, "step", 3, 12, 9.5,
          {"x1": 1.0, "x4": -0.7, "x7": -1.0, "x3": 0.7, "x10": 0.6}),
    Cause("draw-slack", 0.11, "decorrelation", 5, 25, 9.0,
          {"x50": 1.0, "x51": -1.0, "x52": 0.8, "x53": -1.0, "x55": 0.5}),
    Cause("retention-loss", 0.1, "drift", 15, 30, 10.0,
          {"x9": 1.0, "x10": 0.9, "x12": -0.8, "x22": 0.8, "x23": 0.7, "x8": -0.5}),
)  # fmt: skip


def disturbance_of(
    cause: Cause, rows: int, *, severity: float, fades: bool, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """What `cause` adds to its sensors in `rows` rows, and what share of the usual pattern it takes away.

    Both (rows, sensors of the cause): the first in spreads, the second 0 … 1, and 0 unless it decorrelates.
    It grows to its full size at the last row, or, when it fades, at half time and back to nothing.
    """
    growth = np.arange(1, rows + 1) / rows
    if fades:
        growth = np.minimum(1.0, 2.0 * np.minimum(growth, 1.0 - growth))
    gains = np.array(list(cause.sensors.values()))
    size = cause.size * severity * gains
    waves = np.sin(2 * np.pi * np.arange(rows) / rng.uniform(3.5, 7.0) + rng.uniform(0.0, 2 * np.pi))
    noise = rng.standard_normal((rows, len(gains)))
    lost = np.zeros((rows, len(gains)))
    if cause.shape == "drift":
        return growth[:, None] * size, lost
    if cause.shape == "step":
        return np.minimum(1.0, growth * rows / 2.0)[:, None] * size, lost
    if cause.shape == "variance":
        return np.sqrt(growth)[:, None] * size * noise, lost
    if cause.shape == "oscillation":
        return (np.sqrt(growth) * waves)[:, None] * size, lost
    wandering = np.cumsum(noise, axis=0) / np.sqrt(rows)
    return growth[:, None] * size * wandering, np.broadcast_to(growth[:, None], noise.shape)
