"""Manifests with any value in any field: each is refused, or the model answers every row and its state is kept."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sheetbreak.artifact import load
from sheetbreak.engine.advance import advance
from sheetbreak.engine.model import Artifact, Manifest, check_manifest
from sheetbreak.engine.odds import Odds
from sheetbreak.engine.state import State
from sheetbreak.engine.thresholds import Rate
from sheetbreak.wire.messages import encode_score
from sheetbreak.wire.rows import WireDecoder
from sheetbreak.wire.state import StateCodec
from tests.support.models.mill import mill_rows, save_model

EXTREMES: tuple[Any, ...] = (
    *(None, True, "", "x", "a\0b", [], [1], {}, {"a": 1}),
    *(0, -1, 1, 2, 10**6, 10**9, 10**12, 10**15, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**59),
    *(5e-324, 1e-300, 1e-9, 0.5, 1.5, 1e9, 1e16, 1e38, 3.5e38, 1e300, 1.7e308, -1.7e308),
)
ROWS = mill_rows(130, breaks=(90,))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    models = tmp_path_factory.mktemp("models")
    save_model(models)
    return load(models)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value stands within a manifest, of a list the first. The window is the graph's own, or refused."""
    if path and path != ("window",):
        yield path
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from places(entry, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def steered(artifact: Artifact) -> dict[str, Any]:
    """The manifest as an object of JSON, with a rate and odds."""
    fields: dict[str, Any] = json.loads(msgspec.json.encode(artifact.manifest))
    fields["threshold"]["rate"] = json.loads(msgspec.json.encode(Rate(5.0, 720.0)))
    fields["odds"] = json.loads(msgspec.json.encode(Odds((True, False), 700, 20, 3, (1, 5))))
    return fields


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, which goes on
@settings(max_examples=1000)
@given(data=st.data())
def test_whatever_a_field_says_the_model_is_refused_or_answers_every_row(sound: Artifact, data: st.DataObject) -> None:
    fields = copy.deepcopy(steered(sound))
    path = data.draw(st.sampled_from(list(places(fields))))
    holder: Any = fields
    for key in path[:-1]:
        holder = holder[key]
    was = holder[path[-1]]
    near = [was * 1e3, was * 1e-3, -was, was + 1] if isinstance(was, int | float) and not isinstance(was, bool) else []
    holder[path[-1]] = data.draw(st.sampled_from([*EXTREMES, *near]))
    try:
        manifest = msgspec.json.decode(json.dumps(fields).encode(), type=Manifest)
        check_manifest(manifest)
    except ValueError:
        return
    answer_all(Artifact.of(manifest, sound.reconstruct))


def answer_all(artifact: Artifact) -> None:
    """Score, publish and keep as the monitor does. Raises whatever would end it."""
    schema = artifact.manifest.schema
    codec, states = StateCodec(schema), dict[str, State]()
    for first in range(0, len(ROWS), 40):
        decoded = WireDecoder(schema).decode(ROWS[first : first + 40])
        if not len(decoded.rows):
            return
        after, results = advance(states, decoded.rows, artifact)
        for place in range(len(decoded.rows)):
            encode_score(decoded.rows, results, place, model=artifact.version)
        for machine, state in after.items():
            assert codec.dump(machine, states.get(machine), state)
        states |= after
