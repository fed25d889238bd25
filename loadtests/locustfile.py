"""Load on `POST /v1/embeddings`: each user asks for one text after another and checks what it gets.

`--model`, `--words` and `--attention-share` are options beside Locust's own. A wrong answer is a failure.
"""

import itertools
import math
import random
from collections.abc import Iterator
from typing import Any

from locust import HttpUser, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.clients import ResponseContextManager
from locust.env import Environment

from loadtests import prose
from loadtests.summary import Summary

LENGTHS = {"short": prose.SHORT, "mixed": prose.MIXED, "long": prose.LONG}

_user_numbers: Iterator[int] = itertools.count()


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="the model to ask")
    parser.add_argument("--words", choices=list(LENGTHS), default="mixed", help="how long the texts are")
    parser.add_argument("--attention-share", type=float, default=0.1, help="share of requests that ask for attention")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same texts")


@events.init.add_listener
def summarise_at_the_end(environment: Environment, **_: Any) -> None:
    """Print the summary after Locust's own tables, so that the last line of output is the JSON object."""

    def summarise(**_: Any) -> None:
        print(Summary.of(environment).lines(), flush=True)

    environment.events.quit.add_listener(summarise)


class EmbeddingUser(HttpUser):
    """One client that sends its next text as soon as it has the last answer (closed loop)."""

    wait_time = constant(0)

    def on_start(self) -> None:
        options = self.environment.parsed_options
        number = next(_user_numbers)
        self._texts = prose.texts(options.seed * 100_003 + number, LENGTHS[options.words])
        self._choice = random.Random(number)
        self._model: str = options.model
        self._attention_share: float = options.attention_share

    @task
    def embed(self) -> None:
        attention = self._choice.random() < self._attention_share
        body = {"model": self._model, "input": next(self._texts), "attention": attention}
        name = "/v1/embeddings attention" if attention else "/v1/embeddings"
        with self.client.post("/v1/embeddings", json=body, name=name, catch_response=True) as response:
            problem = check(response, attention=attention)
            if problem:
                response.failure(problem)


def check(response: ResponseContextManager, *, attention: bool) -> str | None:
    """What is wrong with an answer, or None: status, a vector of length 1, and attention that sums to 1."""
    if response.status_code != 200:
        return f"status {response.status_code}"
    entry = response.json()["data"][0]
    length = math.sqrt(sum(x * x for x in entry["embedding"]))
    if not math.isclose(length, 1, abs_tol=1e-3):
        return f"a vector of length {length}"
    if attention and not math.isclose(sum(entry["attention"]["values"]), 1, abs_tol=1e-4):
        return "attention that does not sum to 1"
    return None
