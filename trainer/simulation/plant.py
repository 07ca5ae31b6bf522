"""Plant: the simulated paper machine as it is built: its sections, its 59 sensors, its grades.

The plant is the same for every seed, as a mill is the same every month: a model trained on one simulated
period can be tried on another. A seed decides what happens in it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["fast", "slow", "bang-bang", "interpolated", "held"]
Floats = npt.NDArray[np.float64]

SECTIONS = ("stock", "chemistry", "headbox", "wire", "press", "steam", "dryer", "drives", "reel")


@dataclass(frozen=True)
class Sensor:
    """One measuring point. `centre` and `spread` in the plant unit that `meaning` ends with."""

    name: str
    section: str
    kind: Kind
    centre: float
    spread: float
    """About one standard deviation over a few quiet hours."""
    meaning: str


# x28 is the grade and x61 an outcome, as in the ProcessMiner file.
SENSORS = (
    Sensor("x1", "stock", "fast", 3.4, 0.04, "thick stock consistency, %"),
    Sensor("x2", "stock", "slow", 62.0, 3.0, "machine chest level, %"),
    Sensor("x3", "stock", "fast", 410.0, 12.0, "refiner load, kW"),
    Sensor("x4", "stock", "fast", 215.0, 4.0, "thick stock flow, l/s"),
    Sensor("x5", "stock", "held", 320.0, 8.0, "freeness, ml"),
    Sensor("x6", "stock", "slow", 14.0, 2.0, "broke share, %"),
    Sensor("x7", "stock", "fast", 48.0, 1.5, "thick stock valve, %"),
    Sensor("x8", "chemistry", "interpolated", 7.4, 0.05, "white water pH"),
    Sensor("x9", "chemistry", "fast", 11.5, 0.4, "retention aid flow, l/min"),
    Sensor("x10", "chemistry", "interpolated", 0.31, 0.015, "white water consistency, %"),
    Sensor("x11", "chemistry", "slow", 1350.0, 40.0, "conductivity, µS/cm"),
    Sensor("x12", "chemistry", "fast", 26.0, 0.7, "starch flow, l/min"),
    Sensor("x13", "chemistry", "held", -18.0, 2.5, "charge demand, µeq/l"),
    Sensor("x14", "headbox", "fast", 182.0, 1.5, "headbox pressure, kPa"),
    Sensor("x15", "headbox", "fast", 1.012, 0.002, "jet to wire ratio"),
    Sensor("x16", "headbox", "slow", 11.2, 0.08, "slice opening, mm"),
    Sensor("x17", "headbox", "fast", 71.0, 1.2, "headbox level, %"),
    Sensor("x18", "headbox", "fast", 884.0, 5.0, "fan pump speed, rpm"),
    Sensor("x19", "headbox", "interpolated", 0.82, 0.012, "headbox consistency, %"),
    Sensor("x20", "headbox", "slow", 46.5, 0.6, "headbox temperature, °C"),
    Sensor("x21", "wire", "fast", 7.8, 0.12, "wire tension, kN/m"),
    Sensor("x22", "wire", "fast", -18.5, 0.7, "suction box 1 vacuum, kPa"),
    Sensor("x23", "wire", "fast", -27.0, 0.9, "suction box 2 vacuum, kPa"),
    Sensor("x24", "wire", "interpolated", -61.0, 1.4, "couch roll vacuum, kPa"),
    Sensor("x25", "wire", "slow", 168.0, 3.5, "drainage flow, l/s"),
    Sensor("x26", "wire", "fast", 1042.0, 1.6, "wire speed, m/min"),
    Sensor("x27", "wire", "bang-bang", 55.0, 4.0, "wire pit level, %"),
    Sensor("x29", "press", "fast", 78.0, 1.1, "press 1 load, kN/m"),
    Sensor("x30", "press", "fast", 96.0, 1.3, "press 2 load, kN/m"),
    Sensor("x31", "press", "interpolated", 104.0, 1.5, "press 3 load, kN/m"),
    Sensor("x32", "press", "fast", -44.0, 1.6, "felt 1 vacuum, kPa"),
    Sensor("x33", "press", "fast", -39.0, 1.5, "felt 2 vacuum, kPa"),
    Sensor("x34", "press", "slow", 3.6, 0.08, "felt tension, kN/m"),
    Sensor("x35", "press", "fast", 2.2, 0.25, "press vibration, mm/s"),
    Sensor("x36", "steam", "fast", 520.0, 6.0, "steam header pressure, kPa"),
    Sensor("x37", "steam", "fast", 305.0, 4.0, "drying group 1 pressure, kPa"),
    Sensor("x38", "steam", "fast", 262.0, 4.0, "drying group 2 pressure, kPa"),
    Sensor("x39", "steam", "interpolated", 198.0, 3.5, "drying group 3 pressure, kPa"),
    Sensor("x40", "steam", "bang-bang", 40.0, 6.0, "condensate tank level, %"),
    Sensor("x41", "steam", "fast", 8.6, 0.18, "steam flow, t/h"),
    Sensor("x42", "steam", "interpolated", 34.0, 1.8, "drying group differential pressure, kPa"),
    Sensor("x43", "dryer", "slow", 0.142, 0.006, "hood air humidity, kg/kg"),
    Sensor("x44", "dryer", "slow", 96.0, 0.9, "cylinder 12 temperature, °C"),
    Sensor("x45", "dryer", "slow", 108.0, 1.1, "cylinder 30 temperature, °C"),
    Sensor("x46", "dryer", "slow", 82.0, 1.2, "hood exhaust temperature, °C"),
    Sensor("x47", "dryer", "bang-bang", 35.0, 5.0, "pocket ventilation damper, %"),
    Sensor("x48", "dryer", "fast", 6.9, 0.3, "moisture before the reel, %"),
    Sensor("x49", "dryer", "fast", 310.0, 6.0, "dryer drive load, kW"),
    Sensor("x50", "drives", "fast", 2.1, 0.05, "draw couch to press, %"),
    Sensor("x51", "drives", "fast", 1.2, 0.04, "draw press to dryer, %"),
    Sensor("x52", "drives", "fast", 0.4, 0.03, "draw dryer to reel, %"),
    Sensor("x53", "drives", "fast", 412.0, 9.0, "web tension, N/m"),
    Sensor("x54", "drives", "interpolated", 640.0, 11.0, "couch drive current, A"),
    Sensor("x55", "drives", "fast", 1065.0, 1.5, "reel speed, m/min"),
    Sensor("x56", "reel", "held", 90.0, 0.6, "basis weight, g/m²"),
    Sensor("x57", "reel", "interpolated", 5.6, 0.2, "reel moisture, %"),
    Sensor("x58", "reel", "held", 112.0, 1.2, "caliper, µm"),
    Sensor("x59", "reel", "held", 14.5, 0.4, "ash, %"),
    Sensor("x60", "reel", "fast", 96.0, 1.4, "reel drum nip, kN/m"),
)

PLANT = 1799
"""Seed of the plant: any fixed number; another one is another mill."""

GRADES = (60, 75, 90, 115, 140)
"""Grade codes: nominal basis weights, g/m²."""
GRADE_SHARES = (0.12, 0.24, 0.34, 0.2, 0.1)


@dataclass(frozen=True)
class Plant:
    """How each sensor answers to what goes on: arrays over SENSORS, in units of the sensor's spread."""

    section: npt.NDArray[np.intp]
    """Index into SECTIONS."""
    centre: Floats
    """In the sensor's unit, as `spread`; this machine's own."""
    spread: Floats
    fast: Floats
    """Gain on the section's fast factor (minutes)."""
    slow: Floats
    """Gain on the section's slow factor (hours)."""
    upstream: Floats
    """Gain on the fast factor of the section upstream."""
    mill: Floats
    """Gains (2, sensors) on the mill's two factors: production rate and ambient air."""
    own: Floats
    """Standard deviation of the sensor's own slow noise."""
    white: Floats
    """Standard deviation of its measurement noise."""
    lag_rows: Floats
    """Time constant of a slow sensor's response, rows; 0 for the others."""
    grade: Floats
    """Shift per 30 g/m² of grade above 90."""
    standstill: Floats
    """Shift while the machine stands, decaying after a restart."""
    settle_rows: Floats
    """Time constant of that decay, rows."""
    wander: Floats
    """Standard deviation of the drift per day."""


