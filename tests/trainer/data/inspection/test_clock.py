"""The zone of local times: told by the hour that comes twice, or is left out; where nothing tells, UTC and no more."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from trainer.data.inspection.clock import ZONES, changes_of, guess_zone

MINUTE_US = 60_000_000
PERIOD_US = 2 * MINUTE_US


def local(zone: str, start: str, hours: int, *, without: tuple[int, int] | None = None, period: int = 2) -> np.ndarray:
    """Rows every `period` minutes as a clock in `zone` shows them; without: a stop, in minutes from the start."""
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)
    shown = []
    for minute in range(0, hours * 60, period):
        if without is None or not without[0] <= minute < without[1]:
            moment = (first + timedelta(minutes=minute)).astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
            shown.append(round(moment.timestamp() * 1e6))
    return np.array(shown, np.int64)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe/Helsinki", "Europe/London"])
@pytest.mark.parametrize("start", ["2026-10-24", "2026-03-28", "2025-10-20", "2026-03-01"])
def test_a_night_in_which_clocks_change_tells_the_zone(zone, start):
    found = guess_zone(local(zone, start, 24 * 30), period_us=PERIOD_US)
    assert (found.zone, found.sure) == (zone, True)


def test_a_night_in_november_tells_north_america_and_one_in_april_australia():
    assert guess_zone(local("America/Chicago", "2026-10-30", 72), period_us=PERIOD_US).zone == "America/New_York"
    assert guess_zone(local("Australia/Melbourne", "2026-04-03", 72), period_us=PERIOD_US).zone == "Australia/Sydney"


def test_a_year_with_both_changes_tells_the_zone_and_so_do_machines_one_after_the_other():
    year = local("Europe/Helsinki", "2026-01-01", 24 * 365, period=20)
    assert guess_zone(year, period_us=20 * MINUTE_US).zone == "Europe/Helsinki"
    two = np.concatenate([local("Europe/Berlin", "2026-10-20", 24 * 10)] * 2)
    assert guess_zone(two, period_us=PERIOD_US).zone == "Europe/Berlin"


def test_a_clock_that_runs_through_every_such_night_is_utc_for_sure():
    found = guess_zone(local("UTC", "2026-10-20", 24 * 20), period_us=PERIOD_US)
    assert (found.zone, found.sure) == ("UTC", True)
    assert "2026-10-25" in found.why


@pytest.mark.parametrize(
    ("start", "hours", "without"),
    [("2026-06-01", 24 * 20, None), ("2026-10-24", 48, (24 * 60 - 5, 27 * 60))],
)
def test_where_no_row_tells_it_is_utc_and_said_to_be_unsure(start, hours, without):
    found = guess_zone(local("Europe/Helsinki", start, hours, without=without), period_us=PERIOD_US)
    assert (found.zone, found.sure) == ("UTC", False)


@pytest.mark.parametrize("zone", ZONES)
def test_the_hours_of_a_zones_changes_are_those_that_come_twice_or_not_at_all(zone):
    first, last = (round(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1e6) for year in (2024, 2026))
    changes = changes_of(zone, first, last)
    assert len(changes) == 4
    info = ZoneInfo(zone)
    for change in changes:
        moment = datetime.fromtimestamp(change.local_us / 1e6, UTC).replace(tzinfo=None) + timedelta(minutes=30)
        offsets = [moment.replace(tzinfo=info, fold=fold).utcoffset() for fold in (0, 1)]
        assert offsets[0] is not None
        assert offsets[1] is not None
        assert (offsets[0] > offsets[1]) is change.autumn
        assert offsets[0] != offsets[1]
