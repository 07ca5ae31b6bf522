"""State of a machine as bytes, in parts: a commit writes the core and, when one is full, a chunk of scores.

Keys: machine, NUL, part ("core", "offset", "aside", "raised", "t00"…"t89"); a machine's name holds no control
character. The scores of the chunk being filled go with the core: a record for them at every row would be an eighth of
what is written. What a part says is exact: a state that went through bytes gives the same scores, to the bit, as one
that did not.
"""

import logging
import math
import zlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from sheetbreak.engine.admission import Clock
from sheetbreak.engine.alerts import AlertState, OpenAlert
from sheetbreak.engine.features import LARGEST, FeatureState
from sheetbreak.engine.odds import Odds, Raised
from sheetbreak.engine.state import NO_ORDERS, Acknowledged, Orders, State
from sheetbreak.engine.thresholds import Steering, Trailing
from sheetbreak.engine.windows import Memory
from sheetbreak.rows import Schema
from sheetbreak.wire.packing import join_bytes, split_bytes
from sheetbreak.wire.state_core import Aside, Core, Core3, Core4, Core5, KeptRaised

CHUNK_SCORES = 16
FORMAT, IN_PLANT_UNITS = 3, 2
_KEPT_BYTES = 5
"""The upper bytes of a float64 that features.py keeps of mean and variance."""
_LAST_BYTES = 4
_READS = (1, IN_PLANT_UNITS, FORMAT)
"""Format 1 ends before `muted`: it says that nothing is muted and no grade known. Format 2 is in plant units, as states
are still written of a model without offset; in format 3 mean and last value are relative to the part "offset"."""

log = logging.getLogger(__name__)


