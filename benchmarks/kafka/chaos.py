"""Chaos: a campaign of faults against monitors on a real broker, and a check of every byte that came out.

    .venv/bin/python -m benchmarks.kafka.chaos --minutes 5 --seed 1 [--rows N] [--brokers 3] [--keep FOLDER]

Six machines' rows go in all the time; two monitors share them. Faults are drawn from the seed: SIGKILL, SIGSTOP beyond
each time-out, brokers killed and frozen, partitions handed over, models reloaded, operators' actions, blocks of rows
sent again, writers that die in a transaction, topics grown (and the command killed halfway). Afterwards, read
committed: each row is answered once, in order, with the bytes of an undisturbed run; each alert's life is whole; each
state is that of a fresh fold. Exit code 1 when anything is wrong or something never came.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.kafka.campaign.faults import Done, Fault, do, draw_fault
from benchmarks.kafka.campaign.history import (
    Answer,
    Differences,
    answers,
    broken_lives,
    compare,
    compare_states,
    not_answered_once,
)
from benchmarks.kafka.campaign.plant import PARTITIONS, Plant, Stuck
from benchmarks.kafka.campaign.reference import Reference, seen_in
from sheetbreak.streams.kafka.bulk.producer import Partitioner
from sheetbreak.streams.kafka.group.state_topic import read_state
from sheetbreak.streams.kafka.options import Security, parse_address
from sheetbreak.streams.protocol import Record
from sheetbreak.wire.topics import ACTIONS, ALERTS, DEAD_LETTERS, ROWS, SCORES, STATE
from tests.support.kafka.broker import Broker, Cluster

_ROWS_A_MINUTE = 12_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run a campaign; 0: nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5, metavar="N", help="of faults, default 5")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument(
        "--rows", type=int, metavar="N", help=f"of all machines together, default {_ROWS_A_MINUTE:,} a minute"
    )
    parser.add_argument("--brokers", type=int, choices=[1, 3], default=1)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work here, and keep logs and topics")
    options = parser.parse_args(argv)
    rows = options.rows or round(_ROWS_A_MINUTE * options.minutes)
    with tempfile.TemporaryDirectory(prefix="sheetbreak-chaos-") as made:
        folder = options.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        broker = (Cluster if options.brokers == 3 else Broker)(folder / "kafka")
        try:
            broker.start()
            return campaign(broker, folder, minutes=options.minutes, seed=options.seed, rows=rows)
        finally:
            broker.kill()


def campaign(
    broker: Broker, folder: Path, *, minutes: float, seed: int, rows: int, faults: Iterable[Fault] | None = None
) -> int:
    """On a broker that runs; prints what was done and found. Returns the exit code.

    faults: just these, however long they take; None: those drawn in so many minutes.
    """
    plant, done = Plant(broker, folder, rows=rows, minutes=minutes, seed=seed), Done()
    began = time.monotonic()
    try:
        plant.feed.start()
        for fault in _drawn(plant, until=began + 60 * minutes) if faults is None else faults:
            name = do(fault, plant, done)
            print(f"{time.monotonic() - began:7.1f} s  {name}", file=sys.stderr, flush=True)
        plant.feed.close()
        for monitor in plant.monitors.values():
            monitor.start()
        plant.wait_until_answered()
        plant.stop_monitors()
        differences, checked = check(plant)
    except Stuck as stuck:
        print(f"STUCK: {stuck}")
        differences, checked = Differences(), 0
        differences.add("stuck", str(stuck).partition("\n")[0])
    finally:
        plant.close()
    codes = {name: monitor.exits for name, monitor in plant.monitors.items() if any(monitor.exits)}
    counts = done.counts
    outages = counts["broker kills"] + counts["broker freezes"]
    said = {"kills": counts["kills"], "outages": outages, "rows": checked, "wrong": differences.wrong}
    print("\n".join(differences.lines()) or "nothing is wrong")
    print(json.dumps({"seed": seed, "seconds": round(time.monotonic() - began), **dict(counts), "exits": codes}))
    print("  ".join(f"{name} {number}" for name, number in said.items()))
    return 1 if differences.wrong else 0


def _drawn(plant: Plant, *, until: float) -> Iterator[Fault]:
    while time.monotonic() < until:
        yield draw_fault(plant)


def check(plant: Plant) -> tuple[Differences, int]:
    """What is wrong, and how many rows went in. Raises Stuck."""
    rows, actions = _by_machine(plant, ROWS), _by_machine(plant, ACTIONS)
    found = {topic: _in_lanes(plant.committed(topic)) for topic in (SCORES, ALERTS, DEAD_LETTERS)}
    reference = Reference(
        plant.models,
        rows_topic=plant.prefix + ROWS,
        actions_topic=plant.prefix + ACTIONS,
        first_model=plant.first_model,
    )
    expected_lanes, found_lanes = dict[str, list[Answer]](), dict[str, list[Answer]]()
    states, differences = dict[str, bytes](), Differences()
    for machine, mine in sorted(rows.items()):
        scores = found[SCORES].get(machine, [])
        told = reference.fold(machine, mine, actions.get(machine, []), seen_in(scores))
        assert told.state is not None
        states[machine] = reference.state_bytes(machine, told.state)
        letters = found[DEAD_LETTERS].get(machine, [])
        of_actions = [one for one in letters if _source(one).get("topic") == plant.prefix + ACTIONS]
        of_rows = [one for one in letters if one not in set(of_actions)]
        expected_lanes[f"{machine} scores"] = answers(value for topic, value in told.outputs if topic == SCORES)
        expected_lanes[f"{machine} alerts"] = answers(value for topic, value in told.outputs if topic == ALERTS)
        expected_lanes[f"{machine} letters"] = answers(value for topic, value in told.outputs if topic == DEAD_LETTERS)
        expected_lanes[f"{machine} letters of actions"] = answers(told.of_actions)
        found_lanes[f"{machine} scores"] = answers(scores)
        found_lanes[f"{machine} alerts"] = answers(found[ALERTS].get(machine, []))
        found_lanes[f"{machine} letters"] = answers(of_rows)
        found_lanes[f"{machine} letters of actions"] = answers(of_actions)
        # Rows sent again that are taken for a clock set back open their alerts again, in the reference too.
        by_itself = broken_lives(value for topic, value in told.outputs if topic == ALERTS)
        broken = Counter(broken_lives(found[ALERTS].get(machine, []))) - Counter(by_itself)
        for what in broken.elements():
            differences.add("broken life", f"{machine} {what}")
        time_of = dict(zip(((r.partition, r.offset) for r in mine), reference.times_of(mine), strict=True))
        said = [(machine, answer.name) for answer in found_lanes[f"{machine} scores"]]
        said += [(machine, time_of.get(_place(one), f"no row at {_place(one)}")) for one in of_rows]
        for what in not_answered_once([(machine, name) for name in time_of.values()], said):
            differences.add("not answered once", what)
    for topic, lanes in found.items():
        for machine in lanes.keys() - rows.keys():
            differences.add("foreign", f"{topic} of {machine!r}")
    for more in (compare(expected_lanes, found_lanes), compare_states(states, _states(plant, reference))):
        differences.counts.update(more.counts)
        differences.examples.update(more.examples)
    return differences, sum(map(len, rows.values()))


def _by_machine(plant: Plant, topic: str) -> dict[str, list[Record]]:
    """A topic's records by machine in the order in which they count: growth after growth, by the partition of then."""
    logs = plant.committed(topic)
    last = dict.fromkeys(logs, sys.maxsize)
    bounds = [*(ends[topic] for ends in plant.grown), last]
    found: defaultdict[str, list[Record]] = defaultdict(list)
    begins: dict[int, int] = {}
    for number, ends in enumerate(bounds):
        home = Partitioner(PARTITIONS + number)
        for partition, log in logs.items():
            for one in log:
                if begins.get(partition, 0) <= one.offset < ends.get(partition, 0):
                    assert home(one.key, None) == partition, "the feed keyed a row by another number of partitions"
                    found[one.key.decode()].append(Record(one.value, partition, one.offset, None))
        begins = dict(ends)
    return found


