"""The kinds of panel that the dashboards are made of: what they share is said once."""

from collections.abc import Iterable, Sequence
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    statetimeline,
    statushistory,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as prometheus_model
from grafana_foundation_sdk.models import units

PROMETHEUS = common_model.DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The choice of datasource at the top of a dashboard."""
PROVISIONED = "sheetbreak-prometheus"
"""The uid that provisioning gives the datasource: what is chosen at first."""
ON_MACHINE = 'machine=~"$machine"'
GREY, BLUE, YELLOW, ORANGE, RED, PURPLE = "#8e8e8e", "#5794f2", "#f2cc0c", "#ff9830", "#d44a3a", "#b877d9"
"""Grey is normal (ISA-101). Beside a colour stands a word: red and green are one for every twelfth man."""
PERIOD_S = 120
"""Between two rows of the published mill."""
SHOWN_ROWS = 360
"""That a dashboard shows at first: half a day at a row every two minutes."""
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
        .expr(f"sum by (machine, severity) (increase(sheetbreak_alerts_total{{{ON_MACHINE}}}[2m])) > 0")
    )
    datasource = (
        build.DatasourceVariable("datasource")
        .label("Prometheus")
        .type("prometheus")
        .current(model.VariableOption(selected=True, text="Prometheus", value=PROVISIONED))
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
        .time(f"now-{SHOWN_ROWS * PERIOD_S // 3600}h", "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(others.keep_time(True).include_vars(True))
        .annotation(warnings)
        .with_variable(datasource)
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
    steps: Steps = ((None, GREY),),
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
    steps: Steps = ((None, GREY),),
) -> stat.Panel:
    """Last values, large."""
    panel = stat.Panel().title(title).description(description).datasource(PROMETHEUS).unit(unit)
    panel = panel.graph_mode(common_model.BigValueGraphMode.NONE).thresholds(thresholds(steps)).height(SHORT)
    for ref_id, (promql, text) in zip("ABCDEF", queries, strict=False):
        panel.with_target(query(promql, text, ref_id, instant=True))
    return panel


def machine_state(machines: str) -> str:
    """PromQL: a number for what each machine does now, as STATES names it; the last for one of which nobody tells."""
    known = " or ".join(
        f'{number} * max by (machine) (sheetbreak_machine_state{{{machines}, state="{state}"}})'
        for number, (state, _, _) in enumerate(STATES[:-1])
    )
    before = f"max by (machine) (last_over_time(sheetbreak_machine_state{{{machines}}}[6h]))"
    lost = f"{before} unless on (machine) sheetbreak_machine_state"
    return f"{known} or {len(STATES) - 1} * ({lost})"


STATES = (
    ("quiet", "quiet", GREY),
    ("warning", "WARNING", RED),
    ("warming_up", "warming up", BLUE),
    ("stopped", "stopped", PURPLE),
    ("no_rows", "no rows", ORANGE),
    ("", "not watched", YELLOW),
)
"""The metric's word, what people read, and the colour."""


def state_names() -> list[Any]:
    """What the numbers of `machine_state` are shown as."""
    return [model.ValueMap(options={str(n): named(text, colour) for n, (_, text, colour) in enumerate(STATES)})]


def timeline(title: str, queries: Sequence[Query], description: str = "") -> statetimeline.Panel:
    """A row a machine, in the colour and with the word of its state."""
    panel = statetimeline.Panel().title(title).description(description).datasource(PROMETHEUS).height(SHORT)
    panel = panel.show_value(common_model.VisibilityMode.AUTO).mappings(state_names())
    for ref_id, (promql, text) in zip("ABCDEF", queries, strict=False):
        panel.with_target(query(promql, text, ref_id))
    return panel


def heat_map(title: str, queries: Sequence[Query], description: str = "", *, steps: Steps) -> statushistory.Panel:
    """A row a series, a cell a step of time, coloured by value."""
    panel = statushistory.Panel().title(title).description(description).datasource(PROMETHEUS).height(SHORT)
    panel = panel.show_value(common_model.VisibilityMode.NEVER).thresholds(thresholds(steps)).decimals(2)
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
