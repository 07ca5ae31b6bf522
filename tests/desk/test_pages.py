"""The pages: what they say of alarms, breaks and actions, and that every text is a text."""

import html
import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from desk.pages import PAGES
from tests.support.programs.desk_rig import DeskRig, action, alert, dead_letter, score

EVIL = "<script>alert(1)</script>\"'&"


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.partition("<main")[2])))


@pytest.fixture
def shift(rig: DeskRig) -> DeskRig:
    """An alarm that a break followed, one that none followed, and one that is open."""
    for row in range(200):
        rig.take(score(row, ratio=1.5 if row in (40, 41, 90, 91) or row >= 195 else 0.5,
                       state="stopped" if 52 <= row < 60 else "scored"))  # fmt: skip
    rig.take(
        alert(40), alert(52, "closed", opened=40), alert(90, ratio=1.1), alert(95, "closed", opened=90), alert(195)
    )
    return rig.take(
        action(53, "cause", cause="felt", alert_id="pm1-40"),
        action(60, "verdict", alert_id="pm1-40", verdict="true"),
        action(96, "verdict", alert_id="pm1-90", verdict="false", comment="grade change"),
        action(100, "mask", sensor="x9", comment="cable"),
    )


def test_the_overview_says_what_where_since_when_and_why(shift: DeskRig) -> None:
    shown = text_of(shift.page("/"))
    assert "1 of 1: the sheet may break" in shown
    assert "▲ WARNING" in shown
    assert "act now, since 06:30" in shown
    assert "x1 3.5 bar 2.5 bar" in shown
    assert "Acknowledge pm1" in shown


def test_a_silent_monitor_is_never_a_quiet_page(shift: DeskRig) -> None:
    shift.now_ms += 3_600_000
    shown = text_of(shift.page("/"))
    assert "1 of 1 not watched; a warning was open" in shown
    assert "Last known: ▲ WARNING" in shown
    assert "No warning" not in shown


def test_what_the_source_lacks_stands_on_the_page(rig: DeskRig) -> None:
    assert "No machine has been heard of yet" in text_of(rig.page("/"))
    rig.status.answers, rig.status.reason = False, "no broker at broker:9092"
    assert "does not answer: no broker at broker:9092" in text_of(rig.page("/"))
    rig.status.answers, rig.status.missing = True, ("operator-actions",)
    assert "There is no topic operator-actions" in text_of(rig.page("/"))


def test_alarms_say_what_was_answered_and_what_followed(shift: DeskRig) -> None:
    shown = text_of(shift.page("/alarms"))
    first, second, third = (shown.index(at) for at in ("1999-05-01 06:30", "1999-05-01 03:00", "1999-05-01 01:20"))
    assert first < second < third
    assert "unacknowledged" in shown[first:second]
    assert "judged false by Aino" in shown[second:third]
    assert "no break followed" in shown[second:third]
    assert "judged true by Aino" in shown[third:]
    assert "cause: felt" in shown[third:]
    assert "break 24 min later" in shown[third:]
    assert "1999-05-01 03:00" not in text_of(shift.page("/alarms?status=open"))


def test_an_alarms_page_has_what_was_told_and_answered_in_order_of_time(shift: DeskRig) -> None:
    shift.take(action(45, "acknowledge", alert_id="pm1-40"))
    shown = text_of(shift.page("/alarm?id=pm1-40")).partition("What was told and answered")[2]
    said = ("opened at", "acknowledged", "closed at", "named the cause: felt", "judged it true")
    places = [shown.index(words) for words in said]
    assert places == sorted(places)


def test_a_machines_page_has_its_breaks_with_lead_time_and_its_masks(shift: DeskRig) -> None:
    shown = text_of(shift.page("/machine?name=pm1"))
    assert "1999-05-01 01:44 yes 24 min felt" in shown
    assert "x9, by Aino – cable" in shown
    assert "x1 in bar: reads 3.5, expected 2.5" in shown


def test_a_machines_page_lists_the_changes_of_its_grade_and_marks_them(rig: DeskRig) -> None:
    grades: dict[int, dict[str, Any]] = {4: {"grade": "<b>96"}, 8: {"grade": "97"}}
    rig.take(*(score(row, **grades.get(row, {})) for row in range(12)))
    page = rig.page("/machine?name=pm1")
    expected = "Changes of grade 1999-05-01 00:16 to grade 97 from <b>96 1999-05-01 00:08 to grade <b>96"
    assert expected in text_of(page)
    assert page.count('class="grade-line"') == 4  # two, on the wide and on the narrow plot
    rig.take(score(12, machine="pm2"))
    assert "the rows name no grade" in rig.page("/machine?name=pm2")


def test_a_machines_page_names_the_sensors_that_look_wrong_until_they_do_no_more(rig: DeskRig) -> None:
    rig.take(score(0), score(1, health={"drifted": ["x7", "x9"], "stuck": [EVIL]}), score(2, state="stopped"))
    shown = text_of(rig.page("/machine?name=pm1"))
    assert "drifted : x7, x9 – far from where" in shown
    assert f"stuck : {EVIL}" in shown  # as it was before the stop, and a text
    rig.take(score(3))
    assert "Sensors that look wrong None." in text_of(rig.page("/machine?name=pm1"))


def test_the_shift_report_has_alarms_breaks_actions_and_masks(shift: DeskRig) -> None:
    shown = text_of(shift.page("/shift?start=1999-05-01T00:00&hours=8"))
    assert "1999-05-01 00:00 to 1999-05-01 08:00" in shown
    assert "01:44 pm1 : warned 24 min before; cause: felt" in shown
    assert "took x9 out of service" in shown
    assert "pm1: x9, by Aino – cable" in shown
    counted = "highest score / threshold rows scored rows stopped rows warming up pm1 3 1 1.5 192 8 0"
    assert counted in shown


