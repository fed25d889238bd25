"""State of one process of a run, and the messages between processes."""

from argparse import Namespace
from typing import Any, cast

from gevent.pool import Pool
from locust.env import Environment

from loadtests.generator_health import CpuMeter
from loadtests.payloads.workload import Workload
from loadtests.rate import CurrentRate, RateStage
from loadtests.recorder import Recorder
from loadtests.response_validation import ResponseValidator

RATE_MESSAGE = "headlight-tempo"
"""Message from the controller to all processes with users."""

_REPORT_KEY = "headlight"
"""Key of the data that workers add to Locust's reports to the master."""


class ProcessState:
    """State of this process, created once, together with Locust's environment; `get` finds it again."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.recorder = Recorder()
        self.current_rate = CurrentRate()
        self.max_cpu = 0.0
        """Maximum fraction of a processor that one generator used in a measured phase."""
        self.started_users = 0
        """Number of users that this process has started."""
        self.in_flight = Pool()
        """Number of requests of an open loop in flight."""
        self._cpu_meter = CpuMeter()
        self._validator: ResponseValidator | None = None

    @classmethod
    def attach(cls, environment: Environment) -> "ProcessState":
        """Attach to Locust's events."""
        state = cls(environment)
        environment.headlight = state
        environment.events.report_to_master.add_listener(state._add_report)
        environment.events.worker_report.add_listener(state._on_worker_report)
        if environment.runner:
            environment.runner.register_message(RATE_MESSAGE, lambda msg, **_: state.on_rate_change(msg.data))
        return state

    @classmethod
    def get(cls, environment: Environment) -> "ProcessState":
        return cast("ProcessState", environment.headlight)

    @property
    def options(self) -> Namespace:
        """Options as they are now: Locust's web page can change them between runs."""
        return cast("Namespace", self._environment.parsed_options)

    @property
    def workload(self) -> Workload:
        options = self.options
        return Workload(
            options.text_model,
            options.image_model,
            text_length=options.text_length,
            inputs_per_request=options.inputs_per_request,
            image_share=options.image_share,
            attention_share=options.attention_share,
            attention=options.attention,
            encoding=options.encoding,
            path=options.path,
        )

    @property
    def validator(self) -> ResponseValidator:
        """Validator that all users share: all embeddings have the same width."""
        if self._validator is None:
            self._validator = ResponseValidator(
                dimensions=self.options.dimensions or None, unit_norm=not self.options.allow_unnormalized
            )
        return self._validator

    def on_rate_change(self, message: dict[str, Any]) -> None:
        """Start a phase."""
        last, new = self.current_rate.stage, RateStage(**message)
        cpu = self._cpu_meter.read()
        if last.measured:
            self.max_cpu = max(self.max_cpu, cpu)
        if new.run_started_at != last.run_started_at:
            self.recorder.restart(new.run_started_at)
            self.max_cpu, self._validator, self.started_users = 0.0, None, 0
            self.in_flight = Pool(self.options.max_in_flight)
        self.current_rate.stage = new

    def _add_report(self, client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG002  # Locust passes it by name
        data[_REPORT_KEY] = {"seconds": self.recorder.take_pending(), "cpu": self.max_cpu}

    def _on_worker_report(self, client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG002
        report = data.get(_REPORT_KEY)
        if report:
            self.recorder.merge(report["seconds"])
            self.max_cpu = max(self.max_cpu, report["cpu"])