class StateCodec:
    """Dumps and loads the states of machines that share a schema."""

    def __init__(self, schema: Schema) -> None:
        self._digest = bytes.fromhex(schema.digest)[:8]
        self._reads = {self._digest, bytes.fromhex(schema.digest_with(schema.stop_gap_s))[:8]}
        self._sensors = len(schema.sensors)

    def dump(self, machine: str, old: State | None, new: State) -> dict[bytes, bytes]:
        """The parts of `new` that differ from those of `old` (all of them when there was none)."""
        stem = machine.encode() + b"\0"
        parts = {stem + b"core": self._core(new)}
        offset = new.memory.features.offset
        if offset is not None and (old is None or not _same(offset, old.memory.features.offset)):
            parts[stem + b"offset"] = _offset_bytes(new)
        if new.aside is not None and (old is None or new.aside is not old.aside):
            parts[stem + b"aside"] = self._aside(new.aside)
        if new.raised != (() if old is None else old.raised):
            parts[stem + b"raised"] = msgspec.msgpack.encode((new.model, new.raised))
        ring = new.trailing.ring
        for chunk in _chunks_to_write(old.trailing if old is not None else None, new.trailing):
            parts[stem + b"t%02d" % chunk] = ring[chunk * CHUNK_SCORES : (chunk + 1) * CHUNK_SCORES].tobytes()
        return parts

    def keys(self, machine: str, state: State) -> list[bytes]:
        """Of all parts that may be kept of a machine with this state; "aside" outlives what was set aside."""
        stem = machine.encode() + b"\0"
        chunks = range(-(-len(state.trailing) // CHUNK_SCORES))
        named = (b"core", b"offset", b"aside", b"raised", *(b"t%02d" % chunk for chunk in chunks))
        return [stem + name for name in named]

    def load(self, parts: Mapping[bytes, bytes]) -> dict[str, State]:
        """All machines' states of their parts; a machine starts cold whose core is of another schema or format, or
        whose parts are damaged or not all there (records deleted by hand).
        """
        states = {}
        for key, value in parts.items():
            stem, _, part = key.rpartition(b"\0")
            if part != b"core":
                continue
            try:
                core = msgspec.msgpack.decode(value, type=Core5)
                if core.format not in _READS or core.schema not in self._reads:
                    raise ValueError("other format or schema")
                offset = _part(parts, stem, b"offset", core.offset)
                aside = _part(parts, stem, b"aside", core.aside)
                state = self._state(core, _ring(core, stem, parts), offset)
                state = replace(state, raised=_raised(stem, parts, model=core.model))
                if aside:
                    state = replace(state, aside=self._state_aside(aside), aside_rows=core.aside_rows)
                states[stem.decode()] = state
            except KeyError as cause:
                _tell_dropped(stem, f"part {cause} is missing")
            except (ValueError, LookupError, TypeError, ArithmeticError, zlib.error) as cause:  # DecodeError too
                _tell_dropped(stem, str(cause))
        return states

    def _core(self, state: State) -> bytes:
        offset, aside = _offset_bytes(state), state.aside
        more: dict[str, Any] = {}
        if offset or aside or state.prints:
            more = {"offset": zlib.crc32(offset), "prints": state.prints, "aside_rows": state.aside_rows}
            more["aside"] = zlib.crc32(self._aside(aside)) if aside else 0
        if state.orders != NO_ORDERS:
            more |= state.orders._asdict()
        if state.recent_scores:
            more["recent_scores"] = state.recent_scores
        kind = Core5 if state.recent_scores else Core4 if state.orders != NO_ORDERS else Core3 if more else Core
        clock, features, alert, now = state.clock, state.memory.features, state.alert, state.alert.open
        mean, mean_tops = split_bytes(features.mean.astype("<f8", copy=False), _KEPT_BYTES)
        variance, variance_tops = split_bytes(features.variance.astype("<f8", copy=False), _KEPT_BYTES)
        last, last_tops = split_bytes(features.last.astype("<f4", copy=False), _LAST_BYTES)
        return msgspec.msgpack.encode(
            kind(
                format=FORMAT if more else IN_PLANT_UNITS,
                schema=self._digest,
                model=state.model,
                last_us=clock.last_us,
                since_restart=clock.since_restart,
                was_broken=clock.was_broken,
                late=clock.late,
                late_us=clock.late_us,
                tops=zlib.compress(mean_tops + variance_tops + last_tops, 1),
                mean=mean,
                variance=variance,
                last=last,
                missing={i: int(features.missing[i]) for i in features.missing.nonzero()[0].tolist()},
                rows=features.rows,
                recent=state.memory.recent.astype("<f4", copy=False).tobytes(),
                over=alert.over,
                since_open=alert.since_open,
                open=(now.alert_id, now.opened_us, now.severity, now.leading, now.since_event, now.quiet)
                if now
                else None,
                trailing_rows=state.trailing.rows,
                trailing_count=state.trailing.count,
                tail=state.trailing.ring[slice(*_being_filled(state.trailing.count, state.trailing.rows))].tobytes(),
                muted=alert.muted,
                grade=state.grade,
                share=state.steering.share if state.steering else None,
                waiting=state.steering.waiting if state.steering else (),
                odds=_odds_as_stored(state.odds),
                since_opened=alert.since_opened,
                **more,
            )
        )

    def _aside(self, state: State) -> bytes:
        return msgspec.msgpack.encode(Aside(self._core(state), state.trailing.ring.tobytes(), _offset_bytes(state)))

    def _state_aside(self, part: bytes) -> State:
        aside = msgspec.msgpack.decode(part, type=Aside)
        core = msgspec.msgpack.decode(aside.core, type=Core5)
        ring = array("f")
        ring.frombytes(aside.ring)
        return self._state(core, ring, aside.offset)

    def _state(self, core: Core5, ring: "array[float]", offset: bytes) -> State:
        n = self._sensors
        missing = np.zeros(n, np.uint8)
        missing[list(core.missing)] = list(core.missing.values())
        tops = zlib.decompressobj().decompress(core.tops, 3 * n + 1)  # not as much as a forged one may hold
        lengths = len(tops), len(core.mean), len(core.variance), len(core.last)
        if lengths != (3 * n, n * (_KEPT_BYTES - 1), n * (_KEPT_BYTES - 1), n * (_LAST_BYTES - 1)):
            raise ValueError(f"not of {n} sensors")
        features = FeatureState(
            mean=join_bytes(core.mean, tops[:n], "<f8").astype(np.float64),
            variance=join_bytes(core.variance, tops[n : 2 * n], "<f8").astype(np.float64),
            last=join_bytes(core.last, tops[2 * n :], "<f4").astype(np.float32),
            missing=missing,
            rows=core.rows,
            offset=np.frombuffer(offset, "<f8", self._sensors).astype(np.float64) if offset else None,
        )
        recent, now = _floats(core.recent).reshape(-1, n), cast("Any", core.open)
        _refuse_absurd(features, recent, ring, core.recent_scores)
        return State(
            model=core.model,
            clock=Clock(core.last_us, core.since_restart, core.was_broken, core.late, core.late_us),
            memory=Memory(features, recent),
            trailing=Trailing(core.trailing_rows, ring, count=core.trailing_count),
            alert=AlertState(
                core.over, core.since_open, OpenAlert(*now) if now else None, core.muted, core.since_opened
            ),
            grade=core.grade,
            steering=None if core.share is None else Steering(core.share, tuple(core.waiting)),
            odds=Odds() if core.odds is None else _odds_of(*core.odds),
            prints=core.prints,
            orders=Orders(core.acknowledged and Acknowledged(*core.acknowledged), core.shelved_until_us, core.masks),
            recent_scores=core.recent_scores,
        )


def _part(parts: Mapping[bytes, bytes], stem: bytes, name: bytes, crc: int) -> bytes:
    """A part that the core names by its crc32; empty where it names none. Raises KeyError or ValueError."""
    part = parts[stem + b"\0" + name] if crc else b""
    if zlib.crc32(part) != crc:
        raise ValueError(f"it and the part {name.decode()} are not of one commit")
    return part


def _raised(stem: bytes, parts: Mapping[bytes, bytes], *, model: str) -> tuple[Raised, ...]:
    """The last warnings of a model, for verdicts on them. Without them the machine goes on as before."""
    part = parts.get(stem + b"\0raised")
    if part is None:
        return ()
    try:
        whose, kept = msgspec.msgpack.decode(part, type=KeptRaised)
    except ValueError as cause:  # DecodeError too
        log.warning("event=verdicts-dropped machine=%s reason=%r", stem.decode(errors="replace"), str(cause))
        return ()
    return tuple(Raised(*one) for one in kept) if whose == model else ()


def _refuse_absurd(
    features: FeatureState, recent: npt.NDArray[np.float32], ring: "array[float]", recent_scores: Iterable[float]
) -> None:
    """Raise ValueError for numbers that no row can have led to: one of them makes every score after it mean nothing."""
    for name, values, most in (
        ("mean", features.mean, 2 * LARGEST),
        ("variance", features.variance, 4 * LARGEST**2),
        ("offset", features.offset, 2 * LARGEST),
    ):
        if values is not None and not (np.abs(values) <= most).all():
            raise ValueError(f"{name} beyond {most:g}")
    if (features.variance < 0).any():
        raise ValueError("variance below 0")
    if np.isinf(features.last).any() or np.isinf(recent).any():
        raise ValueError("a value without bounds")
    if not (np.isfinite(np.frombuffer(ring, np.float32)).all() and all(map(math.isfinite, recent_scores))):
        raise ValueError("a score that is no number")


def _offset_bytes(state: State) -> bytes:
    """Each sensor's offset; empty where the state is in plant units."""
    offset = state.memory.features.offset
    return b"" if offset is None else offset.astype("<f8").tobytes()


def _same(offset: npt.NDArray[np.float64], other: npt.NDArray[np.float64] | None) -> bool:
    """Whether two offsets are; a model's states share one array."""
    return offset is other or (other is not None and offset.tobytes() == other.tobytes())


def _odds_as_stored(odds: Odds) -> tuple[str, int, int, int, tuple[int, ...]]:
    outcomes = "".join("+" if hit else "-" for hit in odds.outcomes)
    return outcomes, odds.scored, odds.ahead, odds.since_break, odds.waiting


def _odds_of(outcomes: str, scored: int, ahead: int, since_break: int, waiting: tuple[int, ...]) -> Odds:
    return Odds(tuple(hit == "+" for hit in outcomes), scored, ahead, since_break, tuple(waiting))


def _tell_dropped(stem: bytes, reason: str) -> None:
    log.warning("event=state-dropped machine=%s reason=%r", stem.decode(errors="replace"), reason)


def _being_filled(count: int, rows: int) -> tuple[int, int]:
    """Where the scores of the chunk being filled begin and end in a ring."""
    place = count % rows
    return place - place % CHUNK_SCORES, place


def _chunks_to_write(old: Trailing | None, new: Trailing) -> list[int]:
    """The chunks whose last record is not right any more, the scores being filled in left out."""
    rows, count, held = new.rows, new.count, len(new)
    start, place = _being_filled(count, rows)
    filling = start // CHUNK_SCORES
    every = set(range(-(-held // CHUNK_SCORES)))
    if held == place:  # nothing of the last round is left behind the newest score
        every.discard(filling)
    # Once around, or begun anew: what the old core held of a chunk must not be taken for what its record holds.
    if old is None or old.rows != rows or count < old.count or count - old.count > rows - CHUNK_SCORES:
        return sorted(every)
    filled = {at % rows // CHUNK_SCORES for at in range(old.count, count)} - {filling}
    if _only_added(old.ring, new.ring, old.count % rows, place):
        return sorted(filled)
    common = min(len(old), held)
    before, after = np.frombuffer(old.ring, np.float32)[:common], np.frombuffer(new.ring, np.float32)[:common]
    other = before != after  # a trailing window that began anew
    other[start:place] = False
    return sorted(filled | set((np.flatnonzero(other) // CHUNK_SCORES).tolist()))


def _only_added(old: "array[float]", new: "array[float]", begin: int, end: int) -> bool:
    """Whether two rings differ in the places from `begin` to `end` alone, which nearly every batch shows at once."""
    before, after = old.tobytes(), new.tobytes()
    first, behind = begin * old.itemsize, end * old.itemsize
    return begin <= end and before[:first] == after[:first] and before[behind:] == after[behind:]


def _ring(core: Core, stem: bytes, parts: Mapping[bytes, bytes]) -> "array[float]":
    held = min(core.trailing_count, core.trailing_rows)
    start, place = _being_filled(core.trailing_count, core.trailing_rows)
    ring = array("f")
    for chunk in range(-(-held // CHUNK_SCORES)):
        if held == place and chunk * CHUNK_SCORES == start:  # it has no record yet
            break
        ring.frombytes(parts[stem + b"\0t%02d" % chunk])
    tail = array("f", core.tail)
    if len(tail) != place - start:
        raise ValueError(f"{len(tail)} scores in the chunk being filled, expected {place - start}")
    ring[start:place] = tail
    if len(ring) < held or not np.isfinite(np.frombuffer(ring, np.float32)).all():
        raise ValueError(f"{len(ring)} scores, expected {held} that are numbers")
    return ring[:held]


def _floats(stored: bytes) -> npt.NDArray[np.float32]:
    return np.frombuffer(stored, "<f4").astype(np.float32)
