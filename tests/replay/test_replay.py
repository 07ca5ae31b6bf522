"""The replay's parts: which rows, which faults, when, in what bytes."""

import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.encoding import csv_encoder, csv_header, wire_encoder
from replay.history import read_history
from replay.main import main
from replay.pacing import BLOCK_ROWS, paced, parse_speed
from replay.schedule import blocks, copy_names, sendings
from sheetbreak.errors import DataError
from sheetbreak.history.reader import read_csv
from sheetbreak.history.schema_file import load_schema
from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, Dialect, RowBatch, Schema
from sheetbreak.times import parse_time, to_us
from sheetbreak.wire.rows import WireDecoder
from tests.support.programs.replaying import MINUTE_US, SENSORS, START_US, Time, decoded, history_of, played

# --- which rows


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """A CSV of two machines, one after the other."""
    path = tmp_path / "plant.csv"
    lines = ["when,line,flow,level,broke"]
    for line in ("left", "right"):
        lines += [f"2026-01-05 00:{2 * i:02},{line},{i}.5,{'' if i == 3 else i},{int(i == 4)}" for i in range(6)]
    path.write_text("\n".join(lines) + "\n")
    (tmp_path / "plant.toml").write_text('[columns]\ntime = "when"\nmachine = "line"\nbroken = "broke"\n')
    return path


def test_rows_of_several_machines_come_in_the_order_of_time_with_their_numbers(plant):
    history = read_history(plant, plant.with_suffix(".toml"), first=1, until=10)
    assert history.numbers.tolist() == [6, 1, 7, 2, 8, 3, 9, 4, 5]
    assert history.rows.machines[:3] == ["right", "left", "right"]
    assert (np.diff(history.rows.times_us) >= 0).all()


def test_one_machine_of_several_can_be_played_alone(plant):
    history = read_history(plant, plant.with_suffix(".toml"), machine="right")
    assert history.numbers.tolist() == [6, 7, 8, 9, 10, 11]
    assert set(history.rows.machines) == {"right"}


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"first": 12}, "no row from 12 to before 12; it has 12 rows"),
        ({"first": 5, "until": 5}, "no row from 5 to before 5"),
        ({"machine": "middle"}, "no machine 'middle'; it has left, right"),
        ({"machine": "left", "first": 6}, "left has no row among those"),
    ],
)
def test_a_selection_without_a_row_is_refused(plant, selection, message):
    with pytest.raises(DataError, match=re.escape(message)):
        read_history(plant, plant.with_suffix(".toml"), **selection)


def test_the_size_of_a_fault_is_counted_in_deviations_of_the_whole_file(plant):
    history = read_history(plant, plant.with_suffix(".toml"), until=2)
    assert history.deviations == pytest.approx([np.std(np.arange(6)), np.std([0, 1, 2, 4, 5])])


def test_a_constant_sensor_has_a_deviation_to_be_struck_with(tmp_path):
    path = tmp_path / "plant.csv"
    path.write_text("when,flow\n2026-01-05 00:00,7\n2026-01-05 00:02,7\n")
    path.with_suffix(".toml").write_text('[columns]\ntime = "when"\n')
    assert read_history(path, path.with_suffix(".toml")).deviations.tolist() == [1.0]


# --- when


@pytest.mark.parametrize(
    ("text", "speed"), [("1x", 1), ("3600x", 3600), ("3600", 3600), (".5x", 0.5), ("max", math.inf)]
)
def test_a_speed_is_a_factor_with_or_without_an_x(text, speed):
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "0x", "-1x", "fast", "nanx", "1e400", "1xx", "٣x"])
def test_a_speed_that_is_none_is_refused(text):
    with pytest.raises(DataError, match="expected 1x, 3600x"):
        parse_speed(text)


MOMENTS = st.lists(st.integers(0, 500), min_size=1, max_size=60).map(sorted)


