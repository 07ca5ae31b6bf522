"""Historical CSV files: read as they are, and every unsound cell told with file, line, column, value and remedy."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.errors import DataError
from sheetbreak.history.cells import MAX_JOINED, joined_lines, numbered_lines, open_lines
from sheetbreak.history.lines import CsvDecoder
from sheetbreak.history.reader import PROCESSMINER, read_csv, stream_layout
from sheetbreak.history.schema_file import load_schema
from sheetbreak.history.times.formats import ISO, TimeReader
from sheetbreak.history.times.recognition import recognise_time_format
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, Dialect, RowBatch, Schema
from sheetbreak.times import format_time, parse_time

PLANT = Schema(time="time", broken="broken", machine="line", grade="product", ignore=("operator",))
MODEL = replace(PLANT, sensors=("x1", "x2"))
HEADER = "time,line,product,broken,x1,x2,operator"
ROWS = (
    "2026-05-01 00:00,pm1,96,0,1.5,-2,7",
    "2026-05-01 00:02,pm1,96,0.0,,3e2,7",
    "2026-05-01 00:04,pm1,,1,2.5,4,7",
)


def write(text: str | bytes, path: Path = Path("mill.csv")) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def lines(*rows: str, header: str = HEADER, end: str = "\n") -> str:
    return end.join([header, *rows]) + end


def read(*rows: str, schema: Schema = PLANT, header: str = HEADER) -> RowBatch:
    return read_csv(write(lines(*rows, header=header)), schema)[1]


def complaint(text: str | bytes, schema: Schema | None = PLANT) -> str:
    with pytest.raises(DataError) as caught:
        read_csv(write(text), schema)
    return str(caught.value)


def test_a_file_is_read_as_its_schema_says():
    schema, rows = read_csv(write(lines(*ROWS)), PLANT)
    assert schema.sensors == ("x1", "x2")
    assert [format_time(t) for t in rows.times_us] == [f"2026-05-01T00:0{m}:00Z" for m in (0, 2, 4)]
    assert rows.machines == ["pm1"] * 3
    assert rows.grades == ["96", "96", None]
    assert rows.broken.tolist() == [INTACT, INTACT, BROKEN]
    assert np.array_equal(rows.values, [[1.5, -2], [np.nan, 300], [2.5, 4]], equal_nan=True)


def test_the_published_file_is_read_as_it_is(real_csv: Path):
    schema, rows = read_csv(real_csv)
    assert len(rows) == 18_398
    assert schema.sensors == tuple(f"x{i}" for i in range(1, 61) if i != 28)
    assert int((rows.broken == BROKEN).sum()) == 124
    assert format_time(int(rows.times_us[0])) == "1999-05-01T00:00:00Z"
    assert np.isfinite(rows.values).all()
    assert set(rows.machines) == {"pm1"}
    assert "96" in rows.grades


def test_the_published_columns_are_recognised_whatever_their_order_and_with_a_machine():
    names = ["time", "y", *(f"x{i}" for i in range(1, 62))]
    cells = ["5/1/99 0:00", "0", *(str(i) for i in range(1, 62))]
    schema, rows = read_csv(write(",".join(reversed(names)) + "\n" + ",".join(reversed(cells)) + "\n"))
    assert schema.grade == "x28"
    assert not {"x28", "x61"} & set(schema.sensors)
    assert rows.values[0, schema.sensors.index("x60")] == 60
    schema, rows = read_csv(write(",".join(["machine", *names]) + "\n" + ",".join(["pm7", *cells]) + "\n"))
    assert rows.machines == ["pm7"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "last line without an end"])
def test_how_a_file_was_saved_makes_no_difference(end: str, start: str, last: str):
    expected = read(*ROWS)
    text = start + lines(*ROWS, end=end)
    rows = read_csv(write(text.removesuffix(end) if last else text), PLANT)[1]
    assert np.array_equal(rows.values, expected.values, equal_nan=True)
    assert (rows.machines, rows.grades) == (expected.machines, expected.grades)
    assert rows.times_us.tolist() == expected.times_us.tolist()


@pytest.mark.parametrize("apart", [MAX_JOINED, MAX_JOINED + 1])
def test_a_reader_that_leaves_blank_lines_out_joins_the_lines_that_the_whole_file_joins(apart: int) -> None:
    text = [b'1,"a', *[b""] * 10, *[b"1,2"] * (apart - 11), b'b",2']
    whole = list(enumerate(text, start=1))
    some = [(number, line) for number, line in whole if line]
    numbers = [number for number, line in joined_lines(whole, ",") if line.strip()]
    assert [number for number, _ in joined_lines(some, ",")] == numbers
    assert (len(numbers) == 1) == (apart == MAX_JOINED)
    assert bool(open_lines(some[:-1], ",")) == bool(open_lines(whole[:-1], ",")) == (apart == MAX_JOINED)


def test_quoted_cells_blank_lines_and_blanks_around_cells_are_read():
    row = '"2026-05-01 00:02", pm1 ,"Kraft, ""heavy""", 0 ,"","4.5","a, b"'
    rows = read("2026-05-01 00:00,pm1,96,0,1,2,7", "", "   ", row)
    assert len(rows) == 2
    assert rows.grades[1] == 'Kraft, "heavy"'
    assert rows.machines[1] == "pm1"
    assert np.array_equal(rows.values[1], [np.nan, 4.5], equal_nan=True)


