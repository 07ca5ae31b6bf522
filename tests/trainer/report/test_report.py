"""The report as a user gets it: the command's page, opened in a real Chromium as a desktop and as a phone would."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sheetbreak.artifact import load
from sheetbreak.engine.advance import advance_explained
from sheetbreak.errors import DataError
from sheetbreak.history.reader import read_csv
from sheetbreak.rows import RowBatch
from sheetbreak.times import format_time, parse_time
from tests.support.data.histories import mill_like
from tests.support.data.scored_examples import make_rows
from tests.support.outside.browser import Browser
from trainer.commands import backtest, train
from trainer.metrics.evaluation import measure, summarise
from trainer.report.compare_page import compare_page
from trainer.report.style import label

SENSORS = ("</script><script>window.hacked=1</script>", "<img src=x onerror=window.hacked=1>", "1", "1999-05-01", "s4")
MACHINES = ("<b>pm1", "pm&2")
FILE = "<i>mill&.csv"
PLANT = '[columns]\ntime = "time"\nbroken = "broken"\nmachine = "machine"\n'
EVERYWHERE = {"error", "roc", "precision-recall", "confusion", "sensors", "breaks", "curves", "recall", "lead"}
HEALTH = {"gaps", "faults", "drift"}
MOST_ELEMENTS = 20_000


def write_csv(path: Path, rows: RowBatch) -> Path:
    lines = ["time,machine,broken," + ",".join(f'"{name}"' for name in SENSORS)]
    for i, machine in enumerate(rows.machines):
        values = ",".join(map(repr, rows.values[i].tolist()))
        lines.append(f"{format_time(int(rows.times_us[i]))},{machine},{int(rows.broken[i])},{values}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.with_name("plant.toml").write_text(PLANT)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both reports of two machines whose names, like those of the sensors and the file, try to be HTML."""
    where = tmp_path_factory.mktemp("reports")
    rows = mill_like(900, sensors=len(SENSORS), machines=MACHINES)
    rows.values[300:900, 4] = 3.0  # hangs
    mill = write_csv(where / FILE, rows)
    plant = ["--schema", str(where / "plant.toml")]
    outputs = ["--json", str(where / "b.json"), "--report", str(where / "backtest.html")]
    assert backtest.main([str(mill), *plant, "--family", "pca", *outputs]) == 0
    models = ["--models", str(where / "models"), "--report", str(where / "train.html")]
    assert train.main([str(mill), *plant, *models]) == 0
    (where / "compare.html").write_text(compared(), encoding="utf-8")
    return where


def compared() -> str:
    """A page of two scorers, three folds each."""
    draw = np.random.default_rng(0)
    scorers = {}
    for name in SENSORS[:2]:
        rows = [make_rows(draw.normal(size=600), breaks=range(50, 600, 50)) for _ in range(3)]
        folds = [measure(one, number=number) for number, one in enumerate(rows)]
        scorers[name] = (summarise(folds), folds)
    return compare_page(scorers, title=FILE, facts=[FILE], period_s=120.0, lead_rows=2)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


def see(browser: Browser, page: Path, *, width: int) -> None:
    """Open the page and wait until every plot is drawn."""
    browser.errors.clear()
    browser.requests.clear()
    browser.open(page, width=width)
    browser.wait("document.documentElement.dataset.drawnAfterMs")
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


DRAWN = """Object.fromEntries([...document.querySelectorAll(".plot")].map((plot) => [plot.id,
    plot.querySelectorAll(".main-svg .trace path, .main-svg .trace .point, .main-svg .hm image").length]))"""


