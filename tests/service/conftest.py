"""Fixtures: the app in this process, without a server around it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

ClientFactory = Callable[..., AbstractContextManager[TestClient]]

VALID_BODY = {"model": "tiny", "input": "the old lamp"}
URL = "/v1/embeddings"


@pytest.fixture
def serving(tiny: Path) -> ClientFactory:
    """`with serving(setting=...) as client`: a small text model."""

    @contextmanager
    def run(**settings: object) -> Iterator[TestClient]:
        with TestClient(create_app(Settings(models=(tiny,), **settings))) as client:  # type: ignore[arg-type]
            yield client

    return run


@pytest.fixture
def client(serving: ClientFactory) -> Iterator[TestClient]:
    with serving() as client:
        yield client
