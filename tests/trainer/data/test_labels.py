"""Promises of the labels: the published transform exactly, and none that reaches across a stop."""

import itertools
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from sheetbreak.history.reader import read_csv
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, RowBatch, Schema
from trainer.data.labels import curve_shift, label_rows

STEP_US = 120_000_000


def history(machines: list[str], gaps: list[int], broken: list[int]) -> RowBatch:
    """Rows in file order; gaps: periods since the row before, of whichever machine."""
    n = len(machines)
    times = np.cumsum(np.asarray(gaps, np.int64)) * STEP_US
    return RowBatch(machines, times, np.zeros((n, 1)), [None] * n, np.asarray(broken, np.int8))


histories = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.sampled_from([UNKNOWN, INTACT, INTACT, BROKEN])),
    max_size=25,
).map(lambda rows: history([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]))


def defined_by_hand(rows: RowBatch, *, lead_rows: int, stop_gap_us: float) -> list[bool]:
    """The definition, row by row: a break at most lead_rows rows ahead, no stop on the way to it."""
    answers = []
    for i in range(len(rows)):
        own = [j for j in range(i, len(rows)) if rows.machines[j] == rows.machines[i]]
        ahead = False
        for before, j in list(itertools.pairwise(own))[:lead_rows]:
            if rows.times_us[j] - rows.times_us[before] > stop_gap_us:
                break
            if rows.broken[j] == BROKEN:
                ahead = True
                break
        answers.append(ahead and rows.broken[i] != BROKEN)
    return answers


@given(histories, st.integers(1, 6))
def test_a_label_is_a_break_within_the_lead_and_before_any_stop(rows: RowBatch, lead_rows: int) -> None:
    labels = label_rows(rows, Schema(lead_rows=lead_rows))
    assert labels.will_break.tolist() == defined_by_hand(rows, lead_rows=lead_rows, stop_gap_us=180e6)
    assert labels.judged.tolist() == [code != BROKEN for code in rows.broken]


@given(histories, st.integers(1, 6))
def test_curve_shift_counts_rows_and_sees_no_gap(rows: RowBatch, lead_rows: int) -> None:
    labels = curve_shift(rows, Schema(lead_rows=lead_rows))
    assert labels.will_break.tolist() == defined_by_hand(rows, lead_rows=lead_rows, stop_gap_us=np.inf)


@given(histories)
def test_without_a_lead_a_row_is_judged_by_its_own_label(rows: RowBatch) -> None:
    for labels in (label_rows(rows, Schema(lead_rows=0)), curve_shift(rows, Schema(lead_rows=0))):
        assert labels.will_break.tolist() == [code == BROKEN for code in rows.broken]
        assert labels.judged.all()


@given(histories, st.integers(0, 3))
def test_two_rows_share_a_run_when_no_stop_lies_between_them(rows: RowBatch, lead_rows: int) -> None:
    run = label_rows(rows, Schema(lead_rows=lead_rows)).run
    for name in set(rows.machines):
        own = [i for i in range(len(rows)) if rows.machines[i] == name]
        for before, after in itertools.pairwise(own):
            stopped = rows.times_us[after] - rows.times_us[before] > 180e6
            stopped |= bool(lead_rows) and rows.broken[before] == BROKEN
            assert (run[before] == run[after]) != stopped
    machine_of_run: dict[int, str] = {}
    for number, name in zip(run, rows.machines, strict=True):
        assert machine_of_run.setdefault(number, name) == name


def test_the_published_example_marks_the_two_rows_before_a_break() -> None:
    rows = history(["pm1"] * 6, [1, 1, 1, 9, 1, 1], [0, 0, 0, 0, 1, 0])
    assert curve_shift(rows, Schema()).will_break.tolist() == [False, False, True, True, False, False]
    assert label_rows(rows, Schema()).will_break.tolist() == [False, False, False, True, False, False]


def test_the_real_file_gives_the_published_counts(real_csv: Path) -> None:
    """18,274 rows with 247 positives by index; 239 where none may reach across a stop."""
    schema, rows = read_csv(real_csv)
    published, honest = curve_shift(rows, schema), label_rows(rows, schema)
    assert (len(rows), published.judged.sum(), published.will_break.sum()) == (18_398, 18_274, 247)
    assert (honest.judged.sum(), honest.will_break.sum()) == (18_274, 239)
