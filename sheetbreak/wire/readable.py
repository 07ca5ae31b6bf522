"""Readable lines: one for people from each message on the wire."""

from typing import Any

import msgspec


def readable_line(value: bytes) -> str:
    """A score, alert or dead letter as one line; anything else as it is."""
    try:
        message = msgspec.json.decode(value)
        return _LINES[message["topic"]](message)
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        return printable(value.decode("utf-8", "replace"))


def printable(text: str) -> str:
    """Control characters escaped: a machine's name must not be able to steer a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _alert(message: dict[str, Any]) -> str:
    when = str(message.get("local_time") or "").replace("T", " ") or _time(message)
    return printable(f"{when}  {message['kind']:<7} {message['severity']:<8}  {message['message']}{_said(message)}")


def _said(message: dict[str, Any]) -> str:
    """What operators said of it, and the id by which they say more."""
    seen, until, alert_id = message.get("acknowledged"), message.get("shelved_until"), message.get("alert_id")
    words = [
        f"acknowledged by {seen['by']}" if seen else "",
        f"shelved until {until}" if until else "",
        f"alert {alert_id}" if alert_id else "",
    ]
    said = ", ".join(filter(None, words))
    return f"  [{said}]" if said else ""


def _score(message: dict[str, Any]) -> str:
    head = f"{_time(message)}  {message['machine']}  {message['state']}"
    if message.get("score") is None:
        return printable(head)
    over = "  OVER" if message["over"] else ""
    return printable(f"{head}  score {message['score']:.4g}  threshold {message['threshold']:.4g}{over}")


def _dead_letter(message: dict[str, Any]) -> str:
    source = " ".join(f"{key} {value}" for key, value in message["source"].items())
    return printable(f"dead letter  {source}  {message['reason']}: {message['message']}")


def _time(message: dict[str, Any]) -> str:
    return str(message["time"]).replace("T", " ").removesuffix("Z")


_LINES = {"alerts": _alert, "scores": _score, "dead-letters": _dead_letter}