CUT_OFF = """[...document.querySelectorAll(".plot, td, th, h1, select")]
    .filter((e) => e.scrollWidth > e.clientWidth + 1)"""


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    ("page", "plots"),
    [
        ("backtest.html", EVERYWHERE | HEALTH | {"fold-auc", "fold-recall"}),
        ("train.html", EVERYWHERE | HEALTH | {"losses"}),
        ("compare.html", {"recall", "fold-auc"}),
    ],
)
def test_every_plot_is_drawn_without_an_error_or_a_request_and_fits_the_screen(folder, browser, page, plots, width):
    see(browser, folder / page, width=width)
    drawn = browser.run(DRAWN)
    assert drawn.keys() == plots
    assert all(count > 0 for count in drawn.values()), drawn
    assert browser.errors == []
    # What takes time when a page is opened: only what is chosen is drawn, not every break's plot.
    assert browser.run("document.querySelectorAll('*').length") < MOST_ELEMENTS
    # A heatmap is an image that the page makes itself; nothing else is asked for, of the network or the disk.
    asked = [address for address in browser.requests if not address.startswith("data:")]
    assert asked == [(folder / page).resolve().as_uri()]
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run(f"{CUT_OFF}.map((e) => e.outerHTML.slice(0, 80))") == []


def test_names_of_the_users_are_text_and_nothing_else(folder, browser):
    see(browser, folder / "backtest.html", width=1280)
    assert browser.run("window.hacked") is None
    assert browser.run("document.querySelectorAll('img, main b, main i, svg a, script').length") == 3  # its own scripts
    assert browser.run("document.title") == f"Backtest of {FILE}"
    ticks = browser.run("[...document.querySelectorAll('#sensors .ytick text')].map((e) => e.textContent)")
    assert sorted(ticks) == sorted(name if len(name) <= 18 else name[:17] + "…" for name in SENSORS)
    assert all(f" · {name} · " in " · ".join(choices(browser)) for name in MACHINES)


def choices(browser: Browser) -> list[str]:
    found: list[str] = browser.run("[...document.querySelectorAll('#breaks-choice option')].map((e) => e.textContent)")
    return found


def test_the_selector_shows_each_break_and_the_arrows_go_round(folder, browser):
    see(browser, folder / "backtest.html", width=1280)
    breaks = json.loads((folder / "b.json").read_text())["overall"]["breaks"]
    assert len(choices(browser)) == breaks
    curve = "document.querySelector('#breaks .scatterlayer .trace path.js-line').getAttribute('d')"
    first = browser.run(curve)
    browser.run("document.querySelector('button[data-plot=breaks][data-step=\"-1\"]').click()")
    assert browser.run("document.getElementById('breaks-choice').selectedIndex") == breaks - 1
    browser.wait(f"{curve} !== {json.dumps(first)}")
    browser.run("document.querySelector('button[data-plot=breaks][data-step=\"1\"]').click()")
    browser.wait(f"{curve} === {json.dumps(first)}")


def test_the_figures_on_the_page_are_those_of_the_json(folder, browser):
    see(browser, folder / "backtest.html", width=1280)
    found = json.loads((folder / "b.json").read_text())
    lines = browser.run(
        "[...document.querySelectorAll('tbody tr')].map((tr) => [tr.querySelector('th').textContent,"
        "[...tr.querySelectorAll('td')].map((td) => Number(td.dataset.value))])"
    )
    values = dict(lines)
    parts = found["overall"], found["later"]
    assert values[next(name for name in values if name.startswith("ROC AUC"))] == [part["roc_auc"] for part in parts]
    assert values["deployed: false alarms a day"] == [
        part["deployed"]["horizons"][-1]["false_alarms_per_day"] for part in parts
    ]
    at_five = [
        next(r["recall"] for r in part["recall"] if (r["horizon_rows"], r["false_alarms_per_day"]) == (30, 5))
        for part in parts
    ]
    assert values["in hindsight at 5 false alarms a day: warned of at most 60 min ahead"] == at_five
    baseline = found["later"]["baselines"]["mean-abs-z"]
    assert values["mean |z|, no model"][:2] == [baseline["roc_auc"], baseline["average_precision"]]
    bars = browser.run("document.getElementById('fold-auc').data[0].y")
    assert bars == [pytest.approx(fold["roc_auc"], rel=1e-3) for fold in found["folds"]]


