"""The version of our code: every module that can change a figure is in it, and those that only show one are not."""

import json
import subprocess
import sys
from pathlib import Path

from trainer.comparison.sources import imported_sources, sources_digest
from trainer.families import FAMILIES

LOADED = """
import json, sys
import trainer.comparison.tasks, trainer.training.backend
print(json.dumps([name for name in sys.modules if name.partition(".")[0] in ("sheetbreak", "trainer")]))
"""


def test_what_a_task_loads_is_in_the_digest_and_what_shows_results_is_not(checkout: Path) -> None:
    known = imported_sources("trainer.comparison.tasks")
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=checkout, capture_output=True, check=True, text=True)
    loaded = set(json.loads(done.stdout))
    packages = {name for name in loaded if (checkout.joinpath(*name.split(".")) / "__init__.py").is_file()}
    table_of_commands = {"sheetbreak.cli.commands"}  # comes with its package; changes no figure
    assert loaded - packages - table_of_commands <= known.keys()
    assert {family.build.__module__ for family in FAMILIES.values()} <= known.keys()
    assert not known.keys() & {
        "trainer.evaluation.tables",
        "trainer.commands.compare",
        "trainer.comparison.text",
        "sheetbreak.cli.commands",
    }
    assert all(path.is_file() for path in known.values())


def test_the_digest_is_of_the_sources(tmp_path: Path) -> None:
    before = sources_digest("trainer.comparison.tasks")
    assert before == sources_digest("trainer.comparison.tasks")
    for name, text in {"a": "from trainer.b import x", "b": "x = 1", "c": "x = 1"}.items():
        path = tmp_path / "trainer" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    first = sources_digest("trainer.a", root=tmp_path)
    (tmp_path / "trainer" / "c.py").write_text("x = 2")
    assert sources_digest("trainer.a", root=tmp_path) == first
    (tmp_path / "trainer" / "b.py").write_text("x = 2")
    assert sources_digest("trainer.a", root=tmp_path) != first != before
