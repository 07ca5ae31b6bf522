"""Evaluations as short tables for a process engineer: minutes ahead, percent of the breaks, chance beside."""

from collections.abc import Mapping, Sequence

from sheetbreak.times import duration
from trainer.metrics.alarms import Deployed
from trainer.metrics.confusion import Confusion
from trainer.metrics.evaluation import FEWEST_BREAKS, Evaluation, Interval, Recall
from trainer.metrics.events import HORIZONS
from trainer.metrics.hindsight import BUDGETS
from trainer.metrics.scored_rows import SECONDS_PER_DAY, a_day_counts
from trainer.metrics.worth import DEFAULT_COSTS, Costs, Worth
from trainer.output.text import table, wrap

NONE = "–"


def evaluation_table(found: Evaluation, *, period_s: float, title: str, costs: Costs = DEFAULT_COSTS) -> str:
    """One evaluation, for the end of a training: first what will run and what that is worth, then what might have been.

    A dash where the rows hold nothing to judge.
    """
    lines = wrap(f"{title}: {found.rows:,} rows, {_operating(found.operating_days)}, {found.breaks} breaks")
    if found.deployed:
        lines += ["", deployed_line(found.deployed, period_s=period_s)]
        lines += ["", *wrap(f"  {Worth.of(found.deployed, costs).brief}", indent="  "), ""]
    lines += ranking_lines(found)
    if found.recall and a_day_counts(period_s):
        lines += ["", *_recall_lines(found, period_s)]
    return "\n".join(lines)


def ranking_lines(found: Evaluation) -> list[str]:
    """How the score ranks rows, with chance beside."""
    chance = found.positives / found.rows if found.rows else None
    area = share(found.roc_auc) + bracketed(found.roc_auc_interval)
    precision = share(found.average_precision, 3) + bracketed(found.average_precision_interval, 3)
    return [
        f"  {'':<26}{'model':<19}chance",
        f"  {'ROC AUC':<26}{area:<18} .50",
        f"  {'average precision':<26}{precision:<18} {share(chance, 3)}",
    ]


def fold_table(evaluations: Mapping[str, Evaluation], *, period_s: float) -> str:
    """A line an evaluation, by name: row metrics, and recall (chance) at every horizon and rate."""
    by_day = a_day_counts(period_s)
    lines = [f"Breaks warned of in % (chance), at {_listed(BUDGETS)} false alarms a day:", ""] if by_day else []
    for shown in (HORIZONS[:2], HORIZONS[2:]) if by_day else ((),):  # all three are wider than a terminal
        first = not shown or shown[0] == HORIZONS[0]
        ahead = "".join(f"{_ahead(horizon, period_s):<27}" for horizon in shown)
        rates = "".join(f"{budget:<9}" for _ in shown for budget in BUDGETS)
        metrics = f"{'breaks':>6}{'AUC':>5}{'AP':>6}" if first else " " * 17
        lines += ([] if first else [""]) + ([f"{'':<26}{ahead}".rstrip()] if shown else [])
        lines.append(f"{'fold':<7}{metrics}  {rates}".rstrip())
        for name, found in evaluations.items():
            cells = [f"{percent(r.recall)}({percent(r.chance)})" for r in found.recall if r.horizon_rows in shown]
            cells = cells or [NONE] * (len(shown) * len(BUDGETS))
            figures = f"{found.breaks:>6}{share(found.roc_auc):>5}{share(found.average_precision, 3):>6}"
            line = f"{name:<7}{figures if first else metrics}  " + "".join(f"{cell:<9}" for cell in cells)
            lines.append(line.rstrip())
        last = list(evaluations.values())[-1]
        if shown and last.recall:  # recall alone would hide an alarm that hardly ever closes
            cells = [percent(r.time_in_alarm) for r in last.recall if r.horizon_rows in shown]
            lines.append(f"{'  in alarm, % of the time':<26}" + "".join(f"{cell:<9}" for cell in cells).rstrip())
    return "\n".join(lines)


