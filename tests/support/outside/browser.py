"""Browser: a headless Chromium that opens a page as a desktop or a phone would, uses it, and tells what it saw.

Spoken to over its debugging pipe, two file descriptors: no port, no client library. A window narrower than 500 pixels
exists only as an emulated device, so command line flags alone cannot show a phone.
"""

import base64
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.running.patience import PATIENCE_S, wait_for
from tests.support.running.services import need

NAMES = ("chromium", "chromium-browser", "google-chrome")
_BETWEEN = ("Cannot find default execution context", "Execution context was destroyed", "navigated or closed")


class BetweenPages(Exception):
    """What was asked of a page that went as another one came."""


def find_chromium() -> str:
    """The command; without one the test is skipped, and fails in CI."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    need(found, "no Chromium on the PATH; run scripts/install-test-tools")
    assert found
    return found


class Browser:
    """One tab. `errors` are console errors and uncaught exceptions, `requests` all addresses asked for."""

    def __init__(self, profile: Path) -> None:
        to_browser, to_us = os.pipe(), os.pipe()
        command = [
            find_chromium(),
            "--headless=new",
            "--no-sandbox",  # containers run as root
            "--disable-gpu",
            "--disable-dev-shm-usage",  # a container's /dev/shm may be too small for a page
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
            "about:blank",
        ]

        def as_3_and_4() -> None:  # where the browser looks for its pipes
            high = [os.dup(to_browser[0]), os.dup(to_us[1])]  # 3 and 4 may be among them
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._process = subprocess.Popen(
            command,
            preexec_fn=as_3_and_4,  # noqa: PLW1509 - it only renames descriptors, no lock is taken
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser[0])
        os.close(to_us[1])
        self._write, self._read = to_browser[1], to_us[0]
        self._number, self._buffer, self._session = 0, b"", ""
        self._shown = ""
        """Which loading of a page the tab shows."""
        self.errors: list[str] = []
        self.requests: list[str] = []
        page = wait_for(self._page)  # the pipe answers before there is a tab
        self._session = self._call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, page: Path | str, *, width: int, height: int = 900) -> None:
        """Go to a file or an address; narrower than 600: a phone with a touch screen."""
        self.resize(width=width, height=height)
        answer = self._call("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        assert "errorText" not in answer, answer
        while self._shown != answer["loaderId"]:  # until then questions are answered by the page before
            self._take(self._next())

    def resize(self, *, width: int, height: int = 900) -> None:
        """Of the page that is open."""
        phone = width < 600
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self._call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def wait(self, expression: str) -> Any:
        """The first value of an expression that is true, on this page or the next one, if it is on its way to that."""
        test = f"document.body && ({expression})"  # a page that comes has none yet

        def value() -> Any:
            try:
                return self.run(test)
            except BetweenPages:
                return None

        return wait_for(value, says=lambda: f"{expression} never came; errors: {self.errors}")

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """A key of the keyboard: "Tab", "Enter", or a letter."""
        code = {"Tab": 9, "Enter": 13}.get(key, 0)
        text = {"Enter": "\r", "Tab": ""}.get(key, key)
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, text=text)

    def click(self, selector: str) -> None:
        """With the mouse, on the middle of an element, which is scrolled to first."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"!!{found}")
        box = self.run(
            f"(() => {{ const e = {found}; e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        os.close(self._write)  # the browser ends with its pipe
        self._process.wait(PATIENCE_S)
        os.close(self._read)

    def _page(self) -> str | None:
        targets = self._call("Target.getTargets")["targetInfos"]
        return next((target["targetId"] for target in targets if target["type"] == "page"), None)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                said = str(answer.get("error", ""))
                if any(words in said for words in _BETWEEN):
                    raise BetweenPages(said)
                assert not said, said
                result: dict[str, Any] = answer["result"]
                return result
            self._take(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], PATIENCE_S)
            assert ready, "the browser says nothing"
            part = os.read(self._read, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def _take(self, message: dict[str, Any]) -> None:
        method, event = message.get("method", ""), message.get("params", {})
        if method == "Page.frameNavigated" and "parentId" not in event["frame"]:
            self._shown = event["frame"]["loaderId"]
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(event["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning", "assert"):
            self.errors.append(str(event["args"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.errors.append(event["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])
