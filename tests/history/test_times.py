"""Times as plants write them: zones in the text, the hour that comes twice, midnights, seconds since 1970."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.errors import DataError
from sheetbreak.history.doubts import Doubts
from sheetbreak.history.reader import read_csv, read_history
from sheetbreak.history.times.formats import (
    EPOCHS,
    EXCEL_DAYS,
    ISO,
    TimeReader,
    TimeWriter,
    check_time_format,
    join_clock,
)
from sheetbreak.history.times.recognition import FORMATS, may_be_times, recognise_time_format
from sheetbreak.rows import RowBatch, Schema
from sheetbreak.times import format_time, parse_time

LEARNED = ("period_s", "stop_gap_s")
PLANT = Schema(time="time", broken="broken", timezone="Europe/Helsinki", learned=LEARNED)
UTC_PLANT = replace(PLANT, timezone="UTC")


def read(texts: list[str], schema: Schema = PLANT) -> RowBatch:
    path = Path("h.csv")
    path.write_text("time,broken,s1\n" + "".join(f"{text},0,{i % 7}\n" for i, text in enumerate(texts)))
    return read_csv(path, schema)[1]


def october(minutes: int = 10) -> list[str]:
    first = datetime(2026, 10, 24, 22, tzinfo=UTC)
    moments = [first + timedelta(minutes=minutes * i) for i in range(300 // minutes)]
    return [moment.astimezone(ZoneInfo("Europe/Helsinki")).strftime("%Y-%m-%d %H:%M") for moment in moments]


@pytest.mark.parametrize("minutes", [1, 10, 30, 60])
def test_the_hour_that_comes_twice_is_told_apart_by_the_order_of_rows(minutes: int):
    rows = read(october(minutes))
    assert set(np.diff(rows.times_us)) == {minutes * 60_000_000}
    assert format_time(rows.times_us[0]) == "2026-10-24T22:00:00Z"


def test_each_machine_has_its_own_night_in_october():
    texts = october()
    lines = [f"{text},{machine},0,{i % 7}" for i, text in enumerate(texts) for machine in ("a", "b")]
    Path("h.csv").write_text("time,line,broken,s1\n" + "\n".join(lines) + "\n")
    schema = replace(PLANT, machine="line")
    rows = read_csv(Path("h.csv"), schema)[1]
    assert set(np.diff(rows.times_us[::2])) == set(np.diff(rows.times_us[1::2])) == {600_000_000}


def test_a_schema_may_say_which_of_the_two_hours_is_meant():
    texts = ["2026-10-25 03:10", "2026-10-25 03:20"]
    schema = Schema(time="time", broken="broken", timezone="Europe/Helsinki", ambiguous="second")
    assert format_time(read(texts).times_us[0]) == "2026-10-25T00:10:00Z"
    assert format_time(read(texts, schema).times_us[0]) == "2026-10-25T01:10:00Z"


def test_without_a_zone_the_remedy_names_the_clock_and_not_to_drop_rows():
    with pytest.raises(DataError, match=r"line 20: the time goes back .* set sampling.timezone") as caught:
        read(october(), UTC_PLANT)
    assert "drop" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-05-01 03:00 UTC", "Europe/Helsinki", "2026-05-01T03:00:00Z"),
        ("2026-05-01 03:00 GMT", "America/New_York", "2026-05-01T03:00:00Z"),
        ("2026-05-01 03:00 EDT", "America/New_York", "2026-05-01T07:00:00Z"),
        ("2026-11-01 01:30 EDT", "America/New_York", "2026-11-01T05:30:00Z"),
        ("2026-11-01 01:30 EST", "America/New_York", "2026-11-01T06:30:00Z"),
        ("2026-10-25 02:30 MESZ", "Europe/Berlin", "2026-10-25T00:30:00Z"),
        ("2026-10-25 02:30 MEZ", "Europe/Vienna", "2026-10-25T01:30:00Z"),
        ("2026-05-01 03:00 OESZ", "Europe/Helsinki", "2026-05-01T00:00:00Z"),
        ("2026-05-01 03:00 HAE", "America/Toronto", "2026-05-01T07:00:00Z"),
        ("2026-05-01 03:00", "Europe/Helsinki", "2026-05-01T00:00:00Z"),
    ],
)
@pytest.mark.parametrize("here", ["UTC", "America/New_York"])
def test_a_zone_in_the_text_counts_wherever_it_is_read(
    text: str, zone: str, expected: str, here: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TZ", here)
    assert TimeReader(ISO, zone)(text) == parse_time(expected)
    if text[-1].isalpha():
        assert TimeReader("%Y-%m-%d %H:%M %Z", zone)(text) == parse_time(expected)


@pytest.mark.parametrize("text", ["2026-05-01 03:00 EDT", "2026-05-01 03:00 IST", "2026-05-01 03:00 XYZ"])
def test_a_zone_that_is_not_known_is_refused(text: str):
    with pytest.raises(ValueError, match="is no zone that is known"):
        TimeReader(ISO, "Europe/Helsinki")(text)
    with pytest.raises(DataError, match=r"line 2, column time: .*is no zone that is known.*set sampling.timezone in"):
        read([text], Schema(time="time", broken="broken", time_format="%Y-%m-%d %H:%M %Z"))


@pytest.mark.parametrize("zone", ["CET", "MESZ", "PST", "Asia/Tokyo", "[Europe/Berlin]"])
@pytest.mark.parametrize("text", ["2026-05-01 03:00", "01.05.2026 03:00:07", "5/13/26 3:00 PM"])
def test_a_column_of_times_in_a_zone_that_is_not_known_is_refused_for_the_zone(text: str, zone: str):
    named = zone.strip("[]")
    with pytest.raises(DataError, match=rf"column time: .* names {named}, which is no zone that is known; .*timezone"):
        read([f"{text} {zone}"] * 3)


@pytest.mark.parametrize(
    ("named", "zone"), [("CET", "Europe/Berlin"), ("MESZ", "Europe/Berlin"), ("HNE", "America/New_York")]
)
def test_a_common_name_of_a_zone_is_answered_with_the_zone_to_write(named: str, zone: str):
    with pytest.raises(DataError, match=f"the plant's zone, such as {zone}, in --schema"):
        read([f"2026-05-01 03:00 {named}"] * 3)


def test_one_row_before_all_others_is_told_with_its_time_and_not_to_sort_the_file():
    texts = [f"2026-01-05 {i // 30:02}:{i % 30 * 2:02}" for i in range(90)]
    texts[40] = "1970-01-01 00:00"
    with pytest.raises(
        DataError, match=r"line 42: .*; 1970-01-01T00:00:00Z is long before the first row's: mend it or drop"
    ):
        read(texts, UTC_PLANT)
    texts[40] = texts[38]
    with pytest.raises(DataError, match=r"line 42: .*sort the file by time"):
        read(texts, UTC_PLANT)


def test_times_cut_to_fewer_digits_are_told_as_such():
    with pytest.raises(DataError, match=r"line 3: the time repeats .*5 rows after it; if the export cut the seconds"):
        read(["1.767571e+09"] * 10, UTC_PLANT)


def test_a_date_alone_among_times_is_its_midnight():
    texts = ["20.03.2026 23:50:00", "21.03.2026", "21.03.2026 00:10:00"]
    rows = read(texts, Schema(time="time", broken="broken"))
    assert format_time(rows.times_us[1]) == "2026-03-21T00:00:00Z"


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (["1767225600", "1767225720"], "epoch s"),
        (["1767225600.25", "1767225720.5"], "epoch s"),
        (["1767225600000", "1767225720000"], "epoch ms"),
        (["1767225600000000"], "epoch us"),
        (["1767225600000000000"], "epoch ns"),
        (["01-MAY-26 00:00", "02-MAY-26 00:02"], "%d-%b-%y %H:%M"),
        (["5/13/2026, 6:00:00 PM"], "%m/%d/%Y %I:%M:%S %p"),
        (["13.05.2026 06:00:00,125"], "%d.%m.%Y %H:%M:%S.%f"),
    ],
)
def test_more_formats_are_recognised(samples: list[str], expected: str):
    assert recognise_time_format(samples, name="") == expected
    assert TimeReader(expected, "UTC")(samples[0]) > 0


@pytest.mark.parametrize(
    "texts",
    [
        ["Do, 29. Januar 2026 23:58 Uhr", "Fr, 30. Januar 2026 00:00 Uhr"],
        ["Do 29.01.2026 23:58", "Fr 30.01.2026 00:00"],
        ["Thursday, January 29, 2026 11:58:00 p.m.", "Friday, January 30, 2026 12:00:00 a.m."],
        ["Thu Jan 29 23:58:00 2026", "Fri Jan 30 00:00:00 2026"],
        ["Thu, 29 Jan 2026 23:58:00 GMT", "Fri, 30 Jan 2026 00:00:00 GMT"],
        ["jeu. 29 janvier 2026 23:58", "ven. 30 janvier 2026 00:00"],
        ["to 29.1.2026 klo 23.58", "pe 30.1.2026 klo 0.00"],
        ["29-ENE-26 23:58:00", "30-ENE-26 00:00:00"],
        ["1/29/2026 11:58PM", "1/30/2026 12:00AM"],
        ["29.01.2026 - 23:58:00", "30.01.2026 - 00:00:00"],
        ["29-01-26 23:58", "30-01-26 00:00"],
        ["26/01/29 23:58:00", "26/01/30 00:00:00"],
        ["2026.01.29 23:58:00", "2026.01.30 00:00:00"],
        ["20260129235800", "20260130000000"],
        ["202601292358", "202601300000"],
        ["46051.99861111", "46052.00000000"],
        ["46051,99861", "46052,00000"],
    ],
)
def test_words_signs_and_days_of_a_spreadsheet_in_times_are_read(texts: list[str]):
    reader = TimeReader(recognise_time_format(texts, name=""), "UTC")
    assert [format_time(reader(text)) for text in texts] == ["2026-01-29T23:58:00Z", "2026-01-30T00:00:00Z"]


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        ("29.01.2026 00:00:00", "23:58", "29.01.2026 23:58"),
        ("1/29/2026 12:00:00 AM", "11:58 PM", "1/29/2026 11:58 PM"),
        ("2026-01-29", "1899-12-31 23:58:00", "2026-01-29 23:58:00"),
        ("29.01.2026 07:00", "23:58", "29.01.2026 07:00 23:58"),
    ],
)
def test_a_spreadsheets_midnight_behind_a_date_and_day_before_a_clock_are_left_out(day: str, clock: str, expected: str):
    assert join_clock(day, clock) == expected


def test_a_row_whose_clock_ran_ahead_is_the_one_told_and_not_the_rows_behind_it():
    texts = [f"2026-01-05 {i // 30:02}:{i % 30 * 2:02}" for i in range(90)]
    texts[40:42] = ["2099-01-01 00:00", "2099-01-01 00:02"]
    path = Path("h.csv")
    path.write_text("time,broken,s1\n" + "".join(f"{text},0,{i * i % 7}\n" for i, text in enumerate(texts)))
    with pytest.raises(
        DataError, match=r"h.csv line 42: its time, 2099-01-01T00:00:00Z.* 48 rows.*1 more.* drop the row"
    ):
        read_history(path, Schema(time="time", broken="broken"), doubts=Doubts())
    history = read_history(path, Schema(time="time", broken="broken"), doubts=Doubts(keeps_going=True))
    assert len(history.rows) == 88


def test_a_fraction_of_a_second_since_1970_is_kept():
    assert TimeReader("epoch s", "UTC")("1767225600.123456") == 1_767_225_600_123_456
    assert TimeReader("epoch ms", "UTC")("1767225600123.456") == 1_767_225_600_123_456
    assert TimeReader("epoch ns", "UTC")("1767225600123456789") == 1_767_225_600_123_456


def test_a_format_that_training_recognised_decides_what_a_file_leaves_open():
    day = ["05/03/2026 00:00", "05/03/2026 00:02"]
    assert recognise_time_format(day, name="", before="%d/%m/%Y %H:%M") == "%d/%m/%Y %H:%M"
    with pytest.raises(DataError, match="could be"):
        recognise_time_format(day, name="")
    other = ["2026-03-05 00:00", "2026-03-05 00:02"]
    assert recognise_time_format(other, name="", before="%d/%m/%Y %H:%M") == ISO


def test_a_whole_file_settles_what_its_first_rows_leave_open():
    first = datetime(2026, 2, 1, tzinfo=UTC)
    texts = [(first + timedelta(minutes=2 * i)).strftime("%d/%m/%Y %H:%M") for i in range(9 * 720)]
    Path("h.csv").write_text("time,broken,s1\n" + "".join(f"{text},0,1\n" for text in texts))
    history = read_history(Path("h.csv"), Schema(time="time", broken="broken"), doubts=Doubts())
    assert history.schema.time_format == "%d/%m/%Y %H:%M"


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2068, 12, 31)),  # noqa: DTZ001
    st.sampled_from([None, ISO, EXCEL_DAYS, *EPOCHS, *(f for f in FORMATS if "%M" in f)]),
    st.sampled_from(["UTC", "Europe/Helsinki", "America/New_York"]),
)
def test_what_is_written_is_read_back_to_the_step_of_the_format(moment: datetime, time_format: str | None, zone: str):
    write, read_back = TimeWriter(time_format, zone), TimeReader(time_format or ISO, zone)
    time_us = int(moment.replace(tzinfo=UTC).timestamp()) * 1_000_000 + moment.microsecond
    cut = time_us - time_us % write.step_us
    assert cut in read_back.both(write(time_us))


@pytest.mark.parametrize("time_format", ["%Z %Y-%m-%d", "%Q"])
def test_a_format_that_cannot_be_read_with_is_refused(time_format: str):
    with pytest.raises(ValueError, match=r"%Z is read at the end|bad directive"):
        check_time_format(time_format)


@pytest.mark.parametrize(
    ("text", "is_like"),
    [
        ("3.3.26", True),
        ("29Jan2026", True),
        ("20260303T0600Z", True),
        ("2026-03-03", True),
        ("Do, 29. Januar 2026", True),
        ("3,381942", False),
        ("-12.5", False),
        ("A17-3", False),
        ("Störung", False),
    ],
)
def test_what_looks_like_no_date_is_not_tried_in_every_format(text: str, is_like: bool):
    assert may_be_times([text]) is is_like


@pytest.mark.parametrize("time_format", FORMATS)
def test_a_date_in_any_format_looks_like_one(time_format: str):
    moment = datetime(2026, 3, 5, 7, 9, 11, tzinfo=UTC)
    assert may_be_times([moment.strftime(time_format)])


@pytest.mark.parametrize(
    ("text", "time_format"),
    [
        ("03.03.2026 07:00:00 +0100", "%d.%m.%Y %H:%M:%S"),
        ("03/03/2026 07:00 +01:00", "%d/%m/%Y %H:%M"),
        ("2026-03-03 07:00:00 GMT+1", "ISO 8601"),
        ("2026-03-03 07:00 UTC+01", "ISO 8601"),
        ("03.03.2026 02:30:00-0330", "%d.%m.%Y %H:%M:%S"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Helsinki"])
def test_an_offset_behind_a_time_of_any_format_counts(text: str, time_format: str, zone: str):
    assert format_time(TimeReader(time_format, zone)(text)) == "2026-03-03T06:00:00Z"


@pytest.mark.parametrize(
    ("text", "time_format", "zone", "expected"),
    [
        ("31.12.2025 24:00", "%d.%m.%Y %H:%M", "UTC", "2026-01-01T00:00:00Z"),
        ("31.12.2025 24:00:00", "%d.%m.%Y %H:%M:%S", "UTC", "2026-01-01T00:00:00Z"),
        ("2026-10-25 24:00", "ISO 8601", "Europe/Berlin", "2026-10-25T23:00:00Z"),
    ],
)
def test_the_end_of_a_day_is_the_midnight_behind_it(text: str, time_format: str, zone: str, expected: str):
    """In the night in which the clock is set back, that day has 25 hours."""
    assert format_time(TimeReader(time_format, zone)(text)) == expected


@pytest.mark.parametrize("text", ["1.772517600E+09", "1,7725176e9", "1.7725176000E+009", "17725176E2"])
def test_seconds_since_1970_may_have_a_power_of_ten(text: str):
    assert TimeReader("epoch s", "UTC")(text) == 1_772_517_600_000_000
    assert recognise_time_format([text] * 9, name="t") == "epoch s"