@given(MOMENTS, st.sampled_from([0.5, 1.0, 60.0, math.inf]), st.integers(1, 7))
def test_every_row_is_sent_once_in_order_and_never_before_it_is_due(minutes, speed, most):
    time = Time()
    moments_us = START_US + np.array(minutes, dtype=np.int64) * MINUTE_US
    sent = []
    for block in paced(
        moments_us, origin_us=START_US, started_s=100.0, speed=speed, clock=time.clock, sleep=time.sleep, most=most
    ):
        assert 1 <= block.stop - block.start <= most
        sent += [(row, time.now) for row in range(block.start, block.stop)]
    assert [row for row, _ in sent] == list(range(len(minutes)))
    for (_, at), minute in zip(sent, minutes, strict=True):
        assert at == pytest.approx(100 + minute * 60 / speed)  # as the clock stands still while we send


@given(MOMENTS, st.lists(st.floats(0, 5000), min_size=60, max_size=60))
def test_a_slow_reader_is_caught_up_with(minutes, delays):
    time, delay = Time(), iter(delays)
    moments_us = START_US + np.array(minutes, dtype=np.int64) * MINUTE_US
    late_until = 0.0
    for block in paced(moments_us, origin_us=START_US, started_s=100.0, speed=1.0, clock=time.clock, sleep=time.sleep):
        due = 100 + minutes[block.start] * 60
        assert time.now == pytest.approx(max(due, late_until))
        time.now += next(delay)
        late_until = time.now


def test_a_gap_in_history_is_waited_for_by_the_speed():
    time = Time()
    sent = played(history_of([0, 2, 92, 94]), time=time, speed=60.0)
    assert [at - 100 for at, _ in sent] == pytest.approx([0, 2, 92, 94])


def test_at_full_speed_nothing_is_waited_for_and_blocks_are_bounded():
    time = Time()
    history = history_of(list(range(3 * BLOCK_ROWS)))
    encode = wire_encoder(history.rows, history.schema, labels=True)
    found = list(
        blocks(
            history, sendings(history, []), encode, copies=["pm1", "pm2"], speed=math.inf, begins_us=None, loop=False,
            clock=time.clock, sleep=time.sleep,
        )
    )  # fmt: skip
    assert not time.slept
    assert max(len(block.messages) for block in found) == BLOCK_ROWS
    assert sum(len(block.messages) for block in found) == 6 * BLOCK_ROWS


