"""tune as a program: interrupted, killed and started again, it finds what it would have found undisturbed."""

import os
import signal

import pytest

from sheetbreak.errors import DataError
from tests.support.running.patience import PATIENCE_S
from tests.support.running.program import start, wait_for
from tests.trainer.comparison.test_tune import OPTIONS, prepared, tuned, undisturbed  # noqa: F401 - the fixture
from trainer.commands.tune import main


def test_interrupted_killed_and_started_again_it_finds_the_same(undisturbed, tmp_path, capsys) -> None:  # noqa: F811
    csv, work = prepared(tmp_path), tmp_path / "tune-work"
    process = start("tune", str(csv), *OPTIONS, "--jobs", "1")
    wait_for(lambda: len(list(work.glob("*.npz"))) >= 5, process)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "interrupted: what is finished is kept in tune-work" in err
    assert "defaults    dev AUC" in out
    before = len(list(work.glob("*.npz")))

    process = start("tune", str(csv), *OPTIONS, "--jobs", "2")
    wait_for(lambda: len(list(work.glob("*.npz"))) >= before + 2, process)
    os.kill(process.pid, signal.SIGSTOP)  # else it may be done before the other one has read the rows
    with pytest.raises(DataError, match="another tune is at this search"):
        main([str(csv), *OPTIONS, "--jobs", "1"])
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    (journal,) = work.glob("*.journal")
    with journal.open("a") as file:  # what a kill may leave
        file.write('{"op_code":4,"worker_')
    lock = journal.with_name(journal.name + ".lock")
    lock.unlink(missing_ok=True)  # it was stopped anywhere, perhaps with the lock in its hands
    lock.symlink_to(journal)
    capsys.readouterr()

    assert tuned(csv) == undisturbed[0]
