"""Costs of a break and of an alarm, as options."""

import argparse

from sheetbreak.bounds import NotNegative
from trainer.metrics.worth import ALARM_COST, BREAK_COST, Costs


def add_costs(parser: argparse.ArgumentParser) -> None:
    """`--break-cost` and `--alarm-cost`."""
    for flag, default, what in (
        ("--break-cost", BREAK_COST, "what a break costs, in your currency"),
        ("--alarm-cost", ALARM_COST, "what it costs to look into an alarm, true or false"),
    ):
        parser.add_argument(
            flag, type=NotNegative, default=default, metavar="N", help=f"{what}; default {default:,.0f}"
        )


def given_costs(options: argparse.Namespace) -> Costs:
    """What the options say."""
    return Costs(options.break_cost, options.alarm_cost)
