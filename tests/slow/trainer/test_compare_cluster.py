"""compare on a Dask cluster of two worker processes: the table that is printed without, whatever a worker does."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sheetbreak.errors import DataError
from tests.support.data.histories import SCHEMA_TOML, mill_like, write_csv
from tests.support.outside.dask_cluster import Cluster
from tests.support.running.patience import PATIENCE_S
from tests.support.running.ports import free_port
from tests.support.running.program import start, wait_for
from tests.trainer.comparison.test_comparison import GROUND, assert_same, task_of
from trainer.commands.compare import main
from trainer.comparison.ledger import Ledger
from trainer.comparison.pool import Pool
from trainer.comparison.tasks import run_task


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as cluster:
        yield cluster


def test_a_cluster_prints_the_table_that_processes_here_print(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv = write_csv(tmp_path / "mill.csv", mill_like(1100))
    (tmp_path / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    options = [str(csv), "--schema", "plant.toml", "--family", "pca,mean-abs-z"]
    tables = []
    for where in (["--jobs", "1"], ["--cluster", cluster.address]):
        assert main([*options, *where, "--work", where[0].strip("-")]) == 0
        tables.append(capsys.readouterr().out.partition("\nseconds to fit")[0].splitlines())
    assert tables[0] == tables[1]
    assert any(line.startswith("pca ") for line in tables[0])


def test_a_task_whose_worker_is_lost_is_done_again_and_gives_the_same(cluster: Cluster, tmp_path: Path) -> None:
    tasks = [task_of("mean-abs-z", fold=fold) for fold in (1, 2, 3)]
    tasks += [task_of("dense", "epochs=5", seed=seed) for seed in (0, 1)]
    ledger = Ledger(tmp_path / "work", GROUND)
    with Pool(GROUND, ledger, jobs=2, cluster=cluster.address) as pool:
        running = pool.run(tasks)
        done = [next(running), next(running)]
        cluster.workers[0].kill()  # each worker has a task
        done += running
    assert sorted(task.place for task in done) == sorted(task.place for task in tasks)
    for task in tasks:
        found = ledger.read(task)
        assert found
        assert_same(found, run_task(task, GROUND))
    assert cluster.workers[1].poll() is None, "the cluster is not ours to end"


def test_an_interrupt_ends_at_once_with_130_and_the_cluster_stays(cluster: Cluster, tmp_path: Path) -> None:
    csv = write_csv(tmp_path / "mill.csv", mill_like(1100))
    (tmp_path / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    endless = ["--family", "mean-abs-z,dense", "--set", "epochs=100000", "--set", "patience=100000"]
    process = start("compare", str(csv), "--schema", "plant.toml", *endless, "--cluster", cluster.address)
    wait_for(lambda: list((tmp_path / "compare-work").glob("*.npz")), process)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    assert [worker.poll() for worker in cluster.workers] == [None, None]


@pytest.mark.parametrize("listens", [True, False])
def test_a_cluster_that_is_not_there_is_said_with_its_address_and_the_remedy(listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        address = f"tcp://127.0.0.1:{silent.getsockname()[1] if listens else free_port()}"
        with pytest.raises(DataError, match=rf"--cluster {address}: no Dask scheduler answers .*dask scheduler,"):
            main(["mill.csv", "--cluster", address])


def test_an_address_of_another_form_is_refused() -> None:
    with pytest.raises(DataError, match=r"--cluster here: expected a Dask scheduler's address such as tcp://host:8786"):
        main(["mill.csv", "--cluster", "here"])


def test_a_cluster_without_a_worker_is_said(tmp_path: Path) -> None:
    with (
        Cluster(tmp_path, workers=0) as cluster,
        pytest.raises(DataError, match=r"its scheduler has no worker; start some with dask worker tcp://"),
    ):
        main(["mill.csv", "--cluster", cluster.address])
