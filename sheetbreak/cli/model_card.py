"""Model card: one model in Markdown, for whoever must decide whether to trust it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sheetbreak.artifact import read_manifest
from sheetbreak.artifact.promotion import PROMOTED, Decision, current_or_none, read_decisions
from sheetbreak.engine.model import Manifest
from sheetbreak.times import duration

_SHOWN_SENSORS = 12


def read_card(models: Path, version: str) -> str:
    """The card of a version that is there. Raises ArtifactError where it cannot be read."""
    return model_card(read_manifest(models / version), read_decisions(models), current=current_or_none(models))


def model_card(manifest: Manifest, decisions: Sequence[Decision], *, current: str | None) -> str:
    """The card. decisions: the journal, of all models; current: the version that is."""
    parts = [
        [f"# Model {manifest.version}", "", _state(manifest, decisions, current)],
        ["## What it would have cost and saved", "", *_worth(manifest)],
        ["## Data", "", *_data(manifest)],
        ["## Model", "", *_model(manifest)],
        ["## Held-out rows", "", *_held_out(manifest)],
        ["## Odds of a warning", "", _odds(manifest)],
        ["## Promotion", "", *_promotion(manifest, decisions)],
        ["## Known limits", "", *_limits(manifest)],
    ]
    return "\n".join("\n".join(lines) + "\n" for lines in parts)


def state_of(version: str, decisions: Sequence[Decision], current: str | None) -> str:
    """Of a model: "current", "former", or "candidate" where nobody wrote down that it ever was current."""
    if version == current:
        return "current"
    was = any(one.decision == PROMOTED and version in (one.version, one.current) for one in decisions)
    return "former" if was else "candidate"


def reason_of(manifest: Manifest, decisions: Sequence[Decision]) -> str | None:
    """Why a model is current or is not, by the last decision about it; else by what its training found."""
    about = [one for one in decisions if one.version == manifest.version]
    if about:
        last = about[-1]
        return f"{last.decision} {last.time} ({last.by}): {last.why}"
    found = manifest.training.get("promotion")
    if not isinstance(found, dict):
        return None
    killed = "; the training ended before it could be made current" if found.get("take") else ""
    return f"{found.get('why', '-')}{killed}"


def _state(manifest: Manifest, decisions: Sequence[Decision], current: str | None) -> str:
    state = state_of(manifest.version, decisions, current)
    beside = f"; {current} is current" if current and state != "current" else ""
    return f"**{state}**{beside}. Made {manifest.created}."


def _worth(manifest: Manifest) -> list[str]:
    for part in ("test", "validation"):
        found = manifest.metrics.get(part)
        worth = found.get("worth") if isinstance(found, dict) else None
        if isinstance(found, dict) and isinstance(worth, dict) and isinstance(worth.get("account"), list):
            flatters = "" if part == "test" else " that chose its threshold, so that these flatter"
            days = f"Over {_number(found.get('operating_days'))} operating days of {part} rows{flatters}:"
            return [days, "", *(f"- {what}: **{amount}**, {why}" for what, amount, why in worth["account"])]
    return ["Not known: it was not judged on a stretch of time, or an older version made it; see `sheetbreak whatif`."]


def _data(manifest: Manifest) -> list[str]:
    told, schema = manifest.training, manifest.schema
    names = ", ".join(schema.sensors[:_SHOWN_SENSORS])
    more = len(schema.sensors) - _SHOWN_SENSORS
    lines = [
        (
            f"- File: {told.get('data', '-')}, {_count(told.get('rows'))} rows, {_count(told.get('break_rows'))} with "
            f"a break (sha256 {str(told.get('data_sha256', '-'))[:12]}…)"
        ),
        (
            f"- Period: {told.get('first_row', '-')} to {told.get('seen_until', '-')}; a row every "
            f"{duration(schema.period_s)}, a gap longer than {duration(schema.stop_gap_s)} is a stop"
        ),
        (
            f"- Rows seen: fitted on {_count(told.get('fit_rows'))} (until {told.get('fit_until', '-')}), validated on "
            f"{_count(told.get('validation_rows'))}; split {told.get('split', '-')}"
        ),
        f"- Sensors: {len(schema.sensors)} ({names}{f' and {more} more' if more > 0 else ''})",
    ]
    if told.get("test_data"):
        lines.append(f"- Judged on: {told['test_data']}")
    return lines


def _model(manifest: Manifest) -> list[str]:
    promise = manifest.training.get("promise")
    promise = promise if isinstance(promise, dict) else {}
    unit = str(promise.get("unit", "false alarms a day"))
    asked, held = promise.get("promised"), promise.get("held_out")
    return [
        (
            f"- Preset {manifest.preset}, family {manifest.family}, seed {manifest.training.get('seed')}, a window of "
            f"{manifest.window} {'rows' if manifest.window > 1 else 'row'}"
        ),
        f"- Threshold {manifest.threshold.policy}, level {manifest.threshold.level:.4g} to begin with",
        f"- Promised: {_number(asked)} {unit}; held-out rows gave {_number(held)}"
        if asked is not None
        else f"- Promised: nothing; held-out rows gave {_number(held)} {unit}",
        f"- Rows that it foretells: {manifest.schema.lead_rows} before a break are learned as such"
        if manifest.schema.lead_rows
        else "- It judges each row itself and foretells nothing",
    ]


def _held_out(manifest: Manifest) -> list[str]:
    lines = list[str]()
    for part in ("test", "validation"):
        found = manifest.metrics.get(part)
        if isinstance(found, dict):
            title = "Test rows, not looked at" if part == "test" else "Validation rows, which chose epoch and threshold"
            lines += [*([""] if lines else []), f"{title}:", "", *_figures(found)]
    lines.append("" if lines else "Nothing was held out.")
    lines.append(
        "Folds: none are kept with a model; `sheetbreak backtest` runs the same recipe forward in time, eight times."
    )
    return lines


def _figures(found: dict[str, Any]) -> list[str]:
    lines = [
        (
            f"- {_count(found.get('rows'))} rows, {_number(found.get('operating_days'))} operating days, "
            f"{_count(found.get('breaks'))} breaks"
        ),
        f"- ROC AUC {_share(found.get('roc_auc'))}{_interval(found.get('roc_auc_interval'))}; .50 is a coin",
    ]
    deployed = found.get("deployed")
    horizons = deployed.get("horizons") if isinstance(deployed, dict) else None
    if isinstance(deployed, dict) and isinstance(horizons, list) and horizons:
        last, breaks = horizons[-1], found.get("breaks") or 0
        chance = (last.get("chance") or 0.0) * breaks
        rows, lead = last.get("horizon_rows", "-"), _number(deployed.get("median_lead_minutes"))
        lines += [
            (
                f"- As deployed: {last.get('warned', '-')} of {breaks} breaks warned of within {rows} "
                f"rows (by chance {chance:.1f}), median lead {lead} min"
            ),
            (
                f"- {last.get('false_alarms', '-')} of {deployed.get('alerts', '-')} alarms false, "
                f"{_number(last.get('false_alarms_per_day'))} a day; in alarm "
                f"{_percent(deployed.get('time_in_alarm'))} of the time"
            ),
        ]
    return lines


def _odds(manifest: Manifest) -> str:
    told = manifest.odds.told
    if told is None:
        return "Not known: no warning on held-out rows was followed to its end."
    return (
        f"A break followed {told.hits} of the last {told.of} warnings on held-out rows; of hours at random, "
        f"{_percent(told.base)} hold one."
    )


def _promotion(manifest: Manifest, decisions: Sequence[Decision]) -> list[str]:
    lines = list[str]()
    gate = _gate_of(manifest)
    if gate:
        lines += [f"Compared with {gate.get('compared_with', '-')}:", "", "| check | | found |", "|---|---|---|"]
        for check in gate.get("checks", []):
            passed = "passed" if check.get("passed") else "**failed**"
            lines.append(f"| {check.get('name', '-')} | {passed} | {check.get('words', '-')} |")
        lines.append("")
    about = [one for one in decisions if manifest.version in (one.version, one.current)]
    for one in about:
        subject = "" if one.version == manifest.version else f"{one.version} "
        lines.append(f"- {one.time} {subject}{one.decision} by {one.by}: {one.why}")
    if not about:
        lines.append(f"- {reason_of(manifest, decisions) or 'No decision was written down.'}")
    return lines


def _gate_of(manifest: Manifest) -> dict[str, Any]:
    found = manifest.training.get("promotion")
    gate = found.get("gate") if isinstance(found, dict) else None
    return gate if isinstance(gate, dict) else {}


def _limits(manifest: Manifest) -> list[str]:
    test = manifest.metrics.get("test")
    breaks = test.get("breaks") if isinstance(test, dict) else None
    lines = [
        "- All this is of the machines and the period above. Measure others before anyone acts on an alert.",
        "- Many breaks have no precursor in the sensors that are logged; nothing can warn of those.",
    ]
    if not isinstance(breaks, int):
        lines.append("- It was judged on no later rows: its figures flatter.")
    elif breaks < 30:
        lines.append(
            f"- It was judged on {breaks} breaks: each is {100 / max(breaks, 1):.0f} points of the share warned of."
        )
    if manifest.preset == "article":
        lines.append("- Its rows were split at random, so that neighbours of those it was judged on were trained on.")
    return lines


def _count(number: object) -> str:
    return f"{number:,}" if isinstance(number, int) else "-"


def _number(number: object) -> str:
    return f"{number:.3g}" if isinstance(number, int | float) else "-"


def _share(number: object) -> str:
    return f"{number:.2f}".replace("0.", ".", 1) if isinstance(number, int | float) else "-"


def _percent(share: object) -> str:
    return f"{100 * share:.0f} %" if isinstance(share, int | float) else "-"


def _interval(found: object) -> str:
    if not isinstance(found, list | tuple) or len(found) != 2:
        return ""
    return f" [{_share(found[0])}, {_share(found[1])}]"
