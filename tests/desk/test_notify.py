"""Notification: a real Alertmanager tells once of each alert, and that it has ended by the monitor's word alone."""

import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import CommitFailedError

from desk.notify import Notifier
from desk.notify.notifier import Mark
from desk.notify.silences import shelves
from sheetbreak.errors import DataError, StreamLost, StreamUnavailable
from sheetbreak.streams.kafka.group.election import Election
from sheetbreak.streams.kafka.options import parse_address
from tests.support.kafka.broker import Broker
from tests.support.programs.desk_rig import DeskRig, action, alert, score
from tests.support.running.beside import beside
from tests.support.running.patience import PATIENCE_S, patiently, wait_for
from tests.support.running.ports import free_port
from tests.support.running.services import need

TELLS_WITHIN_S = 3.0
"""Of the Alertmanager below; much longer than its group_wait."""
CONFIG = """
route: {{receiver: shift, group_by: [alert_id], group_wait: {wait}, group_interval: 1s, repeat_interval: 12h}}
receivers:
  - name: shift
    webhook_configs: [{{url: "http://127.0.0.1:{port}/", send_resolved: true}}]
"""


@pytest.fixture
def told() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Where a webhook listens, and what it was told."""
    messages: list[dict[str, Any]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_address[1], messages
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def alertmanager(running: "Running") -> str:
    return running.address


@pytest.fixture
def running(tmp_path: Path, told: tuple[int, list[dict[str, Any]]]) -> Iterator["Running"]:
    running = Running(tmp_path, webhook_port=told[0])
    running.start()
    yield running
    running.kill()


class Running:
    """An Alertmanager of this machine's package."""

    def __init__(self, folder: Path, *, webhook_port: int) -> None:
        program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        need(program, "no prometheus-alertmanager on the PATH; run scripts/install-test-tools")
        self._config, self._webhook_port = folder / "config.yml", webhook_port
        where = f"127.0.0.1:{free_port()}"
        self.address = f"http://{where}"
        self._command = [str(program), f"--config.file={self._config}", f"--storage.path={folder / 'data'}"]
        self._command += [f"--web.listen-address={where}", "--cluster.listen-address="]
        self._log = folder / "alertmanager.log"

    def start(self, *, group_wait: str = "1s") -> None:
        self._config.write_text(CONFIG.format(port=self._webhook_port, wait=group_wait))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_for(lambda: answers(f"{self.address}/-/ready"), says=self._log.read_text)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True


@contextmanager
def notifying(rig: DeskRig, url: str, *, mark: Mark | None = None) -> Iterator[None]:
    notifier = Notifier(url, rig.desk, holds=lambda: True, mark=mark, again_s=1.0, tells_within_s=TELLS_WITHIN_S)
    with beside(notifier.run):
        yield


def test_one_message_opens_and_one_ends_whichever_desk_and_whatever_is_silent(
    rig: DeskRig, alertmanager: str, told: tuple[int, list[dict[str, Any]]]
) -> None:
    messages = told[1]
    rig.now_ms = time.time_ns() // 1_000_000
    rig.desk.public_origin = "https://desk.mill.example"
    rig.take(score(0), score(1, ratio=1.5), alert(1))
    with notifying(rig, alertmanager):
        wait_for(lambda: messages)
        wait_for(lambda: "\nsheetbreak_desk_notifies 1\n" in rig.page("/metrics"))
        rig.now_ms += 3_600_000  # neither the monitor nor the feed says a word
        rig.status.answers = False
        time.sleep(2.5)  # it is posted again
    rig.now_ms = time.time_ns() // 1_000_000
    with notifying(rig, alertmanager):  # another desk, which knows nothing of the first
        rig.take(score(2), alert(3, "closed", opened=1, message="pm1: back to normal."))
        wait_for(lambda: len(messages) > 1)
    assert [one["status"] for one in messages] == ["firing", "resolved"]
    assert messages[0]["labels"]["machine"] == "pm1"
    said = messages[0]["annotations"]
    assert said["sensors"] == "x1 reads 3.5 bar, expected 2.5 bar"
    assert said["summary"] == "pm1: the sheet may break soon: x1 reads 3.5."
    assert said["link"] == "https://desk.mill.example/alarm?id=pm1-1"
    assert said["runbook_url"] == "https://desk.mill.example/runbook#sheetbreakbreakwarning"
    assert said["plant_time"] == "1999-05-01 00:02 UTC"
    assert said["odds"] == "3 of the last 10 warnings were followed by a break within the hour"
    assert messages[1]["annotations"]["ended"] == "pm1: back to normal."


