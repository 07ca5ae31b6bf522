"""Labels from operators' actions: every mask with its end, the last verdict on each alarm, in time order."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.cli.labels import main
from sheetbreak.errors import DataError
from sheetbreak.times import format_time, parse_time
from sheetbreak.wire.actions import VERDICTS, Action, encode_action, make_action
from sheetbreak.wire.labels import Label, Span, labels_of, read_labels, spans_of, write_labels

START_US = parse_time("2026-05-01T06:00:00Z")
HOUR_US = 3600 * 1_000_000
texts = st.text(st.characters(exclude_categories=["C"]), max_size=20).map(str.strip)
names = texts.filter(bool)
times = st.integers(0, 10**6).map(lambda minute: START_US + minute * 60_000_000)


@st.composite
def labels(draw: st.DrawFn) -> Label:
    kind = draw(st.sampled_from(["mask", "verdict", "cause"]))
    from_us, minutes = draw(times), draw(st.none() | st.integers(0, 10**6))
    return Label(
        draw(names),
        kind,  # type: ignore[arg-type]
        from_us,
        None if minutes is None else from_us + minutes * 60_000_000,
        sensor=draw(names) if kind == "mask" else "",
        verdict=draw(st.sampled_from(VERDICTS)) if kind == "verdict" else "",
        **{name: draw(texts) for name in ("cause", "alert_id", "by", "comment")},
    )


@given(st.lists(labels(), max_size=5), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_labels_that_a_spreadsheet_saved_again_are_the_same(found: list[Label], encoding: str) -> None:
    assert read_labels(write_labels(found).encode(encoding), name="labels.csv") == found


def act(action: str, hour: float, **fields: Any) -> Action:
    until = fields.pop("until", None)
    time_us = START_US + round(hour * HOUR_US)
    until_us = None if until is None else START_US + round(until * HOUR_US)
    return make_action("pm1", action, time_us=time_us, by="Aino", until_us=until_us, **fields)


def test_a_mask_ends_at_its_own_end_at_the_next_word_on_the_sensor_or_not_yet() -> None:
    said = [
        act("mask", 5, sensor="x2"),
        act("mask", 0, sensor="x1", until=2),
        act("mask", 1, sensor="x1", until=9),
        act("unmask", 4, sensor="x1"),
        act("unmask", 6, sensor="x3"),
        act("shelve", 6),
    ]
    found = labels_of(said, {})
    spans = [
        (one.sensor, (one.from_us - START_US) / HOUR_US, one.until_us and (one.until_us - START_US) / HOUR_US)
        for one in found
    ]
    assert spans == [("x1", 0, 1), ("x1", 1, 4), ("x2", 5, None)]


def test_the_last_verdict_on_an_alarm_counts_and_covers_it() -> None:
    said = [
        act("verdict", 3, alert_id="a", verdict="false"),
        act("verdict", 4, alert_id="a", verdict="true", cause="felt"),
        act("verdict", 5, alert_id="gone", verdict="unsure"),
        act("cause", 6, cause="hole"),
    ]
    found = labels_of(said, {"a": Span("pm1", START_US, START_US + HOUR_US)})
    assert [(one.kind, one.verdict, one.cause, one.from_us, one.until_us) for one in found] == [
        ("verdict", "true", "felt", START_US, START_US + HOUR_US),
        ("verdict", "unsure", "", START_US + 5 * HOUR_US, None),
        ("cause", "", "hole", START_US + 6 * HOUR_US, None),
    ]


def alert(kind: str, hour: int) -> bytes:
    times = {"time": format_time(START_US + hour * HOUR_US), "opened_at": format_time(START_US)}
    return json.dumps({"topic": "alerts", "alert_id": "a", "kind": kind, "machine": "pm1"} | times).encode()


def test_an_alert_lasts_from_its_opening_to_its_close() -> None:
    noise = [b"{", b'{"topic":"scores"}', b"\xff"]
    assert spans_of([*noise, alert("opened", 0), alert("updated", 1)]) == {"a": Span("pm1", START_US, None)}
    assert spans_of([alert("closed", 2), alert("updated", 1)])["a"].until_us == START_US + 2 * HOUR_US


def test_the_command_writes_the_table_of_a_file_and_says_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [act("verdict", 3, alert_id="a", verdict="true"), act("verdict", 3, alert_id="b", verdict="false")]
    lines = [*map(encode_action, said), alert("closed", 2), b"nonsense"]
    (tmp_path / "said.ndjson").write_bytes(b"\n".join(lines))
    assert main(["said.ndjson", "--out", "labels.csv"]) == 0
    first, second = read_labels((tmp_path / "labels.csv").read_bytes(), name="labels.csv")
    assert (first.alert_id, first.until_us) == ("a", START_US + 2 * HOUR_US)
    assert (second.alert_id, second.until_us) == ("b", None)
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "2 verdicts, 0 causes, 0 masks",
        "pm1: 1 true, 1 false, 0 unsure, precision 0.50",
        "1 of the verdicts are on alarms that said.ndjson does not hold: without an end",
        "1 messages of said.ndjson are no actions",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: no column 'machine'"),
        ("machine,kind,from,until,sensor,verdict\npm1,mask,yesterday,,x1,", "line 2, column from: .*such as 2026"),
        (
            "machine;kind;from;until;sensor;verdict\npm1;mask;2026-05-01T06:00:00Z;;;",
            "line 2: kind 'mask' with sensor ''",
        ),
        ("machine,kind,from,until,sensor,verdict\n,mask,2026-05-01T06:00:00Z,,x1,", "line 2: machine or from is empty"),
        (
            "machine,kind,from,until,sensor,verdict\npm1,mask,2026-05-01T06:00:00Z,2026-05-01T05:00:00Z,x1,",
            "line 2: until is before from",
        ),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_labels(text.encode(), name="labels.csv")
