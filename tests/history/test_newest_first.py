"""Tables whose newest row stands first, as databases and historians write them: read from their end, everywhere."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sheetbreak.history.doubts import Doubts
from sheetbreak.history.joining import History
from sheetbreak.history.reader import read_history
from sheetbreak.history.schema_file import load_schema
from sheetbreak.rows import Schema
from sheetbreak.streams.open import open_stream
from tests.support.data.workbook import workbook
from trainer.data.inspection.inspection import inspect_files

HELSINKI = ZoneInfo("Europe/Helsinki")
START = datetime(2026, 10, 24, 22, tzinfo=UTC)
"""Three hours before the clock there is set back."""
ROWS = 200
HEADER = "time;broken;line;speed;draw"


def rows(machines: Sequence[str] = ("pm1",)) -> list[str]:
    """In the order of time, machines interleaved."""
    return [
        f"{(START + timedelta(minutes=2 * i)).astimezone(HELSINKI):%d.%m.%Y %H:%M};{int(i % 50 == 49)};{machine};"
        f"{i * i % 17 + 0.25:.2f};{1000.5 + i * (7 + m) % 13:.2f}"
        for i in range(ROWS)
        for m, machine in enumerate(machines)
    ]


def inspected(name: str, lines: Sequence[str]) -> History:
    path, plant = Path(name), Path(name).with_suffix(".toml")
    if name.endswith("xlsx"):
        path.write_bytes(workbook({"rows": [line.split(";") for line in [HEADER, *lines]]}))
    else:
        path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    plant.write_text(inspect_files([path]).toml, encoding="utf-8")
    return read_history(path, load_schema(plant), doubts=Doubts())


def streamed(sources: Sequence[str], schema: Schema, *, state_dir: Path | None = None) -> tuple[list[int], int]:
    """Times, µs, of the rows as `monitor FILE` reads them, and how many lines it refuses."""
    with Path("out").open("wb", buffering=0) as out:
        sink = io.BufferedWriter(out)
        opened = open_stream(
            sources[0], more=sources[1:], schema=schema, out=sink, emit=frozenset(), state_dir=state_dir
        )
        times_us, refused = list[int](), 0
        while True:
            batch = opened.stream.poll(1.0)
            decoded = opened.decode([r.value for r in batch.records], [r.offset for r in batch.records])
            times_us += decoded.rows.times_us.tolist()
            refused += len(decoded.rejects)
            opened.stream.commit(batch, [], [])
            if batch.end:
                opened.stream.close()
                return times_us, refused


@pytest.mark.parametrize("machines", [("pm1",), ("pm1", "pm2", "pm3")])
@pytest.mark.parametrize("name", ["turned.csv", "turned.xlsx"])
def test_it_gives_the_rows_of_the_same_table_in_the_order_of_time(name: str, machines: tuple[str, ...]) -> None:
    expected = inspected("plain.csv", rows(machines))
    found = inspected(name, rows(machines)[::-1])
    assert found.schema.timezone == expected.schema.timezone == "Europe/Helsinki"
    assert found.schema.machine == expected.schema.machine == "line"
    assert [doubt.kind for doubt in found.doubts if doubt.kind not in {d.kind for d in expected.doubts}] == [
        "newest-first"
    ]
    for machine in machines:
        one, other = ([i for i, m in enumerate(h.rows.machines) if m == machine] for h in (expected, found))
        assert found.rows.times_us[other].tolist() == expected.rows.times_us[one].tolist()
        assert found.rows.values[other].tolist() == expected.rows.values[one].tolist()
        assert found.rows.broken[other].tolist() == expected.rows.broken[one].tolist()
    assert found.lines[0] == ROWS * len(machines) + 1
    assert found.place(0) == f"{name} line {ROWS * len(machines) + 1}"


@pytest.mark.parametrize("name", ["turned.csv", "turned.xlsx"])
def test_a_monitor_reads_it_in_the_order_of_time_alone_and_beside_others(name: str) -> None:
    schema = inspected("plain.csv", rows()).schema
    inspected(name, rows()[::-1])
    ascending, _ = streamed(["plain.csv"], schema)
    assert len(ascending) == ROWS
    assert ascending == sorted(ascending)
    assert streamed([name], schema) == (ascending, 0)
    inspected("later.csv", rows()[: ROWS // 2 : -1])
    inspected("first.csv", rows()[: ROWS // 2 + 1])
    assert streamed(["later.csv", "first.csv"], schema) == (ascending, 0)


def test_one_that_grows_at_its_top_gives_its_new_rows_to_the_next_start() -> None:
    schema = inspected("plain.csv", rows()).schema
    ascending, _ = streamed(["plain.csv"], schema)
    inspected("turned.csv", rows()[ROWS // 2 :: -1])
    older, _ = streamed(["turned.csv"], schema, state_dir=Path("state"))
    inspected("turned.csv", rows()[::-1])
    newer, refused = streamed(["turned.csv"], schema, state_dir=Path("state"))
    assert (older + newer, refused) == (ascending, 0)
    assert len(older) == ROWS // 2 + 1
    assert streamed(["turned.csv"], schema, state_dir=Path("state")) == ([], 0)


def test_a_table_in_the_order_of_time_with_some_rows_behind_is_not_turned() -> None:
    lines = rows()
    lines[100:100] = lines[20:30]
    Path("h.csv").write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    doubts = Doubts(keeps_going=True)
    schema = inspected("plain.csv", rows()).schema
    read_history(Path("h.csv"), sensors_from=schema, doubts=doubts)
    assert "newest-first" not in {doubt.kind for doubt in doubts.found}
    assert any(doubt.kind in ("time-goes-back", "time-repeats") for doubt in doubts.found)
