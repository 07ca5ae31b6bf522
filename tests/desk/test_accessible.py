"""Pages for everybody: axe-core, the checker of the web's accessibility rules, finds no serious fault in any."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.outside.browser import Browser
from tests.support.programs.desk_rig import action, alert, dead_letter, score
from tests.support.running.patience import PATIENCE_S, wait_for
from tests.support.running.ports import free_port
from tests.support.running.services import need, plain_environment

ROOT = Path(__file__).resolve().parents[2]
PATHS = ("/", "/machine?name=pm1", "/alarms", "/alarm?id=pm1-40", "/shift", "/performance", "/dead-letters",
         "/runbook")  # fmt: skip
TOKEN = "a secret of the whole shift"
WIDTHS = (1400, 390)
LOG_IN = f"document.querySelector('input[type=password]').value = '{TOKEN}'; document.forms[0].submit()"
FINDINGS = """
axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 200) + " " + node.failureSummary)}`))
"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker's source. It is run from outside of the page, whose policy would let in no script of another."""
    found = subprocess.run([ROOT / "scripts" / "axe-core"], check=False, capture_output=True, text=True)
    need(found.returncode == 0, f"no axe-core: {found.stderr.strip()}")
    return Path(found.stdout.strip()).read_text()


def told() -> list[bytes]:
    """Messages after which every page has something of each kind: alarms in all states, breaks, masks, bad records."""
    lines = [score(row) for row in range(40)]
    lines += [alert(10), alert(14, "closed", opened=10), score(40, ratio=1.5), alert(40)]
    lines += [score(row, ratio=1.2) for row in range(41, 45)]
    lines += [score(row, machine="pm2", state="warming-up") for row in range(30)]
    lines += [score(row, machine="pm3") for row in range(30)] + [score(30, machine="pm3", state="stopped")]
    lines += [score(20, machine="pm4", ratio=1.1), alert(20, machine="pm4", ratio=1.1)]
    return [*lines, dead_letter(record_base64="YWJj" * 600)]  # long enough to be scrolled


def answered() -> list[bytes]:
    return [
        action(15, "verdict", alert_id="pm1-10", verdict="true", comment="it did"),
        action(16, "mask", sensor="x35", until="2100-01-01T00:00:00Z"),
        action(25, "shelve", machine="pm4", until="2100-01-01T00:00:00Z"),
        action(41, "acknowledge", alert_id="pm1-40"),
        action(42, "cause", cause="felt"),
    ]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[str]:
    """The address of a desk over a file, which asks for a token."""
    (tmp_path / "told.ndjson").write_bytes(b"\n".join([*told(), b""]))
    (tmp_path / "actions.ndjson").write_bytes(b"\n".join([*answered(), b""]))
    port, log = free_port(), tmp_path / "desk.log"
    command = ["desk", tmp_path / "told.ndjson", "--actions", tmp_path / "actions.ndjson", "--port", str(port)]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "sheetbreak", *map(str, command)],
            stderr=stderr,
            env=plain_environment(SHEETBREAK_DESK_TOKEN=TOKEN),
        )
    try:
        wait_for(lambda: "startup complete" in log.read_text(), says=log.read_text)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def test_no_page_has_a_serious_fault_for_those_who_see_or_move_otherwise(desk: str, axe: str, tmp_path: Path) -> None:
    browser = Browser(tmp_path / "profile")
    try:
        browser.open(desk, width=1400)
        browser.wait("!!document.querySelector('input[type=password]')")
        found = {("log in", width): faults(browser, axe, width=width) for width in WIDTHS}
        browser.run(LOG_IN)
        for word in ("act now", "warming up", "stopped", "shelved until"):  # all that was told is there
            browser.wait(f"document.body.innerText.includes('{word}')")
        for path in PATHS:
            browser.open(desk + path, width=1400)
            browser.wait(f"location.href === '{desk + path}' && document.readyState === 'complete'")
            browser.wait("!!document.querySelector('#live h1')")
            found |= {(path, width): faults(browser, axe, width=width) for width in WIDTHS}
        assert {place: faulty for place, faulty in found.items() if faulty} == {}
    finally:
        browser.close()


def faults(browser: Browser, axe: str, *, width: int) -> Any:
    """What is wrong with the page that is open, and where."""
    browser.resize(width=width)
    browser.run(f"window.axe ? 0 : (() => {{ {axe}; return 0; }})()")
    return browser.run(FINDINGS)