def build_plant(machine: int = 0) -> Plant:
    """The simulated plant, and the place of all constants not worth a table.

    machine: 0, 1, …; their sensors answer alike, but not quite.
    """
    rng = np.random.default_rng(PLANT)  # not the seed: this is what is built, not what happens
    n = len(SENSORS)
    names = [sensor.name for sensor in SENSORS]
    kinds = np.array([sensor.kind for sensor in SENSORS])
    noisy, lagging = kinds == "fast", kinds == "slow"
    signs = rng.choice([-1.0, 1.0], (6, n))
    grade = signs[4] * rng.uniform(0.0, 1.2, n)
    grade[names.index("x56")] = 30.0 / SENSORS[names.index("x56")].spread  # the grade is the basis weight
    grade[names.index("x58")] = 36.0 / SENSORS[names.index("x58")].spread  # 1.2 µm of caliper per g/m²
    sister = np.random.default_rng([PLANT, machine])
    strength = np.exp(0.08 * sister.standard_normal((3, n)))
    return Plant(
        section=np.array([SECTIONS.index(sensor.section) for sensor in SENSORS]),
        centre=np.array([s.centre for s in SENSORS]) + 2.0 * sister.standard_normal(n) * _spreads(),
        spread=_spreads() * np.exp(0.1 * sister.standard_normal(n)),
        fast=signs[0] * rng.uniform(0.35, 0.8, n) * strength[0],
        slow=signs[1] * rng.uniform(0.3, 0.8, n) * strength[1],
        upstream=signs[2] * rng.uniform(0.0, 0.3, n) * strength[2],
        mill=signs[3] * rng.uniform(0.0, 0.35, (2, n)),
        own=rng.uniform(0.25, 0.5, n),
        white=np.where(noisy, rng.uniform(0.25, 0.6, n), rng.uniform(0.05, 0.15, n)),
        lag_rows=np.where(lagging, rng.uniform(3.0, 12.0, n), 0.0),
        grade=grade,
        standstill=signs[5] * rng.gamma(1.2, 1.8, n),
        settle_rows=rng.uniform(6.0, 15.0, n),
        wander=rng.gamma(1.5, 0.4, n),
    )


def _spreads() -> Floats:
    return np.array([sensor.spread for sensor in SENSORS])
