"""Evaluations as short tables for a process engineer: minutes ahead, percent of the breaks, chance beside."""

from collections.abc import Mapping, Sequence

from trainer.deployed import Deployed
from trainer.evaluate import Evaluation, Interval
from trainer.events import HORIZONS
from trainer.oracle import BUDGETS

NONE = "–"


def evaluation_table(found: Evaluation, *, period_s: float, title: str) -> str:
    """One evaluation, for the end of a training; a dash where the rows hold nothing to judge."""
    chance = found.positives / found.rows if found.rows else None
    precision = _share(found.average_precision, 3) + _interval(found.average_precision_interval, 3)
    lines = [
        f"{title}: {found.rows:,} rows, {found.operating_days:.1f} operating days, {found.breaks} breaks",
        f"  {'':<26}{'model':<19}chance",
        f"  {'ROC AUC':<26}{_share(found.roc_auc) + _interval(found.roc_auc_interval):<19}.50",
        f"  {'average precision':<26}{precision:<19}{_share(chance, 3)}",
    ]
    if found.recall:
        lines += ["", *_recall_lines(found, period_s)]
    if found.deployed:
        lines += ["", deployed_line(found.deployed, breaks=found.breaks, period_s=period_s)]
    return "\n".join(lines)


def fold_table(evaluations: Mapping[str, Evaluation], *, period_s: float) -> str:
    """A line an evaluation, by name: row metrics, and recall (chance) at every horizon and rate."""
    minutes = "".join(f"{_minutes(horizon, period_s) + ' ahead':<27}" for horizon in HORIZONS)
    rates = "".join(f"{budget:<9}" for _ in HORIZONS for budget in BUDGETS)
    lines = [
        f"{'':<30}breaks warned of, % (chance), at {_listed(BUDGETS)} false alarms a day:",
        f"{'':<30}{minutes}".rstrip(),
        f"{'fold':<8}{'breaks':>6}{'AUC':>6}{'AP':>7}   {rates}".rstrip(),
    ]
    for name, found in evaluations.items():
        cells = [f"{_percent(r.recall)}({_percent(r.chance)})" for r in found.recall] or [NONE] * 9
        lines.append(
            f"{name:<8}{found.breaks:>6}{_share(found.roc_auc):>6}{_share(found.average_precision, 3):>7}   "
            + "".join(f"{cell:<9}" for cell in cells).rstrip()
        )
    return "\n".join(lines)


def deployed_table(evaluations: Mapping[str, Evaluation], *, period_s: float) -> str:
    """What the deployed policy gave, a line an evaluation."""
    ahead = "".join(f"{_minutes(horizon, period_s) + ' ahead':<14}" for horizon in HORIZONS)
    longest = _minutes(HORIZONS[-1], period_s)
    lines = [
        f"deployed policy: alerts opened, breaks warned of in % (chance); false: no break within {longest}",
        f"{'fold':<8}{ahead}{'false/day':<11}{'in alarm':<10}median lead",
    ]
    for name, found in evaluations.items():
        if found.deployed is None:
            continue
        cells = [f"{_percent(h.recall)} ({_percent(h.chance)})" for h in found.deployed.horizons]
        lead = found.deployed.median_lead_minutes
        lines.append(
            f"{name:<8}"
            + "".join(f"{cell:<14}" for cell in cells)
            + f"{_rate(found.deployed.horizons[-1].false_alarms_per_day):<11}"
            + f"{_percent(found.deployed.time_in_alarm) + ' %':<10}"
            + (f"{lead:.0f} min" if lead is not None else NONE)
        )
    return "\n".join(lines)


def scorer_table(
    scorers: Mapping[str, tuple[Evaluation, Evaluation]],
    gains: Mapping[str, Interval | None],
    *,
    period_s: float,
) -> str:
    """Scorers side by side over all folds and over the later ones, and the first one's gain over others."""
    points = [(HORIZONS[1], BUDGETS[1]), (HORIZONS[2], BUDGETS[1]), (HORIZONS[2], BUDGETS[2])]
    heads = "".join(f"{_minutes(h, period_s)} @ {budget}/day".ljust(17) for h, budget in points)
    lines = [
        f"{'':<34}all{'':<6}later folds: AUC and AP, breaks warned of in % (chance)",
        f"{'':<34}{'AUC':<9}{'AUC':<6}{'AP':<7}{heads}".rstrip(),
    ]
    for name, (whole, later) in scorers.items():
        cells = [
            f"{_percent(r.recall)} ({_percent(r.chance)})"
            for point in points
            for r in later.recall
            if (r.horizon_rows, r.false_alarms_per_day) == point
        ] or [NONE] * len(points)
        lines.append(
            f"{name:<34}{_share(whole.roc_auc):<9}{_share(later.roc_auc):<6}"
            f"{_share(later.average_precision, 3):<7}" + "".join(f"{cell:<17}" for cell in cells).rstrip()
        )
    for name, gain in gains.items():
        if gain:
            lines.append(f"AUC over {name}, later folds, 95 %: {gain[0]:+.2f} to {gain[1]:+.2f}")
    return "\n".join(lines)


def deployed_line(found: Deployed, *, breaks: int, period_s: float) -> str:
    """What the deployed policy gave, in a sentence."""
    longest = found.horizons[-1]
    lead = f", median lead {found.median_lead_minutes:.0f} min" if found.median_lead_minutes is not None else ""
    chance = f" (by chance {longest.chance * breaks:.1f})" if longest.chance is not None else ""
    return (
        f"  Deployed threshold: {longest.warned} of {breaks} breaks warned of within "
        f"{_minutes(longest.horizon_rows, period_s)}{chance}{lead};\n"
        f"  {_rate(longest.false_alarms_per_day)} false alarms a day, "
        f"in alarm {_percent(found.time_in_alarm)} % of the time."
    )


def _recall_lines(found: Evaluation, period_s: float) -> list[str]:
    heads = "".join(f"{budget} a day".ljust(15) for budget in BUDGETS)
    lines = [
        "  Breaks warned of (by chance) with the best threshold in hindsight, by false alarms allowed:",
        f"  {'':<26}{heads}".rstrip(),
    ]
    for horizon in HORIZONS:
        cells = [f"{_percent(r.recall)} % ({_percent(r.chance)} %)" for r in found.recall if r.horizon_rows == horizon]
        head = f"at most {_minutes(horizon, period_s)} ahead"
        lines.append(f"  {head:<26}{''.join(f'{cell:<15}' for cell in cells)}".rstrip())
    return lines


def _minutes(rows: int, period_s: float) -> str:
    minutes = rows * period_s / 60
    return f"{minutes:.3g} min" if minutes >= 1 else f"{minutes * 60:.3g} s"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"


def _share(value: float | None, digits: int = 2) -> str:
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    return text.removeprefix("0") if value < 1 else text


def _interval(found: Interval | None, digits: int = 2) -> str:
    return f" [{_share(found[0], digits)}, {_share(found[1], digits)}]" if found else ""


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.0f}"


def _rate(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"
