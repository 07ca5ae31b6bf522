"""What the deployed policy gave: opened alerts against the breaks that followed them."""

import numpy as np
import pytest
from hypothesis import given

from tests.scored_examples import make_rows, scored_rows, slow_starts, slow_window
from trainer.deployed import judge_deployed
from trainer.oracle import even_shifts


@given(scored_rows())
def test_alerts_are_counted_one_by_one(rows):
    opened = set(np.flatnonzero(rows.opened).tolist())
    starts = slow_starts(rows)
    found = judge_deployed(rows)
    assert found.alerts == len(opened)
    for one in found.horizons:
        windows = [slow_window(rows, start, one.horizon_rows) for start in starts]
        assert one.warned == sum(bool(window & opened) for window in windows)
        assert one.false_alarms == len(opened - set().union(*windows))
        assert one.recall == (one.warned / len(starts) if starts else None)
        assert (one.chance is None) == (not starts)


@given(scored_rows(max_rows=60))
def test_chance_is_the_same_count_with_the_opening_rows_moved_on(rows):
    starts, scored = slow_starts(rows), np.flatnonzero(rows.scored)
    if not starts or len(scored) < 2:
        return
    by_shift = []
    for shift in even_shifts(len(scored)):
        moved = rows.opened.copy()
        moved[scored] = np.roll(rows.opened[scored], shift)
        opened = set(np.flatnonzero(moved).tolist())
        by_shift.append(sum(bool(slow_window(rows, start, 30) & opened) for start in starts))
    assert judge_deployed(rows).horizons[-1].chance == pytest.approx(np.mean(by_shift) / len(starts))


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
    assert found.time_in_alarm == pytest.approx(41 / 1440)
    assert found.rows_over == pytest.approx(36 / 1440)
    assert [(lead.row, lead.lead_minutes) for lead in found.leads] == [(5700, 10.0)]
    assert found.median_lead_minutes == 10.0


def test_an_alert_opened_long_ago_and_open_still_is_what_the_monitor_counts():
    rows = make_rows(np.zeros(200), breaks=[150], opened=[50], alert_open=range(50, 150))
    found = judge_deployed(rows)
    assert found.breaks_with_open_alert == 1
    assert found.horizons[-1].warned == 0
    assert found.leads[0].lead_minutes is None


def test_no_operating_row_gives_no_rate():
    found = judge_deployed(make_rows(np.zeros(3), breaks=[0, 1, 2]))
    assert (found.alerts_per_day, found.time_in_alarm, found.rows_over) == (None, None, None)
    assert found.horizons[0].false_alarms_per_day is None
    assert found.horizons[0].recall == 0.0
