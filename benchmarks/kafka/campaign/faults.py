"""Faults of a campaign: each is one function of the plant, drawn by its weight; what they did is counted."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from benchmarks.kafka.campaign.plant import PATIENCE_S, SESSION_S, TRANSACTION_S, Plant, Stuck, run_sheetbreak
from sheetbreak.errors import SheetbreakError
from sheetbreak.wire.topics import ACTIONS, ROWS
from tests.support.kafka.broker import Cluster
from tests.support.models.mill import save_model

_MOST_PARTITIONS = 5
_SECOND_MODEL = datetime(2026, 6, 1, tzinfo=UTC)
_BROKER_SESSION_S = 9.0


@dataclass(slots=True)
class Done:
    """What was done so far."""

    counts: Counter[str] = field(default_factory=Counter)
    refused_actions: int = 0
    dying: list[threading.Thread] = field(default_factory=list)


Fault = Callable[[Plant, Done], None]


def kill_while_it_writes(plant: Plant, done: Done) -> None:
    """A monitor, as soon as scores are written that may not be committed; the next one at once."""
    with suppress(KafkaError):
        before = plant.written()
        plant.wait(lambda: plant.written() > before, patience_s=60, nap_s=0.001)
    _kill(plant, done, pause_s=0)


def kill_at_any_time(plant: Plant, done: Done) -> None:
    """A monitor, also while it starts or restores."""
    time.sleep(plant.draw.uniform(0, 2))
    _kill(plant, done, pause_s=plant.draw.choice([0, 0, 1]))


def kill_both(plant: Plant, done: Done) -> None:
    """All there is, also while they start or restore."""
    time.sleep(plant.draw.uniform(0, 2))
    for name in plant.monitors:
        plant.monitors[name].kill()
        done.counts["kills"] += 1
    for monitor in plant.monitors.values():
        monitor.start()


def hand_over(plant: Plant, done: Done) -> None:
    """A monitor is away past its session: its partitions go to the other one, and come back."""
    _kill(plant, done, pause_s=SESSION_S + plant.draw.uniform(1, 3))
    done.counts["handed over"] += 1


def freeze_past_the_session(plant: Plant, done: Done) -> None:
    """A monitor sleeps until its partitions are another's, and wakes with a batch in its hands."""
    _freeze(plant, done, SESSION_S + plant.draw.uniform(0.5, 3))


def freeze_past_the_transaction(plant: Plant, done: Done) -> None:
    """Longer than a transaction may be open."""
    _freeze(plant, done, TRANSACTION_S + plant.draw.uniform(0.5, 4))


def freeze_briefly(plant: Plant, done: Done) -> None:
    """Within all time-outs."""
    _freeze(plant, done, plant.draw.uniform(0.2, 3))


def kill_a_broker(plant: Plant, done: Done) -> None:
    """SIGKILL; it comes back after a while."""
    away_s = plant.draw.choice([0, 0, 1, 3, 6])
    broker = plant.broker
    if isinstance(broker, Cluster):
        node = plant.draw.randint(1, 3)
        broker.stop_node(node, kill=True)
        time.sleep(away_s)
        broker.start_node(node)
    else:
        broker.kill()
        time.sleep(away_s)
        broker.start()
    done.counts["broker kills"] += 1


def freeze_a_broker(plant: Plant, done: Done) -> None:
    """SIGSTOP: connections stay, nobody answers."""
    broker = plant.broker
    pid = broker.pid_of(plant.draw.randint(1, 3)) if isinstance(broker, Cluster) else broker.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(plant.draw.choice([1.0, _BROKER_SESSION_S + 2, 8.0]))
    finally:
        os.kill(pid, signal.SIGCONT)
    done.counts["broker freezes"] += 1


def rolling_restart(plant: Plant, done: Done) -> None:
    """One broker after the other, in good order."""
    broker = plant.broker
    assert isinstance(broker, Cluster)
    for node in (1, 2, 3):
        broker.stop_node(node)
        broker.start_node(node)
    done.counts["rolling restarts"] += 1


def reload_the_model(plant: Plant, done: Done) -> None:
    """Another model becomes current, and every monitor is told."""
    number = done.counts["reloads"] + 1
    version = save_model(
        plant.models, level=plant.draw.choice([1.2, 1.5, 1.8]), now=_SECOND_MODEL + timedelta(hours=number)
    ).version
    for monitor in plant.monitors.values():
        monitor.signal(signal.SIGHUP)

    def taken() -> bool:
        return all(not monitor.runs or f"={version}" in monitor.log() for monitor in plant.monitors.values())

    plant.wait(taken, patience_s=20)
    done.counts["reloads"] += 1


def act(plant: Plant, done: Done) -> None:
    """Operators take a sensor out of service, back, and one that does not exist."""
    machine = plant.draw.choice(sorted(plant.rows))
    sensor = f"x{plant.draw.randint(1, 3)}"
    plant.act(machine, "mask", sensor)
    plant.act(machine, "mask", f"no-{done.refused_actions}")
    done.refused_actions += 1
    if plant.draw.random() < 0.7:
        time.sleep(plant.draw.uniform(0, 1))
        plant.act(machine, "unmask", sensor)
    done.counts["actions"] += 2


