"""Decision: a machine's scores held against its level, and the alerts that come of it. The fourth stage.

It knows no model and no sensor: the engine runs it over the scores of the model, a trainer over scores that are known,
once for each threshold and policy that it tries. So it comes in two halves, of which the levels do not depend on the
alert policy (but for its restart_rows); and while a machine is idle only a row over its level, a change of grade or a
break can change that, so that the rows between are skipped.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from sheetbreak.engine.admission import BROKE, OF_ROWS, Step
from sheetbreak.engine.alerts import (
    IDLE,
    WARNED_ROWS,
    AlertEvent,
    AlertPolicy,
    AlertState,
    Cause,
    ScoredRow,
    Warned,
    change_grade,
    judge,
    pass_by,
    stop,
)
from sheetbreak.engine.odds import UNKNOWN_ODDS, Odds, Raised, learn
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


class Explain(NamedTuple):
    """What explains the row at a place of a batch."""

    cause: Callable[[int], Cause]
    leading: Callable[[int], str]
    """The first sensor of the cause alone, in a tenth of the time."""


class Decided(NamedTuple):
    """What a machine's scores come to."""

    levels: Levels
    alert: AlertState
    """After the rows."""
    named: list[int]
    """Rows over the level, and those at which an alert is open: their leading sensors are told."""
    alerts: list[tuple[int, AlertEvent]]
    breaks: list[tuple[int, Warned]]
    """Rows at which a break begins, and whether it was warned of."""
    odds: Odds = UNKNOWN_ODDS
    """After the rows, as..."""
    raised: tuple[Raised, ...] = ()
    """...the last warnings."""


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
    policy, end = rules.policy, len(steps)
    if alert.open is None and not (levels.over or levels.breaks or levels.changes):  # as nearly always
        return Decided(levels, pass_over(alert, steps, levels.level), [], [], [])
    changes = set(levels.changes) if levels.changes and policy.grade_change_rows else _NONE
    wakes = sorted({*levels.over, *levels.breaks, *changes, end})
    named: list[int] = []
    alerts: list[tuple[int, AlertEvent]] = []
    breaks: list[tuple[int, Warned]] = []
    i = 0
    while i < end:
        if alert.open is None:
            wake = wakes[bisect_left(wakes, i)]
            alert, i = pass_over(alert, steps[i:wake], levels.level[i:wake]), wake
            if i == end:
                break
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
                if over or alert.open is not None:
                    named.append(place)
                row = ScoredRow(
                    machine,
                    int(rows.times_us[place]),
                    score,
                    level,
                    over=over,
                    cause=partial(explain.cause, place),
                    leading=partial(explain.leading, place),
                    model=rules.version,
                    grade=rows.grades[place],
                    rarity=_known(levels.rarity[i]),
                    foretells=rules.foretells,
                )
                alert, event = judge(policy, alert, row, may_open=since_restart >= policy.restart_rows)
        if event:
            alerts.append((place, event))
        i += 1
    return Decided(levels, alert, named, alerts, breaks)


def pass_over(alert: AlertState, steps: Sequence[Step], level: Sequence[float]) -> AlertState:
    """The state after steps none of which is over its level, a break or a change of grade, while no alert is open."""
    if alert == IDLE:
        return alert
    alert = pass_by(alert, sum(what in OF_ROWS for _, what, _ in steps))
    ended = any(now == now or what not in OF_ROWS for (_, what, _), now in zip(steps, level, strict=True))
    return replace(alert, over=0) if alert.over and ended else alert  # by a score that is not over, or the end of a run


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
    raised: tuple[Raised, ...] = (),
    explain: Explain,
) -> Decided:
    """Both halves, for one machine.

    scores, labels: by place. trailing, alert, grade, steering, odds, raised: as they were before; they stay so.
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
        alerts, odds, raised = _with_odds(part.alerts, some, levels, labels, odds, raised)
        if levels.steering:
            opened = {place for place, event in alerts if event.kind == "opened"}
            if opened:
                steering = levels.steering.with_alarms(_waiting(some, levels, opened, labels))
                levels = levels._replace(steering=steering)
        trailing, grade, steering, alert = levels.trailing, levels.grade, levels.steering, part.alert
        part = Decided(levels, alert, part.named, alerts, part.breaks, odds, raised)
        found = part if found is None else joined(found, part)
    assert found is not None
    return found


def _with_odds(
    alerts: list[tuple[int, AlertEvent]],
    steps: Sequence[Step],
    levels: Levels,
    labels: Sequence[int],
    odds: Odds,
    raised: tuple[Raised, ...],
) -> tuple[list[tuple[int, AlertEvent]], Odds, tuple[Raised, ...]]:
    """The same events, each with what was known of the machine's warnings; and what is known after the steps."""
    events = {at: event.alert_id if event.kind == "opened" else "" for at, event in alerts if event.kind != "closed"}
    odds, told, raised = learn(odds, steps, levels.level, raised=raised, events=events, labels=labels)
    if told:
        alerts = [(at, event if event.kind == "closed" else event.with_odds(told[at])) for at, event in alerts]
    return alerts, odds, raised


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


def joined(before: Decided, after: Decided) -> Decided:
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
        named=before.named + after.named,
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
