"""What Locust loads: its users, its one shape, and what is to happen when a run ends.

`locust -f loadtests/locustfile.py --host http://127.0.0.1:3000 MixedUser`, or without --headless for the web page.
"""

import sys
from pathlib import Path
from typing import Any, cast

import gevent
from locust import LoadTestShape, events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import Runner, WorkerRunner

from loadtests import batches, options
from loadtests.conductor import Conductor
from loadtests.generator import Verdict
from loadtests.loading import Loading
from loadtests.search import Search
from loadtests.slo import Slo
from loadtests.summary import Summary
from loadtests.users import AttentionUser, ImageUser, MixedUser, TextUser

__all__ = ["AttentionUser", "Conducted", "ImageUser", "MixedUser", "TextUser"]


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    options.add(parser)


@events.init.add_listener
def attach(environment: Environment, **_: Any) -> None:
    loading = Loading.attach(environment)
    if loading.options.headless and not isinstance(environment.runner, WorkerRunner):
        try:
            options.plan(loading.options)
        except ValueError as error:
            sys.exit(str(error))


class Conducted(LoadTestShape):
    """Users and rates as the conductor says; a new one for each run."""

    use_common_options = True
    conductor: Conductor | None = None
    before: batches.Buckets = {}  # noqa: RUF012  # one shape a process, and a new one each run

    def tick(self) -> tuple[int, float] | None:
        if self.conductor is None:
            runner = cast("Runner", self.runner)
            environment = runner.environment
            self.conductor = Conductor(Loading.of(environment), runner, self._look)
        return self.conductor.tick()

    def _look(self) -> None:
        """What the server has counted so far. Not waited for: a server that stands still is measured, too."""
        self.before = {}
        gevent.spawn(lambda: self.before.update(batches.read(cast("Runner", self.runner).environment.host or "")))


@events.test_stop.add_listener
def tell(environment: Environment, **_: Any) -> None:
    """Figures on stdout, the report in its folder, and the exit code."""
    shape = environment.shape_class
    if isinstance(environment.runner, WorkerRunner) or not isinstance(shape, Conducted) or not shape.conductor:
        return
    loading, conductor = Loading.of(environment), shape.conductor
    results = conductor.finish()
    plan, seen = conductor.plan, [result.seen.lag.percentile(0.99) for result in results]
    summary = Summary(
        results,
        Slo.parse(loading.options.slo),
        Verdict(loading.processors, max(seen, default=0.0)),
        open_loop=loading.options.rate > 0,
        searched=isinstance(plan, Search),
        held=plan.held if isinstance(plan, Search) else None,
        batches=batches.sizes(shape.before, batches.read(environment.host or "")),
    )
    if loading.options.reports:
        from loadtests import report  # whose plots take a second to load

        report.write(Path(loading.options.reports), summary, loading.recorder, environment.host or "")
    environment.process_exit_code = int(summary.failed)
    shape.conductor = None  # the next run has another
    if loading.options.headless:  # after Locust's own tables
        environment.events.quit.add_listener(lambda **_: print(summary.lines(), flush=True))
    else:
        print(summary.lines(), flush=True)
