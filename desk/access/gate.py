"""Gate: who a request is from, and whether a form was sent by a page of ours."""

import base64
import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from desk.access.passwords import is_right
from desk.access.rules import Rules

COOKIE = "sheetbreak_desk"
NAME_COOKIE = "sheetbreak_name"
"""Who acts, where nobody has to log in: what was typed last."""
SESSION_S = 30 * 86_400
"""A page on a control room's wall stays."""
_TRIES, _TRIES_S = 20, 60.0
"""Wrong tokens or passwords a minute, from wherever."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that may look."""

    user: str
    """Empty where nobody has to say who they are."""
    number: str
    csrf: str
    """Goes into each of its forms."""
    fresh: str | None = None
    """The cookie to set, where it has none that is good."""


class Gate:
    """Checks requests by the rules."""

    def __init__(self, rules: Rules, *, clock: Callable[[], float] = time.time) -> None:
        self.rules, self._clock = rules, clock
        self._wrong: deque[float] = deque(maxlen=_TRIES)

    def knows_host(self, request: Request) -> bool:
        """False where an open desk was reached by a name that is not its own (DNS rebinding)."""
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        return not self.rules.hosts or host in self.rules.hosts

    def session(self, request: Request) -> Session | None:
        """Whose request it is; None: it must log in first."""
        kept = self._read(request.cookies.get(COOKIE, ""))
        match self.rules.mode:
            case "open":
                return kept or self._new("")
            case "proxy":
                name = request.headers.get(self.rules.proxy_header, "").strip()
                if not name or not name.isprintable():
                    return None
                return kept if kept is not None and kept.user == name else self._new(name)
            case "token":
                return kept or (self._new("") if self._has_bearer(request) else None)
            case "users":
                return kept if kept is not None and kept.user in self.rules.users else None

    def _has_bearer(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self._is_token(given.strip())

    def may_try(self) -> bool:
        """False after too many wrong tokens or passwords."""
        return len(self._wrong) < _TRIES or self._clock() - self._wrong[0] > _TRIES_S

    def log_in(self, name: str, secret: str) -> Session | None:
        """The session of who has the token, or the name and the password."""
        if self.rules.mode == "token" and self._is_token(secret):
            return self._new("")
        if self.rules.mode == "users" and is_right(self.rules.users.get(name), secret):
            return self._new(name)
        self._wrong.append(self._clock())
        return None

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.rules.token.encode())

    def is_same_origin(self, request: Request) -> bool:
        """Whether a form was sent by a page of this desk, as the browser says it."""
        site = request.headers.get("sec-fetch-site")
        if site not in (None, "same-origin"):
            return False
        origin = request.headers.get("origin")
        if origin is None:
            return True  # no browser: the form's own token must do
        own = {
            f"http://{request.headers.get('host', '').lower()}",
            f"https://{request.headers.get('host', '').lower()}",
        }
        return origin.lower() in (own | {self.rules.public_origin} if self.rules.public_origin else own)

    def is_our_form(self, request: Request, session: Session, given: str) -> bool:
        """Whether a form may do something."""
        return self.is_same_origin(request) and hmac.compare_digest(given.encode(), session.csrf.encode())

    def keep(self, response: Response, session: Session) -> None:
        """Have the browser keep a new session."""
        if session.fresh is not None:
            self._set(response, COOKIE, session.fresh)

    def keep_name(self, response: Response, name: str) -> None:
        """Have the browser keep who acts."""
        self._set(response, NAME_COOKIE, base64.urlsafe_b64encode(name.encode()).decode())

    def kept_name(self, request: Request) -> str:
        """Who acted last from this browser."""
        try:
            name = base64.urlsafe_b64decode(request.cookies.get(NAME_COOKIE, "")).decode()
        except ValueError:
            return ""
        return name if name.isprintable() else ""

    def forget(self, response: Response) -> None:
        """Log out."""
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=self.rules.secure)

    def _set(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(
            name, value, max_age=SESSION_S, path="/", httponly=True, samesite="strict", secure=self.rules.secure
        )

    def _new(self, user: str) -> Session:
        number = secrets.token_urlsafe(16)
        until = int(self._clock()) + SESSION_S
        body = f"{base64.urlsafe_b64encode(user.encode()).decode()}.{until}.{number}"
        return Session(user, number, self._csrf(number), fresh=f"{body}.{self._sign(body)}")

    def _read(self, cookie: str) -> Session | None:
        body, _, signature = cookie.rpartition(".")
        if not body or not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return None
        user, until, number = body.split(".")
        if int(until) < self._clock():
            return None
        return Session(base64.urlsafe_b64decode(user).decode(), number, self._csrf(number))

    def _csrf(self, number: str) -> str:
        return self._sign(f"form {number}")

    def _sign(self, text: str) -> str:
        return hmac.new(self.rules.key, text.encode(), hashlib.sha256).hexdigest()
