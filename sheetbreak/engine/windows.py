"""Windows: the features of admitted rows and the windows that end in them, all machines at once. The second stage."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sheetbreak.engine.admission import Stretch
from sheetbreak.engine.features import LARGEST, FeatureFold, Features, FeatureState, Float32s
from sheetbreak.engine.moments import Bools, Floats, Ints, numbers


class Memory(NamedTuple):
    """What of a machine's past its next windows are made with."""

    features: FeatureState
    recent: Float32s
    """(rows since the last stop, at most window - 1; sensors) features of the last rows, unscaled; NaN where one was
    missing and the model is to estimate it."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Of n rows, one stretch's after another's, the m that have a window: they are past the warm-up, and no stop is
    within it.
    """

    places: list[int]
    """(n,) each row's place in the batch."""
    since_restart: list[int]
    """(n,) rows since the machine's last stop."""
    ends: Ints
    """(m,) the rows in which a window ends."""
    length: int
    """Rows of a window."""
    table: Floats | Float32s
    """(rows, sensors) features, unscaled; NaN in cells that the model is to estimate."""
    at: Ints
    """(m,) where in the table a window's last row is; the others lie before it."""
    masked: Bools | None = None
    """(m, sensors) of each window's last row: sensors out of service, which have no error; None: there is none."""

    def __len__(self) -> int:
        return len(self.ends)

    def gather(self) -> Floats:
        """(m, window, sensors)."""
        if self.length == 1:
            return self.table[self.at, None].astype(np.float64, copy=False)
        found: Floats = self.table[self.at[:, None] + np.arange(1 - self.length, 1)].astype(np.float64)
        return found


def cold_memory(using: FeatureFold) -> Memory:
    """Of a machine never seen."""
    return Memory(using.cold(), np.empty((0, len(using.normal)), np.float32))


def make_windows(
    stretches: Sequence[tuple[Stretch, Memory]],
    values: Floats,
    *,
    using: FeatureFold,
    length: int,
    estimates: bool = False,
    masked: Bools | None = None,
) -> tuple[Windows, Features, list[Memory]]:
    """Features and windows of the rows of stretches, each on from what is remembered before it, and what is after it.

    values: (rows of the batch, sensors) plant units. length: rows of a window. estimates: whether the model is to
    estimate what is missing; else the last value stands in. masked: (rows of the batch, sensors) cells that count as
    normal, whatever is read there: as those do that are missing for long, mean and variance learn nothing from them.
    """
    places = [place for stretch, _ in stretches for place in stretch.places]
    since = [rows for stretch, _ in stretches for rows in stretch.since_restart]
    lengths = [len(stretch.places) for stretch, _ in stretches]
    taken, out = np.clip(values[places], -LARGEST, LARGEST), None if masked is None else masked[places]
    states, features = using.fold(
        [before.features for _, before in stretches],
        taken if out is None else np.where(out, np.nan, taken),
        lengths=lengths,
        hold=[rows < using.params.hold_rows for rows in since],
    )
    if out is not None:
        features = features.without(out, using.normal)
    z = features.z
    if estimates and features.imputed:
        z = z.copy()
        for row, sensors in features.imputed.items():
            z[row, sensors] = np.nan
    unscored = [using.warm_up_rows - before.features.rows for _, before in stretches]
    warm = numbers(np.array(lengths, np.intp)) >= np.repeat(unscored, lengths)
    if length == 1:
        ends, recents = np.flatnonzero(warm), [before.recent[:0] for _, before in stretches]
        windows = Windows(places, since, ends, length, z, ends)
    else:
        recents = [before.recent[1 - length :] for _, before in stretches]
        if not estimates:  # kept by a monitor that did
            recents = [np.where(np.isnan(recent), using.normal, recent).astype(np.float32) for recent in recents]
        track = _Track(recents, z, lengths=lengths, since_restart=since)
        ends = np.flatnonzero(warm & (track.unbroken >= length))
        windows = Windows(places, since, ends, length, track.table, track.at[ends])
        recents = track.last(length - 1)
    if out is not None:
        windows = replace(windows, masked=out[ends])
    after = [Memory(state, recent) for state, recent in zip(states, recents, strict=True)]
    return windows, features, after


class _Track:
    """Features of n rows as they are stored, those of each stretch behind what is remembered before it."""

    def __init__(
        self, recents: Sequence[Float32s], z: Floats, *, lengths: Sequence[int], since_restart: Sequence[int]
    ) -> None:
        # float32 as stored, so that a window has the same bits whether or not a snapshot cut it in two
        self._recents, self._lengths = recents, lengths
        stored = np.split(z.astype(np.float32), np.cumsum(lengths)[:-1])
        self.table = np.concatenate([part for both in zip(recents, stored, strict=True) for part in both])
        self.at = np.arange(len(z)) + np.repeat(np.cumsum([len(recent) for recent in recents]), lengths)
        unbroken, since = list[int](), iter(since_restart)
        for recent, rows in zip(recents, lengths, strict=True):
            count = len(recent)
            for _ in range(rows):
                count = 1 if next(since) == 0 else count + 1
                unbroken.append(count)
        self.unbroken = np.array(unbroken, np.intp)
        """(n,) rows of the track up to each row, itself among them, without a stop between them."""

    def last(self, most: int) -> list[Float32s]:
        """Of each stretch the last rows, at most so many, since the last stop."""
        found, end = list[Float32s](), 0
        for recent, rows in zip(self._recents, self._lengths, strict=True):
            end += rows
            if rows:
                at, keep = self.at[end - 1] + 1, min(most, self.unbroken[end - 1])
                recent = self.table[at - keep : at].copy()
            found.append(recent)
        return found
