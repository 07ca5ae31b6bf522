"""Live pages: one rendering for all who have a page open, sent as it changes; a slow reader gets the newest alone.

A page of one machine is rendered where there is news of that machine, and each TICK_S: of 200 machines the others have
some all the time.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from starlette.types import Receive, Scope, Send

PAUSE_S = 0.4
"""Between two renderings at least."""
TICK_S = 2.0
"""So often a page is rendered though no message came: silence must be seen, too."""
BEAT_S = 5.0
SLOW_S = 30.0
"""A reader that takes nothing for so long is dropped; its page connects anew."""
MAX_PAGES = 400

log = logging.getLogger(__name__)


class Rendered(NamedTuple):
    """What of a page changes."""

    html: str
    title: str


Render = Callable[[str], Awaitable[Rendered]]
About = Callable[[str], str | None]
"""The machine that a page is about; None: all of them."""


def _all(_page: str) -> None:
    return None


@dataclass(eq=False, slots=True)
class Slot:
    """What one open page is still to get: the newest rendering, and no queue."""

    page: str
    news: Rendered | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, news: Rendered | None) -> None:
        """Have it sent, instead of what was not sent yet."""
        self.news = news or self.news
        self.wake.set()


class Hub:
    """All open pages. `changed` may be called from any thread, the rest on the loop's."""

    def __init__(self, render: Render, *, about: About = _all) -> None:
        self._render, self._about = render, about
        self._news: set[str] = set()
        """Machines of which something came since the last look."""
        self._rendered_s: dict[str, float] = {}
        """When, by page."""
        self._slots: dict[str, set[Slot]] = {}
        self._last: dict[str, Rendered] = {}
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closing = False

    @property
    def open_pages(self) -> int:
        """How many are connected."""
        return sum(map(len, self._slots.values()))

    def changed(self, machines: Iterable[str]) -> None:
        """Something of these machines came in."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, frozenset(machines))

    def _note(self, machines: frozenset[str]) -> None:
        self._news |= machines
        self._changed.set()

    def close_soon(self) -> None:
        """`close`, from any thread or a signal's handler."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.close)

    def close(self) -> None:
        """End every stream."""
        self.closing = True
        for slots in self._slots.values():
            for slot in slots:
                slot.wake.set()

    async def run(self) -> None:
        """Render what is open, as long as the desk runs."""
        self._loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), TICK_S)
            self._changed.clear()
            news, self._news = self._news, set()
            for page in list(self._slots):
                machine = self._about(page)
                late = self._loop.time() - self._rendered_s.get(page, -TICK_S) >= TICK_S
                if machine is None or machine in news or late:
                    await self._update(page)
            await asyncio.sleep(PAUSE_S)

    async def _update(self, page: str) -> None:
        self._rendered_s[page] = asyncio.get_running_loop().time()
        try:
            rendered = await self._render(page)
        except Exception:  # one page must not end all
            log.exception("event=page-failed page=%r", page)
            return
        if rendered != self._last.get(page) and page in self._slots:
            self._last[page] = rendered
            for slot in self._slots[page]:
                slot.offer(rendered)

    async def subscribe(self, page: str) -> Slot:
        """A page is open. Raises what rendering it raises."""
        rendered = self._last.get(page)
        if rendered is None:
            rendered = await self._render(page)
            self._rendered_s.setdefault(page, asyncio.get_running_loop().time())
        slot = Slot(page)
        self._slots.setdefault(page, set()).add(slot)
        slot.offer(self._last.setdefault(page, rendered))
        return slot

    def unsubscribe(self, slot: Slot) -> None:
        """It is not open any more."""
        slots = self._slots.get(slot.page, set())
        slots.discard(slot)
        if not slots:
            self._slots.pop(slot.page, None)
            self._last.pop(slot.page, None)
            self._rendered_s.pop(slot.page, None)


class EventStream:
    """The response that carries a page's news; `placeholder` in it becomes the session's own form token."""

    def __init__(
        self, hub: Hub, slot: Slot, *, headers: list[tuple[bytes, bytes]], placeholder: str, csrf: str
    ) -> None:
        self._hub, self._slot, self._headers = hub, slot, headers
        self._placeholder, self._csrf = placeholder, csrf

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the page is closed, too slow, or the desk ends."""
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            await self._send(send, f"retry: 2000\n{_event('csrf', self._csrf)}")
            while not gone.done() and not self._hub.closing:
                await self._wait(gone)
                news, self._slot.news = self._slot.news, None
                if news is None:
                    await self._send(send, _event("beat", ""))
                else:
                    own = json.dumps(self._csrf)[1:-1]
                    await self._send(send, _page_event(news).replace(self._placeholder, own))
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            log.info("event=slow-page-dropped page=%r", self._slot.page)
        finally:
            gone.cancel()
            self._hub.unsubscribe(self._slot)

    async def _wait(self, gone: "asyncio.Future[None]") -> None:
        wake = asyncio.ensure_future(self._slot.wake.wait())
        both: set[asyncio.Future[Any]] = {wake, gone}
        await asyncio.wait(both, timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED)
        wake.cancel()
        self._slot.wake.clear()

    async def _send(self, send: Send, text: str) -> None:
        body = {"type": "http.response.body", "body": text.encode(), "more_body": True}
        await asyncio.wait_for(send(body), SLOW_S)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@lru_cache(maxsize=16)
def _page_event(news: Rendered) -> str:
    """Made once for all who have the page open; the token's placeholder in it is the same as JSON."""
    return _event("page", {"html": news.html, "title": news.title})


def _event(name: str, content: object) -> str:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n"  # in JSON every line break is escaped
