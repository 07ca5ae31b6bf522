"""What other engines are asked to do with the monitor's rows: a machine's work, whose state the engine keeps by key.

`score` is what the monitor does, by the monitor's own core: decode, streaming z, model, threshold, alert, the parts of
the state that changed, a score message. That core is made for many rows at once. `lean` is what one would write by hand
for a row at a time: decode, streaming z, model, mean error, a fixed level, mean and variance kept, a short message; no
missing values, no adaptive threshold, no alerts.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from sheetbreak.artifact import load
from sheetbreak.engine.advance import advance
from sheetbreak.engine.state import State
from sheetbreak.wire.messages import encode_scores
from sheetbreak.wire.rows import WireDecoder
from sheetbreak.wire.state import StateCodec

EVERY_S = 1.0
"""How often an engine keeps its states and its position."""


class Work(Protocol):
    """Scores of one machine after another; a state is a value, never changed in place."""

    def start(self) -> Any:
        """The state of a machine that has none yet."""

    def score(self, machine: str, state: Any, values: Sequence[bytes], /) -> tuple[Any, list[bytes]]:
        """The state after a machine's next rows, and their messages in order."""

    def changed(self, machine: str, old: Any, new: Any, /) -> dict[str, bytes]:
        """The parts of `new` that are to be kept anew; all of them where `old` is None."""

    def restored(self, parts: Mapping[str, bytes]) -> Any:
        """The state that all parts of a machine say."""


class MonitorsWork:
    """By the monitor's core; every machine starts from the state whose parts are in a file."""

    def __init__(self, models: Path, state: Path) -> None:
        self._model = load(models)
        schema = self._model.manifest.schema
        self._decoder, self._codec = WireDecoder(schema), StateCodec(schema)
        parts = msgspec.msgpack.decode(state.read_bytes(), type=dict[bytes, bytes])
        (self._start,) = self._codec.load(parts).values()

    def start(self) -> State:
        return self._start

    def score(self, machine: str, state: State, values: Sequence[bytes]) -> tuple[State, list[bytes]]:
        rows = self._decoder.decode(values).rows
        states, results = advance({machine: state}, rows, self._model)
        return states[machine], encode_scores(rows, results, model=self._model.version)

    def changed(self, machine: str, old: State | None, new: State) -> dict[str, bytes]:
        return {key.decode(): part for key, part in self._codec.dump(machine, old, new).items()}

    def restored(self, parts: Mapping[str, bytes]) -> State:
        (state,) = self._codec.load({key.encode(): part for key, part in parts.items()}).values()
        return state


class Moments(NamedTuple):
    """Mean and variance of each sensor."""

    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]


class LeanWork:
    """The least that could be called a score of streaming z."""

    def __init__(self, models: Path, _state: Path) -> None:
        self._model = load(models)
        params = self._model.manifest.features
        self._decoder = msgspec.json.Decoder(_Row)
        self._variance = np.asarray(params.start_sd) ** 2
        self._alpha = 1 - 0.5 ** (1 / params.half_life_rows)

    def start(self) -> Moments | None:
        return None

    def score(
        self, _machine: str, state: Moments | None, values: Sequence[bytes]
    ) -> tuple[Moments | None, list[bytes]]:
        messages = []
        for value in values:
            state, message = self._one(state, self._decoder.decode(value))
            messages.append(message)
        return state, messages

    def _one(self, state: Moments | None, row: "_Row") -> tuple[Moments, bytes]:
        manifest, alpha = self._model.manifest, self._alpha
        observed = np.array([row.values[sensor] for sensor in manifest.schema.sensors])
        mean, variance = state or (observed, self._variance)
        sd = np.sqrt(variance)
        z = np.clip((observed - mean) / sd, -5, 5)
        step = sd * z
        new = Moments(mean + alpha * step, (1 - alpha) * (variance + alpha * step * step))
        window = z.astype(np.float32).reshape(1, 1, -1)
        error = float(np.abs(window - self._model.reconstruct(window)).mean())
        over = error > manifest.threshold.level
        return new, msgspec.json.encode({"machine": row.machine, "time": row.time, "score": error, "over": over})

    def changed(self, _machine: str, _old: Moments | None, new: Moments) -> dict[str, bytes]:
        return {"moments": new.mean.tobytes() + new.variance.tobytes()}

    def restored(self, parts: Mapping[str, bytes]) -> Moments:
        return Moments(*np.frombuffer(parts["moments"]).reshape(2, -1))


class _Row(msgspec.Struct):
    machine: str
    time: str
    values: dict[str, float]


WORKS: dict[str, Callable[[Path, Path], Work]] = {"score": MonitorsWork, "lean": LeanWork}


class Task(NamedTuple):
    """What the benchmark asks of an engine, in the order of its command line."""

    work: str
    name: str
    """The consumer group, where the engine has one."""
    server: str
    topic: str
    models: Path
    state: Path
    """The parts that a machine starts from."""
    folder: Path
    """Empty; for what the engine keeps."""

    @classmethod
    def read(cls, arguments: Sequence[str]) -> "Task":
        """From the arguments of a command line."""
        work, name, server, topic, *paths = arguments
        return cls(work, name, server, topic, *map(Path, paths))

    @property
    def scores(self) -> str:
        """The topic that scores go to."""
        return f"{self.name}-scores"

    def make_work(self) -> Work:
        return WORKS[self.work](self.models, self.state)