def deployed_table(evaluations: Mapping[str, Evaluation], *, period_s: float, head: str = "fold") -> str:
    """What the deployed policy gave, a line an evaluation; head: what their names are."""
    longest = duration(HORIZONS[-1] * period_s)
    a_day = a_day_counts(period_s)
    in_rows = "" if a_day else ", in 1,000 rows"
    lines = [
        "deployed policy: alerts opened, breaks warned of in % (chance) so far ahead;",
        f"false: no break within {longest}{in_rows}",
    ]
    heads = [*(f"≤ {duration(horizon * period_s)}" for horizon in HORIZONS)]
    heads += ["false/day" if a_day else "false/1000", "in alarm", "median lead"]
    shown: dict[str, list[str]] = {}
    counted = ""
    for name, found in evaluations.items():
        if found.deployed is None:
            continue
        counted = _counted(name, found, period_s)
        lead = found.deployed.median_lead_minutes
        shown[name] = [
            *(f"{percent(h.recall)} ({percent(h.chance)})" for h in found.deployed.horizons),
            _false_alarms(found.deployed, period_s),
            f"{percent(found.deployed.time_in_alarm)} %",
            duration(lead * 60) if lead is not None else NONE,
        ]
    return "\n".join([*lines, *table(head, heads, shown), *filter(None, [counted])])


def _counted(name: str, found: Evaluation, period_s: float) -> str:
    """How many breaks the last line's share is made of, and how far so few may mislead."""
    assert found.deployed
    longest = found.deployed.horizons[-1]
    if longest.recall_interval is None:
        return ""
    low, high = longest.recall_interval
    few = "; so few breaks say next to nothing" if found.breaks < FEWEST_BREAKS else ""
    others = f"; {words}" if (words := other_breaks(found.deployed)) else ""
    text = (
        f"{name}: {longest.warned} of {found.deployed.breaks} breaks within "
        f"{duration(longest.horizon_rows * period_s)}, 95 % {percent(low)}–{percent(high)} %{few}{others}"
    )
    return "\n".join(wrap(text, indent="  "))


def scorer_table(
    scorers: Mapping[str, tuple[Evaluation, Evaluation]],
    gains: Mapping[str, Interval | None],
    *,
    period_s: float,
    events: bool = True,
) -> str:
    """Scorers side by side over all folds and over the later ones, and the first one's gain over others.

    events: False where no row foretells another.
    """
    points = [(HORIZONS[1], BUDGETS[1]), (HORIZONS[2], BUDGETS[1]), (HORIZONS[2], BUDGETS[2])]
    points = points if events and a_day_counts(period_s) else []
    later = "AUC over all folds; of the later ones AUC and AP"
    lines = [f"{later}; breaks warned of in % (chance)" if points else later]
    lines += ["so far ahead, at so many false alarms a day"] if points else []
    heads = ["all", "AUC", "AP", *(f"{duration(h * period_s)}@{budget}" for h, budget in points)]
    shown = {
        name: [
            share(whole.roc_auc),
            share(later_one.roc_auc),
            share(later_one.average_precision, 3),
            *(f"{percent(r.recall)} ({percent(r.chance)})" if r else NONE for r in recalls(later_one, points)),
        ]
        for name, (whole, later_one) in scorers.items()
    }
    lines += table("scorer", heads, shown)
    for name, gain in gains.items():
        if gain:
            lines += wrap(f"AUC over {name}, later folds, 95 %: {gain[0]:+.2f} to {gain[1]:+.2f}", indent="  ")
    return "\n".join(lines)


def recalls(found: Evaluation, points: Sequence[tuple[int, int]]) -> list[Recall | None]:
    """What it has at these horizons and rates."""
    by_point = {(one.horizon_rows, one.false_alarms_per_day): one for one in found.recall}
    return [by_point.get(point) for point in points]


def other_breaks(found: Deployed) -> str:
    """Breaks that are not simply warned of or not, for people; nothing where there are none."""
    covered = f"{found.breaks_covered} more with an alert open from earlier" if found.breaks_covered else ""
    unscored = f"{found.breaks_unscored} of a machine not being scored, in no share" if found.breaks_unscored else ""
    return "; ".join(filter(None, [covered, unscored]))


