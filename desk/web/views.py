"""Views: pages as HTML; every text is escaped, whoever wrote it."""

from functools import cache
from typing import Any

import jinja2

from desk.clock import PlantClock
from desk.pages import PAGES, Page, Params
from desk.service import Desk
from desk.web.live import Rendered
from sheetbreak.times import duration
from sheetbreak.wire.actions import KINDS

_SYMBOLS = {
    "quiet": "●",
    "WARNING": "▲",
    "restarting": "◑",
    "warming up": "◔",
    "stopped": "■",
    "no rows": "○",
    "not watched": "✕",
}


@cache
def _environment() -> jinja2.Environment:
    """Templates, compiled once a process."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("desk"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        when=_when,
        hour=_hour,
        lasting=lambda us: duration(us / 1e6) if us >= 1_000_000 else "now",
        number=_number,
        css=lambda state: str(state).lower().replace(" ", "-"),
        symbol=_SYMBOLS.get,
    )
    return environment


class Views:
    """Fills the templates. placeholder: stands where a form's token goes; version: of the static files."""

    def __init__(self, desk: Desk, *, placeholder: str, version: str) -> None:
        self._desk = desk
        self._common: dict[str, Any] = {"csrf": placeholder, "version": version, "desk": desk, "clock": desk.clock}

    def _make(self, path: str, params: Params) -> tuple[jinja2.Template, Page, dict[str, Any]]:
        page = PAGES[path](self._desk, params)
        own = {"title": page.title, "path": path, "status": self._desk.status, "who": "", "fixed": False}
        own["sent"] = params.get("sent", "") if params.get("sent", "") in KINDS else ""
        return _environment().get_template(page.template), page, self._common | page.fill | own

    def live(self, path: str, params: Params) -> Rendered:
        """The part of a page that changes. Raises NotThere."""
        template, page, fill = self._make(path, params)
        html = "".join(template.blocks["live"](template.new_context(fill)))
        return Rendered(html, page.title)

    def whole(self, path: str, params: Params, *, who: str, fixed: bool) -> str:
        """A page. who: acts; fixed: that is known, and not asked for. Raises NotThere."""
        template, _, fill = self._make(path, params)
        return template.render(fill | {"who": who, "fixed": fixed})

    def login(self, mode: str, target: str, problem: str) -> str:
        """The form that asks for a token, or for a name and a password."""
        own = {"sent": "", "mode": mode, "target": target, "problem": problem, "title": "log in", "path": ""}
        return _environment().get_template("login.html").render(self._common | own)

    def problem(self, title: str, text: str) -> str:
        """A page that says why something was not done."""
        own = {"sent": "", "title": title, "text": text, "path": ""}
        return _environment().get_template("problem.html").render(self._common | own)


@jinja2.pass_context
def _when(context: jinja2.runtime.Context, time_us: int) -> str:
    clock: PlantClock = context["clock"]
    return clock.date_and_time(time_us)


@jinja2.pass_context
def _hour(context: jinja2.runtime.Context, time_us: int) -> str:
    clock: PlantClock = context["clock"]
    return clock.hour(time_us)


def _number(value: float | None) -> str:
    """Four digits, or a dash."""
    return "–" if value is None else f"{value:.4g}"
