"""Runbook: what to do when an alert fires. Links in messages lead to its headings; the text is docs/operating.md's."""

from desk.pages.page import Page, Params
from desk.service import Desk


def runbook_page(_desk: Desk, _params: Params) -> Page:
    """The same for everybody, whatever the machines do."""
    return Page("runbook.html", title="when an alert fires")
