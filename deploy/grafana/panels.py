"""The kinds of panel that the dashboards are made of: what they share is said once."""

from collections.abc import Iterable, Sequence
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as prometheus_model
from grafana_foundation_sdk.models import units

PROMETHEUS = common_model.DataSourceRef(type_val="prometheus", uid="sheetbreak-prometheus")
"""The uid that provisioning gives the datasource."""
ON_MACHINE = 'machine=~"$machine"'
GREEN, ORANGE, RED = "green", "orange", "red"
HEIGHT = 8
SHORT = 5

Query = tuple[str, str]
"""PromQL and legend."""
Steps = Sequence[tuple[float | None, str]]
"""From which value on which colour; the first value is None."""


def new_dashboard(uid: str, title: str, description: str) -> build.Dashboard:
    """An empty dashboard with the choice of machines and the warnings as marks in every graph."""
    warnings = (
        build.AnnotationQuery()
        .name("Warnings")
        .datasource(PROMETHEUS)
        .enable(True)
        .icon_color(RED)
        .expr(f"sum by (machine) (increase(sheetbreak_alerts_total{{{ON_MACHINE}}}[1m])) > 0")
    )
    machine = (
        build.QueryVariable("machine")
        .label("Machine")
        .query("label_values(sheetbreak_alert_open, machine)")
        .datasource(PROMETHEUS)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(selected=True, text="All", value="$__all"))
    )
    others = build.DashboardLink("Dashboards").type(model.DashboardLinkType.DASHBOARDS).tags(["sheetbreak"])
    return (
        build.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["sheetbreak"])
        .time("now-30m", "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(others.keep_time(True))
        .annotation(warnings)
        .with_variable(machine)
    )


def filled(dashboard: build.Dashboard, panels: Iterable[Any]) -> build.Dashboard:
    """The dashboard with these panels, in reading order, each with a number that links can name."""
    for number, panel in enumerate(panels, start=1):
        dashboard.with_panel(panel.id(number))
    return dashboard


def query(
    promql: str, legend: str, ref_id: str, *, instant: bool = False, as_table: bool = False
) -> prometheus.Dataquery:
    """One query of a panel; `instant` asks for the last value alone."""
    target = prometheus.Dataquery().datasource(PROMETHEUS).expr(promql).legend_format(legend).ref_id(ref_id)
    target = target.instant() if instant else target.range()
    if as_table:
        target = target.format(prometheus_model.PromQueryFormat.TABLE)
    return target


def lines(title: str, queries: Sequence[Query], description: str = "", *, unit: str = units.Short) -> timeseries.Panel:
    """Series over time."""
    legend = (
        common.VizLegendOptions()
        .display_mode(common_model.LegendDisplayMode.TABLE)
        .placement(common_model.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
    )
    panel = timeseries.Panel().title(title).description(description).datasource(PROMETHEUS).unit(unit)
    panel = panel.line_width(1).show_points(common_model.VisibilityMode.NEVER).legend(legend).height(HEIGHT)
    for ref_id, (promql, text) in zip("ABCDEF", queries, strict=False):
        panel.with_target(query(promql, text, ref_id))
    return panel


def bars(
    title: str,
    queries: Sequence[Query],
    description: str = "",
    *,
    unit: str = units.Short,
    steps: Steps = ((None, GREEN),),
) -> bargauge.Panel:
    """Last values as horizontal bars."""
    panel = bargauge.Panel().title(title).description(description).datasource(PROMETHEUS).unit(unit)
    panel = panel.orientation(common_model.VizOrientation.HORIZONTAL).thresholds(thresholds(steps)).height(SHORT)
    for ref_id, (promql, text) in zip("ABCDEF", queries, strict=False):
        panel.with_target(query(promql, text, ref_id, instant=True))
    return panel


def counts(title: str, queries: Sequence[Query], description: str = "") -> bargauge.Panel:
    """Last values as bars; whole numbers, though PromQL's `increase` extrapolates."""
    return bars(title, queries, description).decimals(0).min(0)


def one_number(
    title: str,
    queries: Sequence[Query],
    description: str = "",
    *,
    unit: str = units.Short,
    steps: Steps = ((None, GREEN),),
) -> stat.Panel:
    """Last values, large."""
    panel = stat.Panel().title(title).description(description).datasource(PROMETHEUS).unit(unit)
    panel = panel.graph_mode(common_model.BigValueGraphMode.NONE).thresholds(thresholds(steps)).height(SHORT)
    for ref_id, (promql, text) in zip("ABCDEF", queries, strict=False):
        panel.with_target(query(promql, text, ref_id, instant=True))
    return panel


def timeline(title: str, queries: Sequence[Query]) -> statetimeline.Panel:
    """A row a series, coloured while it is 1."""
    panel = statetimeline.Panel().title(title).datasource(PROMETHEUS).height(SHORT)
    panel = panel.show_value(common_model.VisibilityMode.NEVER).thresholds(thresholds(((None, GREEN), (1, RED))))
    panel = panel.mappings([model.ValueMap(options={"0": named("quiet", GREEN), "1": named("warning", RED)})])
    for ref_id, (promql, text) in zip("ABCDEF", queries, strict=False):
        panel.with_target(query(promql, text, ref_id))
    return panel


def thresholds(steps: Steps) -> build.ThresholdsConfig:
    """Colours by value."""
    return build.ThresholdsConfig().steps([model.Threshold(value=value, color=color) for value, color in steps])


def named(text: str, color: str) -> model.ValueMappingResult:
    """What a number is shown as."""
    return model.ValueMappingResult(text=text, color=color)


def dashed() -> list[model.DynamicConfigValue]:
    """A thin dashed line, for what others are compared with."""
    return [model.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]})]
