"""Locustfile: users, the load shape, and the end of a run.

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

from loadtests import batch_metrics, options
from loadtests.controller import LoadController
from loadtests.generator_health import GeneratorHealth
from loadtests.process_state import ProcessState
from loadtests.search import MaxRateSearch
from loadtests.slo import Slo
from loadtests.summary import Summary
from loadtests.users import AttentionUser, ImageUser, MixedUser, TextUser

__all__ = ["AttentionUser", "ControlledShape", "ImageUser", "MixedUser", "TextUser"]


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    options.add_arguments(parser)


@events.init.add_listener
def on_init(environment: Environment, **_: Any) -> None:
    state = ProcessState.attach(environment)
    if state.options.headless and not isinstance(environment.runner, WorkerRunner):
        try:
            options.build_plan(state.options)
        except ValueError as error:
            sys.exit(str(error))


class ControlledShape(LoadTestShape):
    """Load shape that follows the load controller; a new one for each run."""

    use_common_options = True
    controller: LoadController | None = None
    batches_before: batch_metrics.BucketCounts = {}  # noqa: RUF012  # one shape a process, and a new one each run

    def tick(self) -> tuple[int, float] | None:
        if self.controller is None:
            runner = cast("Runner", self.runner)
            environment = runner.environment
            self.controller = LoadController(ProcessState.get(environment), runner, self._scrape_batches)
        return self.controller.tick()

    def _scrape_batches(self) -> None:
        """Scrape the server's batch metrics without waiting: a stalled server is measured, too."""
        self.batches_before = {}
        gevent.spawn(
            lambda: self.batches_before.update(batch_metrics.scrape(cast("Runner", self.runner).environment.host or ""))
        )


@events.test_stop.add_listener
def on_test_stop(environment: Environment, **_: Any) -> None:
    """Print the results, write the report, and set the exit code."""
    shape = environment.shape_class
    if isinstance(environment.runner, WorkerRunner) or not isinstance(shape, ControlledShape) or not shape.controller:
        return
    state, controller = ProcessState.get(environment), shape.controller
    results = controller.finish()
    plan, schedule_delays = controller.plan, [result.totals.schedule_delay.percentile(0.99) for result in results]
    summary = Summary(
        results,
        Slo.parse(state.options.slo),
        GeneratorHealth(state.max_cpu, max(schedule_delays, default=0.0)),
        open_loop=state.options.rate > 0,
        is_search=isinstance(plan, MaxRateSearch),
        max_passing_rate=plan.max_passing_rate if isinstance(plan, MaxRateSearch) else None,
        batches=batch_metrics.batch_size_counts(shape.batches_before, batch_metrics.scrape(environment.host or "")),
    )
    if state.options.reports:
        from loadtests import report  # whose plots take a second to load

        report.write(Path(state.options.reports), summary, state.recorder, environment.host or "")
    environment.process_exit_code = int(summary.failed)
    shape.controller = None  # the next run has another
    if state.options.headless:  # after Locust's own tables
        environment.events.quit.add_listener(lambda **_: print(summary.render(), flush=True))
    else:
        print(summary.render(), flush=True)
