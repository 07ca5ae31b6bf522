"""Live pages: a slow reader gets the newest alone, and is dropped when it takes nothing."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest

from desk.web import live
from desk.web.live import EventStream, Hub, Rendered, Slot
from tests.support.programs.desk_rig import DeskRig, alert, score
from tests.support.running.patience import PATIENCE_S


class Reader:
    """The other end of a stream; it reads as far as it is let."""

    def __init__(self) -> None:
        self.text, self.open = "", asyncio.Event()
        self.open.set()
        self._gone = asyncio.Event()

    async def receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.open.wait()
        self.text += message.get("body", b"").decode()

    def leave(self) -> None:
        self._gone.set()

    def pages(self) -> list[str]:
        lines = self.text.splitlines()
        data = [after for line, after in pairwise(lines) if line == "event: page"]
        return [json.loads(line.removeprefix("data: "))["html"] for line in data]


class Shown:
    """What a page shows, counted as it is rendered."""

    def __init__(self) -> None:
        self.text, self.times = "0", 0

    async def render(self, _page: str) -> Rendered:
        self.times += 1
        return Rendered(self.text, "title")


async def until(condition: Any) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), PATIENCE_S)


def stream(hub: Hub, slot: Slot) -> EventStream:
    return EventStream(hub, slot, headers=[], placeholder="@", csrf="token")


def test_all_who_have_a_page_open_share_one_rendering_of_each_change() -> None:
    async def run() -> None:
        shown = Shown()
        hub = Hub(shown.render)
        task = asyncio.create_task(hub.run())
        readers = [Reader() for _ in range(20)]
        streams = [
            asyncio.create_task(stream(hub, await hub.subscribe("/"))({}, reader.receive, reader.send))
            for reader in readers
        ]
        await until(lambda: all(reader.pages() == ["0"] for reader in readers))
        before, shown.text = shown.times, "a form @"
        hub.changed({"pm1"})
        await until(lambda: all(reader.pages() == ["0", "a form token"] for reader in readers))
        assert shown.times - before < len(readers)
        for reader in readers:
            reader.leave()
        await asyncio.gather(*streams)
        assert hub.open_pages == 0
        task.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("tick_s", [3600.0, 0.01])
def test_a_machines_page_is_rendered_for_news_of_that_machine_or_after_a_while(
    tick_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TICK_S", tick_s)

    async def run() -> None:
        rendered: list[str] = []

        async def render(page: str) -> Rendered:
            rendered.append(page)
            return Rendered(str(len(rendered)), "title")

        hub = Hub(render, about={"/": None, "/1": "pm1", "/2": "pm2"}.get)
        for page in ("/", "/1", "/2"):
            await hub.subscribe(page)
        task = asyncio.create_task(hub.run())
        await asyncio.sleep(0)
        rendered.clear()
        if tick_s < 1:
            await until(lambda: {"/", "/1", "/2"} <= set(rendered))  # silence must be seen, too
        else:
            for machine in ("pm1", "pm2"):
                hub.changed({machine})
                await until(lambda page="/" + machine[2:]: page in rendered)
            assert rendered == ["/", "/1", "/", "/2"]
        task.cancel()

    asyncio.run(run())


def test_a_reader_that_was_slow_gets_the_newest_alone() -> None:
    async def run() -> None:
        shown = Shown()
        hub = Hub(shown.render)
        slot, reader = await hub.subscribe("/"), Reader()
        reader.open.clear()
        task = asyncio.create_task(stream(hub, slot)({}, reader.receive, reader.send))
        for number in range(100):
            slot.offer(Rendered(str(number), "title"))
            await asyncio.sleep(0)
        reader.open.set()
        await until(reader.pages)
        assert reader.pages() == ["99"]
        hub.close()
        await asyncio.wait_for(task, PATIENCE_S)

    asyncio.run(run())


def test_a_reader_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SLOW_S", 0.05)

    async def run() -> None:
        hub, reader = Hub(Shown().render), Reader()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        slot = await hub.subscribe("/")
        await asyncio.wait_for(stream(hub, slot)({}, reader.receive, send), PATIENCE_S)
        assert hub.open_pages == 0

    asyncio.run(run())


def test_a_silence_is_seen_though_no_message_comes(rig: DeskRig) -> None:
    async def run() -> None:
        hub = rig.web.hub
        task = asyncio.create_task(hub.run())
        rig.take(score(0), score(1, ratio=1.5), alert(1))
        reader = Reader()
        slot = await hub.subscribe("/")
        streaming = asyncio.create_task(stream(hub, slot)({}, reader.receive, reader.send))
        await until(lambda: any("the sheet may break" in page for page in reader.pages()))
        rig.now_ms += 3_600_000
        await until(lambda: "1 of 1 not watched" in reader.pages()[-1])
        reader.leave()
        await streaming
        task.cancel()

    asyncio.run(run())


def test_a_page_that_fails_does_not_end_the_others() -> None:
    async def run() -> None:
        shown = Shown()

        async def render(page: str) -> Rendered:
            if page == "/bad" and shown.text != "0":
                raise ZeroDivisionError
            return await shown.render(page)

        hub, reader = Hub(render), Reader()
        task = asyncio.create_task(hub.run())
        await hub.subscribe("/bad")
        slot = await hub.subscribe("/good")
        streaming = asyncio.create_task(stream(hub, slot)({}, reader.receive, reader.send))
        shown.text = "1"
        hub.changed({"pm1"})
        await until(lambda: reader.pages()[-1:] == ["1"])
        reader.leave()
        await streaming
        task.cancel()

    asyncio.run(run())
