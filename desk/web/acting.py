"""Acting: an operator's action of what a form says."""

from collections.abc import Mapping

from sheetbreak.cli.act import rows_clock
from sheetbreak.errors import DataError
from sheetbreak.times import parse_duration
from sheetbreak.wire.actions import Action, make_action

FIELDS = ("alert_id", "sensor", "verdict", "cause", "comment")


class FormError(DataError):
    """The form cannot become an action; the message says what to change."""


def action_of(form: Mapping[str, str], *, by: str, row_us: int | None, now_us: int) -> Action:
    """The action of a form, on the clock of the machine's rows. Raises DataError."""
    machine = form.get("machine", "")
    if row_us is None:
        raise FormError(f"no row of a machine {machine!r} has come, so that there is no time to act at")
    if not by:
        raise FormError("who are you? Write your name into the form; it is kept with the action")
    time_us = rows_clock(now_us, row_us)
    lasting = form.get("for", "")
    until_us = time_us + _lasting_us(lasting) if lasting else None
    given = {name: form.get(name) or None for name in FIELDS}
    return make_action(machine, form.get("action", ""), time_us=time_us, by=by, until_us=until_us, **given)


def _lasting_us(text: str) -> int:
    try:
        return round(parse_duration(text) * 1e6)
    except ValueError as error:
        raise FormError(str(error)) from error
