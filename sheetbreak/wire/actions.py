"""Operator actions: what the shift says of a machine, its alerts and its sensors, as messages of `operator-actions`.

Texts are texts: they are bounded and hold no control characters, and nothing in them is markup. Who shows them escapes.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

import msgspec

from sheetbreak.errors import DataError, RowError
from sheetbreak.rows import MAX_NAME_CHARS
from sheetbreak.times import EARLIEST_US, LATEST_US, OUT_OF_RANGE, format_time, to_us
from sheetbreak.wire.refusals import not_json_because

Kind = Literal["acknowledge", "shelve", "unshelve", "mask", "unmask", "verdict", "cause"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Verdict = Literal["true", "false", "unsure"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
SHELF_US = 8 * 3600 * 1_000_000
"""A shift: what is shelved without a word of how long comes back with the next one. Nothing is shelved for ever."""
MAX_COMMENT_CHARS = 2000

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "acknowledge": (),
    "shelve": ("until",),
    "unshelve": (),
    "mask": ("sensor",),
    "unmask": ("sensor",),
    "verdict": ("alert_id", "verdict"),
    "cause": ("cause",),
}
"""By action: the fields without which it means nothing."""
_TAKES: Mapping[str, tuple[str, ...]] = {
    **_NEEDS,
    "acknowledge": ("alert_id",),
    "mask": ("sensor", "until"),
    "verdict": ("alert_id", "verdict", "cause"),
    "cause": ("cause", "alert_id"),
}
_SAID = {
    "alert_id": "--alert ID",
    "sensor": "--sensor S",
    "until": "--for 8h",
    "verdict": "--verdict true|false|unsure",
}
_WHAT = {
    "alert_id": "an alert",
    "sensor": "a sensor",
    "until": "how long",
    "verdict": "the verdict",
    "cause": "the cause",
}
_BREAKS = re.compile(r"[\n\r\t]")
"""What a comment may hold beside what the others may."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that an operator said or did; sound, once `make_action` or `decode_action` has made it."""

    machine: str
    time_us: int
    """When, on the rows' clock."""
    action: Kind
    by: str
    alert_id: str | None = None
    """Of an acknowledgement: None means whichever is open."""
    sensor: str | None = None
    until_us: int | None = None
    """Ends a mask or a shelf, on the rows' clock; a mask without it lasts until `unmask`."""
    verdict: Verdict | None = None
    cause: str | None = None
    comment: str | None = None


class _Message(msgspec.Struct, omit_defaults=True):
    """On the wire, in the contract's order."""

    machine: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    action: Kind
    by: str
    alert_id: str | None = None
    sensor: str | None = None
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    verdict: Verdict | None = None
    cause: str | None = None
    comment: str | None = None


class _MachineOnly(msgspec.Struct):
    machine: str


_decoder = msgspec.json.Decoder(_Message)


def make_action(
    machine: str,
    action: str,
    *,
    time_us: int,
    by: str,
    alert_id: str | None = None,
    sensor: str | None = None,
    until_us: int | None = None,
    verdict: str | None = None,
    cause: str | None = None,
    comment: str | None = None,
) -> Action:
    """An action of what a person gave; an empty text counts as absent, a shelf without an end lasts for a shift.

    Raises DataError, saying what to change.
    """
    if action not in KINDS:
        raise DataError(f"{action!r} is no action; expected one of {', '.join(KINDS)}")
    if verdict and verdict not in VERDICTS:
        raise DataError(f"{verdict!r} is no verdict; expected one of {', '.join(VERDICTS)}")
    if action == "shelve" and until_us is None:
        until_us = time_us + SHELF_US
    made = Action(
        machine,
        time_us,
        action,
        by.strip(),
        alert_id=alert_id or None,
        sensor=sensor or None,
        until_us=until_us,
        verdict=verdict or None,
        cause=(cause or "").strip() or None,
        comment=(comment or "").strip() or None,
    )
    problem = _problem(made) or _surplus(made)
    if problem:
        raise DataError(problem)
    return made


def encode_action(action: Action) -> bytes:
    """Its message: UTF-8 JSON without a newline, fields that it does not have left out."""
    fields: dict[str, Any] = {
        "machine": action.machine,
        "time": format_time(action.time_us),
        "action": action.action,
        "alert_id": action.alert_id,
        "sensor": action.sensor,
        "until": None if action.until_us is None else format_time(action.until_us),
        "verdict": action.verdict,
        "cause": action.cause,
        "by": action.by,
        "comment": action.comment,
    }
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None})


