"""Command `sheetbreak families`: the model families and what can be set of each, from the families themselves."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sheetbreak.cli.options import OptionParser
from sheetbreak.errors import DataError
from trainer.output.text import wrap
from trainer.settings.values import Family, Setting, settings_of, shown

_ABOUT = 34
"""Where the column of what a setting means begins."""


def main(argv: Sequence[str]) -> int:
    """Print families and settings. Raises DataError for a family that does not exist."""
    parser = OptionParser(
        "sheetbreak families",
        "List the model families that --family takes, and the settings that --set takes for each.",
        example="sheetbreak families\nsheetbreak train mill.csv --family dense --set latent=10 --set patience=5",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args(argv)

    from trainer.training.backend import configure_tensorflow  # seconds that --help should not cost

    configure_tensorflow(tell=sys.stderr)
    from trainer.families import FAMILIES

    for name in options.names:
        if name not in FAMILIES:
            raise DataError(f'there is no family "{name}"; the families are {", ".join(FAMILIES)}')
    chosen = {name: family for name, family in FAMILIES.items() if name in (options.names or FAMILIES)}
    print(json.dumps(_as_json(chosen), indent=2) if options.json else _text(chosen))
    return 0


def _text(families: Mapping[str, Family]) -> str:
    """Each family with its own settings, then the common ones, with the families whose default is another."""
    blocks, common = [], dict[str, list[tuple[str, Setting]]]()
    for name, family in families.items():
        lines = wrap(f"{name}: {family.summary}", indent="  ")
        for setting in settings_of(family).values():
            if setting.own:
                lines += _lines(setting)
            else:
                common.setdefault(setting.name, []).append((name, setting))
        blocks.append("\n".join(lines))
    lines = wrap("every family (epochs to loss: those that learn; a preset may say otherwise):")
    for having in common.values():
        usual = _usual(having)
        others = [f"{name} {shown(one.default)}" for name, one in having if one.default != usual.default]
        lines += _lines(usual, f" ({', '.join(others)})" if others else "")
    return "\n\n".join([*blocks, "\n".join(lines)])


def _lines(setting: Setting, more: str = "") -> list[str]:
    """What it is and may be, beside its name and default."""
    wanted = "" if setting.kind is str else f"; {setting.wanted}"
    text = f"  {setting.name}={shown(setting.default)}".ljust(_ABOUT - 2) + f"  {setting.about}{wanted}{more}"
    return wrap(text, indent=" " * _ABOUT)


def _usual(having: Sequence[tuple[str, Setting]]) -> Setting:
    """The setting with the default that most families have."""
    defaults = [setting.default for _, setting in having]
    return max((setting for _, setting in having), key=lambda setting: defaults.count(setting.default))


def _as_json(families: Mapping[str, Family]) -> dict[str, Any]:
    return {
        name: {
            "summary": family.summary,
            "learns": family.learns,
            "settings": {
                setting.name: {
                    "default": setting.default,
                    "allowed": setting.wanted,
                    "about": setting.about,
                    "own": setting.own,
                }
                for setting in settings_of(family).values()
            },
        }
        for name, family in families.items()
    }
