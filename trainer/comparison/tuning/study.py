"""Study: the trials of one search, in a file that outlives the process (Optuna's journal).

Trials run one after the other, and what the next one draws depends on the seed and on the trials that are finished, on
nothing else. So a search that was interrupted, however, goes on as if it had not been.
"""

import fcntl
import hashlib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from sheetbreak.errors import DataError

_FAILED = "error"
"""The attribute of a trial that could not be judged; one that was interrupted has none."""
_STARTUP_TRIALS = 5
"""So many trials are seen to the end before any is cut short."""


@contextmanager
def open_study(folder: Path, name: str) -> Iterator[optuna.Study]:
    """The study of that name, for this process alone. Raises DataError while another process has it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal = folder / f"tune-{name[:24]}.journal"
    with journal.with_suffix(".in-use").open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as cause:
            raise DataError(f"--work {folder}: another tune is at this search; wait for it or end it") from cause
        _mend(journal)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(journal))),
                study_name=name,
                direction="maximize",
                pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS),
                load_if_exists=True,
            )
        for trial in study.get_trials(states=[TrialState.RUNNING, TrialState.WAITING]):
            study.tell(trial.number, state=TrialState.FAIL)  # begun by a process that is no more
        yield study


def next_trial(study: optuna.Study, space: Mapping[str, BaseDistribution], *, seed: int) -> Trial:
    """Begin a trial: what it draws follows from the seed and the finished trials."""
    text = f"{seed}/{len(finished_trials(study))}"
    drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    study.sampler = optuna.samplers.TPESampler(seed=drawn)
    return study.ask(dict(space))


def fail(study: optuna.Study, trial: Trial, *, error: str = "") -> None:
    """End a trial without a value: it could not be judged, or (no error) was interrupted and is to be drawn again."""
    if error:
        trial.set_user_attr(_FAILED, error)
    study.tell(trial, state=TrialState.FAIL)


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Trials with an end: judged, cut short, or such as cannot be judged."""
    trials = study.get_trials(deepcopy=False)
    ends = (TrialState.COMPLETE, TrialState.PRUNED)
    return [trial for trial in trials if trial.state in ends or _FAILED in trial.user_attrs]


def _mend(journal: Path) -> None:
    """Undo what a process that was killed may have left: half a line at the end, and a lock that nobody holds."""
    for lock in journal.parent.glob(f"{journal.name}.lock*"):
        lock.unlink(missing_ok=True)
    if journal.exists():
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with journal.open("r+b") as file:
                file.truncate(whole)
