"""What is done for a batch at once gives what is done for each row."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.artifact import load
from sheetbreak.engine.advance import advance
from sheetbreak.times import format_time, format_times
from sheetbreak.wire.messages import encode_score, encode_scores
from sheetbreak.wire.rows import WireDecoder
from tests.support.models.mill import mill_rows, save_model

FIRST_US, LAST_US = -62_100_000_000 * 1_000_000, 253_000_000_000 * 1_000_000
"""Within the years 2 to 9987."""


@given(st.lists(st.integers(FIRST_US, LAST_US)), st.sampled_from([1, 1_000_000]))
def test_times_formatted_together_are_as_formatted_one_by_one(times_us: list[int], whole: int):
    times_us = [time_us // whole * whole for time_us in times_us]
    assert format_times(np.array(times_us, np.int64)) == [format_time(time_us) for time_us in times_us]


def test_scores_encoded_together_are_as_encoded_one_by_one(tmp_path: Path):
    model_of = save_model(tmp_path)
    model = load(tmp_path)
    rows = WireDecoder(model_of.schema).decode(mill_rows(200, breaks=[150])).rows
    _, results = advance({}, rows, model)
    assert {"scored", "restarting", "warming_up", "stopped"} == set(results.outcome)
    assert results.over.any()
    together = encode_scores(rows, results, model="v")
    assert together == [encode_score(rows, results, place, model="v") for place in range(len(rows))]