@pytest.mark.parametrize("blank", ["", "  ", '""'])
def test_a_blank_cell_is_a_missing_value(blank: str):
    assert np.isnan(read(f"2026-05-01 00:00,pm1,96,0,{blank},2,7").values[0, 0])


def test_without_a_label_column_nothing_is_said_about_breaks():
    schema = Schema(time="time")
    rows = read_csv(write("time,x1\n2026-05-01T00:00:00Z,1\n"), schema)[1]
    assert rows.broken.tolist() == [UNKNOWN]
    assert rows.grades == [None]
    assert rows.machines == ["pm1"]


def test_without_a_time_column_rows_are_numbered_at_the_period():
    rows = read_csv(write("x1\n1\n2\n3\n"), Schema(period_s=60))[1]
    assert rows.times_us.tolist() == [0, 60_000_000, 120_000_000]


def test_a_column_of_text_is_left_out_and_named(caplog: pytest.LogCaptureFixture):
    schema, _ = read_csv(write("time,x1,remark\n2026-05-01,1,good\n2026-05-02,2,\n"), Schema(time="time"))
    assert schema.sensors == ("x1",)
    [said] = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "event=doubt kind=text-column count=1 place='mill.csv, column remark'" in said


def test_a_models_sensors_are_looked_up_by_name_and_further_columns_are_ignored():
    model = Schema(sensors=("x2", "x1"), time="time", broken="broken")
    schema, rows = read_csv(write("x1,extra,x2,time\n1,9,2,2026-05-01\n"), sensors_from=model)
    assert schema is model
    assert rows.values.tolist() == [[2, 1]]
    assert rows.broken.tolist() == [UNKNOWN], "a live file has no labels"


# What is wrong with a file

GOOD = "2026-05-01 00:00,pm1,96,0,1,2,7"


