"""The simulated mill: its files, what a seed promises, and that causes show where and when they should."""

import csv
import itertools
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from sheetbreak.errors import DataError
from sheetbreak.history.reader import read_csv
from sheetbreak.rows import BROKEN
from trainer.commands.simulate import main
from trainer.simulation import signals
from trainer.simulation.causes import CAUSES, disturbance_of
from trainer.simulation.files import CauseRow, causes_path, write_mill
from trainer.simulation.mill import simulate_machine
from trainer.simulation.plant import SENSORS, build_plant
from trainer.simulation.schedule import ROWS_PER_DAY, Break, Disturbance, Schedule, plan

NAMES = [sensor.name for sensor in SENSORS]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week of one machine."""
    out = tmp_path_factory.mktemp("mill") / "mill.csv"
    assert main(["--days", "7", "--seed", "3", "--out", str(out)]) == 0
    return out


def test_the_same_seed_gives_the_same_bytes_in_any_process(tmp_path):
    written = []
    for hash_seed in ("1", "2"):
        out = tmp_path / f"{hash_seed}.csv"
        command = [sys.executable, "-m", "sheetbreak", "simulate", "--days", "1", "--machines", "2"]
        subprocess.run(
            [*command, "--out", str(out)],
            check=True,
            capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[3],
        )
        written.append((out.read_bytes(), causes_path(out).read_bytes()))
    assert written[0] == written[1]


def test_another_seed_gives_another_mill(tmp_path):
    for seed in ("1", "2"):
        main(["--days", "1", "--seed", seed, "--out", str(tmp_path / f"{seed}.csv")])
    assert (tmp_path / "1.csv").read_bytes() != (tmp_path / "2.csv").read_bytes()


def test_the_file_is_read_as_the_published_one_is_without_a_schema(mill):
    schema, rows = read_csv(mill)
    assert mill.read_text().splitlines()[0] == "time,y," + ",".join(f"x{i}" for i in range(1, 62))
    assert schema.sensors == tuple(NAMES)
    assert len(schema.sensors) == 59
    assert np.isfinite(rows.values).all()
    assert set(rows.machines) == {"pm1"}
    assert len(set(rows.grades)) >= 2


def test_times_are_written_as_in_the_published_file(mill):
    times = [row["time"] for row in rows_of(mill)]
    assert times[0] == "1/5/26 0:00"
    assert "1/6/26 13:04" in times


def test_a_sensor_has_the_same_decimals_in_every_row_and_never_an_exponent(mill):
    rows = rows_of(mill)
    for sensor in SENSORS:
        cells = [row[sensor.name] for row in rows]
        assert len({len(cell.partition(".")[2]) for cell in cells}) == 1
        assert all(re.fullmatch(r"-?\d+\.\d+", cell) for cell in cells)
        assert len(set(cells)) > 1


def test_several_machines_have_a_column_and_each_is_as_if_it_were_alone(tmp_path):
    main(["--days", "1", "--out", str(tmp_path / "one.csv")])
    main(["--days", "1", "--machines", "3", "--out", str(tmp_path / "three.csv")])
    three = rows_of(tmp_path / "three.csv")
    assert list(three[0])[:3] == ["time", "machine", "y"]
    first = [{k: v for k, v in row.items() if k != "machine"} for row in three if row["machine"] == "pm1"]
    assert first == rows_of(tmp_path / "one.csv")
    at_once = {name: [row["time"] for row in three if row["machine"] == name] for name in ("pm1", "pm2", "pm3")}
    assert at_once["pm1"] != at_once["pm2"] != at_once["pm3"]  # each breaks and stands by itself
    schema, rows = read_csv(tmp_path / "three.csv")
    assert len(schema.sensors) == 59
    assert (np.diff(rows.times_us) >= 0).all()


def test_every_break_is_in_the_causes_once_with_its_row_and_time(tmp_path):
    out = tmp_path / "mill.csv"
    main(["--days", "3", "--machines", "2", "--out", str(out)])
    rows, causes = rows_of(out), rows_of(tmp_path / "mill.causes.csv")
    assert list(causes[0]) == list(CauseRow._fields)
    assert [int(c["row"]) for c in causes] == [i for i, row in enumerate(rows) if row["y"] == "1"]
    for cause in causes:
        row = rows[int(cause["row"])]
        assert (row["machine"], row["time"]) == (cause["machine"], cause["time"])


def test_a_precursor_takes_5_to_60_minutes_of_its_own_run_and_names_its_sensors(mill):
    rows, causes = rows_of(mill), rows_of(causes_path(mill))
    named = {cause.name: " ".join(cause.sensors) for cause in CAUSES}
    with_precursor = [cause for cause in causes if cause["cause"] != "none"]
    assert with_precursor
    for cause in with_precursor:
        first, last = int(cause["precursor_row"]), int(cause["row"])
        assert cause["sensors"] == named[cause["cause"]]
        assert 5 <= int(cause["precursor_minutes"]) <= 60
        assert int(cause["precursor_minutes"]) == 2 * (last - first)
        assert all(rows[row]["y"] == "0" for row in range(first, last))
        assert minutes_between(rows[first]["time"], rows[last]["time"]) == 2 * (last - first)
    for cause in causes:
        if cause["cause"] == "none":
            assert cause["sensors"] == cause["precursor_row"] == cause["precursor_minutes"] == ""


def minutes_between(earlier: str, later: str) -> float:
    first, last = (datetime.strptime(text, "%m/%d/%y %H:%M") for text in (earlier, later))  # noqa: DTZ007
    return (last - first).total_seconds() / 60


def test_rows_are_2_minutes_apart_but_for_stops_of_30_to_120_minutes(mill):
    times = [row["time"] for row in rows_of(mill)]
    steps = [minutes_between(a, b) for a, b in itertools.pairwise(times)]
    stops = [step - 2 for step in steps if step != 2]
    assert len(stops) >= 10
    assert min(stops) >= 30
    assert max(stops) <= 120


def test_x61_is_1_on_break_rows_alone(mill):
    rows = rows_of(mill)
    assert {row["y"] for row in rows if row["x61"] == "1"} == {"1"}
    assert {row["x61"] for row in rows} == {"0", "1"}


def test_a_day_has_4_to_5_breaks_and_about_a_third_come_without_warning():
    schedules = [plan(28 * ROWS_PER_DAY, np.random.default_rng(seed)) for seed in range(20)]
    breaks = [found for schedule in schedules for found in schedule.breaks]
    assert 4 < len(breaks) / (20 * 28) < 5
    assert 0.27 < np.mean([found.cause is None for found in breaks]) < 0.4
    assert {found.cause.name for found in breaks if found.cause} == {cause.name for cause in CAUSES}


@pytest.mark.parametrize("seed", range(5))
def test_nothing_happens_while_the_machine_stands(seed):
    schedule = plan(14 * ROWS_PER_DAY, np.random.default_rng(seed))
    assert all(schedule.running[found.slot] for found in schedule.breaks)
    for event in schedule.disturbances:
        assert schedule.running[event.start : event.start + event.rows].all()
    taken = np.zeros(len(schedule.running), dtype=int)
    for event in schedule.disturbances:
        taken[event.start : event.start + event.rows] += 1
    assert taken.max() == 1


def quiet(slots: int, **changes) -> Schedule:
    """A schedule in which nothing happens, but for `changes`."""
    calm = Schedule(np.ones(slots, dtype=np.bool_), (), (), np.full(slots, 90))
    return replace(calm, **changes)


def simulated(schedule: Schedule) -> np.ndarray:
    return signals.simulate_sensors(build_plant(), schedule, np.random.default_rng(5))


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_precursor_shows_in_its_sensors_and_in_no_other_and_not_before_it_begins(cause):
    event = Disturbance(400, cause.longest_rows, cause, 1.0, fades=False)
    calm, disturbed = simulated(quiet(600)), simulated(quiet(600, disturbances=(event,)))
    moved = {name for name, column in zip(NAMES, (calm != disturbed).T, strict=True) if column.any()}
    assert moved == set(cause.sensors)
    # A line of the historian may know its end; nothing else knows the future.
    assert (calm[: 400 - signals.ARCHIVE_ROWS] == disturbed[: 400 - signals.ARCHIVE_ROWS]).all()
    columns = [NAMES.index(name) for name in cause.sensors if SENSORS[NAMES.index(name)].kind == "fast"]
    assert (calm[:400, columns] == disturbed[:400, columns]).all()
    window = slice(400, 400 + cause.longest_rows)
    size = np.abs(disturbed - calm)[window, columns] / build_plant().spread[columns]
    assert size.max() > 3


def test_no_sensor_shows_a_break_or_a_stop_before_it():
    running = np.ones(600, dtype=np.bool_)
    running[401:440] = False
    schedule = quiet(600, running=running, breaks=(Break(400, None, 400),))
    shallow = build_plant()
    deep = replace(shallow, standstill=10 * shallow.standstill)
    usual, strong = (signals.simulate_sensors(plant, schedule, np.random.default_rng(5)) for plant in (shallow, deep))
    assert (usual[400] != strong[400]).mean() > 0.7
    assert (usual[:400] == strong[:400]).all()


def test_rows_after_a_restart_look_abnormal_and_an_hour_later_they_do_not():
    running = np.ones(800, dtype=np.bool_)
    running[401:440] = False
    calm, stopped = simulated(quiet(800)), simulated(quiet(800, running=running))
    off = np.abs(stopped - calm).mean(axis=1)
    spread = calm.std(axis=0).mean()
    assert off[440:445].mean() > spread
    assert off[540:].mean() < 0.05 * off[440:445].mean()


def test_each_kind_of_sensor_is_what_its_name_says():
    values = (simulate_machine(0, days=3, seed=1).values - build_plant().centre) / build_plant().spread
    kinds = np.array([sensor.kind for sensor in SENSORS])

    def share(found: np.ndarray, kind: str) -> float:
        return float(np.mean(found[:, kinds == kind]))

    still = np.diff(values, axis=0) == 0
    straight = np.abs(np.diff(values, n=2, axis=0)) < 1e-9
    rough = np.abs(np.diff(values, axis=0))
    assert share(still, "held") > 0.3
    assert share(straight, "interpolated") > 0.3 > share(still, "interpolated")
    assert share(still, "bang-bang") > 0.8
    assert set(values[1:, kinds == "bang-bang"][still[:, kinds == "bang-bang"]].round(6)) == {-1.0, 1.0}
    assert share(still, "fast") == 0
    assert share(rough, "slow") < 0.5 * share(rough, "fast")


def test_sensors_are_correlated_most_of_all_within_a_section():
    values = simulate_machine(0, days=14, seed=1).values
    moves = values[15:] - values[:-15]  # half an hour: the seconds are noise, the weeks drift
    correlation = np.abs(np.corrcoef(moves.T))
    section = np.array([sensor.section for sensor in SENSORS])
    same, other = section[:, None] == section, ~np.eye(len(SENSORS), dtype=bool)
    assert np.sort(correlation, axis=0)[-2].mean() > 0.35  # each sensor's nearest relative
    assert correlation[same & other].mean() > 2 * correlation[~same].mean()


def test_sensors_drift_over_weeks():
    days = 28
    values = simulate_machine(0, days=days, seed=1).values / build_plant().spread
    means = np.asarray(values.reshape(days, ROWS_PER_DAY, -1).mean(axis=1))
    assert (np.abs(means[-7:].mean(axis=0) - means[:7].mean(axis=0)) > 1).mean() > 0.3


def test_the_grade_is_the_basis_weight():
    machine = simulate_machine(0, days=14, seed=2)
    changes = np.flatnonzero(np.diff(machine.schedule.grade))
    assert len(changes) >= 3
    basis_weight = machine.values[:, NAMES.index("x56")]
    settled = np.ones(len(basis_weight), dtype=bool)
    for change in changes:
        settled[change : change + 60] = False
    assert np.corrcoef(basis_weight[settled], machine.schedule.grade[settled])[0, 1] > 0.98


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_an_upset_begins_as_a_precursor_does_and_fades(cause):
    added, lost = disturbance_of(cause, 20, severity=1.0, fades=True, rng=np.random.default_rng(0))
    assert np.abs(added[5:15]).max() > 0.5 * cause.size * min(map(abs, cause.sensors.values()))
    assert np.abs(added[-1]).max() == 0
    assert lost.max() <= 1
    assert (lost.max() > 0) == (cause.shape == "decorrelation")


def test_a_file_that_cannot_be_written_is_said_so_and_leaves_nothing_behind(tmp_path):
    machine = simulate_machine(0, days=1, seed=1)
    with pytest.raises(DataError, match=r"cannot write .*nowhere/mill\.csv: No such file or directory; name a file"):
        write_mill([machine], tmp_path / "nowhere" / "mill.csv")
    (tmp_path / "mill.csv").mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        write_mill([machine], tmp_path / "mill.csv")
    with pytest.raises(DataError, match="Is a directory"):
        write_mill([machine], Path())  # --out . or --out /: no name at all
    assert [path.name for path in tmp_path.iterdir()] == ["mill.csv"]


def test_an_interrupted_simulation_leaves_the_old_file(tmp_path, monkeypatch):
    out = tmp_path / "mill.csv"
    out.write_text("old")
    machine = simulate_machine(0, days=1, seed=1)
    broken = replace(machine, values=machine.values[:100])
    with pytest.raises(IndexError):
        write_mill([broken], out)
    assert [path.name for path in tmp_path.iterdir()] == ["mill.csv"]
    assert out.read_text() == "old"


def test_whoever_reads_the_old_file_reads_it_to_its_end(tmp_path):
    out = tmp_path / "mill.csv"
    out.write_text("old")
    with out.open() as reader:
        write_mill([simulate_machine(0, days=1, seed=1)], out)
        assert reader.read() == "old"
    assert out.read_text().startswith("time,y,x1")


def test_an_overwritten_file_is_readable_for_others(tmp_path):
    write_mill([simulate_machine(0, days=1, seed=1)], tmp_path / "mill.csv")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "mill.csv").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--days", "0"], "whole number from 1 to 730"),
        (["--machines", "0"], "whole number from 1 to 500"),
        (["--seed", "-1"], "whole number"),
        (["--days", "700", "--machines", "100"], "100 machines for 700 days are more than 5000 machine-days"),
    ],
)
def test_a_bad_option_is_refused_with_what_would_be_good(arguments, message):
    with pytest.raises(DataError, match=message):
        main(arguments)


def test_results_are_said_on_standard_error_without_a_progress_bar(mill, capfd, tmp_path):
    main(["--days", "1", "--out", str(tmp_path / "mill.csv")])
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "rows" in err


def test_breaks_are_labelled_as_the_reader_sees_them(mill):
    _, rows = read_csv(mill)
    assert int((rows.broken == BROKEN).sum()) == len(rows_of(causes_path(mill)))


def test_the_documentation_lists_sensors_and_causes_as_they_are(checkout):
    text = (checkout / "docs" / "simulator.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| x")]
    assert rows == [[s.name, s.section, s.kind, s.meaning] for s in SENSORS]
    for cause in CAUSES:
        assert re.search(rf"^\| `{cause.name}` \| .* \| {' '.join(cause.sensors)} \|$", text, re.MULTILINE)
    for kind in {s.kind for s in SENSORS}:
        assert re.search(rf"\b{sum(s.kind == kind for s in SENSORS)} \*{kind}\*", text)
