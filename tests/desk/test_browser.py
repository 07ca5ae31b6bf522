"""The desk in a real browser, over a real broker: seen and answered by keyboard and mouse, on a screen and a phone."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.kafka.broker import Broker
from tests.support.outside.browser import Browser
from tests.support.programs.desk_rig import action, alert, at, score
from tests.support.running.beside import beside
from tests.support.running.patience import PATIENCE_S, wait_for
from tests.support.running.ports import free_port
from tests.support.running.services import plain_environment


class DeskProcess:
    """`sheetbreak desk` over topics of its own; it comes back on the same port."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.broker, self.log = broker, folder / "desk.log"
        self.prefix = broker.create_topics(partitions=2)
        self.port = free_port()
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        arguments = ["desk", self.broker.url(), "--topic-prefix", self.prefix, "--port", str(self.port)]
        with self.log.open("ab") as log:
            before = self._starts()
            process = subprocess.Popen(
                [sys.executable, "-m", "sheetbreak", *arguments], stderr=log, env=plain_environment()
            )
        wait_for(lambda: self._starts() > before, says=self.log.read_text)
        return process

    def _starts(self) -> int:
        return self.log.read_text().count("startup complete")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, topic: str, *values: bytes) -> None:
        self.broker.write(self.prefix + topic, values, partition=0)

    def actions(self) -> list[dict[str, Any]]:
        return [json.loads(value) for value in self.broker.values(self.prefix + "operator-actions")]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)


@pytest.fixture
def desk(broker: Broker, tmp_path: Path) -> Iterator[DeskProcess]:
    process = DeskProcess(broker, tmp_path)
    yield process
    process.kill()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "profile")
    yield browser
    browser.close()


def shows(browser: Browser, text: str) -> None:
    browser.wait(f"document.body.innerText.replace(/\\s+/g, ' ').includes({json.dumps(text)})")


@contextmanager
def feeding(desk: DeskProcess, *, first: int) -> Iterator[None]:
    """Rows go on coming: a machine of which nothing is heard would soon be "not watched"."""

    def feed(stop: threading.Event) -> None:
        row = first
        while not stop.wait(0.5):
            desk.write("scores", score(row, ratio=1.5))
            row += 1

    with beside(feed):
        yield


def tab_to(browser: Browser, selector: str) -> None:
    """With the keyboard alone."""
    for _ in range(60):
        if browser.run(f"document.activeElement.matches({json.dumps(selector)})"):
            return
        browser.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


def test_a_shift_sees_an_alert_and_answers_it(desk: DeskProcess, browser: Browser) -> None:
    browser.open(desk.url, width=1400)
    shows(browser, "No machine has been heard of yet")
    # An alert appears in a page that is open, without anybody touching it.
    desk.write("scores", *(score(row) for row in range(20)), score(20, ratio=1.5))
    desk.write("alerts", alert(20))
    with feeding(desk, first=21):
        shows(browser, "1 of 1: the sheet may break")
        browser.wait("document.title === '1 WARNING · sheetbreak'")
    # Acknowledged with the keyboard; who it is is asked for once.
    tab_to(browser, "#ack-pm1-20")
    browser.press("Enter")
    browser.wait("location.pathname === '/alarm' && !!document.querySelector('#ack-by')")
    tab_to(browser, "#ack-by")
    for key in "Aino":
        browser.press(key)
    browser.press("Enter")
    shows(browser, "acknowledged by Aino")
    (acknowledged,) = wait_for(desk.actions)
    assert (acknowledged["action"], acknowledged["by"]) == ("acknowledge", "Aino")
    assert acknowledged["alert_id"] == "pm1-20"
    assert acknowledged["time"] >= at(20)  # on the rows' clock
    # Judged with the mouse on a phone, which nothing makes wider than it is.
    for path in ("/", "/machine?name=pm1", "/alarms", "/shift", "/performance", "/dead-letters", "/alarm?id=pm1-20"):
        browser.open(desk.url + path, width=390)
        browser.wait("document.readyState === 'complete' && !!document.querySelector('h1')")
        assert browser.run("document.documentElement.scrollWidth") <= 390, path
    browser.click("input[name=verdict][value=false]")
    browser.click("form:has(input[name=verdict]) button")
    shows(browser, "judged it false")
    assert browser.errors == []
    assert {re.sub(r"^(\w+://[^/]+).*", r"\1", url) for url in browser.requests} == {desk.url}
    # The desk is killed: the page says so, comes back by itself, and its old forms are good.
    desk.kill()
    shows(browser, "This page has lost the desk")
    desk.process = desk.start()
    browser.wait("document.querySelector('#lost').hidden")
    browser.click("form:has(#mask-sensor) button")
    shows(browser, "took x1 out of service")
    desk.write("operator-actions", action(20, "cause", cause="felt", alert_id="pm1-20", by="act"))
    shows(browser, "felt")
    told = [(one["action"], one.get("verdict"), one.get("sensor"), one["by"]) for one in desk.actions()]
    assert sorted(told, key=str) == [
        ("acknowledge", None, None, "Aino"),
        ("cause", None, None, "act"),
        ("mask", None, "x1", "Aino"),
        ("verdict", "false", None, "Aino"),
    ]
