"""The sentence of an alert, as the shift reads it."""

import numpy as np
import pytest

from sheetbreak.engine.alerts import IDLE, AlertPolicy, Cause, ScoredRow, judge
from sheetbreak.engine.scores import Scores, TopSensor, largest_parts


def sentence(observed: float, expected: float, *, imputed: tuple[str, ...] = ()) -> str:
    cause = Cause([TopSensor("x51", 0.1, observed, expected)], imputed)
    row = ScoredRow("pm1", 0, 1.2, 1.0, over=True, cause=lambda: cause, leading=lambda: "x51", model="v")
    _, event = judge(AlertPolicy(), IDLE, row, may_open=True)
    assert event is not None
    return event.message


@pytest.mark.parametrize(
    ("observed", "expected", "told"),
    [
        (3.1, 2.4, "reads 3.1 where 2.4 is expected"),
        (29.98123, 29.97987, "reads 29.981 where 29.98 is expected"),
        (-0.63270001, -0.63270002, "reads -0.63270001 where -0.63270002 is expected"),
        (5.0, 5.0, "reads 5 where 5 is expected"),
    ],
)
def test_observed_and_expected_are_told_apart_when_they_differ(observed: float, expected: float, told: str) -> None:
    assert told in sentence(observed, expected)


def test_missing_sensors_are_counted_in_the_sentence() -> None:
    assert "(1 sensor is missing)" in sentence(1, 2, imputed=("x1",))
    assert "(2 sensors are missing)" in sentence(1, 2, imputed=("x1", "x2"))
    assert "missing" not in sentence(1, 2)


def test_the_sensor_that_leads_is_the_first_of_those_that_are_told_even_of_equals() -> None:
    scores = object.__new__(Scores)
    scores.contributions = np.array([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0], [2.0, 1.0, 5.0]])
    order, _ = largest_parts(scores.contributions, count=1)
    assert [scores.leading(number) for number in range(3)] == order[:, 0].tolist()
