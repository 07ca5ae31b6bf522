"""Decision: a machine's scores held against its level, and the alerts that come of it. The fourth stage.

It knows no model and no sensor: the engine runs it over the scores of the model, a trainer over scores that are known,
once for each threshold and policy that it tries. So it comes in two halves, of which the levels do not depend on the
alert policy (but for its restart_rows); and while a machine is idle only a row over its level, a change of grade or a
break can change that, so that the rows between are skipped.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sheetbreak.engine.admission import BROKE, GAP, OF_ROWS, REST, RUN, SET_BACK, Step
from sheetbreak.engine.alerts import (
    IDLE,
    WARNED_ROWS,
    AlertEvent,
    AlertPolicy,
    AlertState,
    ScoredRow,
    change_grade,
    judge,
    pass_by,
    stop,
)
from sheetbreak.engine.scoring import TopSensor
from sheetbreak.engine.thresholds import (
    JUDGED_ROWS,
    Steering,
    Threshold,
    Trailing,
    Wheel,
    begin_steering,
    comparable,
    level_now,
)
from sheetbreak.rows import UNKNOWN, RowBatch

NONE = float("nan")
_UNCHANGED: frozenset[int] = frozenset()


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


class Levels(NamedTuple):
    """What a machine's scores were held against, step by step."""

    level: "array[float]"
    """NaN where the step has no score."""
    over: "array[int]"
    """The steps whose score is over the level."""
    breaks: "array[int]"
    """The steps at which a break begins."""
    changes: "array[int]"
    """The steps with another grade than the last one known."""
    trailing: Trailing
    """After the steps, as is `grade`."""
    grade: str | None
    steering: Steering | None
    """Without the alarms of these steps: they are not known here."""


class Decided(NamedTuple):
    """What a machine's scores come to."""

    levels: Levels
    alert: AlertState
    """After the rows."""
    top: dict[int, Sequence[TopSensor]]
    """For rows over the level, and those at which an alert is open."""
    alerts: list[tuple[int, AlertEvent]]
    breaks: list[tuple[int, bool]]
    """Rows at which a break begins, and whether an alert was open within WARNED_ROWS before it."""


def hold_levels(
    steps: Sequence[Step],
    scores: Sequence[float | None],
    grades: Sequence[str | None],
    *,
    threshold: Threshold,
    restart_rows: int,
    trailing: Trailing,
    grade: str | None,
    steering: Steering | None = None,
    labels: Sequence[int] = (),
) -> Levels:
    """Hold each step's score against the level that the scores before it give.

    scores, grades, labels: by place. restart_rows: of so many rows after a stop the trailing level leaves the scores
    out. trailing, grade, steering: as they were before; where a row names no grade, it goes on as it was. labels:
    needed where the threshold is steered; then there are at most JUDGED_ROWS steps: what opens in them counts later.
    """
    trailing = trailing.copy()
    wheel = Wheel(threshold.rate, steering) if threshold.rate and steering else None
    level, over, breaks, changes = array("d"), array("q"), array("q"), array("q")
    for i, (place, what, since_restart) in enumerate(steps):
        score = None
        if what in OF_ROWS:
            named = grades[place]
            if named is not None and named != grade:
                if grade is not None:
                    changes.append(i)
                grade = named
            score = scores[place] if what == RUN else None
        elif what == BROKE:
            breaks.append(i)
        elif what == SET_BACK:  # what is known of scores and grade is of another time
            trailing, grade = Trailing(threshold.trailing_rows), None
        if wheel and what not in (RUN, REST) and _may_be_break(what, place, labels):
            wheel.waiting.clear()
        if score is None:
            level.append(NONE)
            continue
        now = level_now(threshold, trailing, grade, share=wheel.share if wheel else None)
        level.append(now)
        if score > now:
            over.append(i)
        if since_restart >= restart_rows:
            trailing.add(comparable(threshold, score, grade))
        if wheel:
            wheel.turn(labelled=labels[place] != UNKNOWN)
    return Levels(level, over, breaks, changes, trailing, grade, wheel.steering if wheel else None)


def _may_be_break(what: str, place: int, labels: Sequence[int]) -> bool:
    """Whether an alarm before this end of a run may have been true: a feed without labels shows a break as a gap."""
    return what == BROKE or (what == GAP and labels[place] == UNKNOWN)


