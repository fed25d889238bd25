"""Fixtures: an engine with one fake model, and one whose queue is never full."""

from collections.abc import Iterator

import pytest

from service.engine.engine import Engine
from tests.service.engine.fakes import FakeModel
from tests.service.engine.requests import run_engine


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def engine(model: FakeModel) -> Iterator[Engine]:
    yield from run_engine(model, max_queue_tokens=200)


@pytest.fixture
def roomy(model: FakeModel) -> Iterator[Engine]:
    yield from run_engine(model, max_queue_tokens=10_000)
