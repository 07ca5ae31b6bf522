"""The table of schemes is the one place that knows what an address can be."""

import ast
from pathlib import Path

import pytest

from sheetbreak.errors import DataError
from sheetbreak.streams.open import SCHEMES, check_state_dir, in_words, is_csv, scheme_of

ROOT = Path(__file__).parents[2]
KNOWS_ADDRESSES = {"sheetbreak/streams/open.py", "sheetbreak/streams/kafka/options.py"}


def test_every_example_of_the_table_finds_its_own_scheme() -> None:
    for name, scheme in SCHEMES.items():
        for example in scheme.examples:
            assert scheme_of(example) is SCHEMES[name]
            assert example in in_words()


@pytest.mark.parametrize("address", ["http://host/topic", "KAFKA://host/topic", "://topic"])
def test_another_scheme_is_refused_with_what_there_is(address: str) -> None:
    with pytest.raises(DataError) as refused:
        scheme_of(address, option="--to")
    assert str(refused.value) == f"--to {address}: expected kafka://host:9092/topic, rows.csv, rows.ndjson or -"


def test_a_state_directory_is_refused_where_the_stream_keeps_the_state_itself() -> None:
    check_state_dir("rows.ndjson", Path("state"))
    check_state_dir("kafka://host/rows", None)
    with pytest.raises(DataError, match="the topic monitor-state holds the state"):
        check_state_dir("kafka://host/rows", Path("state"))


def test_a_topic_named_like_a_csv_holds_no_csv() -> None:
    assert is_csv("Rows.CSV")
    assert not is_csv("kafka://host/rows.csv")
    assert not is_csv("rows.ndjson")


@pytest.mark.parametrize("package", ["sheetbreak", "trainer", "monitor", "replay"])
def test_no_other_module_asks_whether_an_address_is_kafkas(package: str) -> None:
    asking = {
        str(path.relative_to(ROOT))
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for asked in {ast.Compare: ("kafka://", "kafka"), ast.Call: ("kafka://",)}.get(type(node), ())
        if any(isinstance(part, ast.Constant) and part.value == asked for part in ast.iter_child_nodes(node))
    }
    assert asking <= KNOWS_ADDRESSES
