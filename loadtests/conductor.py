"""Who conducts a run, phase by phase: on the master, or in the only process."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import gevent
from locust.runners import MasterRunner, Runner

from loadtests import options
from loadtests.loading import TEMPO, Loading
from loadtests.pace import Tempo
from loadtests.phases import Phase, Plan, Result

TIMEOUT_WITHIN_S = 2.0
"""The last requests of a run, or of a trial, are waited for until they have failed, and so much longer."""

REPORTS_WITHIN_S = 4.0
"""Workers report every three seconds."""

LEAD_S = 0.1
"""So long before it begins all who have users are told of a phase."""

TICK_S = 1.0
"""How often Locust asks: a phase that ends sooner is waited for."""

ALL_AT_ONCE = 10_000.0
"""Users a second that Locust may start: a phase begins with all of its users."""


class Conductor:
    """Of one run. `tick` is called about once a second."""

    def __init__(self, loading: Loading, runner: Runner, measuring: Callable[[], None]) -> None:
        """`measuring` is called when the first phase begins that is measured."""
        self._loading = loading
        self._runner = runner
        self.plan: Plan = options.plan(loading.options)
        self.measuring = measuring
        self.results: list[Result] = []
        self._coming = self._with_warm_up()
        self._phase: Phase | None = None
        self._since = 0.0
        self._draining = False
        self._began = loading.recorder.clock()
        self._tempos = 0

    def tick(self) -> tuple[int, float] | None:
        """Users there are to be, and how many a second may be started; None when all is over."""
        now = self._loading.recorder.clock()
        phase = self._phase
        if phase is None:
            return self._next(now)
        if self._draining:
            return self._drained(phase, now)
        left = float("inf") if phase.seconds is None else self._since + phase.seconds - now
        if left > TICK_S:
            return self._users(phase), ALL_AT_ONCE
        gevent.sleep(max(0.0, left))
        now = self._loading.recorder.clock()
        self._note(phase, now)
        if self.plan.pauses and phase.measured:
            return self._drain(phase, now)
        return self._next(now)

    def finish(self) -> list[Result]:
        """The results of all phases, with all answers that have come by now; the last may have been cut short."""
        now = self._loading.recorder.clock()
        if self._phase is not None and not self._draining:
            self._note(self._phase, now)
            self._phase = None
        self._tell(now, 0.0, measured=False)
        return [self._again(result) for result in self.results if result.phase.measured]

    def _with_warm_up(self) -> Iterator[Phase]:
        phases = self.plan.phases()
        for i, phase in enumerate(phases):
            if i == 0 and self._loading.options.warm_up > 0:
                yield Phase("warm-up", phase.level, self._loading.options.warm_up, measured=False)
            yield phase

    def _next(self, now: float) -> tuple[int, float] | None:
        phase = next(self._coming, None)
        if phase is None:
            return None if self._phase is None or self._draining else self._drain(self._phase, now)
        if phase.measured and not any(result.phase.measured for result in self.results):
            self._runner.stats.reset_all()  # of Locust's own tables
            self.measuring()
        self._phase, self._since, self._draining = phase, now + LEAD_S, False
        users = self._users(phase)
        self._tell(self._since, phase.level / users, measured=phase.measured)
        return users, ALL_AT_ONCE

    def _drain(self, phase: Phase, now: float) -> tuple[int, float]:
        self._draining, self._drain_since = True, now
        self._tell(now, 0.0, measured=False)
        return self._users(phase), ALL_AT_ONCE

    def _drained(self, phase: Phase, now: float) -> tuple[int, float] | None:
        """Go on once every answer is there, and known of here."""
        result = self._again(self.results[-1])
        waited = now - self._drain_since
        enough = REPORTS_WITHIN_S if isinstance(self._runner, MasterRunner) else 0.0
        if waited < enough or (result.seen.unanswered and waited < self._loading.options.timeout + TIMEOUT_WITHIN_S):
            return self._users(phase), ALL_AT_ONCE
        self.results[-1] = result
        self.plan.over(result)
        return self._next(now)

    def _users(self, phase: Phase) -> int:
        """Of a closed loop the level itself; an open loop has one in each process that sends, or as many as said."""
        if not self._loading.options.rate:
            return max(1, round(phase.level))
        processes = self._runner.worker_count if isinstance(self._runner, MasterRunner) else 1
        return max(int(self._loading.options.num_users or 1), processes)

    def _tell(self, since: float, rate: float, *, measured: bool) -> None:
        self._tempos += 1
        tempo = Tempo(self._tempos, self._began, since, rate, measured).dump()
        if isinstance(self._runner, MasterRunner):
            self._loading.hear(tempo)
        self._runner.send_message(TEMPO, tempo)

    def _note(self, phase: Phase, end: float) -> None:
        seen = self._loading.recorder.under(self._tempos)
        self.results.append(Result(phase, self._tempos, self._since - self._began, end - self._began, seen))

    def _again(self, result: Result) -> Result:
        """With what has become known since."""
        return replace(result, seen=self._loading.recorder.under(result.tempo))