def test_the_performance_page_counts_verdicts_and_compares_with_the_bounds(shift: DeskRig) -> None:
    shown = text_of(shift.page("/performance"))
    assert "3 alarms in 0.3 days" in shown
    assert "1 true, 1 false, 0 unsure, 1 not judged. Of 2 judged true or false, 50% were true" in shown
    assert "1 breaks: 1 warned" in shown
    assert "chattering machines none none yes" in shown


def test_chatter_a_flood_and_a_standing_alarm_are_not_met(rig: DeskRig) -> None:
    for number in range(12):
        rig.take(alert(number % 4, machine=f"pm{number}"), score(800, machine=f"pm{number}"))
    rig.take(*(alert(row, machine="pm0") for row in (10, 15, 20)), *(alert(row, "closed", machine="pm0", opened=row)
             for row in (10, 15, 20)))  # fmt: skip
    shown = text_of(rig.page("/performance"))
    assert "alarms in the busiest 10 minutes 12 at most 10 ▲ no" in shown
    assert "chattering machines pm0 none ▲ no" in shown
    assert "standing alarms, open for more than a day 12 fewer than 5 ▲ no" in shown


def test_dead_letters_say_why_and_where_from(rig: DeskRig) -> None:
    rig.take(
        dead_letter(), dead_letter("not-json", record_base64="eyJhIjoK"), dead_letter("late", source={"file": "f"})
    )
    shown = text_of(rig.page("/dead-letters"))
    assert "late 2" in shown
    assert "topic sensor-rows, partition 0, offset 42" in shown
    assert '{"a":1' in shown
    assert "not-json" not in text_of(rig.page("/dead-letters?reason=late")).replace("not-json 1", "")


@pytest.mark.parametrize("path", ["/", "/alarms", "/shift", "/performance", "/dead-letters"])
def test_a_name_with_markup_in_it_is_a_text(rig: DeskRig, path: str) -> None:
    sensors = [{"sensor": EVIL, "share": 1.0, "observed": 1.0, "expected": 2.0, "unit": EVIL}]
    rig.take(
        score(0, machine=EVIL, ratio=1.5, top=sensors),
        score(1, machine=EVIL, ratio=1.5, top=sensors, masked=[EVIL]),
        alert(1, machine=EVIL, alert_id=EVIL, message=EVIL, top=sensors),
        action(1, "acknowledge", machine=EVIL, by=EVIL, alert_id=EVIL, comment=EVIL),
        action(1, "mask", machine=EVIL, by=EVIL, sensor=EVIL, comment=EVIL),
        dead_letter(EVIL, message=EVIL, source={EVIL: EVIL}),
    )
    client = rig.client()
    pages = [
        client.get(path), client.get("/machine", params={"name": EVIL}), client.get("/alarm", params={"id": EVIL})
    ]  # fmt: skip
    for answer in pages:
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "alert(1)" in answer.text


def test_no_page_needs_a_style_or_script_of_its_own_or_asks_another_host(shift: DeskRig) -> None:
    paths = [path for path in PAGES if path not in ("/machine", "/alarm")]
    for path in [*paths, "/machine?name=pm1", "/alarm?id=pm1-40"]:
        page = shift.page(path)
        assert not re.search(r"\s(style|on\w+)=|<style|<script(?! src=\"/static/)|(src|href|action)=\"(?!/|#)", page)


def test_no_paragraph_holds_what_a_browser_ends_it_at(shift: DeskRig) -> None:
    """A form within a paragraph stands behind it in a browser, and all that follows loses the paragraph's style."""
    within_one = re.compile(r"<p[ >](?:(?!</p>).)*?<(?:form|div|table|ul|ol|h\d|p|section|figure)[ >]", re.DOTALL)
    paths = [path for path in PAGES if path not in ("/machine", "/alarm")]
    for path in [*paths, "/machine?name=pm1", "/alarm?id=pm1-40"]:
        assert not within_one.search(shift.page(path)), path


def test_what_is_not_there_is_said(rig: DeskRig) -> None:
    client = rig.client()
    for path in ("/machine?name=pm9", "/alarm?id=none", "/events?page=/machine?name=pm9", "/events?page=/nowhere"):
        assert client.get(path).status_code == 404
    assert "no message of a machine" in html.unescape(client.get("/machine?name=pm9").text)


@pytest.mark.parametrize("query", ["hours=0", "hours=99999999999", "start=9999-12-31T23:59", "start=x", "days=-1",
                                   "before=99999999999999999999", "status=x&span=y", "name=pm1&span=7d"])  # fmt: skip
def test_a_link_that_nobody_made_is_answered(rig: DeskRig, query: str) -> None:
    rig.take(score(0), alert(0))
    client = rig.client()
    assert {client.get(f"{path}?{query}").status_code for path in PAGES} <= {200, 404}


def test_health_is_told_to_a_probe(rig: DeskRig) -> None:
    told = json.loads(rig.client().get("/healthz").text)
    assert told == {"status": "ok", "source_answers": True, "live": True}


def test_what_to_do_when_an_alert_fires_is_as_in_the_documentation(rig: DeskRig, checkout: Path) -> None:
    """Fails after a change of docs/operating.md: run python docs/make_runbook.py."""
    made = runpy.run_path(str(checkout / "docs" / "make_runbook.py"))["runbook"]()
    assert (checkout / "desk" / "templates" / "runbook_text.html").read_text(encoding="utf-8") == made
    page = rig.page("/runbook")
    assert '<h2 id="sheetbreakbreakwarning">' in page
    assert "docker-compose up -d monitor" in page