@pytest.mark.parametrize(
    ("row", "column", "value", "remedy"),
    [
        ("2026-05-01 00:02,pm1,96,2,1,2,7", "broken", '"2" is not a label', "0 or 1 is expected"),
        ("2026-05-01 00:02,pm1,96,0.5,1,2,7", "broken", '"0.5" is not a label', "0 or 1 is expected"),
        ("2026-05-01 00:02,pm1,96,,1,2,7", "broken", '"" is not a label', "0 or 1 is expected"),
        ("2026-05-01 00:02,pm1,96,no,1,2,7", "broken", '"no" is not a label', "0 or 1 is expected"),
        ("2026-05-01 25:02,pm1,96,0,1,2,7", "time", '"2026-05-01 25:02" is not a time', "sampling.time_format"),
        ("yesterday,pm1,96,0,1,2,7", "time", '"yesterday" is not a time like ISO 8601', "mend it"),
        (",pm1,96,0,1,2,7", "time", '"" is not a time', "mend it"),
        ("0001-01-01 00:00,pm1,96,0,1,2,7", "time", '"0001-01-01 00:00" is not a time', "mend it"),
        ("9999-12-31T23:59:59-14:00,pm1,96,0,1,2,7", "time", "is not a time", "mend it"),
        ("2026-05-01 00:02,,96,0,1,2,7", "line", '"" is no machine', "1 to 200 characters"),
        ("2026-05-01 00:02,pm\x7f1,96,0,1,2,7", "line", "is no machine", "that print"),
        (f"2026-05-01 00:02,{'m' * 201},96,0,1,2,7", "line", "is no machine", "1 to 200 characters"),
    ],
)
def test_a_malformed_cell_is_told_with_file_line_column_value_and_remedy(
    row: str, column: str, value: str, remedy: str
):
    said = complaint(lines(GOOD, "", row))
    assert said.startswith("mill.csv line 4, column ")
    assert f"column {column}: " in said
    assert value in said
    assert remedy in said


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize(
    ("row", "says"),
    [
        (b"2026-05-01 00:02,pm1,96,0,1,2", "6 cells where the header has 7; mend or drop the line"),
        (b"2026-05-01 00:02,pm1,96,0,1,2,7,8", "8 cells where the header has 7"),
        (b"2026-05-01 00:02", "1 cells where"),
        (b'2026-05-01 00:02,"pm1,96,0,1,2,7', "each row stands on one line"),
        (b'2026-05-01 00:02,"pm1"x,96,0,1,2,7', "each row stands on one line"),
        (b"2026-05-01 00:02,pm\xfc\xc3\xa4,96,0,1,2,7", "byte 20 is not UTF-8; save the file as UTF-8"),
    ],
)
def test_a_malformed_line_is_told_with_its_number_be_it_the_third_or_the_thousandth(row: bytes, says: str, far: bool):
    good = [f"2026-05-0{1 + i // 600} {i // 60 % 10:02}:{i % 60:02},pm1,96,0,1,2,7" for i in range(998 if far else 1)]
    said = complaint(lines(*good).encode() + row + b"\n")
    assert said.startswith(f"mill.csv line {1000 if far else 3}: ")
    assert says in said


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ("2026-05-01 00:00", "the time repeats that of pm1's row before; if the export cut the seconds"),
        ("2026-04-30 23:58", "the time goes back behind that of pm1's row before; sort the file by time"),
    ],
)
def test_a_machines_time_neither_repeats_nor_goes_back(second: str, says: str):
    said = complaint(lines(GOOD, "2026-05-01 00:00,pm2,96,0,1,2,7", f"{second},pm1,96,0,1,2,8"))
    assert said.startswith(f"mill.csv line 4: {says}")


def test_where_no_column_names_machines_repeated_times_say_that_one_can():
    """Two machines in one file, and a schema that forgot to say so: neither sorting nor dropping rows is the remedy."""
    two = lines(GOOD, "2026-05-01 00:00,pm2,96,0,1,2,7")
    assert "columns.machine" in complaint(two, replace(PLANT, machine=None))
    assert "columns.machine" not in complaint(lines(GOOD, GOOD.replace("96", "97")))


def test_each_machine_has_its_own_time():
    rows = read(GOOD, "2026-04-30 00:00,pm2,96,0,1,2,7", "2026-05-01 00:02,pm1,96,0,1,2,7")
    assert rows.machines == ["pm1", "pm2", "pm1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "mill.csv is empty; expected a header line"),
        (b"\n\n  \n", "mill.csv is empty; expected a header line"),
        (HEADER.encode() + b"\n", "mill.csv: a header and no rows"),
        (HEADER.encode() + b"\n\n \n", "mill.csv: a header and no rows"),
        (lines(*ROWS, header=HEADER + ",x1").encode(), 'mill.csv line 1: column "x1" stands there twice'),
        (lines(*ROWS, header=HEADER.replace("time", "zeit")).encode(), 'line 1: column "time" is missing; the columns'),
        (lines(*ROWS, header=HEADER.replace("broken", "b")).encode(), 'line 1: column "broken" is missing'),
        (b'time,"x1\n', "mill.csv line 1: unexpected end of data; the header stands on one line"),
        (
            b"time,line,product,broken,operator\n2026-05-01,a,1,0,\n",
            "mill.csv line 1: no numeric column is left to be a sensor",
        ),
        (lines(*ROWS, header=HEADER.replace("x1", '"x""1"')).encode(), "cannot be a sensor's name"),
        (lines(*ROWS, header=HEADER.replace("x1", "x\\1")).encode(), "cannot be a sensor's name"),
    ],
)
def test_a_file_that_is_no_table_of_rows_is_refused(text: bytes, says: str):
    assert says in complaint(text)


def test_unknown_columns_without_a_schema_are_refused_with_the_way_out():
    assert "not the ProcessMiner columns (time,y,x1…x61); describe yours with --schema" in complaint(lines(*ROWS), None)