def test_an_alert_that_has_ended_before_it_could_be_told_is_told_and_then_ended(
    rig: DeskRig, alertmanager: str, told: tuple[int, list[dict[str, Any]]]
) -> None:
    """What Alertmanager first hears of as ended it tells nobody. An alert from before this desk was another desk's."""
    messages = told[1]
    rig.now_ms = time.time_ns() // 1_000_000 - 60_000
    rig.take(score(0), alert(0), alert(1, "closed", opened=0))
    rig.now_ms += 60_000
    with notifying(rig, alertmanager):
        wait_for(lambda: rig.status.notifies)
        rig.take(score(2, ratio=1.5), alert(2), score(3), alert(3, "closed", opened=2, message="pm1: back to normal."))
        wait_for(lambda: len(messages) > 1)
    assert [(one["labels"]["alert_id"], one["status"]) for one in messages] == [
        ("pm1-2", "firing"),
        ("pm1-2", "resolved"),
    ]


@pytest.mark.parametrize("killed", ["before it has it", "before it tells"])
def test_an_alert_that_ends_while_alertmanager_is_away_is_told_once_and_then_ended(
    killed: str, rig: DeskRig, running: Running, told: tuple[int, list[dict[str, Any]]]
) -> None:
    messages = told[1]
    running.kill()
    running.start(group_wait="1h")
    rig.now_ms = time.time_ns() // 1_000_000
    with notifying(rig, running.address):
        wait_for(lambda: rig.status.notifies)
        rig.now_ms = time.time_ns() // 1_000_000
        if killed == "before it tells":
            rig.take(score(2, ratio=1.5), alert(2))
            wait_for(lambda: asked(running.address, "alerts"))
        running.kill()
        if killed == "before it has it":
            rig.take(score(2, ratio=1.5), alert(2))
        wait_for(lambda: rig.status.notify_problem.endswith("refused>"))
        rig.take(score(3), alert(3, "closed", opened=2, message="pm1: back to normal."))
        running.start()
        wait_for(lambda: len(messages) > 1)
    assert [(one["labels"]["alert_id"], one["status"]) for one in messages] == [
        ("pm1-2", "firing"),
        ("pm1-2", "resolved"),
    ]


class Kept:
    """A mark as the next desk finds it."""

    def __init__(self) -> None:
        self.at_ms: int | None = None

    def read(self) -> int | None:
        return self.at_ms

    def write(self, at_ms: int) -> None:
        self.at_ms = at_ms


def test_what_opened_and_ended_while_no_desk_ran_is_told_in_order_and_nothing_twice(
    rig: DeskRig, alertmanager: str, told: tuple[int, list[dict[str, Any]]]
) -> None:
    messages, mark = told[1], Kept()
    rig.now_ms = time.time_ns() // 1_000_000 - 60_000
    rig.take(score(0), alert(0), alert(1, "closed", opened=0))  # before there was a desk
    rig.now_ms += 20_000
    with notifying(rig, alertmanager, mark=mark):
        wait_for(lambda: rig.status.notifies)
        rig.now_ms += 1000
        rig.take(score(2, ratio=1.5), alert(2), apart_ms=1000)
        wait_for(lambda: messages and mark.at_ms == rig.now_ms)
    rig.take(alert(3, "closed", opened=2), apart_ms=1000)
    rig.take(score(4, ratio=1.5), alert(4), alert(5, "closed", opened=4), apart_ms=1000)
    with notifying(rig, alertmanager, mark=mark):  # the next desk
        wait_for(lambda: len(messages) > 3)
    assert sorted((one["labels"]["alert_id"], one["status"]) for one in messages) == [
        ("pm1-2", "firing"),
        ("pm1-2", "resolved"),
        ("pm1-4", "firing"),
        ("pm1-4", "resolved"),
    ]


