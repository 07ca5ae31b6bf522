"""Gate: whether a new model may take the place of the current one, on later rows that neither of them has seen.

Both models score the same rows with the monitor's own stages, from the first row on that neither was fitted on; both
are steered to the rate that the new one was asked for; and they are compared on the rows after the last one that either
looked at, for its weights, its epoch or its threshold. Where that cannot be had the new model stays a candidate:
docs/decisions has why.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from sheetbreak.artifact.promotion import schema_differences
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.thresholds import Threshold
from sheetbreak.rows import RowBatch
from sheetbreak.times import format_time, parse_time
from trainer.data.history import smooth_history
from trainer.data.inputs import compute_inputs
from trainer.data.labels import Ints, Labels
from trainer.metrics.alarms import breaks_warned, judge_deployed
from trainer.metrics.paired import Gain, auc_gain, auc_interval, warned_gain
from trainer.metrics.row_metrics import roc_auc
from trainer.metrics.scored_rows import ScoredRows, score_rows
from trainer.training.alarm_replay import ScoredHistory

FEWEST_BREAKS = 5
"""Fewer breaks than this say nothing of two models: an interval of resampled blocks would be of the same few."""
AUC_MARGIN, WARNED_MARGIN = 0.05, 0.1
"""So much less is worse, however wide the interval: it would be so wide with a few breaks that it excludes nothing."""
RATE_FACTOR = 1.5
SCORED_SHARE = 0.95
"""Of the rows that the current model scores. A family with a window scores none of a run's first rows."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition."""

    name: str
    passed: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one of the two makes of the later rows."""

    roc_auc: float | None
    warned: int
    """Breaks, with an alert opened within the hour before."""
    warned_by_chance: float
    false_alarms_per_day: float | None
    scored_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What became of the comparison."""

    checks: list[Check]
    compared_with: str
    later: dict[str, Any] = field(default_factory=dict)
    """Of the later rows: from, until, how many, breaks."""
    candidate: Side | None = None
    current: Side | None = None
    auc_gain: Gain | None = None
    warned_gain: Gain | None = None
    asked_per_day: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the new model may become current."""
        return all(check.passed for check in self.checks)

    @property
    def why(self) -> str:
        """One sentence."""
        failed = [check.words for check in self.checks if not check.passed]
        if failed:
            return "; ".join(failed)
        return f"not worse than {self.compared_with}: " + "; ".join(check.words for check in self.checks[-3:])

    def as_json(self) -> dict[str, Any]:
        """Plain values, for the manifest and the journal."""
        found = asdict(self)
        for name in ("auc_gain", "warned_gain"):
            gain = getattr(self, name)
            found[name] = None if gain is None else gain._asdict()
        return found | {"passed": self.passed}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsToCompare:
    """Rows to compare on: of the history that was trained on, or of a test file."""

    rows: RowBatch
    labels: Labels
    known: ScoredHistory | None = None
    """What the new model makes of them, where that is known."""
    other_file: bool = False


def compare(new: Artifact, old: Artifact, on: RowsToCompare, *, asked_per_day: float | None) -> Gate:
    """Hold a new model against the current one. asked_per_day: false alarms, None where none were asked for.

    new: with what its training was in its manifest.
    """
    named = old.version
    differ = schema_differences(new.manifest.schema, old.manifest.schema)
    schema = Check(
        "schema", not differ, f"another schema than {named}: {'; '.join(differ)}" if differ else "same schema"
    )
    if differ:
        return Gate(checks=[schema], compared_with=named)
    until = _seen(new, old, on)
    if isinstance(until, str):
        return Gate(checks=[schema, Check("rows", False, until)], compared_with=named)
    fitted_us, seen_us = until
    later = np.flatnonzero(on.rows.times_us > seen_us)
    threshold = _at_the_asked_rate(new.manifest.threshold, old.manifest.threshold)
    one = _scored_rows(new, on, on.known, later=later, fitted_us=fitted_us, threshold=new.manifest.threshold)
    other = _scored_rows(old, on, None, later=later, fitted_us=fitted_us, threshold=threshold)
    breaks = int(one.break_starts.sum())
    facts = _facts(on.rows, later, breaks=breaks, days=one.days)
    enough = Check("rows", breaks >= FEWEST_BREAKS, _rows_words(facts, seen_us, named))
    if not enough.passed:
        return Gate(checks=[schema, enough], compared_with=named, later=facts)
    sides, auc = (_side(one), _side(other)), auc_interval(one)
    gains = auc_gain(one, other), warned_gain(one, other)
    return Gate(
        checks=[
            schema,
            enough,
            _scored_check(*sides),
            _skill_check(auc, sides[0]),
            _as_before_check(auc, old),
            _auc_check(gains[0], *sides),
            _warned_check(gains[1], *sides, breaks=breaks),
            _rate_check(*sides, asked=asked_per_day, days=one.days),
        ],
        compared_with=named,
        later=facts,
        candidate=sides[0],
        current=sides[1],
        auc_gain=gains[0],
        warned_gain=gains[1],
        asked_per_day=asked_per_day,
    )


def _seen(new: Artifact, old: Artifact, on: RowsToCompare) -> tuple[int, int] | str:
    """Times of the last row that either was fitted on, and that either looked at; or why nobody can tell."""
    trained = new.manifest.training, old.manifest.training
    if not all(isinstance(one.get("seen_until"), str) and isinstance(one.get("fit_until"), str) for one in trained):
        return f"{old.version} does not say which rows it has seen: an older version of this program made it"
    same_data = trained[0].get("data_sha256") == trained[1].get("data_sha256")
    if new.manifest.schema.time is None and not same_data:
        return f"the rows have no times, so that nobody can tell which of them {old.version} has seen"
    if new.manifest.schema.time is None and on.other_file:
        return -1, -1  # neither was trained on that file
    fitted, seen = (max(parse_time(str(one[name])) for one in trained) for name in ("fit_until", "seen_until"))
    return fitted, seen


def _at_the_asked_rate(new: Threshold, old: Threshold) -> Threshold:
    """The current model's threshold, steered to the same rate as the new one's where that has one.

    Where a wheel stands is a share of rows, whatever the scores' scale; the level is the current model's own.
    """
    if new.rate is None:
        return old
    if old.rate is None:
        return replace(new, level=old.level, grade_levels=old.grade_levels)
    return replace(old, rate=replace(old.rate, per_day=new.rate.per_day))


def _scored_rows(
    model: Artifact,
    on: RowsToCompare,
    known: ScoredHistory | None,
    *,
    later: Ints,
    fitted_us: int,
    threshold: Threshold,
) -> ScoredRows:
    """The later rows as a monitor would have them that took the model up after the last row that was fitted on."""
    history = known or _score(model, on.rows)
    unseen = history.with_score(np.where(on.rows.times_us > fitted_us, history.score, np.nan))
    alarms = unseen.alarms(threshold, model.manifest.policy)
    return score_rows(on.rows, on.labels, alarms, model.manifest.schema).of_file_rows(later)


def _score(model: Artifact, rows: RowBatch) -> ScoredHistory:
    """The engine's first three stages over a history, from a cold start."""
    told = model.manifest
    inputs = compute_inputs(
        rows, told.schema, features=told.features, window=told.window, break_is_stop=told.break_is_stop
    )
    score, _ = inputs.score(model.reconstruct, model.scorer)
    score = smooth_history(inputs.admitted, score, rows=told.smooth_rows)
    return ScoredHistory(rows, score, admitted=inputs.admitted, schema=told.schema, break_is_stop=told.break_is_stop)


