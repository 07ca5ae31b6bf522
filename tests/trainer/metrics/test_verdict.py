"""The verdict's sentence: its counts, as they are said."""

import pytest

from trainer.metrics.verdict import Costs, Verdict


@pytest.mark.parametrize(
    ("false_alarms", "said"),
    [(0, "0 false alarms"), (4, ".5 false alarms"), (11, "1 false alarm"), (16, "2 false alarms")],
)
def test_false_alarms_a_warned_break_are_counted_in_words_that_agree(false_alarms: int, said: str) -> None:
    verdict = Verdict(breaks=27, warned=8, by_chance=2.5, alarms=19, false_alarms=false_alarms, costs=Costs())
    assert f"{false_alarms} of 19 alarms false: about {said} a warned break; worth " in verdict.sentence
