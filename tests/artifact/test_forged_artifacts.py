"""Forged artifacts with right hashes: none is taken, ends, hangs or blinds the monitor, and `verify` names each."""

from pathlib import Path

import numpy as np
import pytest

from sheetbreak.artifact import MODEL, list_versions, save, use
from sheetbreak.cli.models import main
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.errors import ArtifactError
from sheetbreak.streams.protocol import Batch
from tests.support.models.forging import forge, forgeries
from tests.support.models.making import NOW, low_rank_graph, make_manifest
from tests.support.models.mill import mill_rows, save_model
from tests.support.programs.monitor_rig import Monitor, topic_of


@pytest.fixture(scope="module")
def forged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, dict[str, str]]:
    """A directory of models: a sound one, which is current, and the forged ones, by version what is wrong."""
    models = tmp_path_factory.mktemp("models")
    sound = save_model(models).version
    unfit = {}
    for number, (what, how) in enumerate(forgeries().items()):
        version = f"20260601T000000Z-{number:04x}"
        forge(models / sound, models / version, how)
        unfit[version] = what
    return models, sound, unfit


def test_there_are_two_hundred_and_verify_names_each(
    forged: tuple[Path, str, dict[str, str]], capsys: pytest.CaptureFixture[str]
):
    models, sound, unfit = forged
    assert len(unfit) >= 200
    assert main(["verify", "--models", str(models)]) == 2
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert said.keys() == {sound, *unfit}
    assert said[sound].split()[1] == "ok"
    assert {unfit[version] for version in unfit if said[version].split()[1] != "BAD"} == set()


def test_none_ends_hangs_or_blinds_a_running_monitor(forged: tuple[Path, str, dict[str, str]], tmp_path: Path):
    models, sound, unfit = forged
    rows = mill_rows(len(unfit) + 60)
    use(models, sound)
    undisturbed = Monitor(topic_of(rows), models).run().topic.outputs
    monitor = Monitor(topic_of(rows), models, max_records=1)
    waiting = iter(unfit)

    def next_one(_batch: Batch) -> None:
        monitor.clock.now += 2
        if (version := next(waiting, None)) is not None:
            beside = tmp_path / "link"
            beside.symlink_to(models / version)
            beside.rename(models / "current")  # `use` would refuse what has no manifest

    monitor.at_poll = next_one
    monitor.run()
    assert monitor.topic.outputs == undisturbed
    assert monitor.sample("sheetbreak_model_reloads_total", result="refused") == len(unfit)
    assert monitor.sample("sheetbreak_model_reloads_total", result="ok") == 0


def test_the_list_of_models_says_unusable_and_goes_on(
    forged: tuple[Path, str, dict[str, str]], capsys: pytest.CaptureFixture[str]
):
    models, _, unfit = forged
    assert main(["--models", str(models)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(unfit) + 2


def test_what_would_be_refused_is_not_saved(tmp_path: Path):
    """A training that came to nonsense must not become the model of a restart."""
    manifest = make_manifest(threshold=Threshold(-1.0, "fixed"))
    windows = np.ones((4, 1, 6), np.float32)
    with pytest.raises(ArtifactError, match=r"threshold\.level"):
        save(tmp_path, manifest, files={MODEL: low_rank_graph(6)}, golden=windows, now=NOW)
    assert list_versions(tmp_path) == []
