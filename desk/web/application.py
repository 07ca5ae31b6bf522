"""Web application: pages, their live streams, the forms, and what every answer carries."""

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from desk.access import Gate, Session
from desk.pages import PAGES, NotThere
from desk.service import Desk
from desk.web.acting import FormError, action_of
from desk.web.live import MAX_PAGES, EventStream, Hub, Rendered
from desk.web.metrics import metrics
from desk.web.views import Views
from sheetbreak.errors import SheetbreakError, StreamError

STATIC = Path(__file__).parents[1] / "static"
_BODY_BYTES = 16 * 1024
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

log = logging.getLogger(__name__)


class Web:
    """The application over one desk. `app` is what a server runs."""

    def __init__(self, desk: Desk, gate: Gate) -> None:
        self._desk, self._gate = desk, gate
        self._placeholder = secrets.token_hex(16)
        """Stands for the form token in what all readers of a page share; nobody can know it beforehand."""
        version = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()))).hexdigest()[:12]
        self._views = Views(desk, placeholder=self._placeholder, version=version)
        self.hub = Hub(self._render, about=_machine_of)
        desk.changed = self.hub.changed
        routes = [
            Route("/healthz", self._health),
            Route("/metrics", self._metrics),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/actions", self._act, methods=["POST"]),
            Route("/events", self._events),
            Route("/static/{name}", self._static),
            *(Route(path, self._page) for path in PAGES),
        ]
        self.app: ASGIApp = _Guarded(Starlette(routes=routes, lifespan=self._lifespan))

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(self.hub.run())
        yield
        task.cancel()

    async def _render(self, page: str) -> Rendered:
        parts = urlsplit(page)
        return await run_sync(self._views.live, parts.path, dict(parse_qsl(parts.query)))

    def _enter(self, request: Request) -> Session | Response:
        """The session of a request, or the answer that it gets instead."""
        if not self._gate.knows_host(request):
            return PlainTextResponse("this desk does not answer by that name\n", 421)
        session = self._gate.session(request)
        if session is not None:
            return session
        if request.method == "GET" and request.url.path in PAGES:
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return HTMLResponse(self._login_form(target), 401)
        return PlainTextResponse("log in first\n", 401)

    def _login_form(self, target: str, problem: str = "") -> str:
        return self._views.login(self._gate.rules.mode, target, problem)

    async def _page(self, request: Request) -> Response:
        session = self._enter(request)
        if isinstance(session, Response):
            return session
        params = dict(request.query_params)
        who = session.user or self._gate.kept_name(request)
        try:
            html = await run_sync(
                lambda: self._views.whole(request.url.path, params, who=who, fixed=bool(session.user))
            )
        except NotThere as error:
            html, status = self._views.problem("Not there", str(error)), 404
        else:
            status = 200
        response = HTMLResponse(html.replace(self._placeholder, session.csrf), status)
        self._gate.keep(response, session)
        return response

    async def _events(self, request: Request) -> "Response | EventStream":
        session = self._enter(request)
        if isinstance(session, Response):
            return session
        page = request.query_params.get("page", "")
        if urlsplit(page).path not in PAGES or len(page) > 2000:
            return PlainTextResponse("there is no such page\n", 404)
        if self.hub.open_pages >= MAX_PAGES:
            return PlainTextResponse("too many pages are open\n", 503, headers={"Retry-After": "10"})
        try:
            slot = await self.hub.subscribe(page)
        except NotThere as error:
            return PlainTextResponse(f"{error}\n", 404)
        bare = Response(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        del bare.headers["content-length"]
        self._gate.keep(bare, session)
        return EventStream(self.hub, slot, headers=bare.raw_headers, placeholder=self._placeholder, csrf=session.csrf)

    async def _act(self, request: Request) -> Response:
        session = self._enter(request)
        if isinstance(session, Response):
            return session
        form = await _form(request)
        if form is None or not self._gate.is_our_form(request, session, form.get("csrf", "")):
            log.warning("event=form-refused origin=%r", request.headers.get("origin", ""))
            return HTMLResponse(self._views.problem("Refused", _FORGED), 403)
        who = session.user or form.get("by", "").strip() or self._gate.kept_name(request)
        back = _own_path(form.get("next", "/"))
        if not who and form.get("alert_id"):
            return RedirectResponse(f"/alarm?id={quote(form['alert_id'], safe='')}&ask=1", 303)
        try:
            row_us = self._desk.board.row_us(form.get("machine", ""))
            action = action_of(form, by=who, row_us=row_us, now_us=self._desk.now_ms() * 1000)
            if not self._desk.can_act:
                raise FormError("this desk reads a pipe or a file: start it with --actions FILE to answer alarms")
            await run_sync(self._desk.act, action)
        except StreamError as error:
            return HTMLResponse(self._views.problem("Not sent", f"{error}. Try again when Kafka answers."), 503)
        except SheetbreakError as error:
            return HTMLResponse(self._views.problem("Not done", str(error)), 400)
        joint = "&" if "?" in back else "?"
        response = RedirectResponse(f"{back}{joint}sent={action.action}", 303)
        if not session.user:
            self._gate.keep_name(response, who)
        self._gate.keep(response, session)
        return response

    async def _login(self, request: Request) -> Response:
        if not self._gate.knows_host(request):
            return PlainTextResponse("this desk does not answer by that name\n", 421)
        if self._gate.rules.mode in ("open", "proxy"):
            return RedirectResponse("/", 303)
        if request.method == "GET":
            return HTMLResponse(self._login_form("/"))
        form = await _form(request)
        if form is None or not self._gate.is_same_origin(request):
            return HTMLResponse(self._views.problem("Refused", _FORGED), 403)
        target = _own_path(form.get("next", "/"))
        if not self._gate.may_try():
            return HTMLResponse(self._login_form(target, "Too many tries; wait a minute."), 429)
        session = await run_sync(self._gate.log_in, form.get("name", "").strip(), form.get("secret", "").strip())
        if session is None:
            log.warning("event=login-refused name=%r from=%s", form.get("name", ""), _peer(request))
            wrong = "That is not the token." if self._gate.rules.mode == "token" else "Wrong name or password."
            return HTMLResponse(self._login_form(target, wrong), 401)
        log.info("event=login name=%r from=%s", session.user, _peer(request))
        response = RedirectResponse(target, 303)
        self._gate.keep(response, session)
        return response

    async def _logout(self, request: Request) -> Response:
        session = self._enter(request)
        if isinstance(session, Response):
            return session
        form = await _form(request)
        if form is None or not self._gate.is_our_form(request, session, form.get("csrf", "")):
            return HTMLResponse(self._views.problem("Refused", _FORGED), 403)
        response = RedirectResponse("/", 303)
        self._gate.forget(response)
        return response

    async def _static(self, request: Request) -> Response:
        path = STATIC / request.path_params["name"]
        if path.parent != STATIC or not path.is_file():
            return PlainTextResponse("there is no such file\n", 404)
        return FileResponse(path, media_type=_TYPES.get(path.suffix), headers={"Cache-Control": "max-age=31536000"})

    async def _health(self, _request: Request) -> Response:
        status = self._desk.status
        return JSONResponse({"status": "ok", "source_answers": status.answers, "live": status.live})

    async def _metrics(self, _request: Request) -> Response:
        """How the desk is, and nothing of a machine: Prometheus asks without a token."""
        return PlainTextResponse(metrics(self._desk.status, open_pages=self.hub.open_pages))


_FORGED = (
    "The form was not sent by a page of this desk, or the page is of a session that has ended. Nothing was done. "
    "Reload the page and try again."
)


async def _form(request: Request) -> Mapping[str, str] | None:
    """The fields of a form; None for what is none, or too long."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _BODY_BYTES:
            return None
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return None
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), errors="strict"))
    except ValueError:
        return None


def _own_path(target: str) -> str:
    """A path of ours, and never another host."""
    parts = urlsplit(target)
    return target if parts.path in PAGES and not parts.scheme and not parts.netloc and target.isprintable() else "/"


def _peer(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _machine_of(page: str) -> str | None:
    """The machine whose page it is."""
    parts = urlsplit(page)
    return dict(parse_qsl(parts.query)).get("name") if parts.path == "/machine" else None


class _Guarded:
    """Puts the security headers on every answer, errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                own = {key.lower().encode(): value.encode() for key, value in HEADERS.items()} | {
                    b"cache-control": b"no-store"
                }
                more = [(key, value) for key, value in own.items() if key not in names]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, send_guarded)
