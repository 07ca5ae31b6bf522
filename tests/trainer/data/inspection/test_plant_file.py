"""A plant file that was written is read back as it was meant, whatever the names."""

import string
import tomllib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sheetbreak.history.schema_file import load_schema
from trainer.data.inspection.guesses.plant_file import Entry, plain, plant_toml

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
WHY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_plant_file_is_read_back_by_load_schema_as_it_was_written(tmp_path: Path, data):
    time, broken, machine, grade, *others = data.draw(st.lists(NAMES, min_size=4, max_size=12, unique=True))
    words = data.draw(st.lists(NAMES, min_size=1, max_size=3))
    missing = data.draw(st.lists(st.one_of(NAMES, st.just("-9999"), st.just("1e+35")), max_size=4))
    units = data.draw(st.dictionaries(NAMES, NAMES, max_size=4))
    why = data.draw(WHY)
    period_s = data.draw(st.one_of(st.integers(1, 3600), st.sampled_from([0.004, 0.5, 1.25])))
    plant = {
        "columns": {
            "time": Entry(time, why),
            "broken": Entry(broken),
            "broken_values": Entry(words, why),
            "machine": Entry(machine),
            "grade": Entry(grade),
            "ignore": Entry(others, why),
        },
        "sampling": {
            "period_s": Entry(period_s, why),
            "stop_gap_s": Entry(7 * period_s, why, shown=True),
            "timezone": Entry("Europe/Helsinki", why),
        },
        "csv": {"separator": Entry("\t"), "decimal": Entry(","), "skip_rows": Entry(2), "encoding": Entry("cp1252")},
        "values": {"missing": Entry(missing)},
        "units": {name: Entry(unit, why) for name, unit in units.items()},
    }
    path = tmp_path / "plant.toml"
    path.write_text(plant_toml(plant, title=f"From {why!r}"), encoding="utf-8")
    schema = load_schema(path)
    assert (schema.time, schema.broken, schema.machine, schema.grade) == (time, broken, machine, grade)
    assert (schema.ignore, schema.broken_values) == (tuple(others), tuple(words))
    assert (schema.period_s, schema.timezone) == (period_s, "Europe/Helsinki")
    assert (schema.missing, schema.units) == (tuple(missing), units)
    assert (schema.csv.separator, schema.csv.decimal, schema.csv.skip_rows) == ("\t", ",", 2)
    assert tomllib.loads(path.read_text(encoding="utf-8")) == {
        table: {key: list(v) if isinstance(v, list | tuple) else v for key, v in entries.items()}
        for table, entries in plain(plant).items()
    }


def test_what_is_only_shown_is_a_comment_and_an_empty_table_is_left_out():
    plant = {"columns": {}, "sampling": {"stop_gap_s": Entry(660, "learned", shown=True)}}
    text = plant_toml(plant, title="Guessed")
    assert tomllib.loads(text) == {}
    assert "# stop_gap_s = 660" in text
    assert "columns" not in text


def test_a_long_list_stands_one_name_a_line():
    names = [f"{letter * 20}" for letter in string.ascii_lowercase]
    text = plant_toml({"columns": {"ignore": Entry(names, "text")}}, title="Guessed")
    assert tomllib.loads(text) == {"columns": {"ignore": names}}
    assert max(map(len, text.splitlines())) < 60