def test_a_file_that_is_not_there_is_refused():
    with pytest.raises(DataError, match=r"nowhere\.csv: No such file.*name a CSV file"):
        read_csv(Path("nowhere.csv"), PLANT)
    with pytest.raises(DataError, match="Is a directory without a history"):
        read_csv(Path(), PLANT)


def test_a_file_of_another_plant_names_the_columns_that_the_model_needs():
    model = Schema(sensors=tuple(f"s{i}" for i in range(9)), time="t", broken="b")
    with pytest.raises(
        DataError, match=r"mill.csv line 1: 10 columns are missing: s0, s1, s2, s3, s4…; the model needs"
    ):
        read_csv(write(lines(*ROWS)), sensors_from=model)


def test_rows_without_time_end_before_the_calendar_does():
    said = complaint("x1\n" + "1\n" * 8100, Schema(period_s=365 * 86400.0, stop_gap_s=366 * 86400.0))
    assert "past the year 9998" in said


# Lines of a stream


def stream_decoder(head: Sequence[bytes], schema: Schema = MODEL) -> CsvDecoder:
    schema, layout = stream_layout(list(numbered_lines(b"".join(head))), schema, name="mill.csv", encoding="utf-8")
    return CsvDecoder(schema, layout)


def decode(
    rows: Sequence[bytes], offsets: Sequence[int] | None = None
) -> tuple[RowBatch, list[int], list[tuple[int, str]]]:
    head = lines(*ROWS).encode().splitlines(keepends=True)
    decoded = stream_decoder(head).decode(rows)
    return decoded.rows, decoded.index, [(place, error.reason) for place, error in decoded.rejects]


def test_a_stream_goes_on_after_a_malformed_line_and_says_what_was_wrong():
    bad = (
        b"x",
        b"\xff,pm1,96,0,1,2,7",
        b"2026-05-01,,96,0,1,2,7",
        b"2026-05-01,pm1,96,0,?,2,7",
        b"2026-05-01,pm1,96,?,1,2,7",
        b"?,pm1,96,0,1,2,7",
    )
    rows, index, rejects = decode([line for row in bad for line in (row, GOOD.encode())])
    assert index == [1, 3, 5, 6, 7, 9, 11]
    reasons = ["ragged-line", "not-utf8", "no-machine", "not-a-label", "bad-time"]
    assert rejects == list(zip([0, 2, 4, 8, 10], reasons, strict=True))
    assert rows.values[[0, 1, 2, 4, 5, 6]].tolist() == [[1, 2]] * 6
    assert np.array_equal(rows.values[3], [np.nan, 2], equal_nan=True), "a cell without a number is a missing one"


@given(st.lists(st.binary(max_size=60) | st.sampled_from([r.encode() for r in ROWS]), max_size=8))
def test_whatever_a_line_holds_it_is_a_row_or_a_refusal(records: list[bytes]):
    rows, index, rejects = decode(records)
    assert sorted(index + [place for place, _ in rejects]) == list(range(len(records)))
    assert len(rows) == len(index)
    assert np.isfinite(rows.values[~np.isnan(rows.values)]).all()


@pytest.mark.parametrize("bad", [b"\xff\xfe\n", b'"open\n', b"garbage,pm1,96,0,1,2,7\n", b"x\n", b"\n"])
def test_a_malformed_line_among_the_first_does_not_keep_a_stream_from_starting(bad: bytes):
    head = lines(*ROWS).encode().splitlines(keepends=True)
    head.insert(2, bad)
    assert len(stream_decoder(head).decode(head[1:]).rows) == 3


def test_lines_without_time_are_numbered_by_their_place_in_the_file():
    decoder = stream_decoder([b"x1\n", b"1\n"], Schema(sensors=("x1",), period_s=60))
    assert decoder.decode([b"1", b"2"], [2, 3]).rows.times_us.tolist() == [0, 60_000_000]
    assert decoder.decode([b"3"], [4]).rows.times_us.tolist() == [120_000_000]


