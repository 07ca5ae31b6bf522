"""Pages: each makes of the store and the board what its template shows."""

from desk.pages.alarms import alarm_page, alarms_page
from desk.pages.dead_letters import dead_letters_page
from desk.pages.machine import machine_page
from desk.pages.overview import overview_page
from desk.pages.page import MakePage, NotThere, Page, Params
from desk.pages.performance import performance_page
from desk.pages.runbook import runbook_page
from desk.pages.shift import shift_page

PAGES: dict[str, MakePage] = {
    "/": overview_page,
    "/machine": machine_page,
    "/alarms": alarms_page,
    "/alarm": alarm_page,
    "/shift": shift_page,
    "/performance": performance_page,
    "/dead-letters": dead_letters_page,
    "/runbook": runbook_page,
}
"""By path; every one can be open live."""

__all__ = ["PAGES", "MakePage", "NotThere", "Page", "Params"]
