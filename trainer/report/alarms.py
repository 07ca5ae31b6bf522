"""Alarms one by one: when each opened, how long it lasted, which sensors led, what followed; as a table and as CSV."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sheetbreak.engine.alerts import WARNED_ROWS
from sheetbreak.times import format_time
from trainer.data.labels import Floats
from trainer.data.operators import precision_words
from trainer.metrics.events import timeline
from trainer.report.judgement import Judged, Judgement, error_shares
from trainer.report.page import Cell, Section, Table
from trainer.report.style import clean

LEADING = 3
MOST_ALARMS = 400
"""Lines on a page, the latest ones; the CSV has all."""
CSV_SUFFIX = ".alarms.csv"
_COLUMNS = ("opened", "opened_local", "closed", "minutes", "machine", "stretch", "sensors", "followed", "break")


class Report(NamedTuple):
    """A page, and the list of alarms that goes beside it; empty where there is none."""

    page: str
    alarms: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One of the deployed threshold's."""

    of: Judgement
    place: int
    """Of the row that opened it, in the stretch."""
    machine: str
    opened_us: int
    closed_us: int | None
    """None: open at the end of the rows."""
    end_us: int
    """When it closed, or the last row."""
    sensors: tuple[str, ...]
    """The leading ones while it was open."""
    break_us: int | None
    """The break that it warned of; None: it was false."""
    verdict: str = ""
    """What operators said of an alarm at the same time, whichever model raised it."""

    @property
    def minutes(self) -> float:
        """That it was open."""
        return (self.end_us - self.opened_us) / 60e6

    @property
    def lead_minutes(self) -> float | None:
        """From its opening to the break; None where it was false."""
        return None if self.break_us is None else (self.break_us - self.opened_us) / 60e6


def alarms_file(report: Path) -> Path:
    """Where the list lies beside a page: backtest.html, backtest.alarms.csv."""
    return report.with_name(report.stem + CSV_SUFFIX)


def list_alarms(judged: Judged) -> list[Alarm]:
    """All that opened in the judged rows, in order of time."""
    found = [alarm for one in judged.stretches for alarm in _alarms(one, judged)]
    return sorted(found, key=lambda alarm: (alarm.opened_us, alarm.machine))


def _alarms(one: Judgement, judged: Judged) -> Iterator[Alarm]:
    rows, when = one.rows, timeline(one.rows)
    closed = {event.alert_id: event.time_us for _, event in one.results.alerts if event.kind == "closed"}
    ids = {place: event.alert_id for place, event in one.results.alerts if event.kind == "opened"}
    last = int(one.times_us.max(initial=0))
    for place in np.flatnonzero(rows.opened).tolist():
        number = int(rows.row[place])
        closed_us = closed.get(ids[number])
        warns = bool(when.distance[place] <= WARNED_ROWS)
        ends = last if closed_us is None else closed_us
        yield Alarm(
            of=one,
            place=place,
            machine=one.batch.machines[number],
            opened_us=int(one.times_us[place]),
            closed_us=closed_us,
            end_us=ends,
            sensors=tuple(judged.sensors[i] for i in leading_sensors(one, place, _end_of(one, place))),
            break_us=int(one.times_us[when.break_row[when.ahead[place]]]) if warns else None,
            verdict=_verdict(judged, one.batch.machines[number], int(one.times_us[place]), ends),
        )


def _verdict(judged: Judged, machine: str, opened_us: int, ends_us: int) -> str:
    """The last one on an alarm that was open at some time between these; one that is sure before one that is not."""
    said = [
        label.verdict
        for label in judged.verdicts
        if label.machine == machine and label.from_us <= ends_us and (label.until_us or label.from_us) >= opened_us
    ]
    return next((word for word in reversed(said) if word != "unsure"), said[-1] if said else "")