def _facts(rows: RowBatch, later: Ints, *, breaks: int, days: float) -> dict[str, Any]:
    times = rows.times_us[later]
    found: dict[str, Any] = {"rows": len(later), "breaks": breaks, "operating_days": round(days, 2)}
    if len(later):
        found |= {"from": format_time(int(times.min())), "until": format_time(int(times.max()))}
    return found


def _rows_words(facts: Mapping[str, Any], seen_us: int, named: str) -> str:
    if not facts["rows"]:
        return (
            f"no row is later than what it and {named} have seen (until {format_time(seen_us)}): nothing to compare on"
        )
    told = f"{facts['rows']:,} later rows that neither has seen, with {facts['breaks']} breaks"
    return told if facts["breaks"] >= FEWEST_BREAKS else f"{told}: {FEWEST_BREAKS} breaks are the least to compare on"


def _side(rows: ScoredRows) -> Side:
    found, deployed = breaks_warned(rows), judge_deployed(rows)
    return Side(
        roc_auc=roc_auc(rows),
        warned=int(found.warned.sum()),
        warned_by_chance=float(found.chance.sum()),
        false_alarms_per_day=deployed.horizons[-1].false_alarms_per_day,
        scored_rows=int(rows.judged.sum()),
    )


def _scored_check(new: Side, old: Side) -> Check:
    words = f"scored {new.scored_rows:,} of the later rows, the current model {old.scored_rows:,}"
    return Check("scored", new.scored_rows >= SCORED_SHARE * old.scored_rows and new.scored_rows > 0, words)


