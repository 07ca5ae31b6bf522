"""Policy file: what another threshold or alert policy needs of an evaluation, beside its scores file.

    scores.csv  scores.csv.policy.npz        of `backtest --scores`; of a model both are under evaluation/

Scores of all rows (held out where the model was fitted on them), which rows were for what, grades, labels, and what the
engine's first stage made of each row: what the last stage, and who chooses its threshold, look at. Numbers are as they
were computed, to the bit. No pickle.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sheetbreak.engine.admission import BROKE, GAP, ON, REST, RUN, SET_BACK, Admitted, Clock, Past, Step, Stretch
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.errors import DataError
from sheetbreak.rows import RowBatch, Schema
from trainer.data.labels import Floats, Ints, Labels
from trainer.training.alarm_replay import ScoredHistory

SUFFIX = ".policy.npz"
FORMAT = 1
_STEPS = (RUN, REST, GAP, SET_BACK, BROKE)
_FIT, _VALIDATION, _TEST = 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldScores:
    """One training, and what it made of the rows."""

    fit: Ints
    """Row numbers of the first part..."""
    validation: Ints
    test: Ints
    learned: Ints
    """...and of those of the first part that the model was fitted on."""
    held_out: Floats
    """(rows,) NaN where a row of the first part was not held out, or has no score: what thresholds are chosen by."""
    score: Floats
    """(rows,) what the policy is run over."""

    @property
    def past(self) -> Ints:
        """All rows before the test rows that the model was not fitted on."""
        return np.union1d(self.fit[~np.isnan(self.held_out[self.fit])], self.validation)

    @property
    def judged(self) -> Ints:
        """Test rows, or validation rows where there is none."""
        return self.test if len(self.test) else self.validation


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the evaluation."""

    format: int = FORMAT
    data: str
    schema: Schema
    break_is_stop: bool
    policy: str
    """Of the threshold, as it was asked for."""
    alert: AlertPolicy
    scores_sha256: str
    machines: list[str]
    grades: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A policy file, read."""

    facts: Facts
    rows: RowBatch
    """Without values."""
    labels: Labels
    admitted: dict[str, Admitted]
    folds: list[FoldScores]

    def history(self, score: Floats, *, keep_levels: bool = False) -> ScoredHistory:
        """The rows with a score each."""
        return ScoredHistory(
            self.rows,
            score,
            admitted=self.admitted,
            schema=self.facts.schema,
            break_is_stop=self.facts.break_is_stop,
            keep_levels=keep_levels,
        )


def pack_policy_file(
    history: ScoredHistory,
    labels: Labels,
    folds: Sequence[FoldScores],
    *,
    data: str,
    policy: str,
    alert: AlertPolicy,
    scores: bytes,
) -> bytes:
    """The content. history: of any fold; scores: the scores file that it will lie beside."""
    rows = history.rows
    machines, machine = _coded(rows.machines)
    grades, grade = _coded(rows.grades)
    steps = [(machines.index(name), *step) for name, one in history.admitted.items() for step in one.steps]
    facts = Facts(
        data=data,
        schema=history.schema,
        break_is_stop=history.break_is_stop,
        policy=policy,
        alert=alert,
        scores_sha256=hashlib.sha256(scores).hexdigest(),
        machines=machines,
        grades=grades,
    )
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        allow_pickle=False,
        facts=np.frombuffer(msgspec.json.encode(facts), np.uint8),
        times_us=rows.times_us,
        machine=machine,
        grade=grade,
        broken=rows.broken,
        will_break=labels.will_break,
        judged=labels.judged,
        run=labels.run,
        step_machine=np.array([m for m, _, _, _ in steps], np.int32),
        step_place=np.array([place for _, place, _, _ in steps], np.int64),
        step_what=np.array([_STEPS.index(what) for _, _, what, _ in steps], np.int8),
        step_since=np.array([since for _, _, _, since in steps], np.int64),
        part=np.array([_parts(fold, len(rows)) for fold in folds], np.int8),
        learned=np.array([np.isin(np.arange(len(rows)), fold.learned) for fold in folds], np.bool_),
        held_out=np.array([fold.held_out for fold in folds]),
        score=np.array([fold.score for fold in folds]),
    )
    return buffer.getvalue()


def read_policy_file(scores: Path) -> Stored:
    """What lies beside a scores file. Raises DataError where it does not, or is another's."""
    path = scores.with_name(scores.name + SUFFIX)
    remedy = "run sheetbreak backtest --scores again: it writes both, which must be kept together"
    try:
        own = hashlib.sha256(scores.read_bytes()).hexdigest()
    except OSError as cause:
        raise DataError(f"{scores}: {cause.strerror}; name a file of sheetbreak backtest --scores") from cause
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise DataError(f"{path}: {cause.strerror}; it lies beside the scores; {remedy}") from cause
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            stored = _stored({name: found[name] for name in found.files})
    except (ValueError, LookupError, OSError, EOFError, zipfile.BadZipFile, zlib.error, msgspec.MsgspecError) as cause:
        raise DataError(f"{path} is damaged ({cause}); {remedy}") from cause
    if stored.facts.scores_sha256 != own:
        raise DataError(f"{path} is not of this {scores.name}, or that was changed; {remedy}")
    return stored


def _stored(found: Mapping[str, npt.NDArray[Any]]) -> Stored:
    facts = msgspec.json.decode(found["facts"].tobytes(), type=Facts)
    if facts.format != FORMAT:
        raise ValueError(f"format {facts.format}, this program reads {FORMAT}")
    names, grades = np.array(facts.machines, object), [*facts.grades, None]
    count = len(found["times_us"])
    rows = RowBatch(
        names[found["machine"]].tolist(),
        found["times_us"],
        np.empty((count, 0)),
        [grades[code] for code in found["grade"].tolist()],
        found["broken"],
    )
    folds = [
        FoldScores(
            fit=np.flatnonzero(part == _FIT),
            validation=np.flatnonzero(part == _VALIDATION),
            test=np.flatnonzero(part == _TEST),
            learned=np.flatnonzero(learned),
            held_out=held_out,
            score=score,
        )
        for part, learned, held_out, score in zip(
            found["part"], found["learned"], found["held_out"], found["score"], strict=True
        )
    ]
    return Stored(
        facts=facts,
        rows=rows,
        labels=Labels(found["will_break"], found["judged"], found["run"]),
        admitted=_admitted(facts.machines, found),
        folds=folds,
    )


def _admitted(machines: Sequence[str], found: Mapping[str, npt.NDArray[Any]]) -> dict[str, Admitted]:
    steps: dict[str, list[Step]] = {name: [] for name in machines}
    columns = (found[f"step_{name}"].tolist() for name in ("machine", "place", "what", "since"))
    for machine, place, what, since in zip(*columns, strict=True):
        steps[machines[machine]].append((place, _STEPS[what], since))
    return {
        name: Admitted([Stretch(ON, Clock(), of_machine, [], [])], [], Past(), []) for name, of_machine in steps.items()
    }


def _coded(texts: Sequence[str | None]) -> tuple[list[str], npt.NDArray[np.int32]]:
    """The texts that occur, and the number of each entry's among them; -1 for None."""
    known: dict[str, int] = {}
    codes = [-1 if text is None else known.setdefault(text, len(known)) for text in texts]
    return list(known), np.array(codes, np.int32)


def _parts(fold: FoldScores, count: int) -> npt.NDArray[np.int8]:
    found = np.zeros(count, np.int8)
    for code, part in ((_FIT, fold.fit), (_VALIDATION, fold.validation), (_TEST, fold.test)):
        found[part] = code
    return found
