"""Alertmanager's API, version 2: alerts posted, silences listed, made and ended."""

import json
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from sheetbreak.errors import DataError

_TIMEOUT_S = 10.0


class Alertmanager:
    """One of them, by its address. Methods raise OSError where it is away or refuses, ValueError for no such answer.

    Raises DataError for an address that is none.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DataError(f"--alertmanager {url}: expected http://host:9093")
        self.url = url.rstrip("/") + "/api/v2"

    def post_alerts(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """All of them; one posted again is the same one."""
        self._ask("POST", "/alerts", alerts)

    def silences(self, *, alertname: str) -> list[dict[str, Any]]:
        """Those that match alerts of a name, ended ones too for some days."""
        matcher = quote(f'alertname="{alertname}"')
        found = self._ask("GET", f"/silences?filter={matcher}")
        return [dict(one) for one in found]

    def silence(self, silence: Mapping[str, Any]) -> None:
        """Make one."""
        self._ask("POST", "/silences", silence)

    def end_silence(self, silence_id: str) -> None:
        """End one now."""
        self._ask("DELETE", f"/silence/{quote(silence_id, safe='')}")

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - http or https: looked at above
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            content = answer.read()
        return json.loads(content) if content.strip() else None
