"""The operator's dashboard: which machine, since when, how unusual, and what its leading sensors read.

It needs no scrolling on a screen of 1080 lines: 22 rows of Grafana's grid.
"""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models import units
from panels import (
    GREY,
    ON_MACHINE,
    ORANGE,
    PROMETHEUS,
    RED,
    YELLOW,
    bars,
    counts,
    dashed,
    filled,
    heat_map,
    lines,
    machine_state,
    new_dashboard,
    one_number,
    query,
    state_names,
    timeline,
)


def sheet_break() -> build.Dashboard:
    """What an operator looks at, without scrolling: each machine's state, how unusual, and what the sensors say."""
    dashboard = new_dashboard(
        "sheetbreak-sheet", "Sheet break", "Is the sheet about to break, and which sensors say so?"
    )
    ratio = f"max by (machine) (sheetbreak_score_ratio{{{ON_MACHINE}}})"
    state = machine_state(ON_MACHINE)
    panels = (
        one_number("State", [(state, "{{machine}}")]).mappings(state_names()).height(4).span(14),
        one_number(
            "Last row, by the plant's clock",
            [(f"1000 * max by (machine) (sheetbreak_last_row_timestamp_seconds{{{ON_MACHINE}}})", "{{machine}}")],
            unit=units.DatetimeISO,
        )
        .height(4)
        .span(10),
        timeline("State of each machine", [(state, "{{machine}}")]).height(6).span(12),
        heat_map(
            "How unusual, machine by machine",
            [(ratio, "{{machine}}")],
            "Score over level. From 1 on a row is unusual, from 1.3 on very much so.",
            steps=((None, GREY), (0.8, YELLOW), (1, ORANGE), (1.3, RED)),
        )
        .height(6)
        .span(12),
        lines(
            "Score over level",
            [(ratio, "{{machine}}")],
            "1: at the level, which follows the machine's own last two days.",
        )
        .height(7)
        .span(8),
        lines(
            "Leading sensors: observed, and expected (dashed)",
            [
                (f"max by (machine, sensor) (sheetbreak_sensor_observed{{{ON_MACHINE}}})", "{{machine}} {{sensor}}"),
                (
                    f"max by (machine, sensor) (sheetbreak_sensor_expected{{{ON_MACHINE}}})",
                    "{{machine}} {{sensor}} expected",
                ),
            ],
            "Plant units; while a row is over its level or a warning is open. Choose one machine above.",
        )
        .override_by_regexp("expected$", dashed())
        .height(7)
        .span(10),
        bars(
            "Sensors of the last row",
            [
                (
                    f"topk(8, max by (machine, sensor) (sheetbreak_sensor_error_share{{{ON_MACHINE}}}))",
                    "{{machine}} {{sensor}}",
                )
            ],
            "The largest parts of the score.",
            unit=units.PercentUnit,
        )
        .height(7)
        .span(6),
        table.Panel()
        .title("Warnings now, and since when")
        .description("By Prometheus' own clock. The alert topic and the desk have the message.")
        .datasource(PROMETHEUS)
        .unit(units.DatetimeISO)
        .with_target(
            query(
                "1000 * max by (machine) (sheetbreak:break_warning:since)",
                "",
                "A",
                instant=True,
                as_table=True,
            )
        )
        .height(5)
        .span(8),
        counts(
            "Warnings within the hour",
            [
                (
                    f"sum by (machine, severity) (increase(sheetbreak_alerts_total{{{ON_MACHINE}}}[1h]))",
                    "{{machine}} {{severity}}",
                )
            ],
        ).span(8),
        counts(
            "Breaks within the hour",
            [
                (
                    f"sum by (machine, warned) (increase(sheetbreak_breaks_total{{{ON_MACHINE}}}[1h]))",
                    "{{machine}} warned: {{warned}}",
                )
            ],
            "Only where the feed says that the sheet broke.",
        ).span(8),
    )
    return filled(dashboard, panels)
