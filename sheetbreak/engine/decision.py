"""Decision: a machine's scores held against its level, and the alerts that come of it. The fourth stage.

It knows no model and no sensor: the engine runs it over the scores of the model, a trainer over scores that are known,
once for each threshold and policy that it tries. So it comes in two halves, of which the levels do not depend on the
alert policy (but for its restart_rows); and while a machine is idle only a row over its level, a change of grade or a
break can change that, so that the rows between are skipped.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sheetbreak.engine.admission import BROKE, OF_ROWS, Step
from sheetbreak.engine.alerts import (
    IDLE,
    WARNED_ROWS,
    AlertEvent,
    AlertPolicy,
    AlertState,
    ScoredRow,
    Warned,
    change_grade,
    judge,
    pass_by,
    stop,
)
from sheetbreak.engine.odds import UNKNOWN_ODDS, Odds, learn
from sheetbreak.engine.scores import TopSensor
from sheetbreak.engine.thresholds import (
    JUDGED_ROWS,
    Levels,
    Steering,
    Threshold,
    Trailing,
    hold_levels,
    may_be_break,
)
from sheetbreak.rows import RowBatch

_NONE: frozenset[int] = frozenset()


class Rules(NamedTuple):
    """What scores are decided by."""

    threshold: Threshold
    policy: AlertPolicy
    break_ends_run: bool
    """Whether a break closes an alert."""
    foretells: bool
    """Whether a high score says something of later rows (lead_rows above 0), or of this one alone."""
    version: str
    """Of the model."""


class Cause(NamedTuple):
    """What is said of a row beside its score."""

    top: Sequence[TopSensor] = ()
    """The sensors with the largest part in it; empty where it is not asked for."""
    imputed: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


class Explain(Protocol):
    """What explains a batch's rows."""

    def __call__(self, place: int, /, *, named: bool) -> Cause:
        """Of the row at a place. named: whether its leading sensors are asked for."""


class Decided(NamedTuple):
    """What a machine's scores come to."""

    levels: Levels
    alert: AlertState
    """After the rows."""
    top: dict[int, Sequence[TopSensor]]
    """For rows over the level, and those at which an alert is open."""
    alerts: list[tuple[int, AlertEvent]]
    breaks: list[tuple[int, Warned]]
    """Rows at which a break begins, and whether it was warned of."""
    odds: Odds = UNKNOWN_ODDS
    """After the rows."""


def raise_alerts(
    machine: str,
    steps: Sequence[Step],
    scores: Sequence[float | None],
    rows: RowBatch,
    *,
    levels: Levels,
    rules: Rules,
    alert: AlertState,
    since_break: int,
    explain: Explain,
) -> Decided:
    """The alerts that open, go on and close over a machine's steps. It knows no odds.

    alert, since_break (scored rows since the last break): as they were before.
    """
    policy, wakes = rules.policy, levels.over
    changes = set(levels.changes) if levels.changes and policy.grade_change_rows else _NONE
    if changes or levels.breaks:
        wakes = sorted({*levels.over, *levels.breaks, *changes})
    top: dict[int, Sequence[TopSensor]] = {}
    alerts: list[tuple[int, AlertEvent]] = []
    breaks: list[tuple[int, Warned]] = []
    i, end = 0, len(steps)
    while i < end:
        if alert.open is None and alert == IDLE:
            next_wake = bisect_left(wakes, i)
            if next_wake == len(wakes):
                break
            i = wakes[next_wake]
        place, what, since_restart = steps[i]
        event = None
        if what not in OF_ROWS:
            if what == BROKE:
                scored = _scored_since_break(steps, levels.level, i, before=since_break)
                breaks.append((place, alert.warned(since_stop=since_restart, scored=scored)))
            if what != BROKE or rules.break_ends_run:
                time_us = int(rows.times_us[place])
                alert, event = stop(policy, alert, machine, time_us=time_us, model=rules.version, why=what)
        else:
            if i in changes:
                alert = change_grade(policy, alert)
            score = scores[place]
            if score is None:
                alert = pass_by(alert)
            else:
                level = levels.level[i]
                over = score > level
                named = over or alert.open is not None
                cause = explain(place, named=named)
                if named:
                    top[place] = cause.top
                row = ScoredRow(
                    machine,
                    int(rows.times_us[place]),
                    score,
                    level,
                    over=over,
                    top=cause.top,
                    model=rules.version,
                    imputed=cause.imputed,
                    masked=cause.masked,
                    grade=rows.grades[place],
                    rarity=_known(levels.rarity[i]),
                    foretells=rules.foretells,
                )
                alert, event = judge(policy, alert, row, may_open=since_restart >= policy.restart_rows)
        if event:
            alerts.append((place, event))
        i += 1
    return Decided(levels, alert, top, alerts, breaks)


