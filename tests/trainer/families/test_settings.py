"""Settings of every family, by enumeration: what they list is taken, all else is refused in words that help."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, get_args

import pytest

from sheetbreak.cli.commands import run
from sheetbreak.cli.options import OptionParser
from sheetbreak.errors import DataError
from tests.trainer.commands.test_train import manifest_of, mill, train  # noqa: F401 - the fixture
from trainer.commands.families import main
from trainer.families import FAMILIES
from trainer.settings.families import family_names
from trainer.settings.values import (
    CROSS_ENTROPY,
    Family,
    Setting,
    add_set_option,
    given_settings,
    settings_of,
    settle,
    within,
)
from trainer.training.pipeline import Recipe
from trainer.training.presets import PRESETS, preset_named

EVERY = [(name, setting) for name, family in FAMILIES.items() for setting in settings_of(family).values()]
every_setting = pytest.mark.parametrize(("family", "setting"), EVERY, ids=[f"{name}-{s.name}" for name, s in EVERY])
LEARNING = [name for name, family in FAMILIES.items() if family.learns]


def settled(family: str, given: dict, preset: str = "default") -> dict:
    return Recipe(preset=preset_named(preset), family=family, settings=given).settled.as_json()


@every_setting
def test_every_default_is_allowed_and_every_setting_says_what_it_is(family: str, setting: Setting) -> None:
    assert setting.checked(setting.default) == setting.default
    assert len(setting.about) > 8
    assert FAMILIES[family].summary.endswith(".")


@every_setting
def test_what_is_not_allowed_is_refused_with_the_name_the_family_and_what_is_wanted(
    family: str, setting: Setting
) -> None:
    for value in ["nan", "1e999", "-1e9", "ünits", ""] if setting.kind in (int, float) else ["?", "a:b:c"]:
        with pytest.raises(DataError) as caught:
            settled(family, {setting.name: value})
        assert setting.name in str(caught.value)
        assert family in str(caught.value)
    if setting.kind is int:
        with pytest.raises(DataError, match="whole number"):
            settled(family, {setting.name: 2.5})


@every_setting
@pytest.mark.parametrize("preset", PRESETS)
def test_a_default_given_as_text_is_the_default(family: str, setting: Setting, preset: str) -> None:
    usual = settled(family, {}, preset)
    value = usual[setting.name]
    assert settled(family, {setting.name: "auto" if value is None else str(value)}, preset) == usual


def test_what_is_given_counts_more_than_the_preset_and_that_more_than_the_family() -> None:
    def build(windows: object, *, depth: Annotated[int, within(1, 9, "layers")] = 2) -> None: ...

    family = Family(build, {"window": 7, "epochs": 4, "patience": 3})
    found = settle("deep", family, given={"patience": "5"}, preset={"epochs": 6, "depth": 3, "unknown": 1})
    assert (found.input.window, found.training.epochs, found.training.patience, found.own) == (7, 6, 5, {"depth": 3})


def test_one_text_goes_to_every_family_that_has_the_setting_and_a_prefix_to_one() -> None:
    found = given_settings(["latent=3", "dense.noise=.1", "patience=4"], {n: FAMILIES[n] for n in ("dense", "pca")})
    assert found == {"dense": {"latent": 3, "noise": 0.1, "patience": 4}, "pca": {"latent": 3}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latent", "NAME=VALUE"),
        ("=3", "NAME=VALUE"),
        ("latnet=3", r"family pca has no setting 'latnet'; did you mean latent\? there are window, scaling, smooth"),
        ("epochs=3", "no setting 'epochs'"),
        ("dense.latent=3", "no family 'dense' is to be trained; it is pca"),
        ("latent=2.5", r"latent=2.5: family pca wants a whole number from 1 to 65,536 \(.*; default 16\)"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_with_those_that_do(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        given_settings([text], {"pca": FAMILIES["pca"]})


@pytest.mark.parametrize("family", LEARNING)
def test_cross_entropy_brings_the_scaling_and_output_that_it_needs_and_refuses_others(family: str) -> None:
    found = settled(family, {"loss": CROSS_ENTROPY}, "rows")
    assert (found["scaling"], found["output"]) == ("min-max", "sigmoid")
    for name, value in (("scaling", "standard"), ("output", "linear")):
        with pytest.raises(DataError, match=f"{name}={value}.* needs {name}="):
            settled(family, {"loss": CROSS_ENTROPY, name: value})


def test_settings_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = OptionParser("p")
    add_set_option(parser)
    assert parser.parse_args([]).set == []
    assert parser.parse_args(["--set", "a=1", "--set", "b=2"]).set == ["a=1", "b=2"]
    monkeypatch.setenv("SHEETBREAK_SET", "window=3 latent=4")
    assert parser.parse_args([]).set == ["window=3", "latent=4"]


@pytest.mark.parametrize("command", ["train", "backtest", "compare", "tune"])
def test_help_names_every_family_without_loading_keras(command: str) -> None:
    program = (
        "import sys; from sheetbreak.cli.commands import command\n"
        f"try: command({command!r})(['--help'])\n"
        "finally: print([name for name in ('keras', 'tensorflow', 'sklearn') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert family_names().replace(" ", "") in "".join(done.stdout.split())  # however the lines are broken
    assert done.stderr == "[]\n"


def test_every_family_of_the_table_is_a_function_that_its_module_has() -> None:
    for name, family in FAMILIES.items():
        assert family.function == f"{family.build.__module__}:{family.build.__name__}"
        assert family.build.__name__ == name.replace("-", "_")


def test_the_layers_of_our_own_are_there_once_the_families_are_imported() -> None:
    program = (
        "import trainer.families, keras; print(keras.saving.get_registered_object('sheetbreak>Sampling').__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout == "Sampling\n"


def test_families_lists_every_family_and_setting_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == list(FAMILIES)
    for name, setting in EVERY:
        assert f"\n  {setting.name}=" in text
        assert found[name]["settings"][setting.name]["default"] == setting.default
        assert all(word in text for word in get_args(setting.kind))
    assert main(["pca"]) == 0
    assert "dense: " not in capsys.readouterr().out
    assert run(main, ["cnn"]) == 2
    assert f"the families are {', '.join(FAMILIES)}" in capsys.readouterr().err


def test_a_model_says_with_which_settings_it_was_trained(mill, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    assert train(mill, "--set", "window=3", "--set", "latent=2", "--set", "epochs=4", "--set", "patience=1") == 0
    manifest = manifest_of(Path("models"))
    settings = manifest["training"]["settings"]
    assert settings.keys() == settings_of(FAMILIES["dense"]).keys()
    assert (settings["window"], settings["latent"], settings["epochs"], settings["batch"]) == (3, 2, 4, None)
    assert manifest["window"] == 3


def test_a_setting_that_the_family_does_not_have_ends_with_2_before_any_work(
    mill,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    from trainer.commands.train import main as train_main

    arguments = [str(mill), "--schema", str(mill.parent / "plant.toml"), "--family", "pca", "--set", "noise=1"]
    assert run(train_main, arguments) == 2
    assert "family pca has no setting 'noise'; there are window, scaling, smooth, latent" in capsys.readouterr().err
