"""Who sends: one user is one client of a closed loop, or a source of arrivals in an open one."""

import random
from typing import ClassVar

import gevent
from locust import FastHttpUser, constant, task
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment

from loadtests import arrivals, stages
from loadtests.loading import Loading
from loadtests.pace import Tempo
from loadtests.payloads.mix import Mix, Request, requests

LOOK_S = 0.1
"""How often somebody who waits looks whether the tempo has changed."""

LATE_S = 0.005
"""From when on an arrival is late."""


class LoadUser(FastHttpUser):
    """Shares of images and attention are the options' unless a kind of user has its own."""

    abstract = True
    wait_time = constant(0)
    image_share: ClassVar[float | None] = None
    attention_share: ClassVar[float | None] = None

    def __init__(self, environment: Environment) -> None:
        self.loading = loading = Loading.of(environment)
        options = loading.options
        self.open_loop = options.rate > 0
        self.concurrency = options.max_in_flight if self.open_loop else 1
        self.network_timeout = self.connection_timeout = options.timeout
        super().__init__(environment)
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if options.api_key:
            self._headers["Authorization"] = f"Bearer {options.api_key}"

    def on_start(self) -> None:
        index = getattr(self.environment.runner, "worker_index", 0)
        number = index + 10_000 * self.loading.users
        self.loading.users += 1
        self._requests = requests(self._mix(self.loading.mix), self.loading.options.seed, number)
        self._source = random.Random(f"{self.loading.options.seed} {number} arrivals")

    @task
    def load(self) -> None:
        tempo = self.loading.pace.tempo
        now = self.loading.recorder.clock()
        if tempo.rate == 0 or now < tempo.since:
            gevent.sleep(LOOK_S if tempo.rate == 0 else tempo.since - now)
        elif self.open_loop:
            self._arrive(tempo)
        else:
            self.loading.recorder.offered(tempo.number, now)
            self._send(next(self._requests), tempo.number, now)

    def _arrive(self, tempo: Tempo) -> None:
        """Until the tempo changes: each request at its time, and on a greenlet of its own."""
        recorder, pace = self.loading.recorder, self.loading.pace
        for at in arrivals.intended(tempo.rate, tempo.since, self.loading.options.arrivals, self._source):
            while (now := recorder.clock()) < at and not pace.passed(tempo, at):
                gevent.sleep(min(LOOK_S, at - now))
            if pace.passed(tempo, at):
                return
            request = next(self._requests)
            if self.loading.on_their_way.full():
                recorder.unsent(tempo.number, at)
            else:
                recorder.offered(tempo.number, at)
                self.loading.on_their_way.spawn(self._send, request, tempo.number, at)
            if recorder.clock() > at + LATE_S:
                gevent.sleep(0)  # or those that are late already would keep the others from being sent

    def _send(self, request: Request, tempo: int, intended: float) -> None:
        """Latency counts from when the request was meant to start."""
        recorder = self.loading.recorder
        recorder.sent(tempo, intended)
        with self.client.post(
            request.path, data=request.body, headers=self._headers, name=request.name, catch_response=True
        ) as response:
            ms = 1e3 * (recorder.clock() - intended)
            response.request_meta["response_time"] = ms
            problem = self._problem(request, response)
            if problem:
                response.failure(problem)
            else:
                response.success()
        if problem:
            recorder.failed(tempo, intended, problem)
            return
        told = stages.parse((response.headers or {}).get("server-timing", ""))
        recorder.answered(tempo, intended, request.name, ms, told, during=self.loading.pace.tempo.number)

    def _problem(self, request: Request, response: ResponseContextManager) -> str | None:
        if response.status_code == 0:
            return f"no answer: {type(response.error).__name__}"
        return self.loading.answers.problem(request, response.status_code, response.content)

    def _mix(self, mix: Mix) -> Mix:
        image, attention = self.image_share, self.attention_share
        return mix.of(
            mix.image_share if image is None else image, mix.attention_share if attention is None else attention
        )


class TextUser(LoadUser):
    """Texts, for their embeddings alone."""

    image_share, attention_share = 0.0, 0.0


class ImageUser(LoadUser):
    """Images, likewise."""

    image_share, attention_share = 1.0, 0.0


class AttentionUser(LoadUser):
    """Texts, each with its attention."""

    image_share, attention_share = 0.0, 1.0


class MixedUser(LoadUser):
    """Of all, by the shares that the options say."""
