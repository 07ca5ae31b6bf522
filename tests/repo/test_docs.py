"""The pages for those who change something: the files that recipes name are there, and so is every metric."""

import re
from pathlib import Path

import pytest
from prometheus_client import Metric

from tests.support.models.mill import mill_rows, save_model
from tests.support.programs.monitor_rig import Monitor, topic_of

RECIPES = ("family", "threshold policy", "metric", "field of the alert", "stream", "command")


def recipes(checkout: Path) -> dict[str, list[str]]:
    """The files that each recipe names, by its heading."""
    parts = re.split(r"^## ", (checkout / "docs" / "adding.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {part.splitlines()[0]: re.findall(r"`([\w./-]+/[\w.-]+\.\w+|[A-Z]+\.md)`", part) for part in parts}


@pytest.mark.parametrize("what", RECIPES)
def test_there_is_a_recipe_for_every_usual_addition(checkout: Path, what: str) -> None:
    (found,) = (files for heading, files in recipes(checkout).items() if what in heading)
    assert len(found) >= 3


def test_every_file_that_a_recipe_names_exists(checkout: Path) -> None:
    named = [file for files in recipes(checkout).values() for file in files]
    assert not [
        file for file in named if not file.rpartition("/")[2].startswith("NEW.") and not (checkout / file).is_file()
    ]


def test_every_folder_that_the_map_names_exists(checkout: Path) -> None:
    page = (checkout / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:sheetbreak|trainer|monitor|replay)/[\w./-]*)`", page)
    assert len(named) > 20
    assert not [one for one in named if not (checkout / one).exists()]


def test_the_page_of_metrics_has_every_metric_with_its_type_and_labels_and_no_other(
    checkout: Path, tmp_path: Path
) -> None:
    """Fails after a new metric: give it its line in docs/metrics.md."""
    page = (checkout / "docs" / "metrics.md").read_text(encoding="utf-8")
    told = {}
    for name, kind, labels, meaning in re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) ?\| (.+) \|$", page, re.MULTILINE
    ):
        assert name not in told
        assert len(meaning) > 10
        told[name] = (kind, set(labels.replace(" ", "").split(",")) - {""})
    save_model(tmp_path / "models")
    rows = mill_rows(150, breaks=(100,))
    monitor = Monitor(topic_of([*rows, rows[-1], b"{"]), tmp_path / "models")
    monitor.metrics.show_lag({0: 7})
    monitor.run()
    served = {name_of(family): family for family in monitor.registry.collect()}
    assert told.keys() == served.keys()
    for name, family in served.items():
        kind, labels = told[name]
        assert kind == family.type, name
        shown = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert shown == labels or not family.samples, name


def name_of(family: Metric) -> str:
    """As it is served."""
    return family.name + ("_total" if family.type == "counter" else "")
