"""Refusals: what a record is that is no row, in words: another encoding, an envelope, NaN, a registry's bytes."""

import re
from typing import Any

import msgspec

UNREAD = b"\0unread: "
"""Stands, with the reason behind it, for a record that a stream could not read. No JSON begins so."""
_LOOKED_AT = 64 * 1024
"""Bytes of a record that are searched: the rest of a large one says the same."""
_MOST_NAMES, _LONGEST_NAME = 100, 100
_NO_NUMBER = re.compile(rb"[\[:,]\s*[-+]?(nan|infinity|inf)\b(?=\s*[,}\]])", re.IGNORECASE)
_SEPARATORS, _BRACES = re.compile(rb"[,;\t|]"), re.compile(rb"[{}\[\]]")
_BOM, _UTF16_MARKS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


def not_json_because(value: bytes) -> str:
    """What the bytes look like, with a remedy, as the end of a sentence; "" where they look like nothing known."""
    head = value[:64]
    if not value:
        return "it is empty"
    if value.startswith(UNREAD):
        return value[len(UNREAD) :].decode(errors="replace")
    if head.startswith(_UTF16_MARKS) or re.match(rb"\0?[\s{\[\"]\0[^\0]\0|\0[\s{\[\"]\0[^\0]", head):
        return "it is UTF-16: write UTF-8"
    if head.startswith(_BOM):
        return "it begins with a byte order mark (UTF-8 with BOM): write UTF-8 without"
    if head[0] == 0 and len(value) > 5 and head.strip(b"\0"):
        number = int.from_bytes(head[1:5], "big")
        return (
            f"its first byte is 0, as a schema registry's serializer writes (schema {number}): "
            "use a plain JSON serializer"
        )
    if len(_SEPARATORS.findall(head)) > 1 and not _BRACES.search(head):
        return "it looks like a line of a table: those are read from files, and from pipes whose name ends in .csv"
    found = _NO_NUMBER.search(value[:_LOOKED_AT])
    if found:
        return f"{found[1].decode()} is no JSON number (often NaN): write null"
    return ""


def not_a_row_because(value: bytes) -> str:
    """As `not_json_because`, of sound JSON: where the row stands inside something else."""
    try:
        whole = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        return "it is JSON inside a string: encode it once" if value.lstrip().startswith((b'"{', b'"[')) else ""
    inside = _row_inside(whole, depth=2)
    if not inside:
        return ""
    if inside.split(".")[0] == "payload":
        unwrap = "set value.converter.schemas.enable=false" if inside == "payload" else "unwrap it"
        return f'the row stands inside "{inside}", an envelope of Kafka Connect: {unwrap}'
    kind = ", as Debezium writes it" if "after" in inside.split(".") else ""
    return f'the row stands inside "{inside}"{kind}: send it alone'


def _row_inside(whole: dict[str, Any], *, depth: int) -> str:
    """The path of an object within that looks like a row; "" where there is none."""
    for name, raw in list(whole.items())[:_MOST_NAMES]:
        if bytes(memoryview(raw)[:1]) != b"{" or len(name) > _LONGEST_NAME:
            continue
        try:
            within = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        except (ValueError, RecursionError):
            continue
        if {"machine", "values"} <= within.keys():
            return name
        if depth > 1 and (deeper := _row_inside(within, depth=depth - 1)):
            return f"{name}.{deeper}"
    return ""