# Times


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (["5/1/99 0:00", "5/1/99 0:02"], "%m/%d/%y %H:%M"),
        (["13.02.2026 23:58", "14.02.2026 00:00"], "%d.%m.%Y %H:%M"),
        (["1/2/2026 0:00:00", "1/2/2026 0:02:00", "1/13/2026 0:00:00"], "%m/%d/%Y %H:%M:%S"),
        (["31/1/2026 23:58", "1/2/2026 0:00"], "%d/%m/%Y %H:%M"),
        (["1/2/26 11:58 PM", "1/3/26 12:00 AM"], "%m/%d/%y %I:%M %p"),
        (["2026/02/03 04:05", "2026/02/03 04:07"], "%Y/%m/%d %H:%M"),
        (["31-01-2026 04:05:06.5", "01-02-2026 04:05:06.7"], "%d-%m-%Y %H:%M:%S.%f"),
        (["2026-05-01", "2026-05-02"], ISO),
        (["2026-05-01T00:00:00+03:00", ""], ISO),
        (["2026-05-01 00:00:00.25"], ISO),
        (["garbage", "13.02.2026 23:58", "14.02.2026 00:00", ""], "%d.%m.%Y %H:%M"),
    ],
)
def test_a_time_format_is_recognised_from_the_first_rows(samples: list[str], expected: str):
    if expected.startswith("%m/%d/%y") and samples[0].startswith("5/1/99"):
        samples = [*samples, "5/13/99 0:00"]
    if expected.endswith("%p"):
        samples = [*samples, "1/13/26 1:00 AM"]
    assert recognise_time_format(samples, name="mill.csv") == expected


def test_of_two_readings_the_one_without_leaps_is_taken():
    # As day/month these are one day apart, as month/day a month.
    assert recognise_time_format(["1/2/26 23:58", "2/2/26 0:00", "3/2/26 0:02"], name="") == "%d/%m/%y %H:%M"
    # Day first they go back in time.
    assert recognise_time_format(["1/9/26 0:00", "1/10/26 0:00", "2/1/26 0:00"], name="") == "%m/%d/%y %H:%M"


def test_a_time_that_can_be_read_in_two_ways_is_not_guessed():
    with pytest.raises(DataError, match=r'mill.csv: "2/3/21 0:00" could be .* or .*; set sampling.time_format'):
        recognise_time_format(["2/3/21 0:00", "2/3/21 0:02"], name="mill.csv")


def test_days_alone_and_milliseconds_are_times():
    assert recognise_time_format(["5/30/99", "5/31/99", "6/1/99"], name="") == "%m/%d/%y"
    assert TimeReader("%m/%d/%y", "UTC")("5/31/99") == parse_time("1999-05-31T00:00:00Z")
    assert recognise_time_format(["2026-05-30", "2026-05-31"], name="") == ISO
    assert TimeReader(ISO, "UTC")("2026-01-05T08:00:00.004") == parse_time("2026-01-05T08:00:00.004Z")
    fast = ["31.12.2025 08:00:00.996", "05.01.2026 08:00:01.000"]
    read = TimeReader(recognise_time_format(fast, name=""), "UTC")
    assert read(fast[0]) == parse_time("2025-12-31T08:00:00.996Z")


def test_seconds_since_a_start_are_told_apart_from_times():
    with pytest.raises(DataError, match=r'"0.004" is in no format known; a number .* rows are numbered at period_s'):
        recognise_time_format(["0.004", "0.008"], name="bearing.csv")


@pytest.mark.parametrize(("samples", "shown"), [(["noon"], '"noon"'), ([], "no time"), (["", " "], "no time")])
def test_a_time_in_no_known_format_is_refused(samples: list[str], shown: str):
    with pytest.raises(DataError, match=rf"mill.csv: {shown} is in no format known; set sampling.time_format"):
        recognise_time_format(samples, name="mill.csv")


@pytest.mark.parametrize(
    ("text", "time_format", "zone", "expected"),
    [
        ("2026-05-01 03:00", ISO, "Europe/Helsinki", "2026-05-01T00:00:00Z"),
        ("2026-12-01 03:00", ISO, "Europe/Helsinki", "2026-12-01T01:00:00Z"),
        ("2026-05-01T03:00+05:00", ISO, "Europe/Helsinki", "2026-04-30T22:00:00Z"),
        ("1.5.2026 03:00", "%d.%m.%Y %H:%M", "Europe/Helsinki", "2026-05-01T00:00:00Z"),
        ("1.5.2026 03:00", "%d.%m.%Y %H:%M", "UTC", "2026-05-01T03:00:00Z"),
        ("1.5.2026 03:00 +0200", "%d.%m.%Y %H:%M %z", "Europe/Helsinki", "2026-05-01T01:00:00Z"),
        ("  5/1/99 0:07 ", "%m/%d/%y %H:%M", "UTC", "1999-05-01T00:07:00Z"),
        ("20260501030405", "%Y%m%d%H%M%S", "UTC", "2026-05-01T03:04:05Z"),
    ],
)
def test_a_time_is_read_in_its_zone(text: str, time_format: str, zone: str, expected: str):
    assert TimeReader(time_format, zone)(text) == parse_time(expected)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)))  # noqa: DTZ001
