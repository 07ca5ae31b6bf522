"""Scored rows: parts of them, several joined, alerts open from event to event."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.data.scored_examples import make_rows, scored_rows
from trainer.metrics.scored_rows import joined, rows_with_open_alert


@given(st.lists(scored_rows(max_rows=30, lead_rows=st.just(2)), min_size=1, max_size=4))
def test_joined_rows_share_a_run_only_where_they_did(parts):
    rows = joined(parts)
    assert len(rows) == sum(map(len, parts))
    place = np.concatenate([np.full(len(part), i) for i, part in enumerate(parts)])
    own = np.concatenate([part.run for part in parts])
    together = rows.run[:, None] == rows.run[None, :]
    assert np.array_equal(together, (place[:, None] == place[None, :]) & (own[:, None] == own[None, :]))
    assert np.array_equal(rows.score, np.concatenate([part.score for part in parts]), equal_nan=True)


def test_taking_rows_keeps_every_column_in_step():
    rows = make_rows(np.arange(50.0), breaks=[20], stops=[10], opened=[18], period_s=60.0)
    part = rows.take(slice(15, 25))
    assert part.row.tolist() == list(range(15, 25))
    assert np.flatnonzero(part.broken).tolist() == [5]
    assert np.flatnonzero(part.opened).tolist() == [3]
    assert part.period_s == 60.0


def test_a_day_is_720_operating_rows_at_two_minutes():
    assert make_rows(np.zeros(721), breaks=[5]).days == 1.0
    assert make_rows(np.zeros(720), breaks=[5], lead_rows=0).days == 1.0
    assert make_rows(np.zeros(48), period_s=3600.0).days == 2.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_an_alert_is_open_from_its_opening_row_to_before_its_closing_one(seed, machines):
    rng = np.random.default_rng(seed)
    machine = rng.integers(0, machines, 60)
    opened: list[int] = []
    closed: list[int] = []
    is_open: dict[int, bool] = {}
    expected = []
    for i, m in enumerate(machine.tolist()):
        if is_open.get(m) and rng.random() < 0.2:
            is_open[m] = False
            closed.append(i)
        if not is_open.get(m) and rng.random() < 0.2:  # a row may close one alert and open another
            is_open[m] = True
            opened.append(i)
        expected.append(bool(is_open.get(m)))
    assert rows_with_open_alert(machine, opened, closed).tolist() == expected
