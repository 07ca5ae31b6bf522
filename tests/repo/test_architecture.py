"""What the import linter cannot say: what is loaded at run time, what files hold."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.running.services import plain_environment

PACKAGES = ("sheetbreak", "trainer", "monitor", "replay", "desk")
MOST_ENTRIES = 13
HEAVY = {
    *{"tensorflow", "keras", "tf2onnx", "onnx", "sklearn", "pandas", "scipy", "matplotlib"},
    *{"plotly", "optuna", "pyarrow"},
}

# Imports the modules named by its arguments; prints the top-level modules that this loaded.
PROBE = """
import json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    __import__(name)
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def test_importing_any_shared_module_loads_numpy_and_msgspec_and_no_other_library(checkout: Path) -> None:
    shared = [name for name in modules_of(checkout, "sheetbreak") if not _is_of_kafka(name)]
    loaded = imported(*shared)
    allowed = imported("numpy", "msgspec.json")
    others = loaded - allowed - sys.stdlib_module_names - {"sheetbreak"}
    assert not {name for name in others if not name.startswith("_sysconfigdata")}  # named by platform


def test_everything_the_monitor_needs_is_imported_without_tensorflow(checkout: Path) -> None:
    loaded = imported(*needed_by_the_monitor(checkout))
    assert not loaded & (HEAVY | {"trainer", "replay", "desk", "starlette", "uvicorn"})


def test_a_replay_loads_no_learning_library(checkout: Path) -> None:
    loaded = imported(*modules_of(checkout, "replay"))
    assert not loaded & (HEAVY | {"onnxruntime", "prometheus_client", "trainer", "monitor"})


def test_the_desk_loads_no_learning_library(checkout: Path) -> None:
    loaded = imported(*modules_of(checkout, "desk"))
    assert not loaded & (HEAVY | {"onnxruntime", "prometheus_client", "trainer", "monitor", "replay"})


def test_kafka_is_imported_by_the_kafka_stream_and_its_helpers_alone(checkout: Path) -> None:
    importing = {
        path.relative_to(checkout).as_posix()
        for path in _sources(checkout)
        if re.search(r"^\s*(from|import) kafka\b", path.read_text(), re.MULTILINE)
    }
    assert importing
    assert not {path for path in importing if not re.fullmatch(r"sheetbreak/streams/kafka/[\w/]+\.py", path)}


def test_no_file_has_outgrown_its_purpose(checkout: Path) -> None:
    """At 320 lines look for the seam that was missed."""
    long = {path.name: n for path in _sources(checkout) if (n := len(path.read_text().splitlines())) > 320}
    assert not long


def test_no_folder_has_more_than_about_a_dozen_entries(checkout: Path) -> None:
    """Families may list one file each. Beyond that look for the two rooms that became one."""
    helpers = [path for room in ("support", "slow") for path in (checkout / "tests" / room).rglob("*.py")]
    folders = {path.parent for path in [*_sources(checkout), *helpers]} - {checkout / "trainer" / "families"}
    entries = {folder: [one for one in folder.iterdir() if one.suffix == ".py" or one in folders] for folder in folders}
    counts = {
        folder.relative_to(checkout).as_posix(): len([one for one in found if not one.name.startswith("__")])
        for folder, found in entries.items()
    }
    assert not {folder: count for folder, count in counts.items() if count > MOST_ENTRIES}


