"""What every test starts from: none of our variables, an empty directory to work in, a quiet TensorFlow."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.kafka.broker import broker  # noqa: F401 - one for the whole session
from tests.support.running.side_by_side import InGroups, turn_of

# TensorFlow reads these as it is imported, in this process and in the programs that tests start.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # as trainer.backend has it, which may come after the import here
os.environ["MPLBACKEND"] = "Agg"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # for the tests that import ONNX Runtime themselves

CHECKOUT = Path(__file__).resolve().parent.parent
# What terminals and containers set, and what changes the output of a program.
ELSEWHERE = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONUNBUFFERED")
REAL_CSV = "processminer-rare-event-mts.csv"

# A server that a test starts is asked directly, whatever proxy the world outside is reached through.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost,::1"

# How long an example takes says nothing about it; nothing is remembered on disk; every run sees the same examples.
# New ones, and more of them: make quick ARGS="--hypothesis-profile new"
for profile, examples, derandomize in (("sheetbreak", 40, True), ("new", 200, False)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=derandomize,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("sheetbreak")

_real_data = os.environ.get("SHEETBREAK_DATA")  # before the fixture below takes it away


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InGroups:
    config.option.loadscopereorder = False  # the order is made below
    return InGroups(config, log)


gc.disable()  # until the tests are collected: what is imported meanwhile stays for good


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: turn_of(item.path))


def pytest_collection_finish() -> None:
    """Leave what the test files import, TensorFlow with it, out of the search for cycles: Keras asks for it often."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _no_variables_of_ours() -> Iterator[None]:
    """Every option is a variable too: what a developer has exported must not reach a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("SHEETBREAK_") or name in ELSEWHERE:
                patch.delenv(name)
        for name in ELSEWHERE:
            os.unsetenv(name)  # readline sets COLUMNS where os.environ does not see it, and programs inherit it
        yield


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults such as --models models are relative: each test has its own directory to find them in."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the repository."""
    return CHECKOUT


@pytest.fixture(scope="session")
def real_csv() -> Path:
    """The real mill's CSV, not ours to publish; a test that asks for it is skipped where it is not."""
    path = Path(_real_data) if _real_data else CHECKOUT.parent / "shared" / "data" / REAL_CSV
    if path.is_dir():
        path /= REAL_CSV
    if path.is_file():
        return path
    if _real_data:
        pytest.fail(f"SHEETBREAK_DATA={_real_data} is not a file", pytrace=False)
    pytest.skip(
        f"the real data is not here; ask its authors for {REAL_CSV} (arXiv:1809.10717 names the form) "
        "and set SHEETBREAK_DATA to its path"
    )
