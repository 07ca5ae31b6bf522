"""Command `sheetbreak desk`: puts options, store, feed, access and the web server together."""

import argparse
import contextlib
import getpass
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from desk.access import Gate, rules_from
from desk.access.passwords import add_user
from desk.board import Board
from desk.clock import PlantClock, zone_named
from desk.feeds import Feed
from desk.notify import Notifier
from desk.service import Desk
from desk.store import Store
from desk.store.rebuilding import rebuild
from desk.web import Web
from sheetbreak.cli.logs import add_log_format, log_to_stderr
from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.errors import DataError, StreamError, StreamUnavailable
from sheetbreak.streams.kafka.options import parse_address
from sheetbreak.streams.open import open_actions
from sheetbreak.streams.protocol import ActionSink
from sheetbreak.wire.topics import ALERTS

if TYPE_CHECKING:
    from sheetbreak.streams.kafka.group.election import Election

DONE, BUG, INTERRUPTED = 0, 1, 130
_SEND_S = 15.0
"""A broker that is away is waited for so long while an operator waits for the answer."""
_BACKLOG = 256

log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code. Raises SheetbreakError."""
    options = _options(argv)
    if options.add_user:
        return _add_user(options)
    log_to_stderr(options.log_format)
    rules = rules_from(
        options.published_on or options.host,
        published=bool(options.published_on),
        users=options.users,
        proxy_header=options.proxy_header,
        public_url=options.public_url,
        environment=os.environ,
    )
    zone = zone_named(options.timezone) if options.timezone else None
    is_kafka = "://" in options.source
    if is_kafka and options.actions:
        raise DataError("--actions is for pipes and files; with Kafka actions go to the topic operator-actions")
    sink = _sink(options, is_kafka=is_kafka)
    store = Store(options.store, source=options.source + options.topic_prefix, days=options.days)
    try:
        board = Board()
        rebuild(store, board)
        feed = _feed(options, store, is_kafka=is_kafka)
        desk = Desk(
            store, board, status=feed.status, clock=PlantClock(zone, lambda: board.utc_offset_s), sink=sink,
            now_ms=_now_ms, public_origin=rules.public_origin,
        )  # fmt: skip
        return _serve(options, desk, feed, Web(desk, Gate(rules)), mode=rules.mode)
    finally:
        store.close()
        if sink is not None:
            sink.close()


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = OptionParser(
        "sheetbreak desk",
        "Pages for the shift: every machine's state, alarms and what is answered to them, live in a browser.",
        example="sheetbreak desk kafka://localhost:9092\n"
        "sheetbreak monitor rows.csv --emit scores,alerts | sheetbreak desk - --actions actions.ndjson",
    )
    parser.add_argument(
        "source", nargs="?", default="", help="kafka://host:9092, a monitor's output as NDJSON, or - (standard input)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to answer on; others than this computer's own "
                        "need a token, users or a proxy")  # fmt: skip
    parser.add_argument("--port", type=whole_number(maximum=65535), default=8080, help="0: any free one")
    parser.add_argument("--public-url", metavar="U", help="how others reach it, such as https://desk.mill.example")
    parser.add_argument(
        "--timezone", metavar="TZ", help="the plant's, such as Europe/Helsinki (default: as alerts tell)"
    )
    parser.add_argument(
        "--actions", type=Path, metavar="FILE", help="pipes and files: where actions are added, as lines"
    )
    parser.add_argument(
        "--store", type=Path, metavar="FILE", help="keep what was read here (default: a temporary file)"
    )
    parser.add_argument("--days", type=whole_number(minimum=1, maximum=400), default=8, help="days of scores to keep")
    parser.add_argument("--topic-prefix", default="", metavar="P", help="stands before all topics' names")
    parser.add_argument("--group", default="sheetbreak-monitor", help="the monitors' consumer group")
    parser.add_argument(
        "--alertmanager",
        metavar="URL",
        help="hand alerts to this Alertmanager (http://localhost:9093); of several desks of the same brokers one does",
    )
    add_log_format(parser)
    access = parser.add_argument_group(
        "access (a token comes from SHEETBREAK_DESK_TOKEN or SHEETBREAK_DESK_TOKEN_FILE)"
    )
    access.add_argument(
        "--published-on", metavar="ADDRESS", help="of a container: where its port is reached; open if that is loopback"
    )
    access.add_argument("--users", type=Path, metavar="FILE", help="names and hashed passwords")
    access.add_argument("--add-user", metavar="NAME", help="ask for a password, add NAME to --users, and end")
    access.add_argument("--proxy-header", metavar="NAME", help="trust this header of a proxy in front for who it is")
    given = parser.parse_args(argv)
    if not given.source and not given.add_user:
        parser.error("no source is given; expected kafka://host:9092, a file, or -")
    return given


def _add_user(options: argparse.Namespace) -> int:
    if options.users is None:
        raise DataError("--add-user needs --users FILE, to which the name is added")
    password = getpass.getpass(f"password of {options.add_user}: ")
    if getpass.getpass("again: ") != password:
        raise DataError("the two passwords are not the same; nothing was changed")
    add_user(options.users, options.add_user, password)
    return DONE


def _sink(options: argparse.Namespace, *, is_kafka: bool) -> ActionSink | None:
    if not is_kafka:
        return None if options.actions is None else open_actions(str(options.actions))
    return open_actions(options.source, prefix=options.topic_prefix, between=_Patience())


class _Patience:
    """Ends a wait for a broker that is away: an operator is told, instead of left waiting."""

    def __init__(self) -> None:
        self._since, self._last = 0.0, 0.0

    def __call__(self) -> None:
        """Called several times a second during a wait. Raises StreamUnavailable when that lasts too long."""
        now = time.monotonic()
        if now - self._last > 1.0:
            self._since = now  # another wait
        self._last = now
        if now - self._since > _SEND_S:
            self._last = 0.0
            raise StreamUnavailable(f"Kafka did not take the action within {_SEND_S:.0f} s")


def _feed(options: argparse.Namespace, store: Store, *, is_kafka: bool) -> Feed:
    if is_kafka:
        from desk.feeds.kafka import KafkaFeed

        return KafkaFeed(
            options.source,
            prefix=options.topic_prefix,
            group=options.group,
            days=options.days,
            positions=store.positions(),
            now_ms=_now_ms,
        )
    from desk.feeds.lines import LinesFeed

    return LinesFeed(options.source, actions=options.actions, now_ms=_now_ms)


def _serve(options: argparse.Namespace, desk: Desk, feed: Feed, web: Web, *, mode: str) -> int:
    listener = _listen(options.host, options.port)
    config = uvicorn.Config(
        web.app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5, lifespan="on",
        proxy_headers=False, limit_concurrency=1000,
    )  # fmt: skip
    server = _Server(config, web)
    failed: list[BaseException] = []

    def read() -> None:
        try:
            feed.run(desk.take, desk.stop)
        except BaseException as error:  # noqa: BLE001 - told by the main thread, which ends with it
            failed.append(error)
            server.should_exit = True
            web.hub.close_soon()

    notifying = _notify(options, desk)
    reader = threading.Thread(target=read, name="feed", daemon=True)
    reader.start()
    shown = options.public_url or f"http://{_bracketed(options.host)}:{listener.getsockname()[1]}"
    log.info("event=started source=%s url=%s access=%s", feed.status.source, shown, mode)
    try:
        with contextlib.closing(listener):
            server.run(sockets=[listener])
    finally:
        desk.stop.set()
        reader.join(10)
        if notifying is not None:
            notifying.join(10)
    if failed:
        raise failed[0]
    log.info("event=ended source=%s", feed.status.source)
    return INTERRUPTED if server.interrupted else DONE


def _notify(options: argparse.Namespace, desk: Desk) -> threading.Thread | None:
    """A thread that tells Alertmanager, where one is named. Raises DataError."""
    if not options.alertmanager:
        return None
    elected = _Elected(options) if "://" in options.source else None
    holds = elected.holds if elected is not None else lambda: True
    notifier = Notifier(options.alertmanager, desk, holds=holds, mark=elected)

    def run() -> None:
        try:
            notifier.run(desk.stop)
        finally:
            if elected is not None:
                elected.close()

    thread = threading.Thread(target=run, name="notify", daemon=True)
    thread.start()
    return thread


class _Elected:
    """This desk's candidacy among those of the same brokers; opened when it is first asked for."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._address = parse_address(options.source, needs_topic=False)
        self._prefix = options.topic_prefix
        self._election: Election | None = None

    def holds(self) -> bool:
        """Raises StreamError; the next question tries anew."""
        from sheetbreak.streams.kafka.group.election import Election

        try:
            if self._election is None:
                group = f"{self._prefix}sheetbreak-desk"
                self._election = Election(self._address, group=group, topic=self._prefix + ALERTS)
            return self._election.holds()
        except StreamError:
            self.close()
            raise

    def read(self) -> int | None:
        """What this desk or one before has noted, as `desk.notify.notifier.Mark` has it."""
        noted = self._election.noted if self._election is not None else ""
        return int(noted) if noted.isdecimal() else None

    def write(self, at_ms: int) -> None:
        """Note it."""
        if self._election is not None:
            self._election.note(str(at_ms))

    def close(self) -> None:
        """Leave."""
        if self._election is not None:
            self._election.close()
            self._election = None


class _Server(uvicorn.Server):
    """Ends its live streams as it is told to end, instead of waiting for them."""

    def __init__(self, config: uvicorn.Config, web: Web) -> None:
        super().__init__(config)
        self._web = web
        self.interrupted = False

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # as the base class has it
        """Both signals end it cleanly; the base class would raise them again afterwards."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, _frame: object) -> None:
        """A signal."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        self._web.hub.close_soon()
        self.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    """Raises DataError where the port is taken or the address is not ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as cause:
        raise DataError(
            f"port {port} on {host} cannot be used ({cause.strerror or cause}); give a free one with --port"
        ) from cause
    return listener


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