def test_the_page_begins_with_what_it_would_have_cost_and_saved(folder):
    deployed = json.loads((folder / "b.json").read_text())["overall"]["deployed"]
    last, breaks, alarms = deployed["horizons"][-1], len(deployed["leads"]), deployed["alerts"]
    page = (folder / "backtest.html").read_text(encoding="utf-8")
    found = re.search(r'<h1>[^\n]*</h1>\n<p class="worth">(.*?)</p>', page)
    assert found
    worth = found[1]
    assert worth.startswith(f"{last['warned']} of {breaks} breaks warned of (")
    assert f"{last['false_alarms']} of {alarms} alarms false" in worth
    most = f"{10_000 * last['warned'] - 150 * alarms:,}"
    assert f"to +{most} if every one does, at 10,000 a break and 150 an alarm." in worth
    account = re.findall(r"<dt>(.*?)</dt><dd>(.*?)<small>", page)
    assert account[:2] == [
        ("It would have cost", f"{150 * alarms:,}"),
        ("and saved at most", f"{10_000 * last['warned']:,}"),
    ]
    assert [what for what, _ in account[2:]] == ["of which luck", "worth beyond luck"]


def test_the_list_of_alarms_has_each_of_them_on_the_page_and_as_csv(folder):
    deployed = json.loads((folder / "b.json").read_text())["overall"]["deployed"]
    last = deployed["horizons"][-1]
    with (folder / "backtest.alarms.csv").open(newline="", encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    assert len(listed) == deployed["alerts"] > 0
    false = [alarm for alarm in listed if alarm["followed"] == "no break"]
    assert len(false) == last["false_alarms"]
    assert len({(one["machine"], one["break"]) for one in listed if one["break"]}) == last["warned"]
    assert all(alarm["opened"] <= (alarm["closed"] or "9") for alarm in listed)
    page = (folder / "backtest.html").read_text(encoding="utf-8")
    (table,) = re.findall(r"<details>(.*?)</details>", page)
    assert table.count('<th scope="row">') == len(listed)
    assert table.count(">no break<") == len(false)


def test_the_curves_are_the_readings_and_what_the_model_expected_around_each_event(folder, browser):
    """Of a training: its model can be asked again, as a notebook does."""
    see(browser, folder / "train.html", width=1280)
    drawn = browser.run(
        "document.getElementById('curves').data.slice(0, 2).map((trace) => [trace.x0, trace.dx, trace.y])"
    )
    sensor = browser.run("document.getElementById('curves').layout.yaxis.title.text")
    shown = browser.run("document.getElementById('curves-choice').options[0].textContent")
    model = load(folder / "models")
    _, rows = read_csv(folder / FILE, sensors_from=model.manifest.schema)
    at = next(i for i, name in enumerate(SENSORS) if label(name, chars=16) == sensor)
    machine = next(name for name in MACHINES if f" · {name} · " in shown)
    _, _, expectation = advance_explained({}, rows, model)
    for (begin, step_ms, curve), values in zip(drawn, (rows.values, expectation.expected), strict=True):
        begin_us = parse_time(begin.replace(" ", "T") + "Z")
        own = {int(t): i for i, t in enumerate(rows.times_us.tolist()) if rows.machines[i] == machine}
        places = [(own.get(begin_us + n * round(step_ms * 1000)), y) for n, y in enumerate(curve)]
        seen = [(values[place, at], y) for place, y in places if y is not None]
        assert len(seen) > 20
        assert all(y == pytest.approx(value, rel=1e-3, abs=1e-4) for value, y in seen)


def test_the_page_is_one_file_that_stands_alone(folder):
    text = (folder / "train.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 6_000_000
    shell = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert re.findall(r"<[^>]*\b(?:src|href)=([^ >]*)", shell) == ['"data:,"']
    assert "url(" not in shell
    assert text.count("plotly.js v") == 1


@pytest.mark.parametrize("command", [train.main, backtest.main])
@pytest.mark.parametrize("target", ["nowhere/report.html", "."])
def test_a_report_that_cannot_be_written_is_said_before_any_work(command, target):
    with pytest.raises(DataError, match="cannot be written; name a file in a directory"):
        command(["no-such-file.csv", "--report", target])
