"""Episodes, false alarms and warned breaks against a slow reading of the protocol, one row at a time."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.data.scored_examples import (
    make_rows,
    scored_rows,
    slow_counts,
    slow_episodes,
    slow_starts,
    slow_window,
)
from trainer.metrics.events import HORIZONS, tally_blocks, tally_copies, timeline
from trainer.metrics.scored_rows import ScoredRows


def counts(rows: ScoredRows, alerts: Iterable[int]) -> dict[int, tuple[int, int]]:
    found = tally_copies(timeline(rows), np.fromiter(alerts, np.int64))
    return {h: (int(found.false[i, 0]), int(found.warned[i, 0])) for i, h in enumerate(HORIZONS)}


@given(scored_rows(), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_counts_are_those_of_the_protocol_read_row_by_row(rows, density, seed):
    alert = (np.random.default_rng(seed).random(len(rows)) < density) & rows.scored
    for i, horizon in enumerate(HORIZONS):
        false, warned = slow_counts(rows, alert, horizon)
        assert counts(rows, np.flatnonzero(alert))[horizon] == (false, len(warned)), i


@given(scored_rows(), st.floats(0, 1), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_blocks_add_up_to_the_whole_and_hold_what_starts_in_them(rows, density, width, seed):
    alert = (np.random.default_rng(seed).random(len(rows)) < density) & rows.scored
    block = np.arange(len(rows)) // width
    found = tally_blocks(timeline(rows), np.flatnonzero(alert), block=block)
    for i, horizon in enumerate(HORIZONS):
        _, warned = slow_counts(rows, alert, horizon)
        expected = np.zeros(block[-1] + 1, int)
        for start in warned:
            expected[block[start]] += 1
        assert found.warned[i].tolist() == expected.tolist()
        false = np.zeros_like(expected)
        windows = set().union(*(slow_window(rows, start, horizon) for start in slow_starts(rows)))
        for episode in slow_episodes(rows, alert):
            false[block[episode.rows[0]]] += not windows & set(episode.rows)
        assert found.false[i].tolist() == false.tolist()


@given(scored_rows(max_rows=60), st.floats(0, 1), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_copies_are_counted_each_on_its_own(rows, density, copies, seed):
    alerts = (np.random.default_rng(seed).random((copies, len(rows))) < density) & rows.scored
    position = np.flatnonzero(alerts.ravel())
    together = tally_copies(timeline(rows), position, copies=copies)
    for copy in range(copies):
        alone = tally_copies(timeline(rows), np.flatnonzero(alerts[copy]))
        assert together.false[:, copy].tolist() == alone.false[:, 0].tolist()
        assert together.warned[:, copy].tolist() == alone.warned[:, 0].tolist()
        assert together.alarm_rows[copy] == alone.alarm_rows[0]


def test_five_quiet_rows_join_two_alerts_and_six_part_them():
    rows = make_rows(np.zeros(40))
    assert counts(rows, [10, 16])[2] == (1, 0)
    assert counts(rows, [10, 17])[2] == (2, 0)


def test_a_stop_parts_two_alerts_in_neighbouring_rows():
    assert counts(make_rows(np.zeros(40), stops=[11]), [10, 11])[30] == (2, 0)


@pytest.mark.parametrize(("length", "episodes"), [(30, 1), (31, 2), (60, 2), (61, 3)])
def test_a_lasting_alarm_counts_again_every_30_rows(length, episodes):
    assert counts(make_rows(np.zeros(200)), range(50, 50 + length))[30] == (episodes, 0)


def test_a_break_is_warned_at_most_h_rows_ahead_and_in_its_own_run():
    rows = make_rows(np.zeros(80), breaks=[60])
    assert counts(rows, [50]) == {2: (1, 0), 10: (0, 1), 30: (0, 1)}
    assert counts(rows, [49]) == {2: (1, 0), 10: (1, 0), 30: (0, 1)}
    assert counts(rows, [29]) == {2: (1, 0), 10: (1, 0), 30: (1, 0)}
    assert counts(make_rows(np.zeros(80), breaks=[60], stops=[60]), [59])[30] == (1, 0)
    assert counts(make_rows(np.zeros(80), breaks=[60], stops=[58]), [57, 58])[30] == (1, 1)


def test_an_alert_after_a_break_warns_of_the_next_one_only():
    rows = make_rows(np.zeros(80), breaks=[40, 44])
    assert counts(rows, [42])[2] == (0, 1)
    assert counts(rows, [38])[10] == (0, 1)


def test_a_label_that_lasts_is_one_break():
    rows = make_rows(np.zeros(80), breaks=[40, 41, 42])
    assert timeline(rows).break_row.tolist() == [40]
    assert counts(rows, [38])[2] == (0, 1)


def test_with_lead_0_an_alert_on_a_broken_row_warns_of_that_break():
    rows = make_rows(np.zeros(80), breaks=[40, 41, 42], lead_rows=0)
    assert counts(rows, [42])[2] == (0, 1)
    assert counts(rows, [43])[2] == (1, 0)


def test_with_lead_0_an_alert_before_an_anomaly_foretells_nothing():
    rows = make_rows(np.zeros(80), breaks=[40, 41, 42], lead_rows=0)
    assert counts(rows, [39]) == dict.fromkeys(HORIZONS, (1, 0))
    assert counts(rows, [39, 40]) == dict.fromkeys(HORIZONS, (0, 1))


def test_rows_that_begin_in_a_lasting_break_of_lead_0_count_it():
    rows = make_rows(np.zeros(80), breaks=[40, 41, 42], lead_rows=0).take(slice(41, 80))
    assert counts(rows, [0])[2] == (0, 1)


def test_the_quiet_rows_within_an_episode_are_time_in_alarm():
    found = tally_copies(timeline(make_rows(np.zeros(60))), np.array([10, 13, 30]))
    assert found.alarm_rows.tolist() == [5]


def test_lead_is_that_of_the_earliest_alert_within_the_horizon():
    when = timeline(make_rows(np.zeros(100), breaks=[50, 90], stops=[85]))
    assert when.lead_rows(np.array([15, 25, 48]), 30).tolist() == [25, -1]
    assert when.lead_rows(np.array([80, 87]), 30).tolist() == [-1, 3]


def test_no_alert_at_all_counts_as_nothing():
    rows = make_rows(np.zeros(20), breaks=[10])
    assert counts(rows, []) == {2: (0, 0), 10: (0, 0), 30: (0, 0)}
    assert tally_blocks(timeline(rows), np.empty(0, np.int64), block=np.zeros(20, np.int64)).false.sum() == 0