def _in_lanes(logs: Mapping[int, Sequence[Any]]) -> dict[str, list[bytes]]:
    """Messages by machine; after a growth a machine has more than one partition, each written after the one before."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for log in logs.values():
        for record in log:
            found[record.key.decode()].append(record)
    return {
        machine: [record.value for record in sorted(records, key=lambda record: record.timestamp)]  # the broker's clock
        for machine, records in found.items()
    }


def _states(plant: Plant, reference: Reference) -> dict[str, bytes]:
    """Machines' states as they are kept."""
    address, found = parse_address(plant.broker.url(plant.prefix + ROWS)), dict[str, bytes]()
    for partition in range(plant.partitions):
        kept = read_state(address, Security(), topic=plant.prefix + STATE, partition=partition, patience_s=60)
        for machine, state in reference.codec.load(kept.parts).items():
            name = machine if machine not in found else f"{machine} once more, in partition {partition}"
            found[name] = reference.state_bytes(machine, state)
    return found


def _source(letter: bytes) -> dict[str, Any]:
    try:
        source = json.loads(letter)["source"]
    except (ValueError, LookupError, TypeError):
        return {}
    return source if isinstance(source, dict) else {}


def _place(letter: bytes) -> tuple[Any, Any]:
    source = _source(letter)
    return source.get("partition"), source.get("offset")


if __name__ == "__main__":
    sys.exit(main())
