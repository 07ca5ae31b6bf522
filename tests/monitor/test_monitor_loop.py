"""What the monitor promises whatever its stream answers: nothing lost, nothing repeated, nothing invented."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from monitor.loop import FENCED_AGAIN_S, POLL_S, RESTING_POLL_S, RESTS_AFTER_S
from sheetbreak.errors import StreamFenced, StreamLost, StreamUnavailable
from sheetbreak.streams.memory import CommitPoint
from sheetbreak.streams.protocol import Batch, Output
from tests.support.models.mill import mill_rows, save_model
from tests.support.programs.monitor_rig import Crash, CrashAt, Monitor, message, topic_of

GARBAGE = [b"{", b"\xff\xfe", b'{"machine":"pm1"}', b'{"machine":"pm1","time":"now","values":{}}', b"null"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_model(folder)
    return folder


def interleaved(*sequences: Sequence[bytes]) -> list[bytes]:
    return [value for turn in zip(*sequences, strict=True) for value in turn]


def stream_values() -> list[bytes]:
    """Two machines, a break, garbage, a repeated row."""
    values = interleaved(mill_rows(100, breaks=(70, 71)), mill_rows(100, machine="pm2", seed=8))
    for place, garbage in zip((3, 40, 90, 130, 180), GARBAGE, strict=True):
        values.insert(place, garbage)
    values.insert(120, values[118])
    return values


@pytest.fixture(scope="module")
def undisturbed(models: Path) -> list[Output]:
    """What comes out when nothing goes wrong."""
    return Monitor(topic_of(stream_values()), models).run().topic.outputs


def test_every_record_is_answered_once_in_order_by_a_score_or_a_dead_letter(
    undisturbed: list[Output],
) -> None:
    values = stream_values()
    answers = [output for output in undisturbed if output.topic != "alerts"]
    assert len(answers) == len(values)
    letters = [message(output) for output in answers if output.topic == "dead-letters"]
    assert [values[letter["source"]["offset"]] for letter in letters] == [
        *GARBAGE[:3],
        values[120],
        *GARBAGE[3:],
    ]
    assert any(output.topic == "alerts" for output in undisturbed), "the rest proves less without alerts"


def test_a_crash_at_any_commit_changes_nothing_downstream(models: Path, undisturbed: list[Output]) -> None:
    commits = -(-len(stream_values()) // 25)
    points: tuple[CommitPoint, ...] = ("before", "during", "after")
    for commit in range(commits):
        for point in points:
            topic = topic_of(stream_values())
            with pytest.raises(Crash):
                Monitor(topic, models, at_commit=CrashAt(commit, point)).run()
            Monitor(topic, models).run()
            assert topic.outputs == undisturbed, (commit, point)


def test_a_crash_at_every_commit_changes_nothing_downstream(models: Path, undisturbed: list[Output]) -> None:
    """Every process commits once at most; those that die before it do it three times over."""
    topic = topic_of(stream_values())
    points: tuple[CommitPoint, ...] = ("before", "during", "after")
    for i in range(100):
        try:
            Monitor(topic, models, at_commit=CrashAt(i % 2, points[i % 3])).run()
        except Crash:
            continue
        break
    assert topic.outputs == undisturbed
    assert i > 5


@pytest.mark.parametrize("max_records", [1, 7, 1000])
def test_outputs_are_the_same_bits_however_the_stream_is_batched(
    models: Path, undisturbed: list[Output], max_records: int
) -> None:
    assert Monitor(topic_of(stream_values()), models, max_records=max_records).run().topic.outputs == undisturbed


class Away:
    """A broker that is away for some commits."""

    def __init__(self, monitor: Monitor, times: int) -> None:
        self.monitor, self.left, self.ready_meanwhile = monitor, times, list[bool]()

    def __call__(self, point: CommitPoint) -> None:
        if point == "before" and self.left:
            self.ready_meanwhile.append(self.monitor.health.ready())
            self.left -= 1
            raise StreamUnavailable("broker away")


def test_a_monitor_is_not_ready_before_its_stream_has_answered(models: Path) -> None:
    """A broker that is away at the start takes seconds to say so."""
    monitor = Monitor(topic_of(stream_values()), models)
    ready: list[bool] = []
    monitor.at_poll = lambda _batch: ready.append(monitor.health.ready())
    monitor.run()
    assert ready[:2] == [False, True]


def test_a_broker_that_is_away_is_waited_for_and_readiness_says_so(models: Path, undisturbed: list[Output]) -> None:
    monitor = Monitor(topic_of(stream_values()), models)
    away = Away(monitor, 9)
    monitor.at_commit = away
    monitor.run()
    assert monitor.topic.outputs == undisturbed
    assert away.ready_meanwhile == [True] + [False] * 8
    assert monitor.health.ready()
    assert monitor.sample("sheetbreak_commits_total", result="unavailable") == 9
    assert max(monitor.clock.slept) <= 0.2, "a stop signal would be noticed too late"
    assert 10 < sum(monitor.clock.slept) < 45, "0.1 + 0.2 + ... doubling up to 5 s"


def test_a_stop_while_the_broker_is_away_abandons_the_batch_whole(models: Path, undisturbed: list[Output]) -> None:
    topic = topic_of(stream_values())
    monitor = Monitor(topic, models)

    def away_for_good(point: CommitPoint) -> None:
        if point == "before" and topic.positions[0] >= 50:
            monitor.signals.stopping = monitor.clock.now > 1020
            raise StreamUnavailable("broker away")

    monitor.at_commit = away_for_good
    monitor.run()
    assert topic.positions[0] == 50
    assert topic.outputs == undisturbed[: len(topic.outputs)]
    Monitor(topic, models).run()
    assert topic.outputs == undisturbed


def test_a_stop_between_batches_leaves_the_rest_for_the_next_start(models: Path, undisturbed: list[Output]) -> None:
    topic = topic_of(stream_values())
    monitor = Monitor(topic, models)

    def stop_at_100(_batch: Batch) -> None:
        monitor.signals.stopping = topic.positions[0] >= 100

    monitor.at_poll = stop_at_100
    monitor.run()
    assert 100 <= topic.positions[0] < len(stream_values())
    Monitor(topic, models).run()
    assert topic.outputs == undisturbed


def test_a_lost_batch_is_dropped_with_its_states_and_comes_again(models: Path, undisturbed: list[Output]) -> None:
    topic = topic_of(stream_values())
    lost: list[int] = []

    def lose_the_third(point: CommitPoint) -> None:
        if point == "before" and topic.positions[0] == 50 and not lost:
            lost.append(1)
            monitor.streams[0].take([0])  # the group gave the partition back to us: it comes again from 50
            raise StreamLost("rebalanced")

    def no_series_in_between(_batch: Batch) -> None:
        if lost == [1]:
            lost.append(2)
            assert monitor.sample("sheetbreak_alert_open", machine="pm1") is None

    monitor = Monitor(topic, models, at_commit=lose_the_third, at_poll=no_series_in_between)
    monitor.run()
    assert lost == [1, 2]
    assert topic.outputs == undisturbed
    assert monitor.sample("sheetbreak_commits_total", result="lost") == 1


class Fenced:
    """A broker that fences us at the given commits."""

    def __init__(self, *commits: int) -> None:
        self.commits, self.seen = commits, -1

    def __call__(self, point: CommitPoint) -> None:
        if point == "before":
            self.seen += 1
            if self.seen in self.commits:
                raise StreamFenced("another instance runs under our id")


def test_fenced_once_the_monitor_goes_on_with_a_new_stream(models: Path, undisturbed: list[Output]) -> None:
    monitor = Monitor(topic_of(stream_values()), models, at_commit=Fenced(2)).run()
    assert monitor.topic.outputs == undisturbed
    assert len(monitor.streams) == 2
    assert monitor.sample("sheetbreak_commits_total", result="fenced") == 1


def test_fenced_twice_within_a_minute_the_monitor_gives_up(models: Path) -> None:
    with pytest.raises(StreamFenced):
        Monitor(topic_of(stream_values()), models, at_commit=Fenced(2, 3)).run()


def test_fenced_twice_in_more_than_a_minute_the_monitor_goes_on(models: Path, undisturbed: list[Output]) -> None:
    monitor = Monitor(topic_of(stream_values()), models, at_commit=Fenced(2, 4))

    def time_passes(_batch: Batch) -> None:
        monitor.clock.now += FENCED_AGAIN_S / 2

    monitor.at_poll = time_passes
    monitor.run()
    assert monitor.topic.outputs == undisturbed
    assert len(monitor.streams) == 3


def test_the_first_dead_letter_of_each_reason_is_told_whatever_goes_out(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With alerts alone going out, a stream that is refused whole would look like a quiet machine."""
    monitor = Monitor(topic_of(stream_values()), models, emit=frozenset({"alerts"})).run()
    told = [line for line in caplog.messages if line.startswith("event=first-dead-letter")]
    assert sorted(line.split()[1] for line in told) == ["reason=not-a-row", "reason=not-json", "reason=repeated"]
    assert (monitor.loop.records, monitor.loop.dead_letters) == (len(stream_values()), len(GARBAGE) + 1)


def test_polls_wait_longer_on_a_stream_at_rest_and_not_at_its_start_or_after_a_row(models: Path) -> None:
    rows, polls = mill_rows(2), 40
    topic = topic_of(rows[:1], ended=False)
    monitor = Monitor(topic, models)
    came: list[int] = []

    def a_second_later(batch: Batch) -> None:
        monitor.clock.now += 1.0
        poll = len(monitor.waits_s) - 1
        if batch.records or batch.assigned:
            came.append(poll)
        if poll == polls // 2:
            topic.feed(rows[1:])
        monitor.signals.stopping = poll == polls - 1

    monitor.at_poll = a_second_later
    monitor.run()
    assert min(came) < 2
    assert max(came) == polls // 2 + 1
    for poll, wait_s in enumerate(monitor.waits_s):
        quiet_s = poll - max([0, *(one + 1 for one in came if one < poll)])
        assert wait_s == (RESTING_POLL_S if quiet_s >= RESTS_AFTER_S else POLL_S), (poll, came)
    assert {POLL_S, RESTING_POLL_S} == set(monitor.waits_s)
