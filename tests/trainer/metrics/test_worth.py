"""Worth of a policy, in a sentence and in four amounts: its counts, as they are said."""

import pytest

from trainer.metrics.worth import Costs, Worth


@pytest.mark.parametrize(
    ("false_alarms", "said"),
    [(0, "0 false alarms"), (4, ".5 false alarms"), (11, "1 false alarm"), (16, "2 false alarms")],
)
def test_false_alarms_a_warned_break_are_counted_in_words_that_agree(false_alarms: int, said: str) -> None:
    worth = Worth(breaks=27, warned=8, by_chance=2.5, alarms=19, false_alarms=false_alarms, costs=Costs())
    assert f"{false_alarms} of 19 alarms false: about {said} a warned break; worth " in worth.sentence


def test_what_it_would_have_cost_and_saved_is_four_amounts_that_add_up() -> None:
    worth = Worth(breaks=11, warned=10, by_chance=3.2, alarms=18, false_alarms=7, costs=Costs())
    assert [tuple(one) for one in worth.account] == [
        ("It would have cost", "2,700", "18 alarms at 150 each, 7 of them false"),
        ("and saved at most", "100,000", "10 of 11 breaks warned of, at 10,000 each"),
        ("of which luck", "32,000", "3.2 breaks, as alarms at random times would have met"),
        ("worth beyond luck", "+65,300", "what it saved at most, less luck and cost"),
    ]
    none = Worth(breaks=11, warned=0, by_chance=0, alarms=0, false_alarms=0, costs=Costs(0, 0))
    assert [one.amount for one in none.account] == ["0", "0", "0", "+0"]
    free = Worth(breaks=11, warned=1, by_chance=0.2, alarms=18, false_alarms=7, costs=Costs(of_alarm=0))
    assert "worth +0 if no warning helps to +10,000 if every one does" in free.sentence
