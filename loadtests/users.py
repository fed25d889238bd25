"""Users: clients of a closed loop, or a source of arrivals in an open one."""

import random
from typing import ClassVar

import gevent
from locust import FastHttpUser, constant, task
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment

from loadtests import arrivals, server_timing
from loadtests.payloads.workload import Request, Workload, generate_requests
from loadtests.process_state import ProcessState
from loadtests.rate import RateStage

POLL_INTERVAL_S = 0.1
"""Interval at which waiting users check for a changed rate."""

LATE_THRESHOLD_S = 0.005
"""Delay from which an arrival counts as late."""


class LoadUser(FastHttpUser):
    """Base of all users. Shares of images and attention are the options', unless a class overrides them."""

    abstract = True
    wait_time = constant(0)
    image_share: ClassVar[float | None] = None
    attention_share: ClassVar[float | None] = None

    def __init__(self, environment: Environment) -> None:
        self.process_state = process_state = ProcessState.get(environment)
        options = process_state.options
        self.open_loop = options.rate > 0
        self.concurrency = options.max_in_flight if self.open_loop else 1
        self.network_timeout = self.connection_timeout = options.timeout
        super().__init__(environment)
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if options.api_key:
            self._headers["Authorization"] = f"Bearer {options.api_key}"

    def on_start(self) -> None:
        index = getattr(self.environment.runner, "worker_index", 0)
        number = index + 10_000 * self.process_state.started_users
        self.process_state.started_users += 1
        self._requests = generate_requests(
            self._with_own_shares(self.process_state.workload), self.process_state.options.seed, number
        )
        self._rng = random.Random(f"{self.process_state.options.seed} {number} arrivals")

    @task
    def load(self) -> None:
        stage = self.process_state.current_rate.stage
        now = self.process_state.recorder.clock()
        if stage.rate == 0 or now < stage.starts_at:
            gevent.sleep(POLL_INTERVAL_S if stage.rate == 0 else stage.starts_at - now)
        elif self.open_loop:
            self._run_open_loop(stage)
        else:
            self.process_state.recorder.record_offered(stage.number, now)
            self._send(next(self._requests), stage.number, now)

    def _run_open_loop(self, stage: RateStage) -> None:
        """Send each request at its time, on its own greenlet, until the rate changes."""
        recorder, current_rate = self.process_state.recorder, self.process_state.current_rate
        for at in arrivals.arrival_times(stage.rate, stage.starts_at, self.process_state.options.arrivals, self._rng):
            while (now := recorder.clock()) < at and not current_rate.is_over(stage, at):
                gevent.sleep(min(POLL_INTERVAL_S, at - now))
            if current_rate.is_over(stage, at):
                return
            request = next(self._requests)
            if self.process_state.in_flight.full():
                recorder.record_dropped(stage.number, at)
            else:
                recorder.record_offered(stage.number, at)
                self.process_state.in_flight.spawn(self._send, request, stage.number, at)
            if recorder.clock() > at + LATE_THRESHOLD_S:
                gevent.sleep(0)  # or those that are late already would keep the others from being sent

    def _send(self, request: Request, rate_stage: int, intended: float) -> None:
        """Send one request; latency counts from its scheduled time."""
        recorder = self.process_state.recorder
        recorder.record_sent(rate_stage, intended)
        with self.client.post(
            request.path, data=request.body, headers=self._headers, name=request.name, catch_response=True
        ) as response:
            ms = 1e3 * (recorder.clock() - intended)
            response.request_meta["response_time"] = ms
            problem = self._find_problem(request, response)
            if problem:
                response.failure(problem)
            else:
                response.success()
        if problem:
            recorder.record_failed(rate_stage, intended, problem)
            return
        stages_ms = server_timing.parse_server_timing((response.headers or {}).get("server-timing", ""))
        recorder.record_completed(
            rate_stage, intended, request.name, ms, stages_ms, completed_in=self.process_state.current_rate.stage.number
        )

    def _find_problem(self, request: Request, response: ResponseContextManager) -> str | None:
        if response.status_code == 0:
            return f"no response: {type(response.error).__name__}"
        return self.process_state.validator.find_problem(request, response.status_code, response.content)

    def _with_own_shares(self, workload: Workload) -> Workload:
        image, attention = self.image_share, self.attention_share
        return workload.with_shares(
            workload.image_share if image is None else image,
            workload.attention_share if attention is None else attention,
        )


class TextUser(LoadUser):
    """Embeds texts."""

    image_share, attention_share = 0.0, 0.0


class ImageUser(LoadUser):
    """Embeds images."""

    image_share, attention_share = 1.0, 0.0


class AttentionUser(LoadUser):
    """Embeds texts, with their attention."""

    image_share, attention_share = 0.0, 1.0


class MixedUser(LoadUser):
    """Embeds texts and images, with and without attention, by the shares in the options."""