def _skill_check(auc: Gain | None, new: Side) -> Check:
    """Better than a coin: else two models that know nothing would not differ, and the new one would not be worse."""
    if auc is None:
        return Check("chance", False, "too few rows before a break were scored to say that it is better than chance")
    better = auc.low > 0.5 and new.warned >= new.warned_by_chance
    words = f"AUC {_two(auc.value)} [{_two(auc.low)}, {_two(auc.high)}], {new.warned} breaks warned of"
    return Check(
        "chance",
        better,
        words if better else f"no better than chance on the later rows: {words}, {new.warned_by_chance:.1f} by chance",
    )


def _as_before_check(auc: Gain | None, old: Artifact) -> Check:
    """Rows on which no model knows anything, as of a file of noise, would let every model pass; so would broken labels.

    What the current model was worth on the rows that it was judged on when it was made is what it must be replaced by.
    """
    test = old.manifest.metrics.get("test")
    before = test.get("roc_auc_interval") if isinstance(test, dict) else None
    if auc is None or not isinstance(before, list | tuple) or len(before) != 2:
        return Check("as_before", True, "how well the current model did when it was made is not known")
    words = f"{old.version} had an AUC of [{_two(before[0])}, {_two(before[1])}] when it was made"
    passed = auc.high >= before[0]
    if not passed:
        words = f"AUC [{_two(auc.low)}, {_two(auc.high)}], and {words}: have sensors or labels changed?"
    return Check("as_before", passed, words)


def _auc_check(gain: Gain | None, new: Side, old: Side) -> Check:
    if gain is None:
        return Check("auc", False, "too few rows before a break were scored by both to compare them")
    words = f"AUC {_two(new.roc_auc)} against {_two(old.roc_auc)}, difference {_signed(gain)}"
    return Check("auc", gain.high >= 0 and gain.value >= -AUC_MARGIN, words)


def _warned_check(gain: Gain | None, new: Side, old: Side, *, breaks: int) -> Check:
    if gain is None:
        return Check("warned", False, "no break to compare on")
    words = (
        f"warned of {new.warned} of {breaks} breaks ({new.warned_by_chance:.1f} by chance) against {old.warned} "
        f"({old.warned_by_chance:.1f}), difference in shares {_signed(gain)}"
    )
    return Check("warned", gain.high >= 0 and gain.value >= -WARNED_MARGIN, words)


def _rate_check(new: Side, old: Side, *, asked: float | None, days: float) -> Check:
    """Too few false alarms do no harm: what they cost in breaks warned of is a check of its own."""
    realised = new.false_alarms_per_day or 0.0
    told = f"{realised:.1f} false alarms a day, {asked:g} asked" if asked else ""
    if not asked:
        before = old.false_alarms_per_day or 0.0
        asked = max(before, 1 / days if days else 0.0)
        told = f"{realised:.1f} false alarms a day against {before:.1f}"
    return Check("false_alarms", realised <= RATE_FACTOR * asked, told)


def _two(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f}".replace("0.", ".", 1)


def _signed(gain: Gain) -> str:
    return f"{gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]".replace("0.", ".")
