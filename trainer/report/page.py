"""Page of a report: sections of tables and plots as one HTML file that asks the network for nothing."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from trainer.metrics.worth import Worth
from trainer.report.shell import SCRIPT, STYLE
from trainer.report.style import Trace, clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the views that a plot's selector offers."""

    name: str
    traces: Sequence[Mapping[str, Any]]
    """What differs from the plot's own traces, trace by trace."""
    layout: Mapping[str, Any] = field(default_factory=dict)
    """What differs from its layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One plot with its words. Text within traces and layout is escaped already (style.label)."""

    id: str
    """Letters and dashes; unique on the page."""
    title: str
    says: str
    """One sentence: what it shows, and what would be good or bad."""
    traces: Sequence[Trace]
    layout: Mapping[str, Any]
    choices: Sequence[Choice] = ()
    """The views of a selector; the first one is shown. Empty: no selector."""
    asks: str = ""
    """What the selector chooses."""
    wide: bool = False
    """Across both columns of a desktop."""
    tall: float = 320
    """Pixels."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of a table; a phone shows the column's head above it."""

    text: str
    beside: str = ""
    """Smaller, under it: chance, an interval."""
    value: float | None = None
    """The figure unrounded, for whoever reads the page by program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Figures in lines, each with a name in words."""

    title: str
    says: str
    heads: Sequence[str]
    lines: Sequence[tuple[str, Sequence[Cell]]]
    folded: str = ""
    """What a reader opens to see the lines; empty: they are seen at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Tables and plots under a heading."""

    title: str
    parts: Sequence[Table | Plot]
    note: str = ""
    """Also what is missing and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A whole report; every text is plain and escaped as it is written."""

    title: str
    facts: Sequence[str]
    """What it was made from, a line each."""
    sections: Sequence[Section]
    worth: Worth | None = None
    """For who reads nothing else."""


def render_page(page: Page) -> str:
    """The page as HTML, about 5 MB: plotly.js is in it."""
    from plotly.offline import get_plotlyjs

    library = get_plotlyjs().replace("</script", "<\\/script")
    plots = [part for section in page.sections for part in section.parts if isinstance(part, Plot)]
    # Only these two scripts may run, whatever a name in the user's file has smuggled into the page.
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in (library, SCRIPT))
    policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{_html(page.title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            f"<header><h1>{_html(page.title)}</h1>",
            _worth(page.worth) if page.worth else "",
            *(f"<p>{_html(fact)}</p>" for fact in page.facts),
            "<noscript><p>The plots need JavaScript; the tables do not.</p></noscript></header>",
            "<main>",
            *(_section(section) for section in page.sections),
            "</main>",
            f'<script type="application/json" id="plots">{_script_json([_plot_data(plot) for plot in plots])}</script>',
            f"<script>{library}</script>",
            f"<script>{SCRIPT}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _worth(worth: Worth) -> str:
    amounts = "".join(
        f"<div><dt>{_html(what)}</dt><dd>{_html(amount)}<small>{_html(why)}</small></dd></div>"
        for what, amount, why in worth.account
    )
    return f'<p class="worth">{_html(worth.sentence)}</p><dl class="account">{amounts}</dl>'


def _section(section: Section) -> str:
    note = f'<p class="note">{_html(section.note)}</p>' if section.note else ""
    parts = [_table(part) if isinstance(part, Table) else _figure(part) for part in section.parts]
    return f'<section><h2>{_html(section.title)}</h2>{note}<div class="parts">{"".join(parts)}</div></section>'


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col">{_html(head)}</th>' for head in table.heads)
    body = "".join(
        f'<tr><th scope="row">{_html(name)}</th>'
        + "".join(_cell(cell, head) for cell, head in zip(cells, table.heads[1:], strict=True))
        + "</tr>"
        for name, cells in table.lines
    )
    lines = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    if table.folded:
        lines = f"<details><summary>{_html(table.folded)}</summary>{lines}</details>"
    return f'<div class="card wide"><h3>{_html(table.title)}</h3><p>{_html(table.says)}</p>{lines}</div>'


def _cell(cell: Cell, head: str) -> str:
    value = "" if cell.value is None else f' data-value="{cell.value!r}"'
    beside = f"<small>{_html(cell.beside)}</small>" if cell.beside else ""
    return f'<td data-head="{_html(head)}"{value}>{_html(cell.text)}{beside}</td>'


def _figure(plot: Plot) -> str:
    chooser = ""
    if plot.choices:
        options = "".join(f'<option value="{i}">{_html(choice.name)}</option>' for i, choice in enumerate(plot.choices))
        chooser = (
            f'<div class="choose"><label for="{plot.id}-choice">{_html(plot.asks)}</label>'
            f'<select id="{plot.id}-choice" data-plot="{plot.id}">{options}</select>'
            f'<button type="button" data-plot="{plot.id}" data-step="-1" aria-label="the one before">◀</button>'
            f'<button type="button" data-plot="{plot.id}" data-step="1" aria-label="the next one">▶</button></div>'
        )
    return (
        f'<figure class="card{" wide" if plot.wide else ""}"><h3>{_html(plot.title)}</h3>'
        f'<figcaption id="{plot.id}-says">{_html(plot.says)}</figcaption>{chooser}'
        f'<div class="plot" id="{plot.id}" role="img" aria-label="{_html(plot.title)}" '
        f'aria-describedby="{plot.id}-says" style="--tall:{plot.tall:.0f}px;--names:{_names(plot)}"></div></figure>'
    )


def _names(plot: Plot) -> int:
    """Names in the legend beyond those that there is always room for: on a phone each has a line of its own."""
    return max(sum("name" in trace and trace.get("showlegend", True) for trace in plot.traces) - 4, 0)


def _plot_data(plot: Plot) -> dict[str, Any]:
    choices = [{"traces": choice.traces, "layout": choice.layout} for choice in plot.choices]
    return {"id": plot.id, "traces": plot.traces, "layout": plot.layout, "choices": choices}


def _script_json(value: Any) -> str:
    """JSON that a script element may hold: no character that HTML could read."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _html(text: str) -> str:
    return escape(clean(text), quote=True)


def _digest(script: str) -> str:
    """As a Content-Security-Policy names a script; what a browser reads has no carriage returns."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
