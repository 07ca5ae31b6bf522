"""Loop of the monitor: poll, score, commit, and what each of a stream's answers means for it."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from monitor.health import Health
from monitor.homes import Homes
from monitor.machines import MAX_NEW, SILENT_DAYS, Machines
from monitor.metrics.metrics import Metrics
from monitor.operators import tell_of_actions, waiting_in
from monitor.reload import ModelWatch
from monitor.scoring import ScoredBatch, score_batch
from sheetbreak.engine.state import Missing, State
from sheetbreak.errors import StreamFenced, StreamLost, StreamUnavailable
from sheetbreak.streams.open import Opened
from sheetbreak.streams.protocol import Batch
from sheetbreak.times import SAY_AGAIN_S, format_time
from sheetbreak.wire.state import StateCodec

POLL_S = 0.5
"""How long a poll may wait, and so how long a stop signal or an action on a silent stream."""
RESTING_POLL_S, RESTS_AFTER_S = 2.0, 10.0
"""The same where nothing has come for so long: a monitor at rest hardly does more than poll."""
FENCED_AGAIN_S = 60.0
"""Fenced twice within this: another instance runs under our id."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_NAP_S = 0.2
_LAG_EVERY_S = 5.0
_MOST_TOLD = 1000
"""Machines of which a gap is told: a sender of ever new names cannot fill memory and log."""
_COUNTED = "sheetbreak_stops_total counts them"
_SET_BACK = "its clock was set back; what was before is kept, and taken back when a later row comes"
_UNKNOWN_GAPS = {
    "short-gap": "taken as a stop: training knew no such gap; if rows get lost, train on a history in which they do, "
    f"or set sampling.stop_gap_s; {_COUNTED}",
    "lost-rows": f"rows are missing or late and the run goes on: the feed loses rows that the history had; {_COUNTED}",
}

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


class Signals(Protocol):
    """What the operating system asked for."""

    stopping: bool

    def take_reload(self) -> bool:
        """True once for every request to reload the model."""


class Clock(Protocol):
    """Time, as an argument."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    def time(self) -> float:
        """Seconds since 1970 UTC."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


class _Stopped(Exception):
    """No error: a stop signal came while we waited; what is in hand is abandoned whole."""