def decide(
    machine: str,
    steps: Sequence[Step],
    scores: Sequence[float | None],
    rows: RowBatch,
    *,
    labels: Sequence[int],
    rules: Rules,
    trailing: Trailing,
    alert: AlertState,
    grade: str | None,
    steering: Steering | None,
    odds: Odds,
    explain: Explain,
) -> Decided:
    """Both halves, for one machine.

    scores, labels: by place. trailing, alert, grade, steering, odds: as they were before its steps; they stay so.
    Where the level is steered the halves take turns, JUDGED_ROWS steps at a time: no younger alarm bears on a level.
    """
    at_once = JUDGED_ROWS if rules.threshold.rate else max(len(steps), 1)
    found: Decided | None = None
    for first in range(0, max(len(steps), 1), at_once):
        some = steps[first : first + at_once]
        levels = hold_levels(
            some,
            scores,
            rows.grades,
            threshold=rules.threshold,
            restart_rows=rules.policy.restart_rows,
            trailing=trailing,
            grade=grade,
            steering=steering,
            labels=labels,
        )
        part = raise_alerts(
            machine,
            some,
            scores,
            rows,
            levels=levels,
            rules=rules,
            alert=alert,
            since_break=odds.since_break,
            explain=explain,
        )
        part = _with_odds(part, some, labels, odds)
        if levels.steering:
            opened = {place for place, event in part.alerts if event.kind == "opened"}
            steering = levels.steering.with_alarms(_waiting(some, levels, opened, labels))
            part = part._replace(levels=levels._replace(steering=steering))
        trailing, grade, alert, odds = levels.trailing, levels.grade, part.alert, part.odds
        found = part if found is None else _joined(found, part)
    assert found is not None
    return found


def _with_odds(found: Decided, steps: Sequence[Step], labels: Sequence[int], odds: Odds) -> Decided:
    """The same with what is known of the machine's warnings, in each event and after the steps."""
    events = {place: event.kind == "opened" for place, event in found.alerts if event.kind != "closed"}
    odds, told = learn(odds, steps, found.levels.level, events=events, labels=labels)
    if not told:
        return found._replace(odds=odds)
    alerts = [(at, event if event.kind == "closed" else event.with_odds(told[at])) for at, event in found.alerts]
    return found._replace(odds=odds, alerts=alerts)


def _scored_since_break(steps: Sequence[Step], level: Sequence[float], at: int, *, before: int) -> int:
    """Rows with a score since the last break before a step, WARNED_ROWS at most; before: those before the first step.

    It looks back from each break, which is a few rows, rather than over all rows.
    """
    scored = 0
    while at and scored < WARNED_ROWS:
        at -= 1
        if steps[at][1] == BROKE:
            return scored
        scored += level[at] == level[at]  # it has a level where it has a score
    return min(scored + before, WARNED_ROWS)


def _known(number: float) -> float | None:
    return number if number == number else None


def _joined(before: Decided, after: Decided) -> Decided:
    """What two parts of a machine's steps come to, one after the other."""
    levels, more, steps = before.levels, after.levels, len(before.levels.level)
    return after._replace(
        levels=more._replace(
            level=levels.level + more.level,
            rarity=levels.rarity + more.rarity,
            over=levels.over + [steps + i for i in more.over],
            breaks=levels.breaks + [steps + i for i in more.breaks],
            changes=levels.changes + [steps + i for i in more.changes],
        ),
        top=before.top | after.top,
        alerts=before.alerts + after.alerts,
        breaks=before.breaks + after.breaks,
    )


def _waiting(steps: Sequence[Step], levels: Levels, opened: set[int], labels: Sequence[int]) -> tuple[int, ...]:
    """Of the alarms that opened in these steps and that no break followed yet: scored rows since, oldest first."""
    waiting = list[int]()
    for (place, what, _), level in zip(steps, levels.level, strict=True):
        if what not in OF_ROWS:
            if may_be_break(what, place, labels):
                waiting.clear()
        elif level == level:  # it has a score
            waiting = [rows + 1 for rows in waiting]
            if place in opened:
                waiting.append(0)
    return tuple(waiting)
