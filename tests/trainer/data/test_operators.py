"""Operators' labels on a history: which cells become missing and which rows nothing is learnt from."""

import numpy as np

from sheetbreak.wire.labels import Label
from tests.support.models.making import PERIOD_US, START_US, make_batch, make_schema
from trainer.data.labels import label_rows
from trainer.data.operators import apply_labels


def at(row: int) -> int:
    return START_US + row * PERIOD_US


def test_masked_cells_are_missing_and_rows_under_a_true_alarm_are_left_out_of_the_fit() -> None:
    rows, schema = make_batch(40), make_schema()
    before = rows.values.copy()
    said = [
        Label("pm1", "mask", at(5), at(8), sensor="x2"),
        Label("pm1", "mask", at(30), None, sensor="x3"),
        Label("pm1", "verdict", at(10), at(14), verdict="true"),
        Label("pm1", "verdict", at(20), at(24), verdict="false"),
        Label("pm1", "verdict", at(25), None, verdict="true"),
        Label("pm1", "cause", at(20), None, cause="felt"),
        Label("pm9", "mask", at(0), None, sensor="x1"),
        Label("pm1", "mask", at(0), None, sensor="x99"),
    ]
    found = apply_labels(rows, schema, said)
    masked = np.zeros_like(before, dtype=bool)
    masked[5:8, 1] = masked[30:, 2] = True
    assert np.array_equal(np.isnan(found.rows.values), masked)
    assert np.array_equal(rows.values, before)
    assert np.flatnonzero(found.left_out).tolist() == [10, 11, 12, 13]
    assert found.words == (
        "13 cells of 2 masked sensors count as missing, 4 rows under 1 true alarm are left out of the fit; of the "
        "alarms so far, operators called 1 of 2 that they judged true (precision 0.50)"
    )
    assert found.as_json() == {
        "masked_cells": 13, "true_alarms": 1, "rows_left_out": 4, "verdicts_true": 1, "verdicts_false": 1,
        "verdicts_unsure": 0,
    }  # fmt: skip
    assert found.doubts == (
        "true alarms without an end",
        "of machine 'pm9', which the history has not",
        "of sensor 'x99', which the history has not",
    )


def test_a_row_that_is_left_out_is_not_normal_and_is_judged_all_the_same() -> None:
    from dataclasses import replace

    labels = label_rows(make_batch(40), make_schema())
    left_out = np.arange(40) < 7
    some = replace(labels, left_out=left_out)
    assert np.array_equal(some.normal, labels.normal & ~left_out)
    assert np.array_equal(some.judged, labels.judged)
