"""Signals of the simulated sensors: latent factors, sensors of several kinds, what a historian keeps."""

import numpy as np
import numpy.typing as npt

from trainer.simulation.causes import disturbance_of
from trainer.simulation.plant import SECTIONS, SENSORS, Plant
from trainer.simulation.schedule import ROWS_PER_DAY, Schedule

Floats = npt.NDArray[np.float64]

# Time constants, rows
FAST_ROWS, SLOW_ROWS = 6.0, 90.0
"""Of a section's two factors."""
MILL_ROWS = 360.0
OWN_ROWS = 40.0
RESTLESS_ROWS = 240.0
"""Of how much everything in a section moves: quiet hours and restless ones."""
GRADE_CHANGE_ROWS = 6.0
STANDING_ROWS = 2.0
WANDER_DAYS = 10.0
"""Time constant of the drift: over weeks it goes far, but comes back."""
ARCHIVE_DEADBAND = {"interpolated": 0.5, "held": 0.8}
"""Spreads that a value must move before the historian keeps it: some lines are straight, some are steps."""
ARCHIVE_ROWS = 15
"""At the latest."""
GLITCH_SHARE = 0.0003
INDEX = {sensor.name: position for position, sensor in enumerate(SENSORS)}


def simulate_sensors(plant: Plant, schedule: Schedule, rng: np.random.Generator) -> Floats:
    """Values (slots, sensors) in plant units, standstills included; columns as SENSORS.

    What happens draws from streams of its own, so that the same noise lies under another schedule.
    """
    noise, disturbing, stopping = rng.spawn(3)
    slots = len(schedule.running)
    restlessness = np.exp(0.3 * _wandering(slots, np.full(len(SECTIONS), RESTLESS_ROWS), noise))
    restless = restlessness[:, plant.section]
    usual = _usual(plant, restless, noise)
    shown = _own(plant, schedule, noise) + plant.standstill * _standing(plant, schedule, stopping)
    for event in schedule.disturbances:
        rows = slice(event.start, event.start + event.rows)
        columns = [INDEX[name] for name in event.cause.sensors]
        added, lost = disturbance_of(
            event.cause, event.rows, severity=event.severity, fades=event.fades, rng=disturbing
        )
        shown[rows, columns] += added
        usual[rows, columns] *= 1.0 - lost
    shown += usual
    shown = np.where(plant.lag_rows > 0, _followed(shown, np.maximum(plant.lag_rows, 1.0)), shown)
    shown += plant.white * restless * noise.standard_normal(shown.shape)
    shown += _glitches(shown.shape, noise)
    snapshot = _snapshots(schedule)
    for column, sensor in enumerate(SENSORS):
        if sensor.kind == "bang-bang":
            shown[:, column] = _switched(shown[:, column])
        elif sensor.kind in ARCHIVE_DEADBAND:
            deadband, straight = ARCHIVE_DEADBAND[sensor.kind], sensor.kind == "interpolated"
            shown[:, column] = _archived(shown[:, column], snapshot, deadband, straight=straight)
    return plant.centre + plant.spread * shown


def _usual(plant: Plant, restless: Floats, rng: np.random.Generator) -> Floats:
    """The part that sensors share while all is well: factors of their section, its neighbour and the mill."""
    slots, sections = len(restless), len(SECTIONS)
    fast = _wandering(slots, np.full(sections, FAST_ROWS), rng)
    slow = _wandering(slots, np.full(sections, SLOW_ROWS), rng)
    mill = _wandering(slots, np.full(2, MILL_ROWS), rng)
    mill[:, 1] += 1.2 * np.sin(2 * np.pi * np.arange(slots) / ROWS_PER_DAY)  # air has day and night
    upstream = np.maximum(plant.section - 1, 0)
    return (
        plant.fast * restless * fast[:, plant.section]
        + plant.upstream * restless * fast[:, upstream]
        + plant.slow * slow[:, plant.section]
        + mill @ plant.mill
    )


def _own(plant: Plant, schedule: Schedule, rng: np.random.Generator) -> Floats:
    """What each sensor does for itself: slow noise, drift over weeks, the grade."""
    slots, sensors = len(schedule.running), len(SENSORS)
    own = plant.own * _wandering(slots, np.full(sensors, OWN_ROWS), rng)
    reach = plant.wander * np.sqrt(WANDER_DAYS / 2)  # noise of variance 1 moves sqrt(2 / WANDER_DAYS) a day
    own += reach * _wandering(slots, np.full(sensors, WANDER_DAYS * ROWS_PER_DAY), rng)
    above_90 = (schedule.grade[:, None] - 90.0) / 30.0
    weight = _followed(above_90.astype(np.float64), np.array([GRADE_CHANGE_ROWS]))
    return own + plant.grade * weight


