"""The page as text: nothing of the user's file is read as HTML, script or markup of a plot; figures are the JSON's."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.data.scored_examples import make_rows
from trainer.metrics.evaluation import Figures, measure, summarise
from trainer.metrics.hindsight import BUDGETS, RATES
from trainer.report.figures_table import figures_table
from trainer.report.page import Cell, Choice, Page, Plot, Section, Table, render_page
from trainer.report.plots.event import lead_plot, recall_plot
from trainer.report.plots.training import loss_plot
from trainer.report.style import label, named_axis, numbers
from trainer.training.fit import EpochLoss

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "<!--<script>",
    "<a href='javascript:alert(1)'>x</a>",
    "&lt;b&gt;",
    "a\u2028b\x00c",
    "\u202egnp.exe",
    "\udcff.csv",
    "$\\alpha$",
)


class Reader(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page_of(text: str) -> Page:
    """The text wherever a page takes one."""
    plot = Plot(
        id="one",
        title=text,
        says=text,
        asks=text,
        traces=[{"type": "bar", "name": label(text), "x": [0], "y": [1]}],
        layout={"yaxis": named_axis([text]), "meta": text},  # and if one came unescaped
        choices=[Choice(name=text, traces=[{"text": [label(text)]}])],
    )
    table = Table(title=text, says=text, heads=("", text), lines=[(text, [Cell(text, text, 0.25)])])
    return Page(title=text, facts=[text], sections=[Section(title=text, note=text, parts=[table, plot])])


@pytest.fixture(scope="module")
def harmless() -> Reader:
    return Reader(render_page(page_of("mill")))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_adds_no_element_attribute_or_script_wherever_it_stands(text, harmless):
    page = render_page(page_of(text))
    found = Reader(page)
    assert found.elements == harmless.elements
    assert [name for name, _ in found.attributes] == [name for name, _ in harmless.attributes]
    page.encode()  # can be written
    assert not re.search(r"[\x00\u2028\u202e]", page)


@settings(max_examples=20)  # each is a page of 5 MB
@given(st.text())
def test_the_pages_data_survive_the_script_they_lie_in(text):
    page = render_page(page_of(text))
    inside = re.search(r'<script type="application/json" id="plots">(.*?)</script>', page, re.DOTALL)
    assert inside
    assert not set("<>&") & set(inside[1])
    assert json.loads(inside[1])[0]["traces"][0]["name"] == label(text)


@given(st.text())
def test_a_label_holds_no_tag_entity_or_formula_of_its_own(text):
    rest = label(text, chars=1000).replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").replace("&#36;", "")
    assert not set("<>&$") & set(rest)


def test_only_the_pages_own_scripts_may_run_and_nothing_may_be_fetched(harmless):
    policy = next(value for name, value in harmless.attributes if name == "content" and "default-src" in (value or ""))
    assert policy
    assert "default-src 'none'; script-src 'sha256-" in policy
    assert "unsafe" not in policy.partition("script-src")[2].partition(";")[0]
    addresses = [value for name, value in harmless.attributes if name in ("src", "href")]
    assert addresses == ["data:,"]


def test_sensors_of_one_name_or_named_like_numbers_stay_apart():
    axis = named_axis(["1", "1", "2024-01-01", "x" * 50])
    assert axis["tickvals"] == [0, 1, 2, 3]
    assert axis["ticktext"][:3] == ["1", "1", "2024-01-01"]
    assert len(axis["ticktext"][3]) == 18


def test_numbers_lose_digits_but_never_their_size_or_their_absence():
    assert numbers([0.123456, 1234567.0, np.nan, 0.0]) == [0.1235, 1235000.0, None, 0.0]


def two_folds() -> list[Figures]:
    draw = np.random.default_rng(0)
    parts = []
    for number in range(2):
        score = draw.normal(size=900)
        breaks = np.arange(100, 900, 90)
        score[breaks - 3] += 2.5
        opened = breaks[::2] - 3
        parts.append(measure(make_rows(score, breaks=breaks, stops=breaks + 1, opened=opened), number=number))
    return parts


def test_the_curve_of_recall_runs_through_the_evaluations_own_points():
    folds = two_folds()
    evaluation = summarise(folds)
    plot = recall_plot({"model": (evaluation, folds)}, period_s=120.0)
    assert plot
    for view, horizon in zip(plot.choices, (30, 10, 2), strict=True):
        curves = {trace["name"]: view.traces[i]["y"] for i, trace in enumerate(plot.traces) if "name" in trace}
        for point in (one for one in evaluation.recall if one.horizon_rows == horizon):
            place = RATES.index(point.false_alarms_per_day)
            assert curves["model"][place] == pytest.approx(point.recall, rel=1e-3)
            assert curves["chance"][place] == pytest.approx(point.chance, rel=1e-3)
            assert curves["time in alarm"][place] == pytest.approx(point.time_in_alarm, rel=1e-3)
            if point.chance > 0.1:  # a mean over few hits may lie above 95 % of the shifts
                assert view.traces[0]["y"][place] < curves["chance"][place] < view.traces[1]["y"][place]
    assert set(BUDGETS) <= set(RATES)


def test_every_break_is_in_the_histogram_of_leads_once():
    folds = two_folds()
    evaluation = summarise(folds)
    plot = lead_plot(evaluation, folds, period_s=120.0)
    assert plot
    for trace in plot.traces:
        assert sum(trace["y"]) == evaluation.breaks == 18
    deployed = plot.traces[0]["y"]
    assert (deployed[0], deployed[-1]) == (10, 8)  # five breaks a fold, warned of six minutes ahead: 0–6


def test_the_table_on_top_holds_the_evaluations_figures_unrounded():
    evaluation = summarise(two_folds())
    table = figures_table({"test": evaluation}, period_s=120.0, lead_rows=2)
    values = {name: cells[0].value for name, cells in table.lines}
    assert evaluation.roc_auc in values.values()
    assert evaluation.deployed
    assert values["deployed: time in alarm"] == evaluation.deployed.time_in_alarm
    kinds = [name.split()[0] for name in values if name.startswith(("deployed", "in hindsight"))]
    assert kinds == sorted(kinds)  # what will run before what might have been
    for point in evaluation.recall:
        if point.horizon_rows == 30:
            name = f"in hindsight at {point.false_alarms_per_day} false alarms a day: warned of at most 60 min ahead"
            assert values[name] == point.recall


def test_a_model_computed_in_one_step_has_no_training_curves():
    assert loss_plot({"training": ([], None)}) is None
    plot = loss_plot({"training": ([EpochLoss(3.0, 2.0), EpochLoss(2.0, 1.0)], 1)})
    assert plot
    assert [trace["y"] for trace in plot.traces] == [[3.0, 2.0], [2.0, 1.0], [1.0]]


def test_where_no_row_foretells_another_or_a_day_says_nothing_no_warning_a_day_is_counted():
    evaluation = summarise(two_folds())

    def names(period_s: float, lead_rows: int) -> str:
        return "\n".join(
            name for name, _ in figures_table({"test": evaluation}, period_s=period_s, lead_rows=lead_rows).lines
        )

    assert "hindsight" in names(120.0, 2)
    assert "a day" in names(120.0, 2)
    assert "hindsight" not in names(0.004, 2)
    assert "deployed: false alarms in 1,000 rows" in names(0.004, 2)
    assert "deployed" not in names(120.0, 0)
