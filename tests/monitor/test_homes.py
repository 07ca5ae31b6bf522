"""A machine whose rows come in several partitions is named, and one that keeps to its own is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import homes
from monitor.homes import Homes, in_words


def test_a_machine_in_several_partitions_is_told_at_once_and_again_a_minute_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    homes = Homes()
    homes.see({0: ["pm1", "pm2"], 1: ["pm3"]}, now_s=0)
    assert caplog.text == ""
    homes.see({1: ["pm1"], 2: ["pm1"], 3: ["pm1"]}, now_s=1)
    assert "pm1 comes in partitions 0\u20133; key rows by machine" in caplog.text
    caplog.clear()
    homes.see({1: ["pm2"]}, now_s=30)
    assert caplog.text == "", "once a minute"
    homes.see({1: ["pm2"]}, now_s=62)
    assert "machines=2" in caplog.text
    caplog.clear()
    homes.see({0: ["pm1"], 1: ["pm2"]}, now_s=200)
    assert caplog.text == "", "nothing new"


def test_ever_new_names_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes, "_MOST", 10)
    seen = Homes()
    for number in range(1000):
        seen.see({0: [f"pm{number}", f"qm{number}"], 1: [f"pm{number}"]}, now_s=number)
    assert max(len(seen._seen), len(seen._scattered)) <= 10


@given(st.sets(st.integers(0, 12), min_size=1))
def test_numbers_in_words_name_each_and_no_other(numbers: set[int]) -> None:
    named = set()
    for run in in_words(numbers).split(", "):
        first, _, last = run.partition("\u2013")
        named |= set(range(int(first), int(last or first) + 1))
    assert named == numbers
