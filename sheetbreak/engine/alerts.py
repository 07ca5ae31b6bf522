"""Alerts: their life, opened, updated, closed, row by row of a machine."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from sheetbreak.bounds import Rows, SomeRows
from sheetbreak.engine.scores import TopSensor
from sheetbreak.times import duration, format_time

WARNED_ROWS = 30
"""A break counts as warned when an alert opened within this many rows before it."""

Kind = Literal["opened", "updated", "closed"]
Severity = Literal["warning", "critical"]
Warned = Literal["yes", "covered", "no", "unscored"]
"""Of a break: an alert opened within WARNED_ROWS before it and since the last stop; one was open within WARNED_ROWS
before it, from earlier or from before a stop; neither; or no row since the break before had a score, as while a machine
warms up, so that no alert could have opened."""


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """When an alert opens and closes; rows are sampling periods."""

    open_after: SomeRows = 1
    """On-delay: rows over the threshold in a row before an alert opens."""
    close_after: SomeRows = 5
    """Off-delay: rows in a row under close_ratio before it closes."""
    close_ratio: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """Deadband: a row is quiet when score / threshold is at or below this; at most 1."""
    restart_rows: Rows = 15
    """Rows after a restart that open no alert."""
    update_every: SomeRows = 15
    """Rows between two updates of one alert, at least."""
    critical_ratio: Annotated[float, Meta(ge=1)] | None = 1.3
    """score / threshold from which an alert is critical; None: none is."""
    rearm_rows: Rows = 0
    """Rows after one at which an alert was closed that open no other."""
    grade_change_rows: Rows = 0
    """Rows from a change of grade on that open no alert."""


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """The alert that a machine has now."""

    alert_id: str
    opened_us: int
    severity: Severity
    leading: str
    """The sensor with the largest share at the last event."""
    since_event: int
    """Rows since its last event."""
    quiet: int = 0
    """Quiet rows in a row."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """A machine's alert, if any, and the counters that lead to one."""

    over: int = 0
    """Rows over the threshold in a row, while none is open."""
    since_open: int = WARNED_ROWS
    """Rows since the last one at which an alert was open; at most WARNED_ROWS."""
    open: OpenAlert | None = None
    muted: int = 0
    """Rows to come that open no alert, counted down at every row."""
    since_opened: int = WARNED_ROWS
    """Rows since the last one at which an alert opened; at most WARNED_ROWS."""

    def warned(self, *, since_stop: int, scored: int) -> Warned:
        """What a break before the next row counts as. Whoever counts warnings asks here.

        since_stop: rows since the last stop. scored: rows since the break before that had a score, or WARNED_ROWS.
        """
        if not scored:
            return "unscored"
        if self.since_opened < min(WARNED_ROWS, since_stop, scored):
            return "yes"
        return "covered" if self.since_open < WARNED_ROWS else "no"


IDLE = AlertState()
"""Nothing is open, was open lately, or is about to be."""


class Told(NamedTuple):
    """What is known of a warning as it is told."""

    hits: int
    """Of the last `of` warnings: those that a break followed soon."""
    of: int
    base: float
    """The share of all scored rows that a break followed so soon: what a warning at random would hit."""
    judged: int = 0
    """Of the `of`: those that an operator called right or wrong, which counts for more than what followed."""

    @property
    def of_warnings(self) -> str:
        """For people, without what a random hour holds."""
        if not self.judged:
            return f"{self.hits} of the last {self.of} warnings were followed by a break within the hour"
        how = f"{self.judged} judged by operators, the others by a break within the hour"
        return f"{self.hits} of the last {self.of} warnings were right ({how})"

    @property
    def words(self) -> str:
        """For people."""
        otherwise = f"otherwise 1 hour in {1 / self.base:.3g}" if self.base else "otherwise no break is known"
        return f"{self.of_warnings}; {otherwise}"


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """What goes to the alert topic."""

    alert_id: str
    """Of machine, opening row's time and model version: a replay repeats it, so a consumer can drop duplicates."""
    kind: Kind
    machine: str
    time_us: int
    opened_us: int
    score: float | None
    """None when a stop closed the alert: that row is not scored."""
    threshold: float | None
    ratio: float | None
    severity: Severity
    top: tuple[TopSensor, ...]
    model: str
    imputed: tuple[str, ...]
    masked: tuple[str, ...]
    message: str
    rarity: float | None = None
    """The share of the machine's last rows that score as high; None where that is not known."""
    odds: Told | None = None
    """How often the last warnings came true; None where that is not known."""
    acknowledged: tuple[str, int] | None = None
    """Who saw it, and when; None: nobody said so yet."""
    shelved_until_us: int | None = None
    """Published, but not to be announced, before this time; None: it is to be."""

    def with_odds(self, odds: Told | None) -> "AlertEvent":
        """The same, saying so."""
        return self if odds is None else replace(self, odds=odds, message=f"{self.message} {odds.words}.")


