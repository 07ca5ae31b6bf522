"""A level steered to a rate of false alarms: the formula, whatever the batches, and the rate on mills that change."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.engine.admission import BROKE, GAP, REST, RUN, Step
from sheetbreak.engine.alerts import AlertPolicy, AlertState, Cause
from sheetbreak.engine.decision import Decided, Explain, Rules, decide
from sheetbreak.engine.odds import UNKNOWN_ODDS
from sheetbreak.engine.scores import TopSensor
from sheetbreak.engine.thresholds import JUDGED_ROWS, Rate, Steering, Threshold, Trailing, begin_steering
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, RowBatch

ROWS_PER_DAY = 720.0
POLICY = AlertPolicy()


EXPLAIN = Explain(lambda _: Cause((TopSensor("x1", 1.0, 0.0, 0.0),)), lambda _: "x1")


def steered(per_day: float = 5.0, *, trailing_rows: int = 1440, min_rows: int = 240) -> Threshold:
    rate = Rate(per_day, ROWS_PER_DAY)
    return Threshold(
        9.0, f"rate:{per_day:g}", 1 - rate.share, rate=rate, trailing_rows=trailing_rows, min_rows=min_rows
    )


def history(scores: Sequence[float | None], labels: Sequence[int], gaps: frozenset[int] = frozenset()) -> list[Step]:
    """Steps as admission makes them: a break ends a run before its row, whose row is not scored; a gap likewise."""
    steps, since, broken = list[Step](), 1000, False
    for place, label in enumerate(labels):
        if place in gaps:
            steps.append((place, GAP, since))
            since = 0
        if label == BROKEN and not broken:
            steps.append((place, BROKE, since))
        broken = label == BROKEN
        steps.append((place, REST if broken else RUN, since))
        since = 0 if broken else since + 1
    return steps


def rows_of(labels: Sequence[int]) -> RowBatch:
    n = len(labels)
    return RowBatch(["pm1"] * n, np.arange(n) * 120_000_000, np.zeros((n, 1)), [None] * n, np.array(labels, np.int8))


def run(
    steps: Sequence[Step],
    scores: Sequence[float | None],
    labels: Sequence[int],
    threshold: Threshold,
    *,
    cuts: Sequence[int] = (),
) -> list[Decided]:
    """The decisions over a history that is cut before those of its steps."""
    rules = Rules(threshold, POLICY, break_ends_run=True, foretells=True, version="v")
    trailing, alert, grade, steering = (
        Trailing(threshold.trailing_rows),
        AlertState(),
        None,
        begin_steering(threshold),
    )
    found, odds = [], UNKNOWN_ODDS
    edges = [0, *sorted(cuts), len(steps)]
    for first, last in itertools.pairwise(edges):
        one = decide(
            "pm1", steps[first:last], scores, rows_of(labels), rules=rules, trailing=trailing, alert=alert, grade=grade,
            steering=steering, odds=odds, labels=labels, explain=EXPLAIN,
        )  # fmt: skip
        found.append(one)
        trailing, alert, grade, steering = one.levels.trailing, one.alert, one.levels.grade, one.levels.steering
        odds = one.odds
    return found


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[float | None], list[int], frozenset[int]]:
    n = draw(st.integers(1, 200))
    scores = draw(st.lists(st.none() | st.floats(0, 4, width=32), min_size=n, max_size=n))
    labels = draw(st.lists(st.sampled_from([INTACT] * 12 + [BROKEN, UNKNOWN, UNKNOWN]), min_size=n, max_size=n))
    gaps = draw(st.frozensets(st.integers(0, n - 1), max_size=4))
    return scores, labels, gaps


@given(histories(), st.lists(st.integers(0, 200), max_size=5))
def test_where_a_batch_ends_changes_no_level_no_alert_and_no_state(
    drawn: tuple[list[float | None], list[int], frozenset[int]], cuts: list[int]
) -> None:
    scores, labels, gaps = drawn
    steps, threshold = history(scores, labels, gaps), steered(60, trailing_rows=40, min_rows=5)
    (whole,) = run(steps, scores, labels, threshold)
    parts = run(steps, scores, labels, threshold, cuts=[min(cut, len(steps)) for cut in cuts])
    levels = [level for part in parts for level in part.levels.level]
    np.testing.assert_array_equal(levels, whole.levels.level)
    assert [event for part in parts for event in part.alerts] == whole.alerts
    assert parts[-1].levels.steering == whole.levels.steering
    assert parts[-1].levels.trailing.ring == whole.levels.trailing.ring
    assert (parts[-1].alert, parts[-1].odds) == (whole.alert, whole.odds)


@given(histories())
def test_the_share_is_that_of_the_formula(drawn: tuple[list[float | None], list[int], frozenset[int]]) -> None:
    scores, labels, gaps = drawn
    steps, threshold = history(scores, labels, gaps), steered(60, trailing_rows=40, min_rows=5)
    (found,) = run(steps, scores, labels, threshold)
    opened = {place for place, event in found.alerts if event.kind == "opened"}
    share, waiting, scored = 0.06, list[int](), 0
    for place, what, _ in steps:
        if what == BROKE or (what == GAP and labels[place] == UNKNOWN):
            waiting = []
        if what != RUN or scores[place] is None:
            continue
        scored += 1
        false = sum(scored - since == JUDGED_ROWS for since in waiting)
        waiting = [since for since in waiting if scored - since < JUDGED_ROWS]
        gain, wanted = (0.1, 1.35 * 60 / 720) if labels[place] == UNKNOWN else (0.4, 60 / 720)
        share = min(max(share * math.exp(gain * (wanted - false)), 0.003), 0.2)
        if place in opened:
            waiting.append(scored)
    assert found.levels.steering is not None
    assert found.levels.steering.share == pytest.approx(share, rel=1e-12)
    assert found.levels.steering.waiting == tuple(scored - since for since in waiting)


def mill(days: float, seed: int, *, spread: Callable[[float], float] = lambda _day: 1.0) -> np.ndarray:
    """Scores of a mill without breaks: logarithms that wander for half an hour around 0, as real ones do."""
    random, n = np.random.default_rng(seed), int(days * ROWS_PER_DAY)
    noise, value, found = random.standard_normal(n), 0.0, np.empty(n)
    for i in range(n):
        value = 0.9 * value + math.sqrt(1 - 0.81) * noise[i]
        found[i] = math.exp(0.25 * value * spread(i / ROWS_PER_DAY))
    return found


def rate_of(scores: np.ndarray, labels: Sequence[int], per_day: float, *, first_day: float) -> float:
    steps = history(scores.tolist(), labels)
    (found,) = run(steps, scores.tolist(), labels, steered(per_day))
    first = first_day * ROWS_PER_DAY
    opened = [place for place, event in found.alerts if event.kind == "opened" and place >= first]
    return len(opened) / ((len(scores) - first) / ROWS_PER_DAY)


CHANGES: dict[str, Callable[[float], float]] = {
    "steady": lambda _day: 1.0,
    "drifting": lambda day: 1 + day / 20,
    "a step in the noise": lambda day: 1.0 if day < 20 else 2.5,
    "a quiet month": lambda day: 1.0 if not 10 < day < 30 else 0.3,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("per_day", [2.0, 5.0, 10.0])
def test_a_mill_that_changes_gets_about_the_rate_that_it_asked_for(change: str, per_day: float) -> None:
    scores = mill(45, 7, spread=CHANGES[change])
    assert per_day / 1.5 < rate_of(scores, [INTACT] * len(scores), per_day, first_day=5) < per_day * 1.5


def test_a_flood_is_over_within_a_day() -> None:
    scores = mill(30, 3)
    scores[int(10 * ROWS_PER_DAY) :] *= 3  # every row over whatever was seen before
    assert rate_of(scores, [INTACT] * len(scores), 5.0, first_day=11) < 7.5


def test_without_labels_all_alarms_count() -> None:
    scores = mill(45, 5)
    assert 5 / 1.5 < rate_of(scores, [UNKNOWN] * len(scores), 5.0, first_day=5) < 5 * 1.5 * 1.35


def test_an_alarm_that_a_break_follows_is_not_held_against_the_level() -> None:
    waits = Steering(0.05, (29, 3))
    for label, left in ((INTACT, (4,)), (BROKEN, ())):
        threshold = steered()
        rules = Rules(threshold, POLICY, break_ends_run=True, foretells=True, version="v")
        labels = [label]
        one = decide(
            "pm1", history([1.0], labels), [1.0], rows_of(labels), rules=rules, trailing=Trailing(10),
            alert=AlertState(), grade=None, steering=waits, odds=UNKNOWN_ODDS, labels=labels, explain=EXPLAIN,
        )  # fmt: skip
        assert one.levels.steering is not None
        assert one.levels.steering.waiting == left
        assert (one.levels.steering.share < 0.05) == (label == INTACT)
