"""Passwords: a file of names and salted hashes, one line a user; by scrypt, which makes guessing slow."""

import base64
import hashlib
import hmac
import os
import re
from pathlib import Path

from sheetbreak.errors import DataError

_N, _R, _P = 2**14, 8, 1
"""16 MB and some 50 ms a guess."""
_MAXMEM = 64 * 1024 * 1024
_MIN_CHARS = 8
_LINE = re.compile(r"(?P<name>[^:\s][^:]*):scrypt\$(?P<salt>[\w+/=]+)\$(?P<hash>[\w+/=]+)")
_NAME_CHARS = 64


def read_users(path: Path) -> dict[str, str]:
    """Hashes by name. Raises DataError for a file that cannot be read, or a line that is none of ours."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise DataError(f"--users {path}: {cause}; make it with --add-user NAME") from cause
    users = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise DataError(f"{path} line {number}: expected NAME:scrypt$SALT$HASH; add users with --add-user NAME")
        users[found["name"]] = f"{found['salt']}${found['hash']}"
    if not users:
        raise DataError(f"--users {path}: nobody is in it; add one with --add-user NAME")
    return users


def add_user(path: Path, name: str, password: str) -> None:
    """Add a user, or change the password of one. Raises DataError for a name or password that will not do."""
    if not name.isprintable() or ":" in name or not 0 < len(name.strip()) <= _NAME_CHARS or name.startswith("#"):
        raise DataError(f"--add-user {name!r}: expected a name of at most {_NAME_CHARS} characters without a colon")
    if len(password) < _MIN_CHARS:
        raise DataError(f"the password has {len(password)} characters; expected at least {_MIN_CHARS}")
    name = name.strip()
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if not line.startswith(f"{name}:")]
    salt = os.urandom(16)
    line = f"{name}:scrypt${_text(salt)}${_text(_hash(password, salt))}"
    try:
        fresh = path.with_name(path.name + ".new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write("\n".join([*kept, line]) + "\n")
        fresh.replace(path)
    except OSError as cause:
        raise DataError(f"--users {path}: {cause.strerror}; name a file that can be written") from cause


def is_right(stored: str | None, password: str) -> bool:
    """Whether it is the password; as slow for a user who is not there."""
    salt, _, wanted = (stored or f"{_text(b'0' * 16)}$").partition("$")
    given = _hash(password, base64.b64decode(salt))
    return hmac.compare_digest(_text(given), wanted) and stored is not None


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=_MAXMEM, dklen=32)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