def _standing(plant: Plant, schedule: Schedule, rng: np.random.Generator) -> Floats:
    """How far each sensor is from operation (slots, sensors): about 1 in a stop, 0 about an hour after it."""
    still = ~schedule.running
    for sheet_break in schedule.breaks:
        still[sheet_break.slot] = True
    level = np.zeros(len(SENSORS))
    depth = np.ones(len(SENSORS))
    levels = np.empty((len(still), len(SENSORS)))
    for slot, stands in enumerate(still.tolist()):
        if stands and not (slot and still[slot - 1]):  # every stop leaves the machine in another state
            depth = np.exp(0.4 * rng.standard_normal()) * (1.0 + 0.4 * rng.standard_normal(len(SENSORS)))
        level = level + ((depth - level) / STANDING_ROWS if stands else -level / plant.settle_rows)
        levels[slot] = level
    return levels


def _wandering(slots: int, time_constants: Floats, rng: np.random.Generator) -> Floats:
    """Autoregressive noise of order 1 with variance 1 (slots, columns); time constants in rows."""
    kept = np.exp(-1.0 / time_constants)
    noise = rng.standard_normal((slots, len(time_constants)))
    noise[1:] *= np.sqrt(1.0 - kept**2)
    state = np.zeros(len(time_constants))
    for slot in range(slots):
        state = noise[slot] = kept * state + noise[slot]
    return noise


def _followed(target: Floats, time_constants: Floats) -> Floats:
    """A first-order response to `target` (slots, columns), begun at its first row; time constants in rows."""
    shares = 1.0 - np.exp(-1.0 / time_constants)
    answer = np.empty_like(target)
    state = target[0]
    for slot in range(len(target)):
        state = answer[slot] = state + shares * (target[slot] - state)
    return answer


def _glitches(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Single values far off, as from a loose contact."""
    return np.where(rng.random(shape) < GLITCH_SHARE, 8.0 * rng.standard_normal(shape), 0.0)


def _switched(level: Floats) -> Floats:
    """A two-point controller, which takes 3 rows to move: high when `level` passes 0.8, low below -0.8."""
    state, wanted = -1.0, -1.0
    answer = np.empty_like(level)
    for slot, value in enumerate(level.tolist()):
        wanted = 1.0 if value > 0.8 else -1.0 if value < -0.8 else wanted
        state += min(0.7, max(-0.7, wanted - state))
        answer[slot] = state
    return answer


def _archived(values: Floats, snapshot: npt.NDArray[np.bool_], deadband: float, *, straight: bool) -> Floats:
    """What a historian that compresses gives back: points kept when a value moved, joined by lines or steps.

    A line needs its end, so such a sensor knows up to ARCHIVE_ROWS rows of its future, as in real historians.
    """
    kept = [0]
    listed = values.tolist()
    for slot, forced in enumerate(snapshot.tolist()[1:], start=1):
        moved = abs(listed[slot] - listed[kept[-1]]) > deadband
        if moved or forced or slot - kept[-1] >= ARCHIVE_ROWS:
            kept.append(slot)
    slots, points = np.arange(len(values)), np.array(kept)
    lines: Floats = np.interp(slots, points, values[points])
    steps: Floats = values[points[np.searchsorted(points, slots, side="right") - 1]]
    return lines if straight else steps


def _snapshots(schedule: Schedule) -> npt.NDArray[np.bool_]:
    """Slots that the historian keeps whatever the value: both sides of every break and stop.

    Without them a line would run from before a break to after it and show the break in advance. The
    ProcessMiner file has such lines; here they would make detection look better than a live feed allows.
    """
    snapshot = np.zeros(len(schedule.running), dtype=np.bool_)
    turns = np.flatnonzero(np.diff(schedule.running.astype(np.int8))) + 1
    for slot in (*turns.tolist(), *(sheet_break.slot for sheet_break in schedule.breaks)):
        snapshot[max(slot - 1, 0) : slot + 1] = True
    return snapshot