def resend(plant: Plant, done: Done) -> None:
    """A gateway sends a block of a machine's rows once more."""
    plant.feed.resend(plant.draw.choice(sorted(plant.rows)), plant.draw.choice([1, 4, 30, 200]))
    done.counts["resent blocks"] += 1


def die_in_a_transaction(plant: Plant, done: Done) -> None:
    """A writer of rows leaves its transaction open: the rows never were, and those behind it wait for its end."""
    machine, rows = plant.draw.choice(sorted(plant.rows)), plant.draw.choice([1, 20])
    number = done.counts["writers that died"]
    producer = KafkaProducer(
        bootstrap_servers=plant.broker.address,
        transactional_id=f"{plant.prefix}writer-{number}",
        transaction_timeout_ms=2_000,
        max_block_ms=15_000,
    )
    with suppress(KafkaError):
        producer.init_transactions()
        producer.begin_transaction()
        at = plant.feed.sent
        for row in plant.rows[machine][at : at + rows]:
            producer.send(plant.prefix + ROWS, row, key=machine.encode())
        producer.flush(timeout=5)
    producer._sender.force_close()  # noqa: SLF001 - the public close() would abort
    closing = threading.Thread(target=producer.close, kwargs={"timeout": 1}, daemon=True)
    closing.start()
    done.counts["writers that died"] += 1


def grow(plant: Plant, done: Done) -> None:
    """More partitions: the feed rests, monitors stop; the command may be killed halfway, and is run again."""
    if plant.partitions >= _MOST_PARTITIONS:
        return
    for monitor in plant.monitors.values():
        monitor.start()
    with plant.feed.paused():
        plant.wait_until_answered()
        plant.stop_monitors()
        wanted = plant.partitions + 1
        options = ["--partitions", str(wanted), "--topic-prefix", plant.prefix, "--group", plant.group]
        arguments = ["topics", "grow", plant.broker.url(), *options]
        ends = _ends(plant)
        for _ in range(plant.draw.choice([0, 1, 2])):
            process = run_sheetbreak(*arguments)
            time.sleep(plant.draw.uniform(0.3, 2.0))
            process.kill()
            process.communicate()
            done.counts["growths killed"] += 1
        until = time.monotonic() + PATIENCE_S
        while True:
            process = run_sheetbreak(*arguments)
            said = process.communicate(timeout=PATIENCE_S)[0].decode(errors="replace")
            if process.returncode == 0:
                break
            if time.monotonic() > until:
                raise Stuck(f"topics grow does not come to its end: {said}")
            time.sleep(1)
        plant.has_grown(wanted, ends)
        for monitor in plant.monitors.values():
            monitor.start()
    done.counts["growths"] += 1


class Drawn(NamedTuple):
    """A fault and how often it comes, against the others."""

    fault: Fault
    weight: float
    cluster: bool = False
    """On several brokers alone."""


FAULTS = (
    Drawn(kill_while_it_writes, 12),
    Drawn(kill_at_any_time, 8),
    Drawn(kill_both, 3),
    Drawn(hand_over, 1),
    Drawn(freeze_past_the_session, 1),
    Drawn(freeze_past_the_transaction, 0.7),
    Drawn(freeze_briefly, 1),
    Drawn(kill_a_broker, 3),
    Drawn(freeze_a_broker, 1.5),
    Drawn(rolling_restart, 0.5, cluster=True),
    Drawn(reload_the_model, 1.5),
    Drawn(act, 2),
    Drawn(resend, 2),
    Drawn(die_in_a_transaction, 1),
    Drawn(grow, 0.4),
)


def draw_fault(plant: Plant) -> Fault:
    """One of those that can be done here."""
    several = isinstance(plant.broker, Cluster)
    drawn = [one for one in FAULTS if several or not one.cluster]
    (one,) = plant.draw.choices(drawn, [one.weight for one in drawn])
    return one.fault


def do(fault: Fault, plant: Plant, done: Done) -> str:
    """Do it, with both monitors there; its name. Raises Stuck."""
    for monitor in plant.monitors.values():
        monitor.start()
    try:
        fault(plant, done)
    except (KafkaError, SheetbreakError) as away:  # a broker that is not quite back: the fault was not to be
        return f"{fault.__name__} ({type(away).__name__})"
    return fault.__name__


def _kill(plant: Plant, done: Done, *, pause_s: float) -> None:
    monitor = plant.monitors[plant.draw.choice("ab")]
    monitor.kill()
    done.counts["kills"] += 1
    time.sleep(pause_s)
    monitor.start()


def _freeze(plant: Plant, done: Done, seconds: float) -> None:
    monitor = plant.monitors[plant.draw.choice("ab")]
    monitor.signal(signal.SIGSTOP)
    time.sleep(seconds)
    monitor.signal(signal.SIGCONT)
    done.counts["freezes"] += 1


def _ends(plant: Plant) -> dict[str, dict[int, int]]:
    with plant.watcher() as watcher:
        found = {}
        for topic in (ROWS, ACTIONS):
            asked = [TopicPartition(plant.prefix + topic, p) for p in range(plant.partitions)]
            found[topic] = {tp.partition: end for tp, end in watcher.end_offsets(asked).items()}
        return found
