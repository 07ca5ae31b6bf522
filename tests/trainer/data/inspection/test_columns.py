"""Columns of a table: what stands in them is counted whatever the chunks, and nothing is taken for a number."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.inspection.columns import MOST_TEXTS, Column, read_columns

CELLS = st.sampled_from(["", "1", "1.0", "-2.5", "Bad", "1e3", "ok", " 4 ", "nan", "x" * 50])


def number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def columns_of(*columns: list[str], at_once: int = 4096) -> list[Column]:
    names = [f"c{i}" for i in range(len(columns))]
    rows = ((i + 2, cells) for i, cells in enumerate(zip(*columns, strict=True)))
    return read_columns(names, rows, number, at_once=at_once)[0]


@given(st.lists(CELLS, min_size=1, max_size=60), st.integers(1, 20))
def test_however_a_table_is_cut_into_chunks_its_columns_are_the_same(cells, at_once):
    (whole,), (cut,) = columns_of(cells), columns_of(cells, at_once=at_once)
    np.testing.assert_array_equal(whole.numbers, cut.numbers)
    assert (whole.words, whole.texts, whole.blank) == (cut.words, cut.texts, cut.blank)
    assert whole.codes is not None
    assert cut.codes is not None
    assert whole.codes.tolist() == cut.codes.tolist()


@given(st.lists(CELLS, min_size=1, max_size=60))
def test_every_cell_is_blank_or_a_number_or_a_word_and_is_counted_once(cells):
    (column,) = columns_of(cells)
    assert column.blank + len(column.known) + column.word_cells == len(cells) == column.rows
    assert sum(seen.count for seen in column.words.values()) == column.word_cells
    assert column.texts is not None
    assert column.codes is not None
    texts = list(column.texts)
    assert [texts[code] for code in column.codes] == [cell.strip() for cell in cells]


def test_a_word_is_told_with_the_line_of_its_first_cell():
    (column,) = columns_of(["1", "Bad", "2", "Kein Wert", "Bad"], at_once=2)
    assert {word: (seen.count, seen.line) for word, seen in column.words.items()} == {
        "Bad": (2, 3),
        "Kein Wert": (1, 5),
    }


def test_of_many_distinct_numbers_no_text_is_kept_and_of_many_remarks_every_cell_is():
    count = MOST_TEXTS + 50
    numbers, remarks = columns_of([f"{i}.5" for i in range(count)], [f"remark {i}" for i in range(count)], at_once=64)
    assert numbers.texts is None
    assert numbers.cells is None
    assert remarks.cells == [f"remark {i}" for i in range(count)]
    assert remarks.samples(20)[0] == "remark 0"
    assert sorted(remarks.samples(20), key=lambda text: int(text.split()[1])) == remarks.samples(20)