def test_the_fast_way_of_the_published_format_reads_what_strptime_reads(moment: datetime):
    text = moment.strftime("%m/%d/%y %H:%M")
    expected = datetime.strptime(text, "%m/%d/%y %H:%M").replace(tzinfo=UTC)
    assert TimeReader("%m/%d/%y %H:%M", "UTC")(text) == int(expected.timestamp()) * 1_000_000


@pytest.mark.parametrize("text", ["", "5/1/99 24:01", "5/1/99 25:00", "13/1/99 0:00", "5/1/99 0:00:00", "5/1/99T0:00"])
def test_what_is_not_in_the_published_format_is_no_time(text: str):
    with pytest.raises(ValueError, match=r"does not match|unconverted"):
        TimeReader("%m/%d/%y %H:%M", "UTC")(text)


# The schema file


def schema_of(text: str) -> Schema:
    Path("plant.toml").write_text(text)
    return load_schema(Path("plant.toml"))


def test_the_schema_of_the_contract_is_understood():
    schema = schema_of(
        """
        [columns]
        time = "timestamp"
        broken = "failure"
        machine = "line"
        grade = "product"
        ignore = ["operator"]
        [sampling]
        period_s = 60
        stop_gap_s = 100
        lead_rows = 0
        time_format = "%m/%d/%y %H:%M"
        timezone = "Europe/Helsinki"
        """
    )
    assert schema == Schema(
        (),
        60.0,
        100.0,
        0,
        "timestamp",
        "failure",
        "line",
        "product",
        ("operator",),
        "%m/%d/%y %H:%M",
        "Europe/Helsinki",
        learned=("missing",),
    )
    assert isinstance(schema.period_s, float)


def test_a_schema_says_how_tables_are_written_and_which_words_mean_what():
    schema = schema_of(
        """\ufeff
        [columns]
        time = ["Datum", "Zeit"]
        broken = "Zustand"
        broken_values = ["Abriss", 7]
        [sampling]
        ambiguous = "second"
        [csv]
        separator = ";"
        decimal = ","
        thousands = "."
        encoding = "latin-1"
        skip_rows = 2
        sheet = 3
        [values]
        missing = ["Wartung", -9999, 1e35]
        [units]
        x1 = "bar"
        """
    )
    assert (schema.time, schema.clock, schema.broken_values) == ("Datum", "Zeit", ("Abriss", "7"))
    assert schema.csv == Dialect(";", ",", ".", "iso8859-1", 2, "3")
    assert (schema.ambiguous, schema.missing) == ("second", ("Wartung", "-9999", "1e+35"))
    assert schema.units == {"x1": "bar"}
    assert schema.digest == Schema().digest, "how rows are written changes no score"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[columns]\ntime = ["a"]', "columns.time = ['a']; one column, or two"),
        ('[columns]\nbroken_values = ["x"]', "columns.broken_values needs columns.broken"),
        ('[columns]\nbroken = "b"\nbroken_values = [true]', "a list of words and numbers is expected"),
        ('[sampling]\nambiguous = "drop"', "sampling.ambiguous = 'drop'; infer, first, second are known"),
        ('[csv]\nseparator = "::"', "csv.separator = '::'; one of ',' ';' '\\t' '|' is expected"),
        ('[csv]\ndecimal = ";"', "csv.decimal = ';'; one of '.' ','"),
        ('[csv]\nthousands = "."', "csv.thousands = '.'; one sign that is not the decimal one"),
        ('[csv]\nencoding = "klingon"', "csv.encoding = 'klingon' is not known"),
        ('[csv]\nencoding = "hex"', "csv.encoding = 'hex' is not known"),
        ('[csv]\nencoding = "undefined"', "csv.encoding = 'undefined' is not known"),
        ('[csv]\nencoding = "punycode"', "csv.encoding = 'punycode' is not known"),
        ('[csv]\nencoding = "\\u0000"', "csv.encoding = '\\x00' is not known"),
        ("[csv]\nskip_rows = -1", "csv.skip_rows = -1"),
        ("[csv]\nquote = 1", "csv.quote is not known; known are separator, decimal, thousands"),
        ("[values]\nmissing = [[1]]", "values.missing = [[1]]; a list of words and numbers is expected"),
        ("[units]\nx1 = 3", "units.x1 = 3 has the wrong type"),
    ],
)
def test_what_a_schema_cannot_say_of_tables_is_refused(text: str, says: str):
    with pytest.raises(DataError) as caught:
        schema_of(text)
    assert says in str(caught.value)


