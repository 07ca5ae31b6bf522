"""Dead letters: what came in and was no row, why, and where it came from."""

from typing import Any

import msgspec

from desk.pages.page import Page, Params
from desk.service import Desk
from sheetbreak.wire.readable import printable

_SHOWN = 100
_PREVIEW = 400


def dead_letters_page(desk: Desk, params: Params) -> Page:
    """The newest first, and how many there are of each reason."""
    with desk.store.reading() as db:
        reasons = db.execute(
            "SELECT reason, count(*), max(at_ms) FROM dead_letters GROUP BY 1 ORDER BY 2 DESC"
        ).fetchall()
        rows = db.execute(
            "SELECT * FROM dead_letters WHERE ? = '' OR reason = ? ORDER BY at_ms DESC, digest LIMIT ?",
            (params.get("reason", ""), params.get("reason", ""), _SHOWN),
        ).fetchall()
    letters: list[dict[str, Any]] = [
        {
            "at_us": row["at_ms"] * 1000,
            "reason": row["reason"],
            "message": printable(row["message"]),
            "source": ", ".join(f"{key} {value}" for key, value in msgspec.json.decode(row["source"]).items()),
            "record": printable(row["record"][:_PREVIEW].decode("utf-8", "replace")),
            "cut": bool(row["truncated"]) or len(row["record"]) > _PREVIEW,
        }
        for row in rows
    ]
    return Page(
        "dead_letters.html",
        title="dead letters",
        fill={"letters": letters, "reasons": reasons, "reason": params.get("reason", "")},
    )
