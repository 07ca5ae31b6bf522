"""--alert: the knobs of the alert policy by name, refused where they make no sense."""

from dataclasses import fields

import pytest

from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.errors import DataError
from trainer.commands.parts.alert_options import KNOBS, alert_policy


def test_every_knob_of_the_policy_can_be_set_and_keeps_its_kind() -> None:
    assert set(KNOBS) == {field.name for field in fields(AlertPolicy)}
    for name in KNOBS:
        policy = alert_policy([f"{name}=1"])
        assert getattr(policy, name) == 1
        assert type(getattr(policy, name)) is type(getattr(AlertPolicy(), name))


def test_several_knobs_add_up_and_the_last_word_counts() -> None:
    found = alert_policy(["open_after=2", "close_ratio=.9", "open_after=3"])
    assert found == AlertPolicy(open_after=3, close_ratio=0.9)
    assert alert_policy([]) == AlertPolicy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("open=2", "the knobs are open_after=N, "), ("=2", "the knobs are"), ("open_after", "rows, 1 or more"),
        ("open_after=0", "1 or more"), ("open_after=1.5", "1 or more"), ("rearm_rows=-1", "0 or more"),
        ("rearm_rows=inf", "a number of rows"), ("rearm_rows=nan", "a number of rows"), ("close_ratio=0", "up to 1"),
        ("close_ratio=1.1", "up to 1"), ("critical_ratio=.9", "at least 1"), ("critical_ratio=many", "at least 1"),
    ],
)  # fmt: skip
def test_what_is_no_knob_or_out_of_range_is_refused_with_what_is_expected(text: str, message: str) -> None:
    with pytest.raises(DataError, match=f'--alert "{text}".*{message}'):
        alert_policy([text])
