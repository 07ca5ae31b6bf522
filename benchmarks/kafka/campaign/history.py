"""History of what came out, held against what an undisturbed run gives; each difference is counted under its kind.

Pure: it knows no Kafka. Answers come in lanes (a machine's scores, a machine's alerts …), in each of which the order
counts. An answer is told by its name: of a score the row's time, of an alert its id, kind and time, of a dead letter
the record that it answers.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

_NAMED = 5
"""Examples of each kind that are kept."""


class Answer(NamedTuple):
    """One message that came out."""

    name: Hashable
    value: bytes


Lanes = Mapping[str, Sequence[Answer]]


@dataclass(slots=True)
class Differences:
    """What is not as it should be, by kind: how often, and the first examples."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def wrong(self) -> int:
        """All of them together."""
        return self.counts.total()

    def add(self, kind: str, what: str) -> None:
        """One more."""
        self.counts[kind] += 1
        if len(self.examples[kind]) < _NAMED:
            self.examples[kind].append(what)

    def lines(self) -> list[str]:
        """For people: a line for each kind."""
        return [f"{kind}: {count}, such as {'; '.join(self.examples[kind])}" for kind, count in self.counts.items()]


def name_of(message: bytes) -> Hashable:
    """What an answer is told by; of bytes that are no answer, the bytes themselves."""
    try:
        fields = msgspec.json.decode(message)
        match fields["topic"]:
            case "scores":
                return str(fields["time"])
            case "alerts":
                return str(fields["alert_id"]), str(fields["kind"]), str(fields["time"])
            case "dead-letters":
                return tuple(sorted((str(key), str(value)) for key, value in fields["source"].items()))
    except (ValueError, LookupError, TypeError, AttributeError):  # msgspec.DecodeError is a ValueError
        pass
    return message


def answers(messages: Iterable[bytes]) -> list[Answer]:
    """The answers of a lane, in order."""
    return [Answer(name_of(message), message) for message in messages]


def compare(expected: Lanes, found: Lanes) -> Differences:
    """Lost, doubled, foreign (nobody asked for them), changed (other bytes) and swapped answers."""
    differences = Differences()
    for lane in sorted({*expected, *found}):
        _compare_lane(lane, expected.get(lane, ()), found.get(lane, ()), differences)
    return differences


def _compare_lane(lane: str, expected: Sequence[Answer], found: Sequence[Answer], differences: Differences) -> None:
    should, there = _by_name(expected), _by_name(found)
    for name, values in should.items():
        seen = there.get(name, [])
        for _ in range(len(values) - len(seen)):
            differences.add("lost", f"{lane} {name}")
        for _ in range(len(seen) - len(values)):
            differences.add("doubled", f"{lane} {name}")
        for want, have in zip(values, seen, strict=False):
            if want != have:
                differences.add("changed", f"{lane} {name}: {_apart(want, have)}")
    for name in there.keys() - should.keys():
        differences.add("foreign", f"{lane} {name!r}")
    place = {answer.name: number for number, answer in enumerate(expected)}
    order = [answer.name for answer in found if answer.name in place and len(should[answer.name]) == 1]
    order = list(dict.fromkeys(order))  # what is doubled was counted as that
    for name in _out_of_order(order, [place[name] for name in order]):
        differences.add("swapped", f"{lane} {name}")


def _by_name(lane: Iterable[Answer]) -> dict[Hashable, list[bytes]]:
    found: dict[Hashable, list[bytes]] = {}
    for name, value in lane:
        found.setdefault(name, []).append(value)
    return found


def _out_of_order(names: Sequence[Hashable], places: Sequence[int]) -> list[Hashable]:
    """The fewest of them without which the others' places ascend."""
    tails: list[int] = []
    lengths: list[int] = []
    for place in places:
        at = bisect_left(tails, place)
        tails[at : at + 1] = [place]
        lengths.append(at + 1)
    left, gone = len(tails), list[Hashable]()
    for name, length in zip(reversed(names), reversed(lengths), strict=True):
        if length == left:
            left -= 1
        else:
            gone.append(name)
    return gone[::-1]


def _apart(want: bytes, have: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(want, have, strict=False)) if a != b), min(len(want), len(have)))
    return f"{want[max(0, at - 20) : at + 20]!r} became {have[max(0, at - 20) : at + 20]!r}"


def broken_lives(alerts: Iterable[bytes]) -> list[str]:
    """What is wrong in a machine's alerts, in order: each is opened once, then updated, closed once, before the next
    is opened; only the last may still be open.
    """
    wrong: list[str] = []
    begun: set[str] = set()
    now: str | None = None
    for message in alerts:
        try:
            fields: Any = msgspec.json.decode(message)
            alert_id, kind = str(fields["alert_id"]), fields["kind"]
        except (ValueError, LookupError, TypeError):
            wrong.append(f"no alert: {message[:60]!r}")
            continue
        if kind == "opened":
            if now is not None:
                wrong.append(f"{alert_id} opened while {now} is open")
            if alert_id in begun:
                wrong.append(f"{alert_id} opened twice")
            begun.add(alert_id)
            now = alert_id
        elif alert_id != now:
            wrong.append(f"{alert_id} {kind} while {now or 'none'} is open")
        elif kind == "closed":
            now = None
    return wrong


def not_answered_once(rows: Iterable[tuple[str, Hashable]], answered: Iterable[tuple[str, Hashable]]) -> list[str]:
    """(machine, name) of the rows that went in against that of the answers that came out: every row has just one."""
    asked, said = Counter(rows), Counter(answered)
    return [
        f"{machine} {name}: {said[machine, name]} answers of {asked[machine, name]}"
        for machine, name in sorted({*asked, *said}, key=str)
        if asked[machine, name] != said[machine, name]
    ]


def compare_states(expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> Differences:
    """Machines' states as bytes: lost, foreign or changed."""
    differences = Differences()
    for machine in sorted({*expected, *found}):
        if machine not in found:
            differences.add("state lost", machine)
        elif machine not in expected:
            differences.add("state foreign", machine)
        elif expected[machine] != found[machine]:
            differences.add("state changed", machine)
    return differences