def test_what_a_schema_does_not_say_has_the_contracts_defaults():
    assert schema_of("") == Schema(learned=("period_s", "stop_gap_s", "missing"))
    assert schema_of("[sampling]\nperiod_s = 10").stop_gap_s == 15
    assert schema_of("[sampling]\nperiod_s = 10").learned == ("stop_gap_s", "missing")
    assert schema_of("[sampling]\nperiod_s = 10\nstop_gap_s = 20\n[values]\nmissing = []").learned == ()
    assert (Schema().period_s, Schema().stop_gap_s, Schema().lead_rows, Schema().timezone) == (120, 180, 2, "UTC")
    assert PROCESSMINER.lead_rows == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("columns = [", "docs/file-formats.md"),
        ("[colums]", "[colums] is not known; the tables are [columns], [sampling], [csv], [values] and [units]"),
        ("columns = 3", "[columns] is not known"),
        ('[columns]\ntimes = "t"', "columns.times is not known; known are time, broken, machine, grade, ignore"),
        ("[columns]\ntime = 3", "columns.time = 3 has the wrong type"),
        ('[columns]\nignore = "a"', "columns.ignore = 'a' has the wrong type"),
        ("[columns]\nignore = [3]", "columns.ignore is a list of column names"),
        ('[columns]\nmachine = "line"', "columns.machine needs columns.time"),
        ('[columns]\nbroken = "y"\ngrade = "y"', 'columns.broken and columns.grade both name "y"; a column has one'),
        ('[columns]\ntime = "t"\nmachine = "t"', 'columns.time and columns.machine both name "t"'),
        ('[columns]\ntime = ["d", "t"]\ngrade = "t"', 'columns.time and columns.grade both name "t"'),
        ("[sampling]\nlead_rows = true", "sampling.lead_rows = True has the wrong type"),
        ("[sampling]\nlead_rows = -1", "sampling.lead_rows: '-1' is not a whole number from 0 to 1,000,000"),
        ("[sampling]\nlead_rows = 1000001", "sampling.lead_rows: '1000001' is not a whole number"),
        ("[sampling]\nperiod_s = 0", "period_s = 0"),
        ("[sampling]\nperiod_s = -5", "period_s = -5"),
        ("[sampling]\nperiod_s = nan", "period_s = nan"),
        ("[sampling]\nperiod_s = 120\nstop_gap_s = 120", "must hold, not period_s = 120 and stop_gap_s = 120"),
        ("[sampling]\nstop_gap_s = inf", "stop_gap_s = inf"),
        (f"[sampling]\nperiod_s = 1{'0' * 400}", "must hold"),
        (
            '[sampling]\ntimezone = "Helsinki"',
            "sampling.timezone 'Helsinki' is not known; one like Europe/Berlin",
        ),
        ('[sampling]\ntimezone = "Europe"', "sampling.timezone 'Europe' is not known"),
        ('[sampling]\ntimezone = "../../etc/passwd"', "is not known"),
        ('[sampling]\ntime_format = "%Q"', "sampling.time_format: 'Q' is a bad directive"),
        ('[sampling]\ntime_format = "%-d.%m.%Y"', "sampling.time_format: '-' is a bad directive"),
    ],
)
def test_what_a_schema_cannot_mean_is_refused(text: str, says: str):
    with pytest.raises(DataError) as caught:
        schema_of(text)
    assert str(caught.value).startswith("plant.toml: ")
    assert says in str(caught.value)


def test_a_schema_that_cannot_be_read_is_refused():
    with pytest.raises(DataError, match=r"none\.toml: No such file or directory; --schema names a TOML file"):
        load_schema(Path("none.toml"))
    Path("latin.toml").write_bytes(b'[columns]\ntime = "gr\xf6\xdfe"')
    with pytest.raises(DataError, match=r"latin\.toml: .*utf-8"):
        load_schema(Path("latin.toml"))
