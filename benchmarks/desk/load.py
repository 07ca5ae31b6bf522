"""Load of the desk: a mill of many machines whose rows come all the time, and many pages open in browsers.

    python -m benchmarks.desk.load [--machines 200] [--period 2] [--pages 50] [--minutes 5] [--json FILE]

Starts its own broker (scripts/kafka-broker: Java 17) and `sheetbreak desk`, writes a score a machine each period, some
alerts too, and reads pages as a browser does. A latency is from writing the first row of a plant time to the event in
which a page first shows that time as its newest row. Ends with 1 where the 95th percentile is above a second.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import numpy as np
from kafka import KafkaProducer

from benchmarks.kafka.broker import Broker
from benchmarks.kafka.rate import cpu_seconds, memory_mib

MOST_P95_S = 1.0
START = datetime(2026, 1, 1, tzinfo=UTC)
ROW_MIN = 2
PREFIX = "load."
MARGIN_S = 10.0
"""While pages open and the first rows come nothing is counted."""
_NEWEST = re.compile(r"newest row (\d{4}-\d\d-\d\d \d\d:\d\d)")
_ALARM_ROWS, _CALM_ROWS = 10, 90
"""A machine is over its level for so many rows, and not for so many: each tenth machine warns."""


def path_of(page: int, machines: int) -> str:
    """What the pages show: of five, three the overview, which all share, one a machine of its own, one the alarms."""
    return {3: f"/machine?name=pm{page % machines}&span=12h", 4: "/alarms"}.get(page % 5, "/")


@dataclass
class Measured:
    """What is told at the end."""

    machines: int
    pages: int
    period_s: float
    rows: int = 0
    events: int = 0
    mib_sent: float = 0.0
    p50_s: float = 0.0
    p95_s: float = 0.0
    max_s: float = 0.0
    p95_s_by_page: dict[str, float] = field(default_factory=dict)
    processor_share: float = 0.0
    mib_by_minute: list[float] = field(default_factory=list)


class Feed:
    """Writes the rows, evenly over each period. `written` is when the first row of each plant time was."""

    def __init__(self, address: str, *, machines: int, period_s: float) -> None:
        self._producer = KafkaProducer(bootstrap_servers=address, linger_ms=5)
        self._machines, self._period_s = machines, period_s
        self.written: dict[str, float] = {}
        self.rows = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._producer.close()

    def _run(self) -> None:
        began, row = time.monotonic(), 0
        while not self._stop.is_set():
            at = START + timedelta(minutes=ROW_MIN * row)
            for machine in range(self._machines):
                due = began + (row + machine / self._machines) * self._period_s
                if self._stop.wait(max(due - time.monotonic(), 0)):
                    return
                self.written.setdefault(f"{at:%Y-%m-%d %H:%M}", time.monotonic())
                self._write(f"pm{machine}", at, row, (row + 7 * machine) % (_ALARM_ROWS + _CALM_ROWS))
                self.rows += 1
            row += 1

    def _write(self, machine: str, at: datetime, row: int, place: int) -> None:
        over = place < _ALARM_ROWS
        ratio = 1.2 + 0.01 * place if over else 0.4 + 0.001 * place
        top = [
            {
                "sensor": f"x{n}",
                "share": 0.3 / n,
                "observed": 3.5 + ratio,
                "expected": 2.5,
                "spreads": 4.0,
                "unit": "bar",
            }
            for n in range(1, 6)
        ]
        score = {
            "topic": "scores", "machine": machine, "time": _text(at), "state": "scored", "score": 2 * ratio,
            "threshold": 2.0, "ratio": ratio, "over": over, "model": "m1", "imputed": [], "top": top if over else [],
        }  # fmt: skip
        self._send("scores", machine, score)
        if place in (2, _ALARM_ROWS) and row >= place:
            opened = at - timedelta(minutes=ROW_MIN * (place - 2))
            alert = {
                "topic": "alerts", "alert_id": f"{machine}-{_text(opened)}", "kind": "opened" if over else "closed",
                "machine": machine, "time": _text(at), "local_time": at.isoformat(), "opened_at": _text(opened),
                "score": 2 * ratio, "threshold": 2.0, "ratio": ratio, "severity": "warning", "top": top, "model": "m1",
                "quality": {"imputed": [], "masked": []}, "message": f"{machine}: the sheet may break soon",
            }  # fmt: skip
            self._send("alerts", machine, alert)

    def _send(self, topic: str, machine: str, message: dict[str, object]) -> None:
        self._producer.send(PREFIX + topic, json.dumps(message).encode(), key=machine.encode())


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


class Pages:
    """Open pages. `shown`: by page, when each plant time was first its newest row."""

    def __init__(self, port: int, paths: list[str]) -> None:
        self._port, self._paths = port, paths
        self.shown: list[dict[str, float]] = [{} for _ in paths]
        self.events = self.sent_bytes = 0

    async def read(self, seconds: float) -> None:
        """As long as the measurement lasts."""
        tasks = [asyncio.create_task(self._one(number, path)) for number, path in enumerate(self._paths)]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for task in done:  # a page that has ended
            task.result()
            raise RuntimeError("the desk closed a page")

    async def _one(self, number: int, path: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        request = f"GET /events?page={quote(path, safe='')} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        writer.write(request.encode())
        while line := await reader.readline():
            self.sent_bytes += len(line)
            if line.startswith(b"HTTP/1.1 ") and b" 200 " not in line:
                raise RuntimeError(f"{path}: {line.decode().strip()}")
            found = _NEWEST.search(line.decode()) if line.startswith(b"data: {") else None
            if found:
                self.events += 1
                self.shown[number].setdefault(found[1], time.monotonic())


def measure(options: argparse.Namespace, folder: Path) -> Measured:
    """One run. Everything that it starts has ended when it returns."""
    measured = Measured(options.machines, options.pages, options.period)
    broker = Broker(folder / "kafka")
    try:
        broker.create_outputs(PREFIX)
        desk = ["desk", f"kafka://{broker.address}", "--topic-prefix", PREFIX, "--port", "0", "--store"]
        log = folder / "desk.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "sheetbreak", *desk, str(folder / "desk.sqlite")], stderr=stderr
            )
        feed = Feed(broker.address, machines=options.machines, period_s=options.period)
        try:
            port = _port(log, process)
            feed.start()
            time.sleep(options.period * 2)  # each machine has a page once it was heard of
            began, used = time.monotonic(), cpu_seconds([process.pid])
            pages = Pages(port, [path_of(page, options.machines) for page in range(options.pages)])
            asyncio.run(_watch(pages, process.pid, options.minutes, measured))
            measured.processor_share = (cpu_seconds([process.pid]) - used) / (time.monotonic() - began)
        finally:
            if feed.written:
                feed.close()
            process.terminate()
            process.wait(30)
    finally:
        broker.close()
    measured.rows, measured.events, measured.mib_sent = feed.rows, pages.events, pages.sent_bytes / 2**20
    _judge(pages, feed, began, measured)
    return measured


async def _watch(pages: Pages, pid: int, minutes: float, measured: Measured) -> None:
    async def weigh() -> None:
        while True:
            measured.mib_by_minute.append(memory_mib(pid))
            await asyncio.sleep(60)

    weighing = asyncio.create_task(weigh())
    await pages.read(60 * minutes)
    weighing.cancel()
    measured.mib_by_minute.append(memory_mib(pid))


def _judge(pages: Pages, feed: Feed, began: float, measured: Measured) -> None:
    by_page: dict[str, list[float]] = {}
    for number, shown in enumerate(pages.shown):
        path = path_of(number, measured.machines).partition("?")[0]
        late = [at - feed.written[text] for text, at in shown.items() if feed.written[text] > began + MARGIN_S]
        by_page.setdefault(path, []).extend(late)
    every = np.array([one for late in by_page.values() for one in late])
    measured.p50_s, measured.p95_s = (float(np.quantile(every, q)) for q in (0.5, 0.95))
    measured.max_s = float(every.max())
    measured.p95_s_by_page = {path: float(np.quantile(late, 0.95)) for path, late in by_page.items() if late}


def _port(log: Path, process: "subprocess.Popen[bytes]") -> int:
    """Of the desk, once it answers."""
    for _ in range(600):
        text = log.read_text()
        found = re.search(r"url=http://[\w.]+:(\d+)", text)
        if found and "startup complete" in text:
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the desk did not start:\n{log.read_text()}")


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=200)
    parser.add_argument("--period", type=float, default=2.0, help="seconds between two rows of a machine")
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sheetbreak-load-") as folder:
        measured = measure(options, Path(folder))
    print(json.dumps(asdict(measured), indent=2))
    if options.json:
        options.json.write_text(json.dumps(asdict(measured), indent=2) + "\n")
    return int(measured.p95_s > MOST_P95_S)


if __name__ == "__main__":
    sys.exit(main())
