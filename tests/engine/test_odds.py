"""Odds of a warning: counted as one would by hand, wherever a batch ends."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.engine.admission import BROKE, GAP, REST, RUN, Step
from sheetbreak.engine.alerts import Told
from sheetbreak.engine.odds import REMEMBERED, Odds, Raised, judged, learn, precision, told_with
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
) -> tuple[dict[int, bool], int, int]:
    """Outcomes by place in their order, scored rows and rows ahead of a break: each held against every break."""
    rows = [
        (at, place)
        for at, ((place, what, _), now) in enumerate(zip(steps, level, strict=True))
        if what == RUN and now == now
    ]
    breaks = [at for at, (_, what, _) in enumerate(steps) if what == BROKE]
    outcomes, ahead = list[tuple[int, int, bool]](), 0
    for number, (at, place) in enumerate(rows):
        coming = next((one for one in breaks if one > at), None)
        between = sum(coming is None or other < coming for other, _ in rows[number + 1 :])
        soon = coming is not None and between < JUDGED_ROWS
        ahead += soon
        if place in opened and labelled[place]:
            if soon:
                assert coming is not None
                outcomes.append((coming, place, True))
            elif between >= JUDGED_ROWS:
                outcomes.append((rows[number + JUDGED_ROWS][0], place, False))
    return (
        {place: true for _, place, true in sorted(outcomes)},
        sum(labelled[place] for _, place in rows),
        ahead,
    )


def ids_of(opened: dict[int, bool]) -> dict[int, str]:
    return {place: f"at-{place}" if opens else "" for place, opens in opened.items()}


def labels_of(labelled: list[bool]) -> list[int]:
    return [INTACT if known else UNKNOWN for known in labelled]


@given(histories())
def test_odds_are_what_counting_by_hand_gives(
    drawn: tuple[list[Step], list[float], dict[int, bool], list[bool]],
) -> None:
    steps, level, opened, labelled = drawn
    odds, told, _ = learn(Odds(), steps, level, events=ids_of(opened), labels=labels_of(labelled))
    outcomes, scored, ahead = counted(steps, level, opened, labelled)
    assert list(odds.outcomes) == list(outcomes.values())[-REMEMBERED:]
    assert (odds.scored, odds.ahead) == (scored, ahead)
    assert told.keys() == opened.keys()


@given(histories(), st.lists(st.integers(0, 150), max_size=4))
def test_where_a_batch_ends_changes_nothing(
    drawn: tuple[list[Step], list[float], dict[int, bool], list[bool]], cuts: list[int]
) -> None:
    steps, level, opened, labelled = drawn
    whole = learn(Odds(), steps, level, events=ids_of(opened), labels=labels_of(labelled))
    odds, told = Odds(), dict[int, Told | None]()
    raised: tuple[Raised, ...] = ()
    edges = [0, *sorted(min(cut, len(steps)) for cut in cuts), len(steps)]
    for first, last in itertools.pairwise(edges):
        part = steps[first:last], level[first:last]
        odds, some, raised = learn(odds, *part, raised=raised, events=ids_of(opened), labels=labels_of(labelled))
        told |= some
    assert (odds, told, raised) == whole


@given(histories(), st.dictionaries(st.integers(0, 150), st.sampled_from([True, False, None])))
def test_an_operators_verdict_counts_for_what_followed(
    drawn: tuple[list[Step], list[float], dict[int, bool], list[bool]], verdicts: dict[int, bool | None]
) -> None:
    steps, level, opened, labelled = drawn
    odds, _, raised = learn(Odds(), steps, level, events=ids_of(opened), labels=labels_of(labelled))
    assert told_with(odds, raised) == odds.told  # not a word more than without operators
    for place, right in verdicts.items():
        raised = judged(raised, f"at-{place}", right=right)
    outcomes, scored, ahead = counted(steps, level, opened, labelled)
    last = list(opened)[-REMEMBERED:]
    said = {place: right for place in last if (right := verdicts.get(place)) is not None}
    assert precision(raised) == (sum(said.values()) / len(said) if said else None)
    known = [place for place in opened if place in said or place in outcomes][-REMEMBERED:]
    told = told_with(odds, raised)
    if not said or not scored:
        assert told == odds.told
        return
    hits = sum((outcomes | said)[place] for place in known)
    assert told == Told(hits, len(known), min(ahead / scored, 1.0), sum(place in said for place in known))


def test_what_is_said_names_hits_and_chance() -> None:
    told = Odds(outcomes=(True, False, True, False), scored=800, ahead=100).told
    assert told is not None
    assert told.words == ("2 of the last 4 warnings were followed by a break within the hour; otherwise 1 hour in 8")
    assert Odds().told is None
    assert told._replace(judged=3).words == (
        "2 of the last 4 warnings were right (3 judged by operators, the others by a break within the hour); "
        "otherwise 1 hour in 8"
    )
