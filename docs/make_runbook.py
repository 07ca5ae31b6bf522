"""Runbook of the desk, made of the part of docs/operating.md that says what to do when an alert fires.

python docs/make_runbook.py      writes desk/templates/runbook_text.html; a test holds it against the page
"""

import re
from pathlib import Path

from markdown_it import MarkdownIt

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "desk" / "templates" / "runbook_text.html"
_HEADING = "## When an alert fires\n"


def runbook() -> str:
    """A template without a variable. Each heading has the anchor by which links in messages name it."""
    after = (HERE / "operating.md").read_text(encoding="utf-8").split(_HEADING, 1)[1]
    html: str = MarkdownIt("commonmark").render(re.split(r"(?m)^## ", after)[0])
    html = re.sub(r"<h3>(.+?)</h3>", lambda found: f'<h2 id="{found[1].lower()}">{found[1]}</h2>', html)
    html = html.replace("<pre>", '<pre tabindex="0">')  # long lines are scrolled to, with the keyboard too
    return f"{{# Made by docs/make_runbook.py of docs/operating.md. #}}{{% raw %}}\n{html}{{% endraw %}}\n"


if __name__ == "__main__":
    OUT.write_text(runbook(), encoding="utf-8")
