"""What if: an evaluation's scores under another threshold or alert policy, by the monitor's own last stage."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.errors import DataError
from trainer.evaluation.policy_file import FoldScores, Stored
from trainer.metrics.alarms import Deployed, judge_deployed
from trainer.metrics.scored_rows import ScoredRows, joined, score_rows
from trainer.training.threshold_evidence import gather_evidence
from trainer.training.threshold_policies import is_per_grade, parse_policy

SWEPT = (1, 2, 3, 4, 5, 7, 10, 15, 20)
"""False alarms a day that a sweep tries."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a policy gave."""

    deployed: Deployed
    """Counted over all folds."""
    rows: ScoredRows
    thresholds: list[Threshold]
    """Of each fold."""


def replay_policy(stored: Stored, policy: str, alert: AlertPolicy) -> Replayed:
    """What `backtest` would have given with this policy. Raises DataError for one that these scores cannot tell of."""
    if is_per_grade(policy) != is_per_grade(stored.facts.policy):
        wanted = "with" if is_per_grade(policy) else "without"
        raise DataError(
            f"--threshold {policy}: these scores were held out for {stored.facts.policy}; levels by grade are chosen "
            f"by scores of other rows: run the backtest {wanted} /grade, then ask again"
        )
    if is_per_grade(policy) and stored.facts.schema.grade is None:
        raise DataError(f"--threshold {policy}: the history has no grade; name its column in the schema file")
    choose = parse_policy(policy)
    found = [_replay(stored, fold, choose, alert) for fold in stored.folds]
    rows = joined([rows for _, rows in found])
    return Replayed(judge_deployed(rows), rows, [threshold for threshold, _ in found])


def sweep(stored: Stored, alert: AlertPolicy) -> Iterator[tuple[int, Replayed]]:
    """The policy rate:N for each of SWEPT."""
    grade = "/grade" if is_per_grade(stored.facts.policy) else ""
    for rate in SWEPT:
        yield rate, replay_policy(stored, f"rate:{rate}{grade}", alert)


def _replay(
    stored: Stored, fold: FoldScores, choose: Callable[..., Threshold], alert: AlertPolicy
) -> tuple[Threshold, ScoredRows]:
    evidence = gather_evidence(
        stored.labels,
        stored.history(fold.held_out),
        alert,
        fit=fold.learned,
        validation=fold.validation,
        past=fold.past,
    )
    threshold = choose(evidence)
    history = stored.history(fold.score).before(int(fold.judged.max(initial=-1)) + 1)  # no later row bears on them
    alarms = history.alarms(threshold, alert)
    labels = stored.labels.before(len(history.rows))
    return threshold, score_rows(history.rows, labels, alarms, stored.facts.schema).of_file_rows(fold.judged)
