"""Write the three dashboards as the plain JSON that Grafana reads: python deploy/grafana/make_dashboards.py [FOLDER]

Change them here, never in the JSON: tests/deploy/test_dashboards.py compares the two. Needs grafana-foundation-sdk (the
extra `dev`); nothing that is deployed does.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from operators_page import sheet_break
from panels import (
    GREY,
    ON_MACHINE,
    ORANGE,
    PROMETHEUS,
    RED,
    Query,
    bars,
    counts,
    filled,
    lines,
    new_dashboard,
    one_number,
    query,
)

SCORED = 'outcome=~"scored|restarting"'
ROWS_PER_DAY = 720
"""Operating day of the published mill: alerts are counted by rows, so that a fast replay compares with a slow mill."""


def main(folder: Path) -> None:
    """Write one file a dashboard."""
    folder.mkdir(parents=True, exist_ok=True)
    for dashboard in (sheet_break(), model_quality(), pipeline()):
        built = json.loads(json.dumps(dashboard.build(), cls=JSONEncoder))
        for annotation in built["annotations"]["list"]:  # the SDK does not know these fields of the Prometheus source
            annotation |= {
                "titleFormat": "{{machine}}: {{severity}}",
                "textFormat": "A warning opened",
                "tagKeys": "machine,severity",
            }
        text = json.dumps(built, indent=2, sort_keys=True, ensure_ascii=False)
        (folder / f"{built['uid']}.json").write_text(text + "\n", encoding="utf-8")


def model_quality() -> build.Dashboard:
    """What an engineer looks at to trust the model: distribution, false alarms, warned breaks, drift."""
    dashboard = new_dashboard("sheetbreak-model", "Model", "Does the model still fit the machine?")
    alerts = f"sum by (machine) (increase(sheetbreak_alerts_total{{{ON_MACHINE}}}[6h]))"
    rows = f"sum by (machine) (increase(sheetbreak_rows_total{{{ON_MACHINE}, {SCORED}}}[6h]))"
    breaks, warned = (
        f"sum(increase(sheetbreak_breaks_total{{{labels}}}[$__range]))"
        for labels in (f'{ON_MACHINE}, warned!="unscored"', f'{ON_MACHINE}, warned="yes"')
    )
    hour = "warned:sheetbreak_breaks:increase1h"
    last_hour = f'sum({hour}{{warned="yes"}}) / (sum({hour}{{warned!="unscored"}}) > 0)'
    ratio = f"sheetbreak_score_ratio{{{ON_MACHINE}}}"
    share = f"sheetbreak_sensor_error_share{{{ON_MACHINE}}}"
    panels = (
        table.Panel()
        .title("Models that score")
        .datasource(PROMETHEUS)
        .with_target(query("count by (version, family) (sheetbreak_model_info)", "", "A", instant=True, as_table=True))
        .height(5)
        .span(12),
        one_number(
            "Age of the model",
            [("time() - min(sheetbreak_model_trained_timestamp_seconds)", "")],
            "From 30 days on it counts as old: sensors drift for weeks.",
            unit=units.Seconds,
            steps=((None, GREY), (30 * 86400, ORANGE)),
        ).span(6),
        one_number(
            "Breaks warned of",
            [(f"{warned} / ({breaks} > 0)", "")],
            "Of the scored breaks in the time shown: an alert opened within the 30 rows before.",
            unit=units.PercentUnit,
        ).span(6),
        lines(
            "Spread of the score against the threshold",
            [
                (f"quantile_over_time({q}, {ratio}[15m])", f"{{{{machine}}}} {text}")
                for q, text in ((0.5, "median"), (0.9, "90 %"), (0.99, "99 %"))
            ],
            "Of what was scraped within 15 minutes.",
        )
        .height(9)
        .span(12),
        lines(
            "Time over the threshold",
            [(f"avg_over_time(({ratio} > bool 1)[15m:5s])", "{{machine}}")],
            "The share of 15 minutes; the trailing threshold keeps it near one number.",
            unit=units.PercentUnit,
        )
        .height(9)
        .span(12),
        lines(
            "Alerts a day's worth of rows",
            [(f"{ROWS_PER_DAY} * {alerts} / {rows}", "{{machine}}")],
            "Within six hours, by 720 rows. The threshold is chosen for 5 false alarms.",
        ).span(12),
        counts(
            "Alerts and breaks",
            [
                (f"sum(increase(sheetbreak_alerts_total{{{ON_MACHINE}}}[$__range]))", "alerts"),
                (warned, "breaks warned of"),
                (f"{breaks} - {warned}", "breaks not warned of"),
                (
                    f"clamp_min(sum(increase(sheetbreak_alerts_total{{{ON_MACHINE}}}[$__range])) - {warned}, 0)",
                    "alerts less warned breaks: about the false alarms",
                ),
            ],
        ).span(12),
        lines(
            "Breaks warned of, by weeks",
            [
                (f"sheetbreak:breaks_warned:ratio14d or {last_hour}", "two weeks"),
                (f"sheetbreak:breaks_warned:ratio28d or {last_hour}", "four weeks"),
            ],
            "Of all machines. Before the first full hour there is only that hour.",
            unit=units.PercentUnit,
        ).span(12),
        lines(
            "Error by machine",
            [(f"avg_over_time(sheetbreak_reconstruction_error{{{ON_MACHINE}}}[15m])", "{{machine}}")],
            "A slow rise is drift; a step is a change of grade, wire or sensor.",
        ).span(12),
        bars(
            "Sensors whose part grows",
            [(f"topk(10, avg_over_time({share}[15m]) - avg_over_time({share}[6h]))", "{{machine}} {{sensor}}")],
            "Of the score: the last 15 minutes against six hours.",
            unit=units.PercentUnit,
        )
        .height(9)
        .span(12),
        counts(
            "Models taken over",
            [("sum by (result) (increase(sheetbreak_model_reloads_total[$__range]))", "{{result}}")],
        )
        .height(9)
        .span(12),
    )
    return filled(dashboard, panels)


def pipeline() -> build.Dashboard:
    """What whoever is on call looks at: rows, lag, latency, commits, dead letters, memory."""
    dashboard = new_dashboard("sheetbreak-pipeline", "Pipeline", "Do rows come in, and do scores go out in time?")
    rate = "[$__rate_interval]"
    panels = (
        one_number(
            "Monitors",
            [('sum(up{job="sheetbreak"})', "")],
            steps=((None, RED), (1, GREY)),
        ).span(6),
        one_number("Rows a second", [(f"sum(rate(sheetbreak_rows_total{rate}))", "")]).span(6),
        one_number(
            "Rows that wait",
            [("sum(max by (partition) (sheetbreak_consumer_lag_rows))", "")],
        ).span(6),
        one_number(
            "Dead letters",
            [('sum(increase(sheetbreak_rows_total{outcome="dead_letter"}[$__range]))', "")],
            steps=((None, GREY), (1, ORANGE)),
        ).span(6),
        lines(
            "Rows a second, by what became of them",
            [(f"sum by (outcome) (rate(sheetbreak_rows_total{rate}))", "{{outcome}}")],
        ).span(12),
        lines(
            "Rows a second, by machine",
            [(f"sum by (machine) (rate(sheetbreak_rows_total{{{ON_MACHINE}}}{rate}))", "{{machine}}")],
        ).span(12),
        lines(
            "Rows that wait, by partition",
            [("max by (partition) (sheetbreak_consumer_lag_rows)", "partition {{partition}}")],
        ).span(12),
        lines(
            "From a record's timestamp to the commit of its score",
            quantiles("sheetbreak_end_to_end_latency_seconds"),
            unit=units.Seconds,
        ).span(12),
        lines(
            "Commits a second",
            [(f"sum by (result) (rate(sheetbreak_commits_total{rate}))", "{{result}}")],
            "unavailable: broker away, tried again. lost: another monitor has the batch. fenced: our id was taken.",
        ).span(12),
        lines(
            "Seconds per batch",
            quantiles("sheetbreak_batch_duration_seconds"),
            "In hand to committed.",
            unit=units.Seconds,
        ).span(12),
        lines(
            "Dead letters, by machine",
            [
                (
                    'sum by (machine) (increase(sheetbreak_rows_total{outcome="dead_letter"}[5m]))',
                    "{{machine}}",
                )
            ],
            "In five minutes. No name: the record says no machine.",
        ).span(12),
        lines(
            "Messages that Alertmanager handed over, and could not",
            [
                (f"sum by (integration) (rate(alertmanager_notifications_total{rate}))", "{{integration}}"),
                (
                    f"sum by (integration) (rate(alertmanager_notifications_failed_total{rate}))",
                    "{{integration}} failed",
                ),
            ],
            "A second. Failed: docs/operating.md, SheetbreakNotDelivered.",
        ).span(12),
        lines(
            "Partitions each monitor reads",
            [("count by (instance) (sheetbreak_consumer_lag_rows)", "{{instance}}")],
        ).span(12),
        lines(
            "Memory",
            [('process_resident_memory_bytes{job="sheetbreak"}', "{{instance}}")],
            unit=units.BytesIEC,
        ).span(12),
        lines(
            "Processor cores in use",
            [(f'rate(process_cpu_seconds_total{{job="sheetbreak"}}{rate})', "{{instance}}")],
        ).span(12),
    )
    return filled(dashboard, panels)


def quantiles(histogram: str) -> list[Query]:
    """Median and 99th percentile of a histogram."""
    buckets = f"sum by (le) (rate({histogram}_bucket[$__rate_interval]))"
    return [
        (f"histogram_quantile(0.5, {buckets})", "median"),
        (f"histogram_quantile(0.99, {buckets})", "99 %"),
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "dashboards")