def test_the_first_row_can_be_now_and_the_others_keep_their_distance():
    now_us = to_us(datetime(2030, 7, 1, 12, 0, 5, tzinfo=UTC))
    rows = decoded(played(history_of([30, 32, 40]), begins_us=now_us))
    assert ((rows.times_us - now_us) // MINUTE_US).tolist() == [0, 2, 10]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=10, unique=True).map(sorted), st.data())
def test_each_loop_goes_on_where_the_last_one_ended(minutes, data):
    machines = data.draw(st.lists(st.sampled_from(["a", "b"]), min_size=len(minutes), max_size=len(minutes)))
    time = Time()
    sent = played(history_of(minutes, machines), time=time, loop=True, speed=60.0, count=4 * len(minutes))
    rows = decoded(sent)
    assert (np.diff(rows.times_us) > 0).all()
    assert rows.times_us[len(minutes)] - rows.times_us[len(minutes) - 1] == 2 * MINUTE_US
    assert [at - 100 for at, _ in sent] == pytest.approx((rows.times_us - rows.times_us[0]) / MINUTE_US)


# --- in what bytes


def test_what_is_sent_is_what_the_file_says():
    history = history_of([0, 2, 4])
    history.rows.values[1, 2] = np.nan
    history.rows.broken[:] = [INTACT, BROKEN, UNKNOWN]
    rows = decoded(played(history))
    assert (rows.times_us == history.rows.times_us).all()
    np.testing.assert_array_equal(rows.values, history.rows.values)
    assert rows.broken.tolist() == [INTACT, BROKEN, UNKNOWN]
    assert rows.grades == ["90", "90", "90"]


def test_without_labels_no_row_says_whether_the_sheet_is_broken():
    assert all(b"broken" not in message.value for _, message in played(history_of([0, 2]), labels=False))


def test_copies_differ_in_their_name_alone_and_are_interleaved():
    history = history_of([0, 2], ["paper"] * 2)
    sent = played(history, copies=copy_names(history, 3))
    assert [message.machine for _, message in sent] == ["pm1", "pm2", "pm3"] * 2
    alike = {re.sub(rb'"machine":"pm\d"', b"", message.value) for _, message in sent}
    assert len(alike) == 2


def test_several_machines_are_not_copied():
    with pytest.raises(DataError, match="has a, b; use --machine NAME"):
        copy_names(history_of([0, 2], ["a", "b"]), 2)


CSV_SCHEMAS = [
    {"time": "time", "broken": "y", "grade": "x28", "ignore": ("x61",), "time_format": "%m/%d/%y %H:%M"},
    {"time": "when", "machine": "line", "broken": "broke"},
    {"time": "when", "machine": "line", "time_format": "%d.%m.%Y %H:%M", "timezone": "Europe/Helsinki"},
]


@pytest.mark.parametrize("described", CSV_SCHEMAS)
def test_a_csv_that_is_written_is_read_back_by_the_same_schema(tmp_path, described):
    history = history_of([0, 2, 40], ["pm1", 'line, "two"', "pm1"] if "machine" in described else None, **described)
    history.rows.values[1, 2] = np.nan
    history.rows.broken[1] = BROKEN if "broken" in described else UNKNOWN
    encode = csv_encoder(history.rows, history.schema, labels=True, several=False)
    lines = [csv_header(history.schema, labels=True, several=False)]
    lines += [encode(i, int(t), [history.rows.machines[i]])[0] for i, t in enumerate(history.rows.times_us)]
    (tmp_path / "out.csv").write_bytes(b"\n".join(lines) + b"\n")
    _, rows = read_csv(tmp_path / "out.csv", Schema(**described))
    assert (rows.times_us == history.rows.times_us).all()
    np.testing.assert_array_equal(rows.values, history.rows.values)
    assert rows.machines == history.rows.machines
    if "broken" in described:
        assert rows.broken.tolist() == [INTACT, BROKEN, INTACT]
    assert rows.grades == (["90"] * 3 if "grade" in described else [None] * 3)


def test_copies_in_a_csv_have_a_machine_column():
    schema = Schema(sensors=SENSORS, time="time", broken="y")
    assert csv_header(schema, labels=True, several=True) == b"time,machine,y,x1,x2,x3"
    assert csv_header(schema, labels=False, several=False) == b"time,x1,x2,x3"


# --- the command


def test_a_replay_into_a_file_is_all_of_the_file(plant, tmp_path):
    out = tmp_path / "rows.ndjson"
    assert main([str(plant), "--schema", str(plant.with_suffix(".toml")), "--speed", "max", "--to", str(out)]) == 0
    schema, rows = read_csv(plant, load_schema(plant.with_suffix(".toml")))
    found = WireDecoder(schema).decode(out.read_bytes().splitlines())
    assert not found.rejects
    assert sorted(zip(found.rows.machines, found.rows.times_us.tolist(), strict=True)) == sorted(
        zip(rows.machines, rows.times_us.tolist(), strict=True)
    )


def test_a_replay_into_a_csv_is_that_csv_again(plant, tmp_path):
    schema = plant.with_suffix(".toml")
    out = tmp_path / "again.csv"
    main([str(plant), "--schema", str(schema), "--machine", "left", "--speed", "max", "--to", str(out)])
    _, rows = read_csv(out, load_schema(schema))
    _, original = read_csv(plant, load_schema(schema))
    np.testing.assert_array_equal(rows.values, original.values[:6])
    assert rows.broken.tolist() == original.broken[:6].tolist()


def test_now_is_the_wall_clock_to_the_second(plant, tmp_path):
    out = tmp_path / "rows.ndjson"
    before_us = to_us(datetime.now(UTC))
    options = ["--schema", str(plant.with_suffix(".toml")), "--times", "now", "--until", "1", "--to", str(out)]
    main([str(plant), *options])
    time = re.search(rb'"time":"([^"]+)"', out.read_bytes())
    assert time is not None
    assert before_us - 1_000_000 <= parse_time(time[1].decode()) <= to_us(datetime.now(UTC))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--machine", "left", "--machines", "2"], "give one of the two"),
        (["--machines", "2"], "has left, right"),
        (["--speed", "quick"], "--speed 'quick'"),
        (["--times", "then"], "invalid choice: 'then'"),
        (["--fault", "stuck:flow@0-2", "--fault", "late"], "--fault 'late'"),
        (["--to", "http://host/topic"], "expected kafka://host:9092/topic, rows.csv, rows.ndjson or -"),
        (["--to", "nowhere/rows.ndjson"], "No such file or directory"),
        (["--to", "plant.csv"], "is the file that is played"),
        (["--to", "kafka://host:9092"], "no topic is named"),
        (["--from", "12"], "no row from 12"),
        (["--schema", "other.toml"], "other.toml"),
    ],
)
def test_what_the_user_must_change_is_said(plant, options, message):
    before = plant.read_bytes()
    with pytest.raises(DataError, match=re.escape(message)):
        main([str(plant), "--schema", str(plant.with_suffix(".toml")), "--speed", "max", *options])
    assert plant.read_bytes() == before


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match=r"absent\.csv: No such file or directory"):
        main([str(tmp_path / "absent.csv")])


