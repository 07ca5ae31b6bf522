"""The place of a header: near the start, or nowhere; rows above one that comes later are not lost as titles."""

import pytest

from sheetbreak.errors import DataError
from sheetbreak.history.layout import MAX_ABOVE, recognise_layout
from sheetbreak.rows import Dialect


def test_a_header_that_stands_again_far_below_a_damaged_one_does_not_make_titles_of_the_rows_between() -> None:
    lines = [
        b'time,"x,s1',
        *(b"2026-01-05,0,%d" % i for i in range(MAX_ABOVE + 40)),
        b"time,broken,s1",
        b"2026-03-01,0,1",
    ]
    with pytest.raises(DataError, match=r"h\.csv line 1: .*header"):
        recognise_layout(list(enumerate(lines, start=1)), name="h.csv")


def test_a_title_as_wide_as_the_table_but_blank_is_no_header() -> None:
    lines = [b"Report,,,", b"time,broken,s1,s2", b"2026-01-05,0,1,2", b"2026-01-06,0,1,2"]
    assert recognise_layout(list(enumerate(lines, start=1)), name="h.csv").header_line == 2


@pytest.mark.parametrize("known", [(), ("time", "note")])
@pytest.mark.parametrize("title", [b"Report; mill", b'The 12" rolls'])
@pytest.mark.parametrize("note", [b"calm", b'"two\nlines"'])
def test_lines_that_are_said_to_be_skipped_are_above_the_header_whatever_quotes_there_are(
    known: tuple[str, ...], title: bytes, note: bytes
) -> None:
    lines = [title, b"in local time", b"time;broken;s1;note", b"2026-01-05;0;1;" + note, b"2026-01-06;0;2;"]
    said = Dialect(separator=";", skip_rows=2)
    found = recognise_layout(list(enumerate(lines, start=1)), name="h.csv", known=known, said=said)
    assert (found.header_line, found.header) == (3, ("time", "broken", "s1", "note"))