def decode_action(value: bytes) -> Action:
    """The action of a message; fields that are not known are ignored. Raises RowError, for a dead letter."""
    try:
        found = _decoder.decode(value)
    except msgspec.ValidationError as cause:
        raise _refusal(f"{cause}; expected machine, time with a zone, action and by", _machine_of(value)) from cause
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        what = "; ".join(filter(None, (str(cause), not_json_because(value))))
        message = f"not a JSON object: {what}; send one operator's action as UTF-8 JSON a message"
        raise RowError(message, reason="not-json") from cause
    action = Action(
        found.machine,
        to_us(found.time),
        found.action,
        found.by,
        alert_id=found.alert_id or None,
        sensor=found.sensor or None,
        until_us=None if found.until is None else to_us(found.until),
        verdict=found.verdict,
        cause=found.cause or None,
        comment=found.comment or None,
    )
    problem = _problem(action)
    if problem:
        raise _refusal(problem, _machine_of(value))
    return _without_surplus(action)


def refuse_action(action: Action, problem: str) -> RowError:
    """The error of a sound message that cannot be done here, for a dead letter."""
    return _refusal(problem, action.machine)


def _refusal(problem: str, machine: str) -> RowError:
    return RowError(f"not an operator's action: {problem}", reason="not-an-action", machine=machine)


def _problem(action: Action) -> str | None:
    """What is wrong with it, and what to do."""
    for name in _NEEDS[action.action]:
        if _field(action, name) is None:
            how = _SAID.get(name, f"--{name} TEXT")
            return f"{action.action} does not say {_WHAT[name]}; expected {name!r} (act: {how})"
    for name, most in _LIMITS.items():
        text = getattr(action, name)
        if text is None:
            continue
        if len(text) > most:
            return f"{name} has {len(text)} characters; at most {most}"
        bare = _BREAKS.sub("", text) if name == "comment" else text
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in bare):
            return f"{name} holds a control character; expected a text that prints"
    if not action.machine or not action.machine.isprintable():
        return "machine is empty or holds a control character; expected the name that the machine's rows have"
    if not action.by:
        return "by is empty; expected who says so (act: --by NAME)"
    for name, time_us in (("time", action.time_us), ("until", action.until_us)):
        if time_us is not None and not EARLIEST_US <= time_us < LATEST_US:
            return f"{name} {OUT_OF_RANGE}"
    if action.until_us is not None and action.until_us <= action.time_us:
        when = f"{format_time(action.until_us)} is not later than its time, {format_time(action.time_us)}"
        return f"until {when}; expected a time to come, or unmask or unshelve"
    return None


_LIMITS = {
    "machine": MAX_NAME_CHARS,
    "by": MAX_NAME_CHARS,
    "alert_id": MAX_NAME_CHARS,
    "sensor": MAX_NAME_CHARS,
    "cause": MAX_NAME_CHARS,
    "comment": MAX_COMMENT_CHARS,
}


def _surplus(action: Action) -> str | None:
    """A field that was given and means nothing to the action."""
    unused = _unused(action)
    name = next(iter(unused), None)
    if name is None:
        return None
    takes = ", ".join(_SAID.get(one, f"--{one} TEXT") for one in _TAKES[action.action]) or "the machine alone"
    return f"{action.action} takes no {name.removesuffix('_us')}; it takes {takes}"


def _unused(action: Action) -> list[str]:
    fields = {"alert_id": "alert_id", "sensor": "sensor", "until": "until_us", "verdict": "verdict", "cause": "cause"}
    takes = _TAKES[action.action]
    return [name for word, name in fields.items() if word not in takes and getattr(action, name) is not None]


def _without_surplus(action: Action) -> Action:
    takes = _TAKES[action.action]
    return replace(
        action,
        alert_id=action.alert_id if "alert_id" in takes else None,
        sensor=action.sensor if "sensor" in takes else None,
        until_us=action.until_us if "until" in takes else None,
        verdict=action.verdict if "verdict" in takes else None,
        cause=action.cause if "cause" in takes else None,
    )


def _field(action: Action, word: str) -> Any:
    return getattr(action, "until_us" if word == "until" else word)


def _machine_of(value: bytes) -> str:
    """Of a message that is no action; "" where it cannot be read, or could be no key and no label."""
    try:
        machine = msgspec.json.decode(value, type=_MachineOnly).machine
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return machine if machine.isprintable() and len(machine) <= MAX_NAME_CHARS else ""