def asked(alertmanager: str, path: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{alertmanager}/api/v2/{path}", timeout=PATIENCE_S) as answer:
        return [dict(one) for one in json.load(answer)]


def active(alertmanager: str) -> list[dict[str, Any]]:
    return [one for one in asked(alertmanager, "silences") if one["status"]["state"] == "active"]


def test_a_shelved_machine_has_one_silence_whichever_desk_and_none_once_it_is_unshelved(
    rig: DeskRig, alertmanager: str, told: tuple[int, list[dict[str, Any]]]
) -> None:
    messages = told[1]
    rig.now_ms = time.time_ns() // 1_000_000
    shelved = action(0, "shelve", until="1999-05-01T08:00:00Z", comment="felt change")
    rig.take(score(0), shelved, score(1, ratio=1.5), alert(1))
    hand = {"matchers": [{"name": "machine", "value": "pm9", "isRegex": False}], "createdBy": "Eino", "comment": "mine"}
    body = json.dumps(hand | {"startsAt": "2020-01-01T00:00:00Z", "endsAt": "2199-01-01T00:00:00Z"}).encode()
    post = {"Content-Type": "application/json"}
    urllib.request.urlopen(
        urllib.request.Request(f"{alertmanager}/api/v2/silences", body, post), timeout=PATIENCE_S
    ).close()

    def states() -> list[str]:
        return [one["status"]["state"] for one in asked(alertmanager, "alerts")]

    for _ in range(2):  # another desk, which knows nothing of the first
        with notifying(rig, alertmanager):
            wait_for(lambda: rig.status.notifies and states() == ["suppressed"])
    (ours,) = (one for one in active(alertmanager) if one["createdBy"] == "Aino")
    assert {one["name"]: one["value"] for one in ours["matchers"]} == {"alertname": "SheetbreakAlert", "machine": "pm1"}
    assert ours["comment"].endswith("until 1999-05-01T08:00:00Z by the rows' clock: felt change")
    ends = datetime.fromisoformat(ours["endsAt"]).timestamp()
    assert ends * 1000 == pytest.approx(rig.now_ms + 478 * 60_000, abs=2)  # as long as by the rows' clock
    with notifying(rig, alertmanager):
        rig.take(action(1, "shelve", until="1999-05-01T06:00:00Z", comment="shorter"))
        wait_for(lambda: [one["comment"].rpartition(" ")[2] for one in active(alertmanager)].count("shorter") == 1)
        wait_for(lambda: len(active(alertmanager)) == 2)
        assert messages == []
        rig.take(action(1, "unshelve"))
        wait_for(lambda: messages)
    assert [one["labels"]["machine"] for one in messages] == ["pm1"]
    assert [one["createdBy"] for one in active(alertmanager)] == ["Eino"]


def test_a_silence_ends_with_the_shelf_by_the_rows_clock_and_goes_on_where_that_is_behind(rig: DeskRig) -> None:
    rig.take(score(0), action(0, "shelve", until="1999-05-01T00:30:00Z"))
    with rig.store.reading() as db:
        (shelf,) = shelves(db, now_ms=rig.now_ms)
    assert shelf.ends_ms == rig.now_ms + 30 * 60_000
    late = shelf.as_silence(shelf.ends_ms + 1)
    assert late["endsAt"] > late["startsAt"]
    rig.take(score(15))
    with rig.store.reading() as db:
        assert shelves(db, now_ms=rig.now_ms) == []


def test_a_shelf_for_all_time_is_a_silence_for_all_time(rig: DeskRig) -> None:
    """Its end is moved by as long as the rows are behind, which no date can tell: the notifier ended with that."""
    rig.take(score(0), action(0, "shelve", until="9998-12-31T23:59:59Z"))
    with rig.store.reading() as db:
        (shelf,) = shelves(db, now_ms=rig.now_ms)
    assert shelf.as_silence(rig.now_ms)["endsAt"].startswith("9999-12-31T23:59:59")


def test_where_silences_are_refused_alerts_are_told_and_those_of_a_shelved_machine_wait(rig: DeskRig) -> None:
    posted: list[dict[str, Any]] = []

    class WithoutSilences(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), WithoutSilences)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        rig.take(score(0), score(1, ratio=1.5), alert(1), action(1, "shelve", until="1999-05-01T08:00:00Z"))
        rig.take(score(0, machine="pm2"), score(1, machine="pm2", ratio=1.5), alert(1, machine="pm2"))
        with notifying(rig, f"http://127.0.0.1:{server.server_port}"):
            wait_for(lambda: posted)
            wait_for(lambda: "takes no silences: HTTP Error 404" in rig.status.notify_problem)
            assert {one["labels"]["machine"] for one in posted} == {"pm2"}
            rig.take(action(1, "unshelve"))
            wait_for(lambda: {one["labels"]["machine"] for one in posted} == {"pm1", "pm2"})
            rig.take(action(1, "shelve", until="1999-05-02T00:00:00Z", comment="again"))
            posted.clear()
            wait_for(lambda: {one["labels"]["machine"] for one in posted} == {"pm1", "pm2"})  # pm1's is not resolved
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_alertmanager_that_is_away_is_told_on_every_page(rig: DeskRig) -> None:
    rig.take(score(0), score(1, ratio=1.5), alert(1))
    with notifying(rig, f"http://127.0.0.1:{free_port()}"):
        wait_for(lambda: rig.status.notify_problem)
    assert "Nobody is called" in rig.page("/")
    assert "\nsheetbreak_desk_notifies 0\n" in rig.page("/metrics")
    with pytest.raises(DataError, match="expected http"):
        Notifier("alertmanager:9093", rig.desk, holds=lambda: True)


