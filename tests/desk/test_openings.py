"""Openings: an alert ends for Alertmanager only after it must have told of it; the next desk learns how far that is."""

from desk.notify.openings import Openings


def test_an_end_waits_until_alertmanager_has_answered_for_longer_than_it_waits() -> None:
    openings = Openings(100, tells_within_s=30.0)
    assert openings.is_told("before", 100)
    assert openings.took([("a", 101)], at_s=0.0) is None
    assert openings.took([("a", 101)], at_s=29.0) is None
    assert not openings.is_told("a", 101)
    assert openings.took([("a", 101)], at_s=30.0) == 101
    assert openings.is_told("a", 101)


def test_what_was_not_told_when_alertmanager_went_away_begins_anew() -> None:
    openings = Openings(100, tells_within_s=30.0)
    openings.took([("told", 101)], at_s=0.0)
    openings.took([("told", 101), ("a", 102)], at_s=30.0)
    openings.failed()
    assert not openings.is_taken("a")
    assert openings.took([("told", 101), ("a", 102)], at_s=61.0) is None
    assert (openings.is_told("told", 101), openings.is_told("a", 102)) == (True, False)
    assert openings.took([("told", 101), ("a", 102)], at_s=91.0) == 102


def test_alerts_are_told_in_order_so_that_one_number_says_it_to_the_next_desk() -> None:
    openings = Openings(100, tells_within_s=30.0)
    openings.took([("later", 105)], at_s=0.0)
    assert openings.took([("later", 105), ("sooner", 103)], at_s=31.0) is None
    assert not openings.is_told("later", 105)
    assert openings.took([("later", 105), ("sooner", 103)], at_s=61.0) == 105
