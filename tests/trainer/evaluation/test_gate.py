"""Promises of the gate: which models may take the current one's place, and what is said of those that may not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Float32s
from sheetbreak.engine.thresholds import Rate, Threshold
from sheetbreak.rows import RowBatch, Schema
from sheetbreak.times import format_time
from tests.support.models.making import PERIOD_US, START_US, make_manifest, make_schema
from trainer.data.labels import label_rows
from trainer.evaluation.gate import Gate, RowsToCompare, compare

ROWS, SEEN = 3000, 1500
SCHEMA = make_schema(6, grade=None, machine=None)
RATE = Threshold(1.5, "rate:5", 0.97, rate=Rate(5.0, 720.0, 0.03))


def history(*, precursors: bool = True, every: int = 120) -> RowBatch:
    """Sensors of noise; before each break, where there are precursors, all of them are far off for twenty rows."""
    values = np.random.default_rng(5).normal(size=(ROWS, 6))
    broken = np.zeros(ROWS, np.int8)
    broken[every::every] = 1
    for row in np.flatnonzero(broken) if precursors else ():
        values[row - 20 : row] += 3.0
    return RowBatch(["pm1"] * ROWS, START_US + PERIOD_US * np.arange(ROWS), values, [None] * ROWS, broken)


def knowing(windows: Float32s) -> Float32s:
    """Expects what is usual: its error is how far the sensors are from it."""
    return np.zeros_like(windows)


def ignorant(windows: Float32s) -> Float32s:
    """Its error is like noise, whatever the sensors are."""
    rebuilt: Float32s = (windows - np.sin(1e4 * windows)).astype(np.float32)
    return rebuilt


def model(
    version: str, reconstruct: Callable[[Float32s], Float32s], schema: Schema = SCHEMA, **changes: Any
) -> Artifact:
    training = {
        "data_sha256": "a",
        "fit_until": format_time(START_US + (SEEN - 300) * PERIOD_US),
        "seen_until": format_time(START_US + SEEN * PERIOD_US),
    } | changes.pop("training", {})
    made = make_manifest(schema, **({"threshold": RATE, "version": version, "training": training} | changes))
    return Artifact.of(made, reconstruct)


def held_against(new: Artifact, old: Artifact, rows: RowBatch | None = None, *, asked: float | None = 5.0) -> Gate:
    rows = history() if rows is None else rows
    return compare(new, old, RowsToCompare(rows=rows, labels=label_rows(rows, SCHEMA)), asked_per_day=asked)


def failed(gate: Gate) -> list[str]:
    return [check.name for check in gate.checks if not check.passed]


def test_a_model_that_warns_takes_the_place_of_one_that_knows_nothing_and_not_the_other_way_round() -> None:
    better = held_against(model("new", knowing), model("old", ignorant))
    assert better.passed, better.why
    assert better.why.startswith("not worse than old: AUC .9")
    assert better.later["rows"] == ROWS - SEEN - 1
    worse = held_against(model("new", ignorant), model("old", knowing))
    assert {"chance", "auc", "warned"} <= set(failed(worse))
    assert worse.auc_gain is not None
    assert worse.auc_gain.high < 0
    assert worse.candidate is not None
    assert worse.current is not None
    assert worse.candidate.warned < worse.current.warned


def test_a_model_takes_the_place_of_its_equal() -> None:
    gate = held_against(model("new", knowing), model("old", knowing))
    assert gate.passed
    assert gate.auc_gain == (0.0, 0.0, 0.0)
    assert gate.warned_gain == (0.0, 0.0, 0.0)


def test_rows_of_noise_on_which_no_model_knows_anything_promote_none() -> None:
    """The current model is no better there: that the new one is not worse says nothing of it."""
    noise = history(precursors=False)
    once = {"test": {"roc_auc_interval": [0.81, 0.97]}}
    gate = held_against(model("new", knowing), model("old", knowing, metrics=once), noise)
    assert failed(gate) == ["chance", "as_before"]
    assert "old had an AUC of [.81, .97] when it was made" in gate.why


def test_another_schema_is_never_compared() -> None:
    other = make_schema(6, grade=None, machine=None, units={"x1": "bar"}, lead_rows=5)
    gate = held_against(model("new", knowing, other), model("old", ignorant))
    assert failed(gate) == ["schema"]
    assert gate.candidate is None
    assert 'units was {} and is {"x1":"bar"}; lead_rows was 2 and is 5' in gate.why
    fewer = replace(SCHEMA, sensors=("x1", "x2", "x3", "x4", "x5", "noise"))
    assert "sensors without x6 and with noise" in held_against(model("new", knowing, fewer), model("old", knowing)).why


def test_a_stop_gap_that_was_learned_anew_is_no_other_schema() -> None:
    learned = replace(SCHEMA, stop_gap_s=200.0, learned=("stop_gap_s",))
    assert held_against(model("new", knowing, learned), model("old", ignorant)).passed


@pytest.mark.parametrize("whose", ["new", "old"])
def test_rows_that_either_has_seen_do_not_count(whose: str) -> None:

    def pair(row: int) -> tuple[Artifact, Artifact]:
        seen = {"seen_until": format_time(START_US + row * PERIOD_US)}
        new, old = (model(name, knowing, training=seen if name == whose else {}) for name in ("new", "old"))
        return new, old

    gate = held_against(*pair(ROWS))
    assert failed(gate) == ["rows"]
    assert "no row is later than what it and old have seen (until 1999-05-05T04:00:00Z)" in gate.why
    few = held_against(*pair(ROWS - 300)).why
    assert "299 later rows that neither has seen, with 2 breaks: 5 breaks are the least" in few


def test_a_model_that_does_not_say_what_it_has_seen_is_not_compared_with() -> None:
    old = model("old", knowing)
    old = replace(old, manifest=msgspec.structs.replace(old.manifest, training={"data": "mill.csv"}))
    gate = held_against(model("new", knowing), old)
    assert failed(gate) == ["rows"]
    assert "old does not say which rows it has seen" in gate.why


def test_numbered_rows_are_compared_within_one_file_alone() -> None:
    numbered = replace(SCHEMA, time=None)
    new = model("new", knowing, numbered)
    assert held_against(new, model("old", ignorant, numbered)).passed
    other = model("old", ignorant, numbered, training={"data_sha256": "b"})
    assert "the rows have no times" in held_against(new, other).why


def test_a_model_that_scores_fewer_rows_than_the_current_one_stays_a_candidate() -> None:
    assert "scored" in failed(held_against(model("new", knowing, window=60), model("old", knowing)))


@pytest.mark.parametrize("asked", [5.0, None])
def test_a_model_whose_false_alarms_run_over_stays_a_candidate(asked: float | None) -> None:
    restless = model("new", knowing, threshold=Threshold(0.8, "quantile:.5"))
    gate = held_against(restless, model("old", knowing), asked=asked)
    assert failed(gate)[-1] == "false_alarms"
    assert ("5 asked" if asked else "a day against") in gate.why


def test_both_are_held_to_the_rate_that_the_new_one_was_asked_for() -> None:
    """Else who asks for fewer false alarms would get a worse model, and who asks for more a better one."""
    calm = replace(RATE, policy="rate:1", rate=Rate(1.0, 720.0, 0.03))
    gates = [
        held_against(model("new", knowing, threshold=calm), model("old", knowing, threshold=old), asked=1.0)
        for old in (RATE, calm, Threshold(1.5, "quantile:.99"))
    ]
    assert gates[0].current == gates[1].current
    assert gates[0].current == gates[0].candidate
    assert gates[2].current == gates[0].candidate


def test_the_order_of_the_rows_does_not_matter_but_their_time() -> None:
    """A file may hold one machine after the other."""
    rows = history()
    twice = RowBatch(
        ["pm1"] * ROWS + ["pm2"] * ROWS,
        np.concatenate([rows.times_us, rows.times_us]),
        np.concatenate([rows.values, rows.values]),
        rows.grades * 2,
        np.concatenate([rows.broken, rows.broken]),
    )
    gate = held_against(model("new", knowing), model("old", ignorant), twice)
    assert gate.passed
    assert gate.later["rows"] == 2 * (ROWS - SEEN - 1)
