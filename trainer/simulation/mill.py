"""Mill from a seed: one simulated machine, its schedule and what its sensors showed, standstills included."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.simulation.plant import build_plant
from trainer.simulation.schedule import ROWS_PER_DAY, Schedule, plan
from trainer.simulation.signals import simulate_sensors


@dataclass(frozen=True)
class Machine:
    """What happened to one machine in all sampling periods of the simulated time."""

    name: str
    schedule: Schedule
    values: npt.NDArray[np.float64]
    """(slots, sensors) in plant units, columns as plant.SENSORS."""


def simulate_machine(number: int, *, days: int, seed: int) -> Machine:
    """Machine `number` (0, 1, …; named pm1, pm2, …) of the mill: the same with however many others."""
    noise, happenings = np.random.SeedSequence(seed, spawn_key=(number,)).spawn(2)
    schedule = plan(days * ROWS_PER_DAY, np.random.default_rng(happenings))
    values = simulate_sensors(build_plant(number), schedule, np.random.default_rng(noise))
    return Machine(f"pm{number + 1}", schedule, values)