def test_of_several_desks_one_is_elected_and_another_when_it_leaves(broker: Broker) -> None:
    prefix = broker.create_topics(partitions=2)
    address = parse_address(broker.url(), needs_topic=False)
    candidates = [Election(address, group=prefix + "desk", topic=prefix + "alerts") for _ in range(3)]
    try:
        held = wait_for(lambda: noting(candidates, "1700000000000"))
        assert held is not None
        held.close()
        candidates.remove(held)
        following = wait_for(lambda: exactly_one(candidates))
        assert following is not None
        assert following.noted == "1700000000000"
    finally:
        for one in candidates:
            one.close()


def test_what_was_noted_in_the_middle_of_an_election_is_noted_after_it(broker: Broker) -> None:
    prefix = broker.create_topics()
    address = parse_address(broker.url(), needs_topic=False)
    candidate = Election(address, group=prefix + "desk", topic=prefix + "alerts")
    commit, refused = candidate._consumer.commit, list[object]()

    def refuse_once(offsets: object) -> None:
        if not refused:
            refused.append(offsets)
            raise CommitFailedError
        commit(offsets)

    try:
        wait_for(lambda: exactly_one([candidate]))
        assert candidate.noted == ""
        candidate._consumer.commit = refuse_once
        candidate.note("1700000000000")
        wait_for(lambda: refused and patiently(candidate.holds) and candidate.is_noted)
        assert candidate.noted == "1700000000000"
    finally:
        candidate.close()


def noting(candidates: list[Election], text: str) -> Election | None:
    """The one that holds it, once the group has the note: who was elected first may lose to who came later."""
    held = exactly_one(candidates)
    if held is None or (held.noted == text and held.is_noted):
        return held
    assert held.noted in ("", text)
    held.note(text)
    return None


def exactly_one(candidates: list[Election]) -> Election | None:
    with suppress(StreamLost, StreamUnavailable):  # while the group is joined anew, or the broker is busy
        holding = [one for one in candidates if one.holds()]
        return holding[0] if len(holding) == 1 else None
    return None