class Cause(NamedTuple):
    """What is said of a row beside its score."""

    top: Sequence[TopSensor]
    """The sensors with the largest part in it, largest first; at least one."""
    imputed: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """One row with its score and level."""

    machine: str
    time_us: int
    score: float
    threshold: float
    over: bool
    cause: Callable[[], Cause]
    """Asked for where the row makes an event, which is seldom: it takes longer than all else of a row."""
    leading: Callable[[], str]
    """The first sensor of the cause, asked for where the row might make an event."""
    model: str
    grade: str | None = None
    rarity: float | None = None
    foretells: bool = True
    """Whether a high score says something of later rows (lead_rows above 0), or of this one alone."""

    @property
    def ratio(self) -> float:
        """Score over threshold; above 1 is over."""
        return ratio_of(self.score, self.threshold)


def ratio_of(score: float, threshold: float) -> float:
    """Score / threshold, finite: a threshold of 0 (a model that rebuilds everything) counts as the smallest level."""
    return score / max(threshold, 1e-12)


def judge(
    policy: AlertPolicy, state: AlertState, row: ScoredRow, *, may_open: bool
) -> tuple[AlertState, AlertEvent | None]:
    """The state after one scored row, and the event it causes.

    may_open: False on restarting rows, which hold the alert as it is: they neither open nor count as over. Nor do the
    rows while the state is muted.
    """
    muted = max(state.muted - 1, 0)
    if state.open is None:
        over = state.over + 1 if row.over and may_open and not state.muted else 0
        if over < policy.open_after or not over:
            return AlertState(over, _next(state.since_open), None, muted, _next(state.since_opened)), None
        severity = _severity(policy, row)
        cause = row.cause()
        opened = OpenAlert(_alert_id(row), row.time_us, severity, cause.top[0].sensor, 0)
        return AlertState(over=0, since_open=0, open=opened, since_opened=0), _event("opened", opened, row, cause)
    now, since_opened = state.open, _next(state.since_opened)
    quiet = now.quiet + 1 if row.ratio <= policy.close_ratio else 0
    if quiet >= policy.close_after:
        muted = max(muted, policy.rearm_rows)
        closed = _event("closed", now, row, row.cause())
        return AlertState(since_open=1, muted=muted, since_opened=since_opened), closed
    # Not replace(): it takes three times as long, at each row of an open alert.
    now = OpenAlert(now.alert_id, now.opened_us, now.severity, now.leading, now.since_event + 1, quiet)
    if row.over and now.since_event >= policy.update_every:
        severity, leading = _severity(policy, row), row.leading()
        if severity != now.severity or leading != now.leading:
            now = replace(now, severity=severity, leading=leading, since_event=0)
            state = AlertState(open=now, since_open=0, muted=muted, since_opened=since_opened)
            return state, _event("updated", now, row, row.cause())
    return AlertState(open=now, since_open=0, muted=muted, since_opened=since_opened), None