def raise_alerts(
    machine: str,
    steps: Sequence[Step],
    scores: Sequence[float | None],
    rows: RowBatch,
    *,
    levels: Levels,
    rules: Rules,
    alert: AlertState,
    explain: Explain,
) -> Decided:
    """The alerts that open, go on and close over a machine's steps. alert: as it was before."""
    policy, found = rules.policy, Decided(levels, alert, {}, [], [])
    changes = set(levels.changes) if levels.changes and policy.grade_change_rows else _UNCHANGED
    wakes: Sequence[int] = levels.over
    if changes or levels.breaks:
        wakes = sorted({*levels.over, *levels.breaks, *changes})
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
                found.breaks.append((place, alert.since_open < WARNED_ROWS))
            if what != BROKE or rules.break_ends_run:
                time_us = rows.times_us.item(place)
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
                    found.top[place] = cause.top
                row = ScoredRow(
                    machine,
                    rows.times_us.item(place),
                    score,
                    level,
                    over=over,
                    top=cause.top,
                    model=rules.version,
                    imputed=cause.imputed,
                    masked=cause.masked,
                    grade=rows.grades[place],
                    foretells=rules.foretells,
                )
                alert, event = judge(policy, alert, row, may_open=since_restart >= policy.restart_rows)
        if event:
            found.alerts.append((place, event))
        i += 1
    return Decided(levels, alert, found.top, found.alerts, found.breaks)


def decide(
    machine: str,
    steps: Sequence[Step],
    scores: Sequence[float | None],
    rows: RowBatch,
    *,
    rules: Rules,
    trailing: Trailing,
    alert: AlertState,
    grade: str | None,
    steering: Steering | None = None,
    explain: Explain,
) -> Decided:
    """Both halves, for one machine. trailing, alert, grade, steering: as they were before its steps; they stay so."""
    if rules.threshold.rate is None:
        levels = hold_levels(
            steps,
            scores,
            rows.grades,
            threshold=rules.threshold,
            restart_rows=rules.policy.restart_rows,
            trailing=trailing,
            grade=grade,
        )
        return raise_alerts(machine, steps, scores, rows, levels=levels, rules=rules, alert=alert, explain=explain)
    return _decide_steered(
        machine,
        steps,
        scores,
        rows,
        rules=rules,
        trailing=trailing,
        alert=alert,
        grade=grade,
        steering=steering or begin_steering(rules.threshold),
        explain=explain,
    )


def _decide_steered(
    machine: str,
    steps: Sequence[Step],
    scores: Sequence[float | None],
    rows: RowBatch,
    *,
    rules: Rules,
    trailing: Trailing,
    alert: AlertState,
    grade: str | None,
    steering: Steering | None,
    explain: Explain,
) -> Decided:
    """Both halves in turn, JUDGED_ROWS steps at a time: a level depends on no alarm that is younger."""
    whole = Levels(array("d"), array("q"), array("q"), array("q"), trailing, grade, steering)
    found, labels = Decided(whole, alert, {}, [], []), rows.broken.tolist()
    for first in range(0, len(steps), JUDGED_ROWS):
        some = steps[first : first + JUDGED_ROWS]
        levels = hold_levels(
            some,
            scores,
            rows.grades,
            threshold=rules.threshold,
            restart_rows=rules.policy.restart_rows,
            trailing=whole.trailing,
            grade=whole.grade,
            steering=whole.steering,
            labels=labels,
        )
        part = raise_alerts(machine, some, scores, rows, levels=levels, rules=rules, alert=found.alert, explain=explain)
        assert levels.steering is not None
        opened = {place for place, event in part.alerts if event.kind == "opened"}
        waiting = levels.steering.waiting + _waiting(some, levels, opened, labels)
        whole = Levels(
            whole.level + levels.level,
            whole.over + array("q", (first + i for i in levels.over)),
            whole.breaks + array("q", (first + i for i in levels.breaks)),
            whole.changes + array("q", (first + i for i in levels.changes)),
            levels.trailing,
            levels.grade,
            levels.steering._replace(waiting=waiting),
        )
        found = Decided(whole, part.alert, found.top | part.top, found.alerts + part.alerts, found.breaks + part.breaks)
    return found


def _waiting(steps: Sequence[Step], levels: Levels, opened: set[int], labels: Sequence[int]) -> tuple[int, ...]:
    """Of the alarms that opened in these steps and that no break followed yet: scored rows since, oldest first."""
    waiting = list[int]()
    for (place, what, _), level in zip(steps, levels.level, strict=True):
        if what not in OF_ROWS:
            if _may_be_break(what, place, labels):
                waiting.clear()
        elif level == level:  # it has a score
            waiting = [rows + 1 for rows in waiting]
            if place in opened:
                waiting.append(0)
    return tuple(waiting)
