"""Schedule of a simulated machine: runs, breaks and their causes, stops, grades, upsets that end well."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.simulation.causes import CAUSES, Cause
from trainer.simulation.plant import GRADE_SHARES, GRADES

ROWS_PER_DAY = 720
"""One row in 2 minutes."""

# Chosen so that a day has 4 to 5 breaks, as the ProcessMiner file (124 in 28 days), and that some follow one
# another as closely as there (25 of 124 within 15 rows of a restart).
MEAN_RUN_ROWS = 140.0
SHORT_RUN_SHARE, SHORT_RUN_ROWS = 0.2, (3, 25)
STOP_SHARE, STOP_ROWS = 0.83, (15, 60)
"""103 of that file's 124 breaks are followed by a gap; a stop takes 30 to 120 minutes here."""
PLANNED_STOP_SHARE = 0.04
GRADE_RUN_ROWS = (300, 1900)
UPSETS_PER_DAY = 3.0
UPSET_ROWS, UPSET_SEVERITY = (4, 25), (0.25, 0.8)
SEVERITY_SPREAD = 0.35
SHORTEST_PRECURSOR_ROWS = 3
"""5 minutes to the break. With less room than that before it, a break comes without a precursor."""
SETTLING_ROWS = 10
"""No precursor begins in the first rows of a run: nothing could tell it from starting up."""


@dataclass(frozen=True)
class Break:
    """One sheet break. `slot`: sampling period, counted from the start, standstills included."""

    slot: int
    cause: Cause | None
    start: int
    """Slot of the precursor's first row; `slot` itself when there is none."""


@dataclass(frozen=True)
class Disturbance:
    """A precursor, or an upset that looks like the beginning of one and fades."""

    start: int
    rows: int
    cause: Cause
    severity: float
    """Factor on the cause's size."""
    fades: bool


@dataclass(frozen=True)
class Schedule:
    """Arrays are over all sampling periods, standstills included."""

    running: npt.NDArray[np.bool_]
    breaks: tuple[Break, ...]
    disturbances: tuple[Disturbance, ...]
    grade: npt.NDArray[np.int64]


def plan(slots: int, rng: np.random.Generator) -> Schedule:
    """Everything that will happen in `slots` sampling periods."""
    running = np.ones(slots, dtype=np.bool_)
    breaks: list[Break] = []
    disturbances: list[Disturbance] = []
    start = 0
    while start < slots:
        end = start + _run_rows(rng)  # the slot of the break, or of the last row before a planned stop
        planned = rng.random() < PLANNED_STOP_SHARE
        cause = None if planned else _cause(rng)
        severity = float(np.exp(SEVERITY_SPREAD * rng.standard_normal()))
        lead = min(_lead_rows(cause, rng), end - start - SETTLING_ROWS)
        if lead < SHORTEST_PRECURSOR_ROWS:
            cause, lead = None, 0
        disturbances.extend(_upsets(start, min(end - lead, slots), rng))
        if end >= slots:
            break
        if cause is not None:
            disturbances.append(Disturbance(end - lead, lead, cause, severity, fades=False))
        if not planned:
            breaks.append(Break(end, cause, end - lead))
        stands = planned or rng.random() < STOP_SHARE
        start = end + 1 + (_stop_rows(rng) if stands else 0)
        running[end + 1 : start] = False
    return Schedule(running, tuple(breaks), tuple(disturbances), _grades(slots, rng))


def _run_rows(rng: np.random.Generator) -> int:
    """Rows from the start of a run to its break: some break again at once, the rest at a constant hazard."""
    short, long = rng.integers(*SHORT_RUN_ROWS), 15 + rng.exponential(MEAN_RUN_ROWS)
    return int(short if rng.random() < SHORT_RUN_SHARE else long)


def _cause(rng: np.random.Generator) -> Cause | None:
    draw = rng.random()
    for cause in CAUSES:
        draw -= cause.share
        if draw < 0:
            return cause
    return None


def _lead_rows(cause: Cause | None, rng: np.random.Generator) -> int:
    return int(rng.integers(cause.shortest_rows, cause.longest_rows + 1)) if cause else 0


def _stop_rows(rng: np.random.Generator) -> int:
    """Short stops are the common ones: log-uniform."""
    shortest, longest = STOP_ROWS
    return int(shortest * (longest / shortest) ** rng.random())


def _upsets(start: int, end: int, rng: np.random.Generator) -> Iterator[Disturbance]:
    """Upsets in the slots [start, end), at UPSETS_PER_DAY, one after the other."""
    at = start
    while True:
        at += int(rng.exponential(ROWS_PER_DAY / UPSETS_PER_DAY))
        rows = int(rng.integers(*UPSET_ROWS))
        cause = CAUSES[int(rng.integers(len(CAUSES)))]
        severity = float(rng.uniform(*UPSET_SEVERITY))
        if at + rows >= end:
            return
        yield Disturbance(at, rows, cause, severity, fades=True)
        at += rows


def _grades(slots: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Grade code per slot, in runs of some hours to two days; a run never follows one of its own grade."""
    grade = np.empty(slots, dtype=np.int64)
    at, current = 0, -1
    while at < slots:
        following = current
        while following == current:
            following = int(rng.choice(GRADES, p=GRADE_SHARES))
        rows = int(rng.integers(*GRADE_RUN_ROWS))
        grade[at : at + rows] = following
        at, current = at + rows, following
    return grade