def test_the_map_shows_the_floors_that_the_import_linter_holds(checkout: Path) -> None:
    contracts = tomllib.loads((checkout / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = {
        contract["name"].split()[-1]: [
            sorted(room.split(".")[1] for room in floor.split(" : ")) for floor in contract["layers"]
        ]
        for contract in contracts
        if contract["type"] == "layers" and contract["name"].startswith("the floors")
    }
    page = (checkout / "docs" / "architecture.md").read_text()
    table = page.partition("| sheetbreak, from the top | trainer, from the top |\n|---|---|\n")[2].partition("\n\n")[0]
    shown: dict[str, list[list[str]]] = {"sheetbreak": [], "trainer": []}
    for line in table.splitlines():
        for column, cell in zip(shown.values(), line.split("|")[1:3], strict=True):
            if rooms := re.findall(r"`(\w+)`", cell.partition("(")[0]):
                column.append(sorted(rooms))
    assert shown == floors


def test_every_page_and_file_that_code_and_docs_point_to_is_there(checkout: Path) -> None:
    tracked = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files"], cwd=checkout, capture_output=True, text=True, check=True
    )
    missing = set()
    for name in tracked.stdout.splitlines():
        path = checkout / name
        if path.suffix not in {".py", ".md", ".yml", ".toml"} or not path.is_file():
            continue
        text = path.read_text()
        named = re.findall(
            r"(?<!tests/)\b(?:docs|deploy|scripts|benchmarks|examples)/[\w./-]*\w\.(?:md|py|svg|png|yml)\b", text
        )
        found = {(checkout / one, one) for one in named}
        if path.suffix == ".md":
            links = re.findall(r"\]\((?!https?:)([^)#\s]+)", text)
            found |= {(path.parent / one, one) for one in links}
        missing |= {f"{name}: {one}" for at, one in found if not at.exists()}
    assert not missing


@pytest.mark.parametrize(
    "name", ["dev", "desk", "monitor", "trainer", "detection/outside", "kafka/rivals/requirements"]
)
def test_a_requirement_file_pins_every_package_by_hash_and_names_no_registry(checkout: Path, name: str) -> None:
    text = (checkout / ("benchmarks" if "/" in name else "requirements") / f"{name}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-", text.replace("    --hash=sha256:", ""), re.MULTILINE)
    entries = re.findall(r"^[a-z0-9][^\n]*\\\n(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 5
    assert all(re.match(r"[a-z0-9.-]+==\S+ ", entry) for entry in entries)


def test_the_monitors_requirements_hold_no_learning_library(checkout: Path) -> None:
    pinned = _pinned(checkout, "monitor")
    assert {"kafka-python==3.0.12", "crc32c", "onnxruntime", "prometheus-client"} <= pinned | {
        entry.partition("==")[0] for entry in pinned
    }
    assert not {entry.partition("==")[0] for entry in pinned} & (HEAVY | {"scikit-learn"})


@pytest.mark.parametrize("name", ["desk", "monitor", "trainer"])
def test_every_requirement_file_pins_the_same_versions(checkout: Path, name: str) -> None:
    assert _pinned(checkout, name) < _pinned(checkout, "dev")


def test_every_declared_dependency_is_pinned(checkout: Path) -> None:
    """A dependency added to pyproject.toml needs `make lock`."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    declared = [
        *project["dependencies"],
        *(r for rs in project["optional-dependencies"].values() for r in rs),
    ]
    names = {re.split(r"[^A-Za-z0-9-]", requirement)[0] for requirement in declared} - {"sheetbreak"}
    assert names <= {entry.partition("==")[0] for entry in _pinned(checkout, "dev")}


def _pinned(checkout: Path, name: str) -> set[str]:
    text = (checkout / "requirements" / f"{name}.txt").read_text()
    return set(re.findall(r"^[a-z0-9.-]+==[^ ]+", text, re.MULTILINE))


def _sources(checkout: Path) -> list[Path]:
    return [path for package in PACKAGES for path in sorted((checkout / package).rglob("*.py"))]


def modules_of(checkout: Path, package: str) -> list[str]:
    """Every module of a package by its dotted name, without the __main__ that would run a program."""
    names = [
        ".".join(path.relative_to(checkout).with_suffix("").parts)
        for path in sorted((checkout / package).rglob("*.py"))
        if path.name != "__main__.py"
    ]
    return [name.removesuffix(".__init__") for name in names]


def needed_by_the_monitor(checkout: Path) -> list[str]:
    needed = ["onnxruntime", *modules_of(checkout, "sheetbreak"), *modules_of(checkout, "monitor")]
    assert any(_is_of_kafka(name) for name in needed)
    return needed


def _is_of_kafka(module: str) -> bool:
    return module.startswith("sheetbreak.streams.kafka")


def imported(*modules: str) -> set[str]:
    """The top-level modules that are loaded once a new interpreter has imported these."""
    probe = [sys.executable, "-c", PROBE, *modules]
    done = subprocess.run(probe, check=False, capture_output=True, text=True, env=plain_environment())
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))
