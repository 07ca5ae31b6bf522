"""Rolling origin: the folds, and the file of their scores."""

import csv
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.artifact import load
from sheetbreak.engine.advance import advance
from sheetbreak.rows import BROKEN, INTACT, RowBatch
from sheetbreak.times import parse_time
from tests.support.models.mill import PERIOD_US, START_US, mill_values, save_model
from trainer.data.labels import label_rows
from trainer.evaluation.folds import LATER, rolling_origin
from trainer.evaluation.scores_file import write_header, write_scores


@given(st.integers(20, 3000))
def test_the_folds_of_one_machine_are_slices_of_its_rows(n):
    folds = rolling_origin(np.arange(n, dtype=np.int64) * 120)
    assert len(folds) == 8
    for fold, b in zip(folds, range(20, 100, 10), strict=True):
        assert fold.fit.tolist() == list(range(n * (b - 5) // 100))
        assert fold.validation.tolist() == list(range(n * (b - 5) // 100, n * b // 100))
        assert fold.test.tolist() == list(range(n * b // 100, n * (b + 10) // 100))
    assert len(folds[LATER]) == 4


def test_no_fold_learns_from_the_time_it_is_judged_on_whatever_the_order_of_machines():
    times = np.concatenate([np.arange(500), np.arange(100, 700), np.arange(50)]).astype(np.int64)
    for fold in rolling_origin(times):
        assert times[fold.fit].max() < times[fold.validation].min()
        assert times[fold.validation].max() < times[fold.test].min()


def test_the_scores_file_holds_every_held_out_row_unrounded(tmp_path):
    save_model(tmp_path / "models")
    model = load(tmp_path / "models")
    n = 200
    broken = np.full(n, INTACT, np.int8)
    broken[[120, 170]] = BROKEN
    times = START_US + PERIOD_US * np.arange(n)
    rows = RowBatch(["pm1"] * n, times, mill_values(n), [None] * n, broken)
    labels = label_rows(rows, model.manifest.schema)
    _, results = advance({}, rows, model)
    parts = {"validation": np.arange(10, 30), "test": np.arange(100, 180)}
    plain, folded = io.StringIO(), io.StringIO()
    write_header(plain)
    write_scores(plain, rows, labels, results, parts=parts)
    write_header(folded, folds=True)
    write_scores(folded, rows, labels, results, parts=parts, fold=3)
    header = plain.getvalue().splitlines()[0]
    assert header == "row,time,machine,split,score,threshold,over,will_break,broken"
    assert folded.getvalue().splitlines()[0] == header.replace("split", "fold,split")
    read = list(csv.DictReader(io.StringIO(folded.getvalue())))
    assert [int(r["row"]) for r in read] == [*range(10, 30), *range(100, 180)]
    assert {(r["fold"], r["split"]) for r in read} == {("3", "validation"), ("3", "test")}
    for r in read:
        i = int(r["row"])
        assert parse_time(r["time"]) == times[i]
        for column, values in (("score", results.score), ("threshold", results.threshold)):
            assert r[column] == "" if np.isnan(values[i]) else float(r[column]) == values[i]
        flags = (results.over[i], labels.will_break[i], broken[i] == BROKEN)
        assert (r["over"], r["will_break"], r["broken"]) == tuple("01"[int(flag)] for flag in flags)
    assert sum(r["broken"] == "1" for r in read) == 2
    assert sum(r["will_break"] == "1" for r in read) == 4
    assert not read[0]["score"]  # warming up
    without = [{k: v for k, v in r.items() if k != "fold"} for r in read]
    assert without == list(csv.DictReader(io.StringIO(plain.getvalue())))
