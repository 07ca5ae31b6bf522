"""Worth of a policy: what its alarms would have cost and saved, in one sentence and in four amounts."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from trainer.metrics.alarms import Deployed
from trainer.metrics.evaluation import Evaluation

BREAK_COST, ALARM_COST = 10_000.0, 150.0
"""Of a break (a mill's usual figure, see README), and of an operator who looks into an alarm for half an hour."""


@dataclass(frozen=True, slots=True)
class Costs:
    """In the user's currency."""

    of_break: float = BREAK_COST
    of_alarm: float = ALARM_COST


DEFAULT_COSTS = Costs()


class Amount(NamedTuple):
    """One line of an account, as it is read."""

    what: str
    amount: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Counts and what they are worth."""

    breaks: int
    warned: int
    by_chance: float
    """Breaks that as many alarms at other times would have warned of."""
    alarms: int
    false_alarms: int
    costs: Costs

    @classmethod
    def of(cls, deployed: Deployed, costs: Costs) -> "Worth":
        """Of the longest horizon."""
        last, breaks = deployed.horizons[-1], deployed.breaks
        return cls(
            breaks=breaks,
            warned=last.warned,
            by_chance=(last.chance or 0.0) * breaks,
            alarms=deployed.alerts,
            false_alarms=last.false_alarms,
            costs=costs,
        )

    @property
    def worst(self) -> float:
        """No warning helped: each alarm cost what it costs."""
        return -self.costs.of_alarm * self.alarms

    @property
    def best(self) -> float:
        """Every break warned of was avoided."""
        return self.costs.of_break * self.warned + self.worst

    @property
    def net(self) -> float:
        """Breaks warned of beyond chance were avoided: what the model knows, and not how often it calls."""
        return self.costs.of_break * (self.warned - self.by_chance) + self.worst

    @property
    def account(self) -> list[Amount]:
        """For somebody who has ten seconds: what it would have cost and saved."""
        each_break, each_alarm = f"{self.costs.of_break:,.0f}", f"{self.costs.of_alarm:,.0f}"
        of_false = f", {self.false_alarms} of them false" if self.alarms else ""
        return [
            Amount("It would have cost", _plain(-self.worst), f"{self.alarms} alarms at {each_alarm} each{of_false}"),
            Amount(
                "and saved at most",
                _plain(self.best - self.worst),
                f"{self.warned} of {self.breaks} breaks warned of, at {each_break} each",
            ),
            Amount(
                "of which luck",
                _plain(self.costs.of_break * self.by_chance),
                f"{self.by_chance:.1f} breaks, as alarms at random times would have met",
            ),
            Amount("worth beyond luck", money(self.net), "what it saved at most, less luck and cost"),
        ]

    @property
    def brief(self) -> str:
        """The account in a line, for the end of a training."""
        if not self.alarms:
            return self.sentence
        cost, saved, luck, net = (amount for _, amount, _ in self.account)
        return (
            f"At {self.costs.of_break:,.0f} a break and {self.costs.of_alarm:,.0f} an alarm: cost {cost}, "
            f"saved at most {saved}, of which luck {luck}; worth beyond luck {net}."
        )

    def as_json(self) -> dict[str, Any]:
        """For the manifest: figures, and the words that a model card shows."""
        return {
            "break_cost": self.costs.of_break,
            "alarm_cost": self.costs.of_alarm,
            "net_value": self.net,
            "range": [self.worst, self.best],
            "account": [list(one) for one in self.account],
        }

    @property
    def sentence(self) -> str:
        """For somebody who reads nothing else."""
        if not self.alarms:
            return f"No alarm: none of {self.breaks} breaks warned of, and nobody called for nothing."
        each = f": about {_alarms(self.false_alarms / self.warned)} a warned break" if self.warned else ""
        counted = (
            f"{self.warned} of {self.breaks} breaks warned of ({self.by_chance:.1f} by chance), {self.false_alarms} of "
            f"{self.alarms} alarms false{each}"
        )
        worth = (
            f"worth {money(self.worst)} if no warning helps to {money(self.best)} if every one does, at "
            f"{self.costs.of_break:,.0f} a break and {self.costs.of_alarm:,.0f} an alarm."
        )
        return f"{counted}; {worth}"


def worth_of(evaluation: Evaluation, costs: Costs, *, lead_rows: int) -> Worth | None:
    """What the deployed alarms would have cost and saved; None where they warn of nothing that is to come."""
    if not lead_rows or evaluation.deployed is None:
        return None
    return Worth.of(evaluation.deployed, costs)


def money(amount: float) -> str:
    """With its sign: +12,300."""
    return f"{round(amount):+,}".replace("-", "\N{MINUS SIGN}")


def _plain(amount: float) -> str:
    return f"{round(amount):,}"


def _alarms(number: float) -> str:
    about = f"{number:.0f}" if number >= 1 or not number else f"{number:.1f}".lstrip("0")
    return f"{about} false alarm{'s' if about != '1' else ''}"
