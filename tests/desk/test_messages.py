"""Messages of the desk's topics: one that says what no monitor says is refused, and nothing of it reaches a page."""

from typing import Any

import pytest

from desk.messages import Score, decode
from tests.support.programs.desk_rig import alert, score


@pytest.mark.parametrize("time", ["0001-06-01T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("field", ["time", "opened_at", "shelved_until"])
def test_a_time_that_no_clock_can_show_is_refused(field: str, time: str) -> None:
    """No page could be drawn any more of whoever has it."""
    changed: Any = {field: time}
    with pytest.raises(ValueError, match="expected a year from 2 to 9998"):
        decode(alert(1, **changed))
    if field == "time":
        with pytest.raises(ValueError, match="expected a year from 2 to 9998"):
            decode(score(1, time=time))


def test_a_monitors_own_times_are_taken() -> None:
    assert isinstance(decode(score(1, time="9998-12-31T23:59:59Z")), Score)
