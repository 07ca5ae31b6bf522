"""Rig of the desk: a store, a board and the pages over messages of a test's own; actions go to a file."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from desk.access import Gate, Rules, rules_from
from desk.board import Board
from desk.clock import PlantClock
from desk.feeds import Status
from desk.messages import Arrived, decode
from desk.service import Desk
from desk.store import Store
from desk.store.rebuilding import rebuild
from desk.web import Web
from sheetbreak.streams.open import open_actions
from sheetbreak.times import format_time
from sheetbreak.wire.actions import decode_action
from tests.support.models.mill import START_US

PERIOD_US = 120_000_000
START_MS = 1_700_000_000_000
SOURCE = "kafka://broker:9092"


def at(row: int) -> str:
    """The time of a row."""
    return format_time(START_US + row * PERIOD_US)


def score(row: int, *, machine: str = "pm1", state: str = "scored", ratio: float = 0.5, **more: Any) -> bytes:
    """A score message; over its level it names two sensors."""
    scored = state in ("scored", "restarting")
    top = [
        {"sensor": "x1", "share": 0.6, "observed": 3.5, "expected": 2.5, "spreads": 4.0, "unit": "bar"},
        {"sensor": "x2", "share": 0.2, "observed": 1.0, "expected": 1.5, "spreads": 1.0},
    ]
    message = {
        "topic": "scores", "machine": machine, "time": at(row), "state": state, "score": ratio * 2 if scored else None,
        "threshold": 2.0 if scored else None, "ratio": ratio if scored else None, "over": scored and ratio > 1,
        "model": "m1", "imputed": [], **({"top": top} if scored and ratio > 1 else {}), **more,
    }  # fmt: skip
    return json.dumps(message).encode()


def alert(
    row: int, kind: str = "opened", *, machine: str = "pm1", opened: int | None = None, ratio: float = 1.5, **more: Any
) -> bytes:
    """An alert message; `opened` is the row at which it did."""
    first = row if opened is None else opened
    message = {
        "topic": "alerts", "alert_id": f"{machine}-{first}", "kind": kind, "machine": machine, "time": at(row),
        "local_time": at(row).replace("Z", "+00:00"), "opened_at": at(first), "score": ratio * 2, "threshold": 2.0,
        "ratio": ratio, "severity": "critical" if ratio >= 1.3 else "warning",
        "top": [{"sensor": "x1", "share": 0.6, "observed": 3.5, "expected": 2.5, "spreads": 4.0, "unit": "bar"}],
        "model": "m1", "quality": {"imputed": [], "masked": []}, "rarity": None,
        "odds": {"hits": 3, "of": 10, "base": 0.05}, "message": f"{machine}: the sheet may break soon: x1 reads 3.5.",
        **more,
    }  # fmt: skip
    return json.dumps(message).encode()


def dead_letter(reason: str = "late", **more: Any) -> bytes:
    source = {"topic": "sensor-rows", "partition": 0, "offset": 42}
    message = {
        "topic": "dead-letters", "reason": reason, "error": "RowError", "message": "it is late", "source": source,
        "record_base64": "eyJhIjox", "truncated": False,
    }  # fmt: skip
    return json.dumps(message | more).encode()


def action(row: int, kind: str, *, machine: str = "pm1", by: str = "Aino", **more: Any) -> bytes:
    return json.dumps({"machine": machine, "time": at(row), "action": kind, "by": by, **more}).encode()


class DeskRig:
    """A desk without a broker; its clock is `now_ms`, which a test moves."""

    def __init__(
        self, folder: Path, *, environment: Mapping[str, str] | None = None, host: str = "127.0.0.1", **access: Any
    ) -> None:
        self.folder, self.now_ms = folder, START_MS
        folder.mkdir(parents=True, exist_ok=True)
        self.store = Store(folder / "desk.sqlite", source=SOURCE)
        self.board = Board()
        rebuild(self.store, self.board)
        self.status = Status(SOURCE, answers=True, live=True)
        self.actions = folder / "actions.ndjson"
        self.desk = Desk(
            self.store,
            self.board,
            status=self.status,
            clock=PlantClock(None, lambda: self.board.utc_offset_s),
            sink=open_actions(str(self.actions)),
            now_ms=lambda: self.now_ms,
        )
        given = {"users": None, "proxy_header": None, "public_url": None} | access
        self.rules: Rules = rules_from(host, environment=environment or {}, **given)
        self.gate = Gate(self.rules, clock=lambda: self.now_ms / 1000)
        self.web = Web(self.desk, self.gate)

    def take(self, *values: bytes, apart_ms: int = 0) -> "DeskRig":
        """Messages that come now, one so long after the other."""
        arrived = []
        for value in values:
            self.now_ms += apart_ms
            arrived.append(Arrived(decode(value), self.now_ms, value))
        self.desk.take(arrived, {}, live=True)
        return self

    def take_old(self, values: Iterable[bytes]) -> "DeskRig":
        """Messages that were written before, a second apart."""
        arrived = [Arrived(decode(value), START_MS + n * 1000, value) for n, value in enumerate(values)]
        self.desk.take(arrived, {("scores", 0): len(arrived)}, live=False)
        return self

    def client(self, host: str = "127.0.0.1:8080") -> "Browserlike":
        return Browserlike(self.web, host)

    def page(self, path: str) -> str:
        answer = self.client().get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def sent(self) -> list[Any]:
        """The actions that were sent."""
        if not self.actions.exists():
            return []
        return [decode_action(line) for line in self.actions.read_bytes().splitlines()]

    def close(self) -> None:
        self.desk.close()


class Browserlike:
    """Asks the application without a socket, keeps cookies, follows nothing, sends forms as a browser does."""

    def __init__(self, web: Web, host: str) -> None:
        self._web, self.host, self.cookies = web, host, httpx.Cookies()

    def get(self, path: str, *, params: Mapping[str, str] | None = None, **headers: str) -> httpx.Response:
        return self._ask("GET", path, params=params, headers=_named(headers))

    def post(self, path: str, fields: Mapping[str, str], **headers: str) -> httpx.Response:
        own = {"Origin": f"http://{self.host}", "Sec-Fetch-Site": "same-origin"} | _named(headers)
        return self._ask("POST", path, data=fields, headers={name: text for name, text in own.items() if text})

    def csrf(self) -> str:
        """The token of the forms of its session."""
        found = re.search(r'name="csrf" value="(\w+)"', self.get("/machine?name=pm1").text)
        assert found
        return found[1]

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._web.app)
            async with httpx.AsyncClient(
                transport=transport, base_url=f"http://{self.host}", cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **more)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-").title(): text for name, text in headers.items()}
