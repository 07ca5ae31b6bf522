"""Odds of a warning: counted as one would by hand, wherever a batch ends."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.engine.admission import BROKE, GAP, REST, RUN, Step
from sheetbreak.engine.alerts import Told
from sheetbreak.engine.odds import REMEMBERED, Odds, learn
from sheetbreak.engine.thresholds import JUDGED_ROWS
from sheetbreak.rows import INTACT, UNKNOWN

NONE = float("nan")


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Step], list[float], dict[int, bool], list[bool]]:
    """Steps, levels, places where warnings open, labels."""
    steps, level, opened, labelled = list[Step](), list[float](), dict[int, bool](), list[bool]()
    for place in range(draw(st.integers(0, 150))):
        if (before := draw(st.sampled_from([None] * 20 + [BROKE, GAP]))) is not None:
            steps.append((place, before, 0))
            level.append(NONE)
        what = REST if before == BROKE else RUN
        steps.append((place, what, 0))
        level.append(1.0 if what == RUN and draw(st.integers(0, 9)) else NONE)
        if level[-1] == level[-1] and not draw(st.integers(0, 5)):
            opened[place] = True
        labelled.append(before == BROKE or draw(st.integers(0, 9)) > 0)
    return steps, level, opened, labelled


def counted(
    steps: list[Step], level: list[float], opened: dict[int, bool], labelled: list[bool]
) -> tuple[list[bool], int, int]:
    """Outcomes, scored rows and rows ahead of a break, each row and warning held against every break."""
    rows = [
        (at, place)
        for at, ((place, what, _), now) in enumerate(zip(steps, level, strict=True))
        if what == RUN and now == now
    ]
    breaks = [at for at, (_, what, _) in enumerate(steps) if what == BROKE]
    outcomes, ahead = list[tuple[int, bool]](), 0
    for number, (at, place) in enumerate(rows):
        coming = next((one for one in breaks if one > at), None)
        between = sum(coming is None or other < coming for other, _ in rows[number + 1 :])
        soon = coming is not None and between < JUDGED_ROWS
        ahead += soon
        if place in opened and labelled[place]:
            if soon:
                assert coming is not None
                outcomes.append((coming, True))
            elif between >= JUDGED_ROWS:
                outcomes.append((rows[number + JUDGED_ROWS][0], False))
    return (
        [true for _, true in sorted(outcomes, key=lambda one: one[0])],
        sum(labelled[place] for _, place in rows),
        ahead,
    )


def labels_of(labelled: list[bool]) -> list[int]:
    return [INTACT if known else UNKNOWN for known in labelled]


@given(histories())
def test_odds_are_what_counting_by_hand_gives(
    drawn: tuple[list[Step], list[float], dict[int, bool], list[bool]],
) -> None:
    steps, level, opened, labelled = drawn
    odds, told = learn(Odds(), steps, level, events=opened, labels=labels_of(labelled))
    outcomes, scored, ahead = counted(steps, level, opened, labelled)
    assert list(odds.outcomes) == outcomes[-REMEMBERED:]
    assert (odds.scored, odds.ahead) == (scored, ahead)
    assert told.keys() == opened.keys()


@given(histories(), st.lists(st.integers(0, 150), max_size=4))
def test_where_a_batch_ends_changes_nothing(
    drawn: tuple[list[Step], list[float], dict[int, bool], list[bool]], cuts: list[int]
) -> None:
    steps, level, opened, labelled = drawn
    whole = learn(Odds(), steps, level, events=opened, labels=labels_of(labelled))
    odds, told = Odds(), dict[int, Told | None]()
    edges = [0, *sorted(min(cut, len(steps)) for cut in cuts), len(steps)]
    for first, last in itertools.pairwise(edges):
        part = steps[first:last], level[first:last]
        odds, some = learn(odds, *part, events=opened, labels=labels_of(labelled))
        told |= some
    assert (odds, told) == whole


def test_what_is_said_names_hits_and_chance() -> None:
    told = Odds(outcomes=(True, False, True, False), scored=800, ahead=100).told
    assert told is not None
    assert told.words == ("2 of the last 4 warnings were followed by a break within the hour; otherwise 1 hour in 8")
    assert Odds().told is None
