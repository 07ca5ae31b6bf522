"""Rules of access: open on loopback, else a token, users with passwords, or the header of a proxy in front."""

import hashlib
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from desk.access.passwords import read_users
from sheetbreak.errors import DataError

TOKEN = "SHEETBREAK_DESK_TOKEN"  # noqa: S105 - the variable's name
_MIN_TOKEN = 16
Mode = Literal["open", "token", "users", "proxy"]


@dataclass(frozen=True, slots=True)
class Rules:
    """How a request is let in."""

    mode: Mode
    key: bytes = field(repr=False)
    """Signs sessions; the same on several desks, and after a restart, with the same token or users."""
    hosts: frozenset[str]
    """Names by which an open desk answers; empty: any. Else a page elsewhere could reach it under a name of its own."""
    token: str = field(default="", repr=False)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy_header: str = ""
    public_origin: str = ""
    """https://desk.mill.example, where a proxy stands in front."""

    @property
    def secure(self) -> bool:
        """Whether browsers are to send the session over TLS alone."""
        return self.public_origin.startswith("https://")


def rules_from(
    host: str,
    *,
    published: bool = False,
    users: Path | None,
    proxy_header: str | None,
    public_url: str | None,
    environment: Mapping[str, str],
) -> Rules:
    """The rules that options and environment give.

    published: whether a stack publishes the desk there, where it is no option. Raises DataError where two of them
    contradict each other, or an address that others reach would be open.
    """
    origin = origin_of(public_url)
    token = _token(environment)
    given = [name for name, there in ((TOKEN, token), ("--users", users), ("--proxy-header", proxy_header)) if there]
    if len(given) > 1:
        raise DataError(f"{given[0]} and {given[1]} are two ways in; give one of them")
    if token:
        return Rules("token", _key(b"token", token.encode()), frozenset(), token=token, public_origin=origin)
    if users is not None:
        found = read_users(users)
        key = _key(b"users", users.read_bytes())
        return Rules("users", key, frozenset(), users=found, public_origin=origin)
    if proxy_header:
        return Rules(
            "proxy", secrets.token_bytes(32), frozenset(), proxy_header=proxy_header.lower(), public_origin=origin
        )
    if not is_loopback(host):
        text = "is reached by others, and the desk would be open to all of them: set"
        if published:
            raise DataError(f"BIND_ADDRESS {host} {text} DESK_TOKEN in .env too")
        raise DataError(
            f"--host {host} {text} {TOKEN} (or {TOKEN}_FILE), or give --users FILE, or --proxy-header NAME where a "
            "proxy asks for the password"
        )
    names = {"localhost", "127.0.0.1", "::1", host, urlsplit(origin).hostname or "localhost"}
    return Rules("open", secrets.token_bytes(32), frozenset(names), public_origin=origin)


def is_loopback(host: str) -> bool:
    """Whether only this computer reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin_of(public_url: str | None) -> str:
    """Scheme and host of --public-url, as browsers say it; empty where there is none. Raises DataError."""
    if not public_url:
        return ""
    parts = urlsplit(public_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.path not in ("", "/"):
        raise DataError(f"--public-url {public_url}: expected http://host:port or https://host, without a path")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _token(environment: Mapping[str, str]) -> str:
    token = environment.get(TOKEN, "").strip()
    file = environment.get(f"{TOKEN}_FILE", "").strip()
    if file and not token:
        try:
            token = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as cause:
            raise DataError(f"{TOKEN}_FILE: {file} cannot be read; name a file that holds the token") from cause
        if not token:
            raise DataError(f"{TOKEN}_FILE: {file} is empty; expected the token in it")
    if token and len(token) < _MIN_TOKEN:
        raise DataError(
            f"{TOKEN} has {len(token)} characters, which can be guessed; expected at least {_MIN_TOKEN}, such as "
            "openssl rand -hex 16 prints"
        )
    return token


def _key(kind: bytes, secret: bytes) -> bytes:
    return hashlib.sha256(b"sheetbreak desk " + kind + b" " + secret).digest()
