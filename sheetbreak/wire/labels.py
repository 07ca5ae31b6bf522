"""Labels: what operators said, as a table for training: verdicts on alarms, causes of breaks, masked sensors."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import msgspec

from sheetbreak.errors import DataError
from sheetbreak.times import format_time, parse_time
from sheetbreak.wire.actions import VERDICTS, Action
from sheetbreak.wire.topics import ALERTS

COLUMNS = ("machine", "kind", "from", "until", "sensor", "verdict", "cause", "alert_id", "by", "comment")
LabelKind = Literal["mask", "verdict", "cause"]
_NEEDED = ("machine", "kind", "from", "until", "sensor", "verdict")
_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class Label:
    """One thing that was said of some rows of a machine: those from a time on, before another."""

    machine: str
    kind: LabelKind
    from_us: int
    until_us: int | None
    """None: it goes on, or it is not known."""
    sensor: str = ""
    verdict: str = ""
    cause: str = ""
    alert_id: str = ""
    by: str = ""
    comment: str = ""


class Span(NamedTuple):
    """An alert, from the row at which it opened to the one at which it closed; None: it is open."""

    machine: str
    from_us: int
    until_us: int | None


class _Alert(msgspec.Struct):
    topic: str
    alert_id: str
    kind: str
    machine: str
    time: str
    opened_at: str


def spans_of(messages: Iterable[bytes]) -> dict[str, Span]:
    """The alerts among messages, by id; what is no alert is passed over."""
    found = dict[str, Span]()
    for message in messages:
        try:
            alert = msgspec.json.decode(message, type=_Alert)
            if alert.topic != ALERTS:
                continue
            before = found.get(alert.alert_id)
            closed = parse_time(alert.time) if alert.kind == "closed" else before.until_us if before else None
            found[alert.alert_id] = Span(alert.machine, parse_time(alert.opened_at), closed)
        except (ValueError, RecursionError):  # msgspec's errors and those of the encoding among them
            continue
    return found


def labels_of(actions: Iterable[Action], spans: Mapping[str, Span]) -> list[Label]:
    """In time order: every mask with its end, the last verdict on each alarm, every cause.

    A verdict covers its alarm, where that is among the spans; else it is at its own time, without an end.
    """
    masks, verdicts, causes = dict[tuple[str, str], Label](), dict[tuple[str, str], Label](), list[Label]()
    ended = list[Label]()
    for action in sorted(actions, key=_time_us):
        match action.action:
            case "mask" | "unmask":
                key = action.machine, action.sensor or ""
                if key in masks:
                    ended.append(_ended(masks.pop(key), action.time_us))
                if action.action == "mask":
                    masks[key] = _label(action, "mask", action.time_us, action.until_us)
            case "verdict":
                span = spans.get(action.alert_id or "", Span(action.machine, action.time_us, None))
                verdicts[action.machine, action.alert_id or ""] = _label(action, "verdict", *span[1:])
            case "cause":
                span = spans.get(action.alert_id or "", Span(action.machine, action.time_us, None))
                causes.append(_label(action, "cause", *span[1:]))
    return sorted([*ended, *masks.values(), *verdicts.values(), *causes], key=_from_us)


def precision_text(labels: Iterable[Label]) -> str:
    """What the verdicts say of the alarms, a line a machine."""
    counts = dict[str, dict[str, int]]()
    for label in labels:
        if label.kind == "verdict":
            of_machine = counts.setdefault(label.machine, dict.fromkeys(VERDICTS, 0))
            of_machine[label.verdict] += 1
    lines = []
    for machine, of in sorted(counts.items()):
        judged = of["true"] + of["false"]
        precision = f", precision {of['true'] / judged:.2f}" if judged else ""
        lines.append(f"{machine}: {of['true']} true, {of['false']} false, {of['unsure']} unsure{precision}")
    return "\n".join(lines)


def write_labels(labels: Iterable[Label]) -> str:
    """As CSV with a header, times in UTC."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for label in labels:
        until = "" if label.until_us is None else format_time(label.until_us)
        words = (label.sensor, label.verdict, label.cause, label.alert_id, label.by, label.comment)
        writer.writerow([label.machine, label.kind, format_time(label.from_us), until, *words])
    return out.getvalue()


def read_labels(content: bytes, *, name: str) -> list[Label]:
    """The labels of such a CSV, as a spreadsheet may have saved it. Raises DataError, with the line."""
    try:
        text = content.decode(_ENCODINGS.get(content[:2], "utf-8-sig"))
    except UnicodeDecodeError as cause:
        raise DataError(f"{name} is not UTF-8 text; save it as CSV UTF-8") from cause
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    header = [cell.strip() for cell in next(reader, [])]
    absent = [column for column in _NEEDED if column not in header]
    if absent:
        raise DataError(f"{name} line 1: no column {absent[0]!r}; expected the table that `sheetbreak labels` writes")
    found = []
    for cells in reader:
        if any(cell.strip() for cell in cells):
            row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            found.append(_read(row, f"{name} line {reader.line_num}"))
    return found


def _read(row: Mapping[str, str], at: str) -> Label:
    kind, verdict = row.get("kind", ""), row.get("verdict", "")
    words = {name: row.get(name, "") for name in ("cause", "alert_id", "by", "comment")}
    from_us, until_us = _time(row.get("from", ""), at, "from"), _time(row.get("until", ""), at, "until")
    if from_us is None or not row.get("machine"):
        raise DataError(f"{at}: machine or from is empty; expected the machine's name and a time")
    if until_us is not None and until_us < from_us:
        raise DataError(f"{at}: until is before from; expected the time at which it ends")
    match kind:
        case "mask" if row.get("sensor"):
            return Label(row["machine"], kind, from_us, until_us, sensor=row["sensor"], **words)
        case "verdict" if verdict.lower() in VERDICTS:
            return Label(row["machine"], kind, from_us, until_us, verdict=verdict.lower(), **words)
        case "cause":
            return Label(row["machine"], kind, from_us, until_us, **words)
    raise DataError(
        f"{at}: kind {kind!r} with sensor {row.get('sensor', '')!r} and verdict {verdict!r}; expected a mask with its "
        f"sensor, a verdict of {', '.join(VERDICTS)}, or a cause"
    )


def _time(text: str, at: str, column: str) -> int | None:
    if not text:
        return None
    try:
        return parse_time(text)
    except ValueError as cause:
        raise DataError(f"{at}, column {column}: {cause}; expected a time such as 2026-05-01T06:00:00Z") from cause


def _label(action: Action, kind: LabelKind, from_us: int, until_us: int | None) -> Label:
    return Label(
        action.machine,
        kind,
        from_us,
        until_us,
        sensor=action.sensor or "",
        verdict=action.verdict or "",
        cause=action.cause or "",
        alert_id=action.alert_id or "",
        by=action.by,
        comment=action.comment or "",
    )


def _ended(mask: Label, time_us: int) -> Label:
    return replace(mask, until_us=time_us if mask.until_us is None else min(mask.until_us, time_us))


def _time_us(action: Action) -> int:
    return action.time_us


def _from_us(label: Label) -> int:
    return label.from_us
