"""Machine: its score against its level, its leading sensors, breaks and masks, and what can be answered."""

from desk.pages.page import NotThere, Page, Params
from desk.plots.series import Frame, draw_scores, draw_sensor
from desk.service import Desk
from desk.store.alarms import find_alarm, list_alarms, masks, period_us, shelf
from desk.store.breaks import list_breaks
from desk.store.series import leading_sensors, list_grades, score_points

HOUR_US = 3_600_000_000
SPANS = {"2h": 2, "12h": 12, "1d": 24, "3d": 72, "7d": 168}
"""Hours by the word in the link."""
_SENSORS, _SMALL = 4, 110
_WIDE, _NARROW = 1216, 366


def machine_page(desk: Desk, params: Params) -> Page:
    """One machine. Raises NotThere."""
    name = params.get("name", "")
    standing = desk.board.standing(name, desk.now_ms())
    if standing is None:
        raise NotThere(f"no message of a machine {name!r} has come")
    span = params.get("span", "12h")
    span = span if span in SPANS else "12h"
    end_us = standing.row_us
    start_us = end_us - SPANS[span] * HOUR_US
    with desk.store.reading() as db:
        alarm = find_alarm(db, standing.alert.alert_id) if standing.alert is not None else None
        alarms = list_alarms(db, machine=name, limit=60)
        breaks = list_breaks(db, machine=name, limit=60)
        sensors = leading_sensors(db, name, start_us, end_us, most=_SENSORS)
        points = {wide: score_points(db, name, start_us, end_us, most=width - 60) for wide, width in _SIZES}
        one_period_us = period_us(db, name)
        grades = list_grades(db, name, limit=60)
        masked, shelved_until_us = masks(db, name), shelf(db, name)
    warnings = [
        (max(one.opened_us, start_us), end_us if one.closed_us is None else one.closed_us)
        for one in alarms
        if one.closed_us is None or one.closed_us >= start_us
    ]
    stops = [one.time_us for one in breaks if one.time_us >= start_us]
    plots = {
        wide: draw_scores(
            Frame(start_us, end_us, width, 260 if wide == "wide" else 190, desk.clock),
            points[wide],
            period_us=one_period_us,
            warnings=warnings,
            breaks=stops,
            grades=[(at_us, grade) for at_us, grade in grades if at_us >= start_us],
        )
        for wide, width in _SIZES
    }
    shown = [
        (one, {
            wide: draw_sensor(Frame(start_us, end_us, width, _SMALL, desk.clock), one.readings)
            for wide, width in (("wide", _WIDE // 2 - 14), ("narrow", _NARROW))
        })
        for one in sensors
    ]  # fmt: skip
    return Page(
        "machine.html",
        title=f"{name}: {standing.state}",
        fill={
            "name": name,
            "standing": standing,
            "alarm": alarm,
            "alarms": alarms[:10],
            "breaks": breaks[:10],
            "grades": grades[:10],
            "sensors": shown,
            "known_sensors": sorted({top.sensor for one in alarms for top in one.top} | {s.sensor for s in sensors}),
            "plots": plots,
            "points": len(points["wide"]),
            "masked": masked,
            "shelved_until_us": shelved_until_us,
            "span": span,
            "spans": list(SPANS),
            "start_us": start_us,
            "end_us": end_us,
        },
    )


_SIZES = (("wide", _WIDE), ("narrow", _NARROW))
