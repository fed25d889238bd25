"""What one process of a run holds, and what processes tell each other."""

from argparse import Namespace
from typing import Any, cast

from gevent.pool import Pool
from locust.env import Environment

from loadtests.answers import Answers
from loadtests.generator import Meter
from loadtests.pace import Pace, Tempo
from loadtests.payloads.mix import Mix
from loadtests.record import Recorder

TEMPO = "headlight-tempo"
"""The message from the conductor to all who have users."""

_REPORT = "headlight"
"""What workers add to Locust's own reports to the master."""


class Loading:
    """Made once a process, when Locust is; `of` finds it again."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.recorder = Recorder()
        self.pace = Pace()
        self.processors = 0.0
        """The most that one generator took of a processor in a phase that was measured."""
        self.users = 0
        """That this process has started so far: their numbers."""
        self.on_their_way = Pool()
        """Requests of an open loop that have no answer yet."""
        self._meter = Meter()
        self._answers: Answers | None = None

    @classmethod
    def attach(cls, environment: Environment) -> "Loading":
        """To Locust's events."""
        loading = cls(environment)
        environment.headlight = loading
        environment.events.report_to_master.add_listener(loading._report)
        environment.events.worker_report.add_listener(loading._reported)
        if environment.runner:
            environment.runner.register_message(TEMPO, lambda msg, **_: loading.hear(msg.data))
        return loading

    @classmethod
    def of(cls, environment: Environment) -> "Loading":
        return cast("Loading", environment.headlight)

    @property
    def options(self) -> Namespace:
        """As they are now: Locust's web page changes them between runs."""
        return cast("Namespace", self._environment.parsed_options)

    @property
    def mix(self) -> Mix:
        options = self.options
        return Mix(
            options.text_model,
            options.image_model,
            words=options.words,
            items=options.items,
            image_share=options.image_share,
            attention_share=options.attention_share,
            attention=options.attention,
            encoding=options.encoding,
            path=options.path,
        )

    @property
    def answers(self) -> Answers:
        """One for all users: vectors are of one width."""
        if self._answers is None:
            self._answers = Answers(dimensions=self.options.dimensions or None, unit=not self.options.not_unit)
        return self._answers

    def hear(self, tempo: dict[str, Any]) -> None:
        """A phase begins."""
        last, new = self.pace.tempo, Tempo(**tempo)
        took = self._meter.read()
        if last.measured:
            self.processors = max(self.processors, took)
        if new.began != last.began:
            self.recorder.begin(new.began)
            self.processors, self._answers, self.users = 0.0, None, 0
            self.on_their_way = Pool(self.options.max_in_flight)
        self.pace.tempo = new

    def _report(self, client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG002  # Locust passes it by name
        data[_REPORT] = {"seconds": self.recorder.take(), "processors": self.processors}

    def _reported(self, client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG002
        report = data.get(_REPORT)
        if report:
            self.recorder.merge(report["seconds"])
            self.processors = max(self.processors, report["processors"])