def deployed_line(found: Deployed, *, period_s: float) -> str:
    """What the deployed policy gave, in a sentence."""
    longest = found.horizons[-1]
    median = found.median_lead_minutes
    lead = f", median lead {duration(median * 60)}" if median is not None else ""
    unit = "a day" if a_day_counts(period_s) else "in 1,000 rows"
    chance = f" (by chance {longest.chance * found.breaks:.1f})" if longest.chance is not None else ""
    if (exact := longest.recall_interval) is not None:
        chance += f", 95 % {percent(exact[0])}–{percent(exact[1])} %"
    others = f" Breaks: {words}." if (words := other_breaks(found)) else ""
    text = (
        f"  Deployed threshold: {longest.warned} of {found.breaks} breaks warned of within "
        f"{duration(longest.horizon_rows * period_s)}{chance}{lead}; "
        f"{_false_alarms(found, period_s)} false alarms {unit}, "
        f"in alarm {percent(found.time_in_alarm)} % of the time.{others}"
    )
    return "\n".join(wrap(text, indent="  "))


def _recall_lines(found: Evaluation, period_s: float) -> list[str]:
    heads = "".join(f"{budget} a day".ljust(15) for budget in BUDGETS)
    lines = [
        "  Breaks warned of (by chance) with the best threshold in hindsight, by false",
        "  alarms allowed:",
        f"  {'':<26}{heads}".rstrip(),
    ]
    for horizon in HORIZONS:
        cells = [f"{percent(r.recall)} % ({percent(r.chance)} %)" for r in found.recall if r.horizon_rows == horizon]
        head = f"at most {_ahead(horizon, period_s)}"
        lines.append(f"  {head:<26}{''.join(f'{cell:<15}' for cell in cells)}".rstrip())
    cells = [f"{percent(r.time_in_alarm)} %" for r in found.recall if r.horizon_rows == HORIZONS[-1]]
    lines.append(f"  {'meanwhile in alarm':<26}{''.join(f'{cell:<15}' for cell in cells)}".rstrip())
    return lines


def _ahead(rows: int, period_s: float) -> str:
    return f"{duration(rows * period_s)} ahead"


def _operating(days: float) -> str:
    return f"{days:.1f} operating days" if days >= 1 else f"{duration(days * SECONDS_PER_DAY)} of operation"


def _false_alarms(found: Deployed, period_s: float) -> str:
    """A day, or in 1,000 rows where a day says nothing."""
    longest = found.horizons[-1]
    return rate(longest.false_alarms_per_day if a_day_counts(period_s) else longest.false_alarms_per_1000_rows)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"


def share(value: float | None, digits: int = 2) -> str:
    """A share or an area, ".68"; a dash where there is none."""
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    return text.removeprefix("0") if value < 1 else text


def bracketed(found: Interval | None, digits: int = 2) -> str:
    """An interval to stand after its figure, " [.60, .74]"; nothing where there is none."""
    return f" [{share(found[0], digits)}, {share(found[1], digits)}]" if found else ""


def percent(value: float | None) -> str:
    """Whole percent, without the sign."""
    return NONE if value is None else f"{100 * value:.0f}"


def rate(value: float | None) -> str:
    """Events in some stretch of time or rows."""
    return NONE if value is None else f"{value:.1f}"


def confusion_table(found: Confusion, *, lead_rows: int) -> str:
    """The matrix and what follows from it, for people."""
    no, yes = ("no break follows", "a break follows") if lead_rows else ("normal", "anomalous")
    negatives, positives = found.true_negatives + found.false_positives, found.false_negatives + found.true_positives
    return "\n".join(
        [
            f"  {'rows':<26}{'under':<10}{'over':<10}threshold",
            f"  {no:<26}{found.true_negatives:<10,}{found.false_positives:<10,}of {negatives:,}",
            f"  {yes:<26}{found.false_negatives:<10,}{found.true_positives:<10,}of {positives:,}",
            *wrap(f"  {shares_line(found)}", indent="  "),
        ]
    )


def shares_line(found: Confusion) -> str:
    """What follows from the matrix, in a line."""
    return (
        f"precision {_text(found.precision)}, recall {_text(found.recall)}, F1 {_text(found.f1)}; "
        f"accuracy {_text(found.accuracy)} (always saying no: {_text(found.accuracy_of_no)})"
    )


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".removeprefix("0")
