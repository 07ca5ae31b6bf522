"""Texts for a terminal: a command that is too long can be pasted all the same."""

import shlex

from hypothesis import given
from hypothesis import strategies as st

from trainer.output.text import WIDTH, command_lines

WORDS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=["Cc"]), min_size=1, max_size=30
)


@given(st.lists(WORDS, min_size=1, max_size=30))
def test_a_command_fits_and_says_the_same_to_a_shell(words: list[str]) -> None:
    text = command_lines(shlex.join(words), indent="  ")
    assert shlex.split(text.replace("\\\n", "")) == words
    short = [word for word in map(shlex.quote, words) if len(word) <= WIDTH - 10]
    fitting = command_lines(" ".join(short), indent="  ")
    assert max(map(len, fitting.split("\n"))) <= WIDTH