class Loop:
    """Scores a stream until it ends or a signal comes. One thread."""

    def __init__(
        self,
        open_stream: Callable[[], Opened],
        watch: ModelWatch,
        *,
        metrics: Metrics,
        health: Health,
        clock: Clock,
        signals: Signals,
        history: Mapping[str, State],
        missing: Missing = "hold",
        max_machines: int = MAX_NEW,
        silent_days: float = SILENT_DAYS,
    ) -> None:
        """history: states that machines without one of their own start from.

        max_machines: never scored, that are remembered. silent_days: after so many a machine leaves memory.
        """
        self._open, self._watch, self._history, self._missing = open_stream, watch, history, missing
        self._metrics, self._health, self._clock, self._signals = metrics, health, clock, signals
        self._codec = StateCodec(watch.model.manifest.schema)
        self._machines = Machines(self._codec, clock=clock.monotonic, max_new=max_machines, silent_days=silent_days)
        self._fenced_at: float | None = None
        self._lag_at, self._busy_at = float("-inf"), clock.monotonic()
        self._rows_seen = False
        self._reasons_told: set[str] = set()
        self._homes = Homes()
        self._gaps_told: set[str] = set()
        self.records = self.dead_letters = 0
        """Committed since the start."""

    def run(self) -> None:
        """Until the stream ends or a stop signal comes; a batch in hand is committed or abandoned whole.

        Raises StreamFenced when fenced twice within a minute, StreamError when nothing will help.
        """
        self._health.model_loaded = True
        try:
            while self._run_one_stream():
                pass
        except _Stopped:
            pass

    def _run_one_stream(self) -> bool:
        """Open a stream and work through it. True: it was fenced off, go on with a new one."""
        self._health.stream_answers = False  # opening contacts no broker: the first poll tells
        opened = self._open()
        try:
            while not self._signals.stopping:
                if self._turn(opened):
                    return False
            return False
        except StreamFenced:
            self._drop(self._machines.partitions)
            self._metrics.commits.labels("fenced").inc()
            now, before = self._clock.monotonic(), self._fenced_at
            if before is not None and now - before < FENCED_AGAIN_S:
                raise
            self._fenced_at = now
            log.warning("event=fenced note=%r", "our id was taken or a transaction timed out; once more")
            return True
        finally:
            opened.stream.close()

    def _turn(self, opened: Opened) -> bool:
        """One poll and what follows from it. True at the end of the stream."""
        self._health.beat()
        self._watch.refresh(asked=self._signals.take_reload())
        self._metrics.forget(self._machines.sweep())
        try:
            rests = self._clock.monotonic() - self._busy_at >= RESTS_AFTER_S
            batch = self._patiently(partial(opened.stream.poll, RESTING_POLL_S if rests else POLL_S))
            if batch.records or batch.actions or batch.assigned or not batch.ready:
                self._busy_at = self._clock.monotonic()
            self._health.stream_answers = batch.ready
            self._take_over(batch, opened)
            if batch.records or batch.actions:
                self._process(batch, opened)
        except StreamLost as lost:
            log.warning("event=batch-lost reason=%r", str(lost))
            self._metrics.commits.labels("lost").inc()
            self._drop(self._machines.partitions)
            return False
        self._show_lag(opened)
        if batch.end:
            self._tell_of_waiting()
        return batch.end

    def _take_over(self, batch: Batch, opened: Opened) -> None:
        self._drop(batch.revoked)
        self._metrics.count_lost(batch)
        if batch.revoked:
            log.info("event=partitions-revoked partitions=%s", ",".join(map(str, batch.revoked)))
        for partition in batch.assigned:
            parts = self._patiently(partial(opened.stream.restore, partition))
            states = self._codec.load(parts)
            agenda = waiting_in(parts, partition)
            forgotten = self._machines.take_over(partition, states, self._watch.model, agenda=agenda)
            self._metrics.show_states(states)
            self._metrics.forget(forgotten)
            log.info("event=partition-assigned partition=%d machines=%d", partition, len(states))

    def _process(self, batch: Batch, opened: Opened) -> None:
        started = self._clock.monotonic()
        scored = score_batch(
            batch,
            opened,
            states_of=self._machines.states_of,
            history=self._history,
            model=self._watch.model,
            codec=self._codec,
            missing=self._missing,
            agendas=self._machines.agendas,
        )
        snapshots = [*scored.snapshots, *self._machines.deletions(scored)]
        commit = partial(opened.stream.commit, batch, scored.outputs, snapshots)
        self._patiently(commit, counted=True)
        self._metrics.commits.labels("ok").inc()
        self._metrics.batch_seconds.observe(self._clock.monotonic() - started)
        self._adopt(batch, scored)

    def _adopt(self, batch: Batch, scored: ScoredBatch) -> None:
        """The commit stands: only now are its states ours."""
        forgotten = self._machines.committed(scored, self._watch.model)
        for rows, results in scored.results:
            self._metrics.count(rows, results)
        for states in scored.states.values():
            self._metrics.show_states(states)
        self._metrics.forget(forgotten)
        self._tell_of_blind()
        for machine, drifted in self._metrics.sensors.take_newly_drifted():
            note = (
                "they stand far from where training rows had them; what they do now is learned as normal: train again"
            )
            log.warning("event=drifted machine=%r sensors=%s note=%r", machine, ",".join(drifted[:10]), note)
        self._metrics.count_rejects(scored.rejects)
        self._metrics.count_missing(scored.missing)
        self._metrics.operators.count(scored.obeyed, scored.refused)
        tell_of_actions(scored.obeyed, scored.states.values(), idle=scored.idle)
        self._tell_of_stops(scored)
        self._tell_of_dead_letters(scored)
        self._homes.see(scored.states, now_s=self._clock.monotonic())
        self.records += len(batch.records)
        self._metrics.observe_latency([r.timestamp_ms for r in batch.records], now_s=self._clock.time())
        if batch.records and not self._rows_seen:
            self._rows_seen = True
            log.info("event=first-batch rows=%d", len(batch.records))

    def _tell_of_stops(self, scored: ScoredBatch) -> None:
        """A clock that was set back each time; a gap that training did not know once a machine."""
        schema = self._watch.model.manifest.schema
        for rows, results in scored.results:
            for place, why in results.cold_starts:
                if why == "clock":
                    machine, time = rows.machines[place], format_time(int(rows.times_us[place]))
                    log.warning("event=cold-start machine=%s time=%s note=%r", machine, time, _SET_BACK)
            for place, why in results.stops:
                machine = rows.machines[place]
                if why not in _UNKNOWN_GAPS or machine in self._gaps_told or len(self._gaps_told) >= _MOST_TOLD:
                    continue
                self._gaps_told.add(machine)
                log.warning(
                    "event=unknown-gap machine=%s time=%s stop_gap_s=%g why=%s note=%r", machine,
                    format_time(int(rows.times_us[place])), schema.stop_gap_s, why, _UNKNOWN_GAPS[why],
                )  # fmt: skip

    def _tell_of_dead_letters(self, scored: ScoredBatch) -> None:
        """Once a reason: who writes alerts alone would see nothing when every record is refused. Actions: each."""
        refused = [*scored.rejects, *(error for _, results in scored.results for _, error in results.rejects)]
        self.dead_letters += len(refused) + len(scored.refused)
        for error in scored.refused:
            log.warning("event=action-refused machine=%s error=%r", error.machine, str(error))
        for error in refused:
            if error.reason not in self._reasons_told:
                self._reasons_told.add(error.reason)
                log.warning("event=first-dead-letter reason=%s error=%r", error.reason, str(error))

    def _tell_of_waiting(self) -> None:
        """At the end of the rows."""
        waiting = sum(len(some) for agenda in self._machines.agendas.values() for some in agenda.values())
        if waiting:
            log.warning("event=actions-waiting count=%d note=%r", waiting, "no row of their machine reached their time")

    def _tell_of_blind(self) -> None:
        """Once, until it is scored again: each of its rows is answered, and nobody would be warned of a break."""
        blind = self._metrics.take_newly_blind()
        if blind:
            schema = self._watch.model.manifest.schema
            text = "event=blind count=%d machines=%s period-s=%g stop-gap-s=%g note=%r"
            note = "rows come, and none can warn: gaps longer than stop-gap-s before every few of them; mend the feed, "
            note += "or train on rows that are sampled like these"
            shown = ",".join(repr(name[:60]) for name in blind[:10])
            log.warning(text, len(blind), shown, schema.period_s, schema.stop_gap_s, note)

    def _drop(self, partitions: tuple[int, ...]) -> None:
        for partition in partitions:
            self._metrics.forget(self._machines.drop(partition))

    def _patiently(self, action: Callable[[], Answer], *, counted: bool = False) -> Answer:
        """Do it, with back-off again while the stream is away. Raises _Stopped when a signal comes."""
        wait_s = _FIRST_WAIT_S
        since = said = self._clock.monotonic()
        while True:
            try:
                answer = action()
            except StreamUnavailable as away:
                now = self._clock.monotonic()
                if self._health.stream_answers or wait_s == _FIRST_WAIT_S:
                    log.warning("event=stream-away reason=%r", str(away))
                elif now - said >= SAY_AGAIN_S:
                    said = now
                    log.warning("event=stream-away for_s=%.0f reason=%r", now - since, str(away))
                self._health.stream_answers = False
                if counted:
                    self._metrics.commits.labels("unavailable").inc()
                self._rest(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                continue
            if wait_s > _FIRST_WAIT_S:
                log.info("event=stream-back")
            self._health.stream_answers = True
            return answer

    def _rest(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        while not self._signals.stopping:
            self._health.beat()
            left = until - self._clock.monotonic()
            if left <= 0:
                return
            self._clock.sleep(min(left, _NAP_S))
        raise _Stopped

    def _show_lag(self, opened: Opened) -> None:
        """How far behind we are, where the stream can tell: a question to the broker, not at every turn."""
        if self._clock.monotonic() - self._lag_at < _LAG_EVERY_S:
            return
        self._lag_at = self._clock.monotonic()
        try:
            self._metrics.show_lag(opened.stream.lag())
        except StreamUnavailable:  # the next poll meets it, too, and waits
            return
