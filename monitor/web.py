"""Web server of the monitor: /metrics, /healthz and /readyz, on a thread of its own."""

import contextlib
import errno
import socket
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from monitor.health import Health
from sheetbreak.errors import DataError

_CLIENT_TIMEOUT_S = 5.0
"""A client that sends or reads nothing for so long is dropped, with its thread."""
CONNECTION_S = 15.0
"""No connection lives longer, however busy: a byte now and then would hold a thread for ever."""
MAX_CONNECTIONS = 64
"""Beyond it the oldest one is dropped for the new one, so that a probe is always answered."""
_TEXT = "text/plain; charset=utf-8"


class Web:
    """A running server. Raises DataError at the start when the port is taken or the address is not ours."""

    def __init__(
        self, host: str, port: int, *, registry: CollectorRegistry, health: Health, connection_s: float = CONNECTION_S
    ) -> None:
        class Handler(_Handler):
            metrics = registry
            loop = health

        try:
            self._server = _Server((host, port), Handler, connection_s=connection_s)
        except OSError as cause:
            what = "is taken" if cause.errno == errno.EADDRINUSE else f"cannot be used ({cause.strerror or cause})"
            raise DataError(
                f"port {port} on {host} {what}; give a free one with --metrics-port, or 0 for no metrics"
            ) from cause
        self.port: int = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type["_Handler"], *, connection_s: float) -> None:
        self._connection_s = connection_s
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._open: OrderedDict[socket.socket, float] = OrderedDict()
        """Connections and when each was made, the oldest first."""
        self._guard = Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """On a thread of its own, within bounds."""
        with self._guard:
            while len(self._open) >= MAX_CONNECTIONS:
                _drop(self._open.popitem(last=False)[0])
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """It is answered, or dropped."""
        with self._guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Ten times a second: drop the connections that are too old."""
        now_s = time.monotonic()
        with self._guard:
            while self._open and now_s - next(iter(self._open.values())) > self._connection_s:
                _drop(self._open.popitem(last=False)[0])

    def server_bind(self) -> None:
        """Without the base class's look-up of our own name, which a broken name server delays for seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is no event; the default prints a traceback."""


def _drop(connection: socket.socket) -> None:
    """End it under its thread, which then finds it closed."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    metrics: CollectorRegistry
    loop: Health
    timeout = _CLIENT_TIMEOUT_S
    server_version = "sheetbreak"
    sys_version = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.metrics), content_type)
        elif path == "/healthz":
            self._say(self.loop.alive(), "ok", "the loop has not turned for a minute")
        elif path == "/readyz":
            self._say(self.loop.ready(), "ready", "not ready: no model, or the stream does not answer")
        else:
            self._answer(404, b"here are /metrics, /healthz and /readyz\n", _TEXT)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _say(self, holds: bool, yes: str, no: str) -> None:  # noqa: FBT001 - a condition, not a mode
        self._answer(200 if holds else 503, f"{yes if holds else no}\n".encode(), _TEXT)

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Scrapes are no events."""