def leading_sensors(one: Judgement, first: int, end: int) -> list[int]:
    """The sensors with the largest mean share of the error at the places from `first` up to `end`, largest first."""
    shares: Floats = error_shares(one.results.contributions[one.rows.row[first:end]])
    known = shares[~np.isnan(shares).any(axis=1)]
    if not len(known):
        return []
    return [int(sensor) for sensor in np.argsort(-known.mean(axis=0), kind="stable")[:LEADING]]


def _end_of(one: Judgement, place: int) -> int:
    """The first place after one that opened an alarm at which that is not open any more."""
    rows = one.rows
    over = ~rows.alert_open[place + 1 :] | rows.opened[place + 1 :] | (rows.run[place + 1 :] != rows.run[place])
    return place + 1 + (int(np.argmax(over)) if over.any() else len(over))


def alarms_section(judged: Judged, alarms: Sequence[Alarm]) -> list[Section]:
    """The list; none where a row foretells nothing."""
    if not judged.lead_rows:
        return []
    if not alarms:
        return [Section(title="Alarm by alarm", note="No alarm opened in these rows.", parts=[])]
    shown, minutes = alarms[-MOST_ALARMS:], WARNED_ROWS * judged.period_s / 60
    several = len({alarm.machine for alarm in alarms}) > 1
    heads = [
        "opened",
        *(["machine"] if several else []),
        "open for",
        "leading sensors",
        "what followed",
        *(["operators said"] if judged.verdicts else []),
    ]
    lines = [
        (
            local(judged, alarm.opened_us),
            [
                *([Cell(clean(alarm.machine)[:24])] if several else []),
                Cell(f"{alarm.minutes:.0f} min", beside="" if alarm.closed_us is not None else "open at the end"),
                Cell(", ".join(clean(name)[:24] for name in alarm.sensors) or "-"),
                Cell("no break" if alarm.lead_minutes is None else f"break {alarm.lead_minutes:.0f} min later"),
                *([Cell(alarm.verdict or "-")] if judged.verdicts else []),
            ],
        )
        for alarm in shown
    ]
    left_out = f", the last {len(shown):,} of them shown" if len(shown) < len(alarms) else ""
    table = Table(
        title="Each alarm",
        says=f"{len(alarms):,} alarms{left_out}, on the plant's clock. What followed: a break in the same run within "
        f"{minutes:.0f} min of the opening, or none. {_precision(judged, alarms)}The same list as CSV lies beside "
        f"this page ({CSV_SUFFIX[1:]}).",
        heads=heads,
        lines=lines,
        folded=f"Show the list ({len(shown):,})",
    )
    return [Section(title="Alarm by alarm", parts=[table])]


def _precision(judged: Judged, alarms: Sequence[Alarm]) -> str:
    """What operators said of alarms at the same times, for people; "" where nothing is known of that."""
    if not judged.verdicts:
        return ""
    known = precision_words([alarm.verdict for alarm in alarms])
    said = f"Operators said of alarms at the same times, whichever model raised them: of these alarms, {known}. "
    return said if known else "Operators judged no alarm at the times of these. "


def alarms_csv(judged: Judged, alarms: Sequence[Alarm]) -> str:
    """A line an alarm; times in UTC, and the opening on the plant's clock too."""
    out = StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow([*_COLUMNS, *(["verdict"] if judged.verdicts else [])])
    for alarm in alarms:
        lines.writerow(
            [
                format_time(alarm.opened_us),
                judged.plant.local_time(alarm.opened_us),
                "" if alarm.closed_us is None else format_time(alarm.closed_us),
                f"{alarm.minutes:g}",
                alarm.machine,
                alarm.of.name,
                " ".join(alarm.sensors),
                "no break" if alarm.lead_minutes is None else f"break {alarm.lead_minutes:g} min later",
                "" if alarm.break_us is None else format_time(alarm.break_us),
                *([alarm.verdict] if judged.verdicts else []),
            ]
        )
    return out.getvalue()


def local(judged: Judged, time_us: int) -> str:
    """To the second, on the plant's clock: "1999-05-01 08:10:00"."""
    return judged.plant.local_time(time_us)[:19].replace("T", " ")