def test_every_option_can_come_from_the_environment(plant, tmp_path, monkeypatch):
    out = tmp_path / "rows.ndjson"
    for name, value in {
        "SCHEMA": str(plant.with_suffix(".toml")), "TO": str(out), "SPEED": "max", "MACHINE": "right", "FROM": "7",
        "UNTIL": "10", "NO_LABELS": "1", "FAULT": "garbage@8 duplicate@9",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"SHEETBREAK_{name}", value)
    assert main([str(plant)]) == 0
    lines = out.read_bytes().splitlines()
    assert len(lines) == 4
    assert lines[2] == lines[3]
    assert all(b'"right"' in line and b"broken" not in line for line in (lines[0], lines[2]))


def test_a_sensor_called_as_our_own_column_keeps_its_readings_and_copies_are_refused():
    rows = RowBatch(["pm1"], np.array([START_US]), np.array([[1.5]]), [None], np.array([INTACT], np.int8))
    schema = Schema(sensors=("machine",), time="ts", broken="brk")
    encode = csv_encoder(rows, schema, labels=True, several=False)
    assert csv_header(schema, labels=True, several=False) == b"ts,brk,machine"
    assert encode(0, START_US, ["pm1"])[0].endswith(b"Z,0,1.5")
    with pytest.raises(DataError, match='a sensor is called "machine"'):
        csv_header(schema, labels=True, several=True)


def test_a_csv_is_written_as_its_schema_says_tables_are():
    schema = Schema(
        sensors=("x1",),
        time="Date",
        clock="Time",
        broken="state",
        broken_values=("Abriss",),
        time_format="%d.%m.%Y %H:%M:%S.%f",
        csv=Dialect(separator=";", decimal=",", encoding="cp1252", skip_rows=1),
    )
    rows = RowBatch(["pm1"], np.array([START_US + 4000]), np.array([[1.5]]), [None], np.array([BROKEN], np.int8))
    line = csv_encoder(rows, schema, labels=True, several=False)(0, START_US + 4000, ["pm1"])[0]
    content = csv_header(schema, labels=True, several=False) + b"\n" + line + b"\n"
    assert content.startswith(b"\nDate;Time;state;x1\n")
    Path("out.csv").write_bytes(content)
    _, found = read_csv(Path("out.csv"), replace(schema, sensors=()))
    assert (found.times_us == rows.times_us).all()
    assert found.values.tolist() == [[1.5]]
    assert found.broken.tolist() == [BROKEN]
