"""What the deployed policy gave: opened alerts against the breaks that followed them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.data.scored_examples import make_rows, scored_rows, slow_starts, slow_window, slow_word
from trainer.metrics.alarms import judge_deployed
from trainer.metrics.hindsight import even_shifts
from trainer.metrics.scored_rows import ScoredRows

AHEAD = st.sampled_from([1, 2, 5])


@given(scored_rows(lead_rows=AHEAD))
def test_alerts_are_counted_one_by_one(rows):
    opened = set(np.flatnonzero(rows.opened).tolist())
    starts = slow_starts(rows)
    words = Counter(slow_word(rows, start) for start in starts)
    counted = len(starts) - words["unscored"]
    found = judge_deployed(rows)
    assert found.alerts == len(opened)
    assert (found.breaks_warned, found.breaks_covered) == (words["yes"], words["covered"])
    assert (found.breaks, found.breaks_unscored) == (counted, words["unscored"])
    assert found.breaks_with_open_alert == words["yes"] + words["covered"]
    assert found.horizons[-1].warned == found.breaks_warned
    for one in found.horizons:
        windows = [slow_window(rows, start, one.horizon_rows) for start in starts]
        assert one.warned == sum(bool(window & opened) for window in windows)
        assert one.false_alarms == len(opened - set().union(*windows))
        assert one.recall == (one.warned / counted if counted else None)
        assert (one.chance is None) == (not counted)


@given(scored_rows(max_rows=60, lead_rows=AHEAD))
def test_chance_is_the_same_count_with_the_opening_rows_moved_on(rows):
    starts, scored = slow_starts(rows), np.flatnonzero(rows.scored)
    counted = sum(slow_word(rows, start) != "unscored" for start in starts)
    if not counted or len(scored) < 2:
        return
    by_shift = []
    for shift in even_shifts(len(scored)):
        moved = rows.opened.copy()
        moved[scored] = np.roll(rows.opened[scored], shift)
        opened = set(np.flatnonzero(moved).tolist())
        by_shift.append(sum(bool(slow_window(rows, start, 30) & opened) for start in starts))
    assert judge_deployed(rows).horizons[-1].chance == pytest.approx(np.mean(by_shift) / counted)


def alarmed(rows: ScoredRows, level: float) -> tuple[ScoredRows, list[set[int]]]:
    """The rows under a threshold; an alert opens on a row over it and closes 3 rows after the last one or at a stop."""
    over = rows.scored & (rows.score > level)
    spans: list[set[int]] = []
    quiet = 3
    for row in range(len(rows)):
        if row and rows.run[row] != rows.run[row - 1]:
            quiet = 3
        if over[row] and quiet >= 3:
            spans.append(set())
        quiet = 0 if over[row] else quiet + 1
        if quiet < 3:
            spans[-1].add(row)
    opened, alert_open = np.zeros((2, len(rows)), np.bool_)
    opened[[min(span) for span in spans]] = True
    alert_open[[row for span in spans for row in span]] = True
    return replace(rows, over=over, opened=opened, alert_open=alert_open), spans


@given(scored_rows(lead_rows=st.just(0)), st.floats(0, 6))
def test_with_lead_0_an_anomaly_is_found_by_a_row_of_it_and_an_alert_without_one_is_false(rows, level):
    rows, spans = alarmed(rows, level)
    over = set(np.flatnonzero(rows.over).tolist())
    anomalies = [slow_window(rows, start, 0) for start in slow_starts(rows)]
    hits = over & set(np.flatnonzero(rows.broken).tolist())
    found = judge_deployed(rows)
    assert found.alerts == len(spans)
    for one in found.horizons:
        assert one.warned == sum(bool(anomaly & over) for anomaly in anomalies)
        assert one.false_alarms == sum(not span & hits for span in spans)
        assert one.false_alarms_per_1000_rows == pytest.approx(1000 * one.false_alarms / len(rows))


def test_with_lead_0_rows_cut_out_of_the_middle_of_an_alert_blame_no_other_machines_alert():
    whole = make_rows(np.zeros(20), breaks=[12, 13], stops=[10], opened=[3, 11], alert_open=[3, 4, *range(11, 15)],
                      over=[3, 12], lead_rows=0)  # fmt: skip
    assert judge_deployed(whole).horizons[0].false_alarms == 1
    cut = whole.take(np.r_[0:10, 12:20])  # the second machine's alert opened before these rows
    assert judge_deployed(cut).horizons[0].false_alarms == 1
    assert judge_deployed(cut).horizons[0].warned == 1


def test_one_alert_in_time_one_too_early_one_for_nothing():
    rows = make_rows(
        np.zeros(1441),
        breaks=[700],
        opened=[100, 668, 695],
        alert_open=[*range(100, 110), *range(668, 699)],
        over=range(36),
        first_row=5000,
    )
    found = judge_deployed(rows)
    assert [(h.warned, h.false_alarms) for h in found.horizons] == [(0, 3), (1, 2), (1, 2)]
    assert found.alerts_per_day == pytest.approx(1.5)
    assert found.horizons[1].false_alarms_per_day == pytest.approx(1.0)
    assert found.horizons[1].false_alarms_per_1000_rows == pytest.approx(2000 / 1440)
    assert found.time_in_alarm == pytest.approx(41 / 1440)
    assert found.rows_over == pytest.approx(36 / 1440)
    assert [(lead.row, lead.lead_minutes) for lead in found.leads] == [(5700, 10.0)]
    assert found.median_lead_minutes == 10.0


def test_a_break_is_covered_by_an_alert_from_long_ago_or_from_before_a_stop():
    rows = make_rows(np.zeros(200), breaks=[150], opened=[50], alert_open=range(50, 150))
    found = judge_deployed(rows)
    assert found.breaks_with_open_alert == 1
    assert (found.breaks_warned, found.breaks_covered) == (0, 1)
    assert found.leads[0].lead_minutes is None
    for breaks, stops in (([150, 160], []), ([160], [155])):
        found = judge_deployed(
            make_rows(np.zeros(200), breaks=breaks, stops=stops, opened=[145], alert_open=range(145, 150))
        )
        assert (found.breaks_warned, found.breaks_covered) == (len(breaks) - 1, 1)


def test_no_operating_row_gives_no_rate():
    found = judge_deployed(make_rows(np.zeros(3), breaks=[0, 1, 2]))
    assert (found.alerts_per_day, found.time_in_alarm, found.rows_over) == (None, None, None)
    assert found.horizons[0].false_alarms_per_day is None
    assert (found.breaks, found.breaks_unscored, found.horizons[0].recall) == (0, 1, None)
