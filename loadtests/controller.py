"""Load controller: conducts a run phase by phase, on the master or in the only process."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import gevent
from locust.runners import MasterRunner, Runner

from loadtests import options
from loadtests.phases import LoadPlan, Phase, PhaseResult
from loadtests.process_state import RATE_MESSAGE, ProcessState
from loadtests.rate import RateStage

STRAGGLER_GRACE_S = 2.0
"""Seconds added to the request timeout when the end of a run, or of a trial, waits for the last requests."""

WORKER_REPORT_WAIT_S = 4.0
"""Interval of the workers' reports."""

PHASE_LEAD_S = 0.1
"""Seconds between the message that announces a phase to all worker processes and the start of the phase."""

TICK_S = 1.0
"""Interval at which Locust asks for the load; a shorter phase ends at the next tick."""

MAX_SPAWN_RATE = 10_000.0
"""Users per second that Locust may start: a phase begins with all of its users."""


class LoadController:
    """Conducts one run. `tick` is called about once per second."""

    def __init__(self, state: ProcessState, runner: Runner, on_measurement_start: Callable[[], None]) -> None:
        """`on_measurement_start` is called when the first phase begins that is measured."""
        self._state = state
        self._runner = runner
        self.plan: LoadPlan = options.build_plan(state.options)
        self.on_measurement_start = on_measurement_start
        self.results: list[PhaseResult] = []
        self._upcoming = self._phases_with_warm_up()
        self._phase: Phase | None = None
        self._phase_start = 0.0
        self._awaiting_responses = False
        self._run_start = state.recorder.clock()
        self._last_stage = 0

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users, and how many may be started per second; None when the run is over."""
        now = self._state.recorder.clock()
        phase = self._phase
        if phase is None:
            return self._start_next_phase(now)
        if self._awaiting_responses:
            return self._check_responses(phase, now)
        remaining = float("inf") if phase.seconds is None else self._phase_start + phase.seconds - now
        if remaining > TICK_S:
            return self._user_count(phase), MAX_SPAWN_RATE
        gevent.sleep(max(0.0, remaining))
        now = self._state.recorder.clock()
        self._record_result(phase, now)
        if self.plan.waits_between_phases and phase.measured:
            return self._await_responses(phase, now)
        return self._start_next_phase(now)

    def finish(self) -> list[PhaseResult]:
        """Return the results of all phases, with all responses so far; the last phase may be incomplete."""
        now = self._state.recorder.clock()
        if self._phase is not None and not self._awaiting_responses:
            self._record_result(self._phase, now)
            self._phase = None
        self._publish_rate(now, 0.0, measured=False)
        return [self._with_latest_totals(result) for result in self.results if result.phase.measured]

    def _phases_with_warm_up(self) -> Iterator[Phase]:
        phases = self.plan.phases()
        for i, phase in enumerate(phases):
            if i == 0 and self._state.options.warm_up > 0:
                yield Phase("warm-up", phase.level, self._state.options.warm_up, measured=False)
            yield phase

    def _start_next_phase(self, now: float) -> tuple[int, float] | None:
        phase = next(self._upcoming, None)
        if phase is None:
            return None if self._phase is None or self._awaiting_responses else self._await_responses(self._phase, now)
        if phase.measured and not any(result.phase.measured for result in self.results):
            self._runner.stats.reset_all()  # of Locust's own tables
            self.on_measurement_start()
        self._phase, self._phase_start, self._awaiting_responses = phase, now + PHASE_LEAD_S, False
        users = self._user_count(phase)
        self._publish_rate(self._phase_start, phase.level / users, measured=phase.measured)
        return users, MAX_SPAWN_RATE

    def _await_responses(self, phase: Phase, now: float) -> tuple[int, float]:
        self._awaiting_responses, self._await_start = True, now
        self._publish_rate(now, 0.0, measured=False)
        return self._user_count(phase), MAX_SPAWN_RATE

    def _check_responses(self, phase: Phase, now: float) -> tuple[int, float] | None:
        """Continue once every response has arrived and is counted here."""
        result = self._with_latest_totals(self.results[-1])
        waited = now - self._await_start
        report_wait = WORKER_REPORT_WAIT_S if isinstance(self._runner, MasterRunner) else 0.0
        if waited < report_wait or (
            result.totals.in_flight and waited < self._state.options.timeout + STRAGGLER_GRACE_S
        ):
            return self._user_count(phase), MAX_SPAWN_RATE
        self.results[-1] = result
        self.plan.on_phase_end(result)
        return self._start_next_phase(now)

    def _user_count(self, phase: Phase) -> int:
        """Return the number of users: the level of a closed loop; in an open loop one per sending process, or the
        option."""
        if not self._state.options.rate:
            return max(1, round(phase.level))
        processes = self._runner.worker_count if isinstance(self._runner, MasterRunner) else 1
        return max(int(self._state.options.num_users or 1), processes)

    def _publish_rate(self, starts_at: float, rate: float, *, measured: bool) -> None:
        self._last_stage += 1
        stage = RateStage(self._last_stage, self._run_start, starts_at, rate, measured).dump()
        if isinstance(self._runner, MasterRunner):
            self._state.on_rate_change(stage)
        self._runner.send_message(RATE_MESSAGE, stage)

    def _record_result(self, phase: Phase, end: float) -> None:
        totals = self._state.recorder.totals_of(self._last_stage)
        self.results.append(
            PhaseResult(phase, self._last_stage, self._phase_start - self._run_start, end - self._run_start, totals)
        )

    def _with_latest_totals(self, result: PhaseResult) -> PhaseResult:
        """Return the results with the latest totals."""
        return replace(result, totals=self._state.recorder.totals_of(result.rate_stage))
