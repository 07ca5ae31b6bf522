"""The report as a user gets it: the command's page, opened in a real Chromium as a desktop and as a phone would."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sheetbreak.errors import DataError
from sheetbreak.rows import RowBatch
from sheetbreak.times import format_time
from tests.support.browser import Browser
from tests.support.histories import mill_like
from tests.support.scored_examples import make_rows
from trainer.commands import backtest, train
from trainer.metrics.evaluation import measure, summarise
from trainer.report.compare_page import compare_page

SENSORS = ("</script><script>window.hacked=1</script>", "<img src=x onerror=window.hacked=1>", "1", "1999-05-01", "s4")
MACHINES = ("<b>pm1", "pm&2")
FILE = "<i>mill&.csv"
PLANT = '[columns]\ntime = "time"\nbroken = "broken"\nmachine = "machine"\n'
EVERYWHERE = {"error", "roc", "precision-recall", "confusion", "sensors", "breaks", "recall", "lead"}
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
    peer = found["later"]["baselines"]["mean-abs-z"]
    assert values["mean |z|, no model"][:2] == [peer["roc_auc"], peer["average_precision"]]
    bars = browser.run("document.getElementById('fold-auc').data[0].y")
    assert bars == [pytest.approx(fold["roc_auc"], rel=1e-3) for fold in found["folds"]]


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