def pass_by(state: AlertState, rows: int = 1) -> AlertState:
    """The state after rows that were not scored."""
    since_open = 0 if state.open else min(state.since_open + rows, WARNED_ROWS)
    since_opened = min(state.since_opened + rows, WARNED_ROWS)
    return AlertState(state.over, since_open, state.open, max(state.muted - rows, 0), since_opened)


def _next(rows: int) -> int:
    return min(rows + 1, WARNED_ROWS)


def change_grade(policy: AlertPolicy, state: AlertState) -> AlertState:
    """The state before the first row of another grade."""
    return replace(state, muted=policy.grade_change_rows) if state.muted < policy.grade_change_rows else state


def stop(
    policy: AlertPolicy, state: AlertState, machine: str, *, time_us: int, model: str, why: str
) -> tuple[AlertState, AlertEvent | None]:
    """The state after a stop (a break, a gap, a clock set back), which closes an open alert; `why` is for people."""
    quiet = replace(state, over=0)
    if state.open is None:
        return quiet, None
    now = state.open
    ago = duration((time_us - now.opened_us) / 1e6)
    event = AlertEvent(
        now.alert_id, "closed", machine, time_us, now.opened_us, None, None, None, now.severity, (), model, (), (),
        f"{machine}: {why}, {ago} after the warning of {format_time(now.opened_us)}; the alert is closed.",
    )  # fmt: skip
    return replace(quiet, open=None, muted=max(state.muted, policy.rearm_rows)), event


def _severity(policy: AlertPolicy, row: ScoredRow) -> Severity:
    return "critical" if policy.critical_ratio is not None and row.ratio >= policy.critical_ratio else "warning"


def _alert_id(row: ScoredRow) -> str:
    identity = f"{row.machine}\n{row.time_us}\n{row.model}".encode()
    return hashlib.sha256(identity).hexdigest()[:20]


def _event(kind: Kind, alert: OpenAlert, row: ScoredRow, cause: Cause) -> AlertEvent:
    return AlertEvent(
        alert.alert_id, kind, row.machine, row.time_us, alert.opened_us, row.score, row.threshold, row.ratio,
        alert.severity, tuple(cause.top), row.model, cause.imputed, cause.masked, _message(kind, alert, row, cause),
        row.rarity,
    )  # fmt: skip


def _message(kind: Kind, alert: OpenAlert, row: ScoredRow, cause: Cause) -> str:
    """One plain sentence that a shift leader can act on."""
    if kind == "closed":
        ago = duration((row.time_us - alert.opened_us) / 1e6)
        return f"{row.machine}: back to normal {ago} after the warning of {format_time(alert.opened_us)}."
    lead = cause.top[0]
    others = ", ".join(t.sensor for t in cause.top[1:3])
    grade = f" on grade {row.grade}" if row.grade else ""
    warning, critical = _URGENCY if row.foretells else _ODDITY
    urgency = warning if alert.severity == "warning" else critical
    still = "still " if kind == "updated" else ""
    missing = len(cause.imputed)
    doubt = f" ({missing} {'sensor is' if missing == 1 else 'sensors are'} missing)" if missing else ""
    rare = f", rarer than 1 row in {1 / row.rarity:,.0f}" if row.rarity else ""
    observed, expected = _told_apart(lead.observed, lead.expected)
    return (
        f"{row.machine}: {urgency}{grade}: {lead.sensor} {still}reads {observed} where {expected} is "
        f"expected{f'; look at {others} too' if others else ''}. {row.ratio:.2f} times the threshold{rare}{doubt}."
    )


_URGENCY = "the sheet may break soon", "act now, the sheet may break"
_ODDITY = "this row is unusual", "this row is very unusual"
"""How a message begins: of a warning, of a critical alert."""


def _told_apart(observed: float, expected: float) -> tuple[str, str]:
    """Both with four digits, or with as many as show that they differ: a steady sensor's small step counts."""
    for digits in range(4, 18):
        texts = f"{observed:.{digits}g}", f"{expected:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return texts
