"""--alert: the knobs of the alert policy by name, refused where they make no sense."""

from dataclasses import fields

import msgspec
import pytest

from sheetbreak.bounds import MOST_ROWS
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.errors import DataError
from trainer.commands.parts.alert_options import KNOBS, alert_policy


def test_every_knob_of_the_policy_can_be_set_and_keeps_its_kind() -> None:
    assert set(KNOBS) == {field.name for field in fields(AlertPolicy)}
    for name in KNOBS:
        policy = alert_policy([f"{name}=1"])
        assert getattr(policy, name) == 1
        assert type(getattr(policy, name)) is type(getattr(AlertPolicy(), name))


def test_a_manifest_takes_every_policy_that_the_option_gives_up_to_its_last_bound() -> None:
    most = alert_policy(
        [f"open_after={MOST_ROWS}", f"restart_rows={MOST_ROWS}", "close_ratio=1", "critical_ratio=1e300"]
    )
    assert msgspec.json.decode(msgspec.json.encode(most), type=AlertPolicy) == most


def test_several_knobs_add_up_and_the_last_word_counts() -> None:
    found = alert_policy(["open_after=2", "close_ratio=.9", "open_after=3"])
    assert found == AlertPolicy(open_after=3, close_ratio=0.9)
    assert alert_policy([]) == AlertPolicy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("open=2", "the knobs are open_after=N, "), ("=2", "the knobs are"), ("open_after", "whole number from 1"),
        ("open_after=0", "after open_after= stands a whole number from 1 to 1,000,000"), ("open_after=1.5", "from 1"),
        ("open_after=1000001", "to 1,000,000"), ("rearm_rows=-1", "from 0"), ("rearm_rows=inf", "a whole number"),
        ("rearm_rows=nan", "a whole number"), ("close_ratio=0", "a number above 0 and up to 1"),
        ("close_ratio=1.1", "up to 1"), ("critical_ratio=.9", "≥ 1"), ("critical_ratio=many", "a number ≥ 1"),
    ],
)  # fmt: skip
def test_what_is_no_knob_or_out_of_range_is_refused_with_what_is_expected(text: str, message: str) -> None:
    with pytest.raises(DataError, match=f'--alert "{text}".*{message}'):
        alert_policy([text])
