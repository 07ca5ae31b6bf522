"""The board: seven states, and none of them is quiet because nothing is known."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.board import Standing
from tests.support.models.mill import START_US
from tests.support.programs.desk_rig import PERIOD_US, DeskRig, action, alert, score

OpenDesk = Callable[..., DeskRig]
SECOND = 1000


def standing(rig: DeskRig, machine: str = "pm1") -> Standing:
    found = rig.board.standing(machine, rig.now_ms)
    assert found is not None
    return found


def test_each_state_has_its_word(rig: DeskRig) -> None:
    rig.take(score(0, state="warming-up"))
    assert standing(rig).state == "warming up"
    rig.take(score(1))
    assert (standing(rig).state, standing(rig).ratio) == ("quiet", 0.5)
    rig.take(score(2, ratio=1.5), alert(2))
    assert standing(rig).state == "WARNING"
    assert standing(rig).since_us == START_US + 2 * PERIOD_US
    rig.take(alert(3, "closed", opened=2), score(3, state="stopped"))
    assert standing(rig).state == "stopped"
    rig.take(score(4, state="restarting"))
    assert standing(rig).state == "restarting"  # it can open no alert: quiet would be a false all-clear
    rig.take(score(5))
    assert standing(rig).state == "quiet"


def test_a_machine_of_which_nothing_is_heard_is_not_watched_and_keeps_what_was_known(rig: DeskRig) -> None:
    rig.take(*(score(row) for row in range(10)), alert(9), apart_ms=2 * SECOND)
    rig.now_ms += 20 * SECOND
    assert standing(rig).state == "WARNING"
    rig.now_ms += 60 * SECOND
    assert (standing(rig).state, standing(rig).held) == ("not watched", "WARNING")
    rig.take(score(10, ratio=1.4))
    assert (standing(rig).state, standing(rig).held) == ("WARNING", None)


def test_how_long_a_silence_is_follows_from_the_row_period(rig: DeskRig) -> None:
    rig.take(*(score(row) for row in range(10)), apart_ms=120 * SECOND)
    rig.now_ms += 300 * SECOND
    assert standing(rig).state == "quiet"
    rig.now_ms += 120 * SECOND
    assert standing(rig).state == "not watched"


def test_one_outage_is_no_new_row_period_and_a_slower_feed_is(rig: DeskRig) -> None:
    rig.take(*(score(row) for row in range(10)), apart_ms=2 * SECOND)
    rig.take(score(10), apart_ms=3600 * SECOND)
    rig.now_ms += 60 * SECOND
    assert standing(rig).state == "not watched"
    rig.take(*(score(row) for row in range(11, 16)), apart_ms=120 * SECOND)
    rig.now_ms += 200 * SECOND
    assert standing(rig).state == "quiet"


def test_a_machine_silent_while_another_is_heard_has_no_rows(rig: DeskRig) -> None:
    for row in range(10):
        rig.take(score(row), score(row, machine="pm2"), apart_ms=SECOND)
    rig.take(*(score(row, machine="pm2") for row in range(10, 80)), apart_ms=SECOND)
    assert standing(rig).state == "no rows"
    assert standing(rig, "pm2").state == "quiet"


def test_a_silence_while_a_monitor_waits_for_rows_is_that_of_the_feed(rig: DeskRig) -> None:
    rig.take(*(score(row) for row in range(10)), apart_ms=SECOND)
    rig.now_ms += 600 * SECOND
    rig.status.monitor_waits = True
    assert standing(rig).state == "no rows"
    rig.status.answers = False  # what the brokers said of it is old
    assert standing(rig).state == "not watched"


def test_while_monitors_answer_nothing_no_machine_is_quiet_however_long_it_usually_is_silent(rig: DeskRig) -> None:
    rig.take(*(score(row) for row in range(10)), apart_ms=120 * SECOND)
    rig.now_ms += 20 * SECOND
    assert standing(rig).state == "quiet"
    rig.status.monitor_stands = True
    assert (standing(rig).state, standing(rig).held) == ("not watched", "quiet")
    rig.take(score(10))
    assert standing(rig).state == "quiet"  # what was just heard of is watched
    rig.now_ms += 20 * SECOND
    rig.status.answers = False  # what the brokers said of it is old
    assert standing(rig).state == "quiet"


def test_what_was_written_before_the_desk_started_is_not_now(rig: DeskRig) -> None:
    rig.now_ms += 3600 * SECOND
    rig.take_old([score(row) for row in range(100)])
    assert (standing(rig).state, standing(rig).held) == ("not watched", "quiet")


def test_a_cold_start_ends_a_warning_that_was_never_closed(rig: DeskRig) -> None:
    rig.take(score(0), score(1, ratio=1.5), alert(1), score(2, state="warming-up"))
    assert standing(rig).state == "warming up"


def test_names_with_numbers_are_in_the_order_of_their_numbers(rig: DeskRig) -> None:
    rig.take(*(score(0, machine=f"pm{number}") for number in (10, 2, 1)))
    assert [one.machine for one in rig.board.standings(rig.now_ms)] == ["pm1", "pm2", "pm10"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pm1", "pm2"]),
        st.sampled_from(["scored", "warming-up", "stopped", "restarting", "open", "close"]),
    ),
    max_size=40,
)


def told(steps: list[tuple[str, str]]) -> list[bytes]:
    """The messages of machines that live through these steps, a row each."""
    values, rows, opened = [], {"pm1": 0, "pm2": 0}, dict[str, int | None](pm1=None, pm2=None)
    for machine, step in steps:
        rows[machine] += 1
        row, since = rows[machine], opened[machine]
        state = step if step not in ("open", "close") else "scored"
        values.append(score(row, machine=machine, state=state, ratio=1.5 if step == "open" else 0.5))
        if step == "open" and since is None:
            values += [alert(row, machine=machine), action(row, "acknowledge", machine=machine)]
            opened[machine] = row
        elif step in ("close", "stopped", "warming-up") and since is not None:
            values.append(alert(row, "closed", machine=machine, opened=since))
            opened[machine] = None
    return values


PAGES = ("/", "/machine?name=pm1", "/alarms", "/shift", "/performance")


@settings(max_examples=8, deadline=None)
@given(steps=STEPS)
def test_a_desk_that_lost_its_store_or_its_process_shows_the_same_pages(steps: list[tuple[str, str]]) -> None:
    """Read again, its topics come in another order: all scores before all alerts, say."""
    values = told([("pm1", "scored"), *steps])
    alerts = [value for value in values if b'"alert_id"' in value]
    scores = [value for value in values if b'"scores"' in value]
    actions = [value for value in values if b'"by"' in value]
    with tempfile.TemporaryDirectory() as folder:
        first = DeskRig(Path(folder) / "first").take(*values)
        at_ms = first.now_ms
        others = [DeskRig(Path(folder) / f"again{n}") for n in range(2)]
        others[0].take(*actions, *alerts, *scores)
        others[1].take(*scores, *actions, *alerts, *values)
        restarted = DeskRig(Path(folder) / "first")
        rigs = [first, *others, restarted]
        try:
            shown = []
            for rig in rigs:
                rig.now_ms = at_ms
                shown.append([rig.web._views.whole(*split(page), who="", fixed=False) for page in PAGES])
            for rig, pages in zip(rigs[1:], shown[1:], strict=True):
                secrets = (first.web._placeholder, rig.web._placeholder)
                assert [page.replace(secrets[1], secrets[0]) for page in pages] == shown[0]
        finally:
            for rig in rigs:
                rig.close()


def split(page: str) -> tuple[str, dict[str, str]]:
    path, _, query = page.partition("?")
    return path, dict([query.split("=")]) if query else {}


@pytest.mark.parametrize("crash", ["before", "after"])
def test_a_store_goes_on_where_its_last_transaction_ended(open_desk: OpenDesk, crash: str) -> None:
    rig = open_desk()
    rig.take_old([score(row) for row in range(5)])
    if crash == "before":  # a transaction that did not end
        with pytest.raises(ZeroDivisionError):
            rig.store.take(_Failing(), {("scores", 0): 99})
    assert open_desk().store.positions() == {("scores", 0): 5}


class _Failing(list):
    def __iter__(self):
        raise ZeroDivisionError
