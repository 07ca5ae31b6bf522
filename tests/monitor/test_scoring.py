"""Scoring of a batch: however its rows lie in partitions, each machine gets what it would get alone."""

import json
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import pytest
from msgspec import structs

from monitor.scoring import PART_ROWS, ScoredBatch, score_batch
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import State
from sheetbreak.streams.memory import MemoryStream, MemoryTopic
from sheetbreak.streams.open import Opened
from sheetbreak.streams.protocol import Batch, Output, Record
from sheetbreak.wire.rows import WireDecoder
from sheetbreak.wire.state import StateCodec
from sheetbreak.wire.topics import OUTPUTS
from tests.support.models.making import make_artifact, make_rows

MODEL = make_artifact()
CODEC = StateCodec(MODEL.manifest.schema)
States = Mapping[int, Mapping[str, State]]


def score(records: list[Record], states: States, model: Artifact = MODEL) -> ScoredBatch:
    opened = Opened(
        MemoryStream(MemoryTopic()), WireDecoder(MODEL.manifest.schema).decode, lambda r: {"offset": r.offset}, OUTPUTS
    )
    return score_batch(
        Batch(records), opened, states_of=lambda p, _: states.get(p, {}), history={}, model=model, codec=CODEC
    )


def one_by_one(records: list[Record]) -> tuple[list[Output], dict[tuple[int, str], dict[bytes, bytes]]]:
    """Outputs of each record alone, in order, and the states afterwards."""
    states: defaultdict[int, dict[str, State]] = defaultdict(dict)
    outputs = []
    for record in records:
        scored = score([record], states)
        outputs += scored.outputs
        for partition, new in scored.states.items():
            states[partition] |= new
    return outputs, parts_of(states)


def parts_of(states: States) -> dict[tuple[int, str], dict[bytes, bytes]]:
    return {(p, m): CODEC.dump(m, None, state) for p, found in states.items() for m, state in found.items()}


def mixed(seed: int, *, scattered: bool) -> list[Record]:
    """Rows of three machines in three partitions, each machine's in order; scattered: one comes in two of them."""
    draw = random.Random(seed)
    waiting = {name: make_rows(60, machine=name, seed=number, upset=(40, 41)) for number, name in enumerate("abc")}
    records: list[Record] = []
    while waiting:
        name = draw.choice(list(waiting))
        partition = draw.choice((0, 1)) if scattered and name == "a" else "abc".index(name)
        records.append(Record(waiting[name].pop(0), partition, len(records), 0))
        if draw.random() < 0.02:
            records.append(Record(b"{", partition, len(records), 0))
        waiting = {name: rows for name, rows in waiting.items() if rows}
    return records


@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_batch_of_several_partitions_gives_what_its_records_give_one_by_one(seed: int, scattered: bool) -> None:
    records = mixed(seed, scattered=scattered)
    outputs, states = one_by_one(records)
    assert {output.topic for output in outputs} == OUTPUTS
    assert ((1, "a") in states) is scattered
    whole = score(records, {})
    assert whole.outputs == outputs
    assert parts_of(whole.states) == states
    assert len(whole.results) == (3 if scattered else 1)
    half = score(records[:90], {})
    rest = score(records[90:], half.states)
    assert half.outputs + rest.outputs == outputs
    assert parts_of({p: {**half.states.get(p, {}), **rest.states.get(p, {})} for p in range(3)}) == states
    for scored in (whole, half, rest):
        assert {s.partition for s in scored.snapshots} == scored.states.keys()


@pytest.mark.parametrize("machines", [1, 5])
def test_a_large_batch_taken_in_parts_gives_what_small_ones_give(machines: int) -> None:
    each = 2 * PART_ROWS // machines + 40
    of = [make_rows(each, machine=f"pm{n}", seed=n, upset=(each // 2,)) for n in range(machines)]
    records = [Record(rows[i], n, i, 0) for i in range(each) for n, rows in enumerate(of)]
    whole = score(records, {})
    assert len(whole.results) > 1
    outputs: list[Output] = []
    states: defaultdict[int, dict[str, State]] = defaultdict(dict)
    for start in range(0, len(records), PART_ROWS // 2):
        scored = score(records[start : start + PART_ROWS // 2], states)
        assert len(scored.results) == 1
        outputs += scored.outputs
        for partition, new in scored.states.items():
            states[partition] |= new
    assert whole.outputs == outputs
    assert parts_of(whole.states) == parts_of(states)


def test_a_score_names_the_grade_only_where_it_changes_wherever_a_batch_ends() -> None:
    """So that the scores of all other rows, and of feeds without a grade, are what they were."""
    grades = [None, "96", "96", None, "97", "97", None, "97", "96", "96", "96", "96"]
    records = [
        Record(json.dumps(json.loads(encoded) | ({"grade": grade} if grade else {})).encode(), 0, number, None)
        for number, (encoded, grade) in enumerate(zip(make_rows(12), grades, strict=True))
    ]
    told = [json.loads(output.value).get("grade") for output in one_by_one(records)[0]]
    assert told == [None, None, None, None, "97", None, None, None, "96", None, None, None]
    assert [json.loads(output.value).get("grade") for output in score(records, {}).outputs] == told


def test_numbers_that_a_reloaded_model_takes_for_no_reading_are_none_without_a_restart() -> None:
    """A training finds them by itself, so they come with any new model; the decoder is the one of the start."""
    manifest = MODEL.manifest
    sensor = manifest.schema.sensors[0]
    schema = replace(manifest.schema, missing=("-9999",))
    later = replace(MODEL, manifest=structs.replace(manifest, schema=schema))

    def with_cell(value: float | None) -> list[Record]:
        rows = [json.loads(row) for row in make_rows(60)]
        rows[50]["values"][sensor] = value
        return [Record(json.dumps(row).encode(), 0, number, None) for number, row in enumerate(rows)]

    blank, sentinel = score(with_cell(None), {}, later), score(with_cell(-9999.0), {}, later)
    assert sentinel.outputs == blank.outputs
    assert [sensor] in [json.loads(output.value).get("imputed") for output in sentinel.outputs]
    assert score(with_cell(-9999.0), {}).outputs != blank.outputs
