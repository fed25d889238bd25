"""A request's own deadline."""

import pytest
from starlette.testclient import TestClient

from service.http.deadline import HEADER
from tests.service.conftest import URL, VALID_BODY


@pytest.mark.parametrize("told", ["60000", "99999999999999999999"])
def test_deadline_met(client: TestClient, told: str) -> None:
    assert client.post(URL, json=VALID_BODY, headers={HEADER: told}).status_code == 200


@pytest.mark.parametrize("told", ["0", "-1", "1.5", "soon", "", "\u0661"])
def test_deadline_header_must_be_an_integer(client: TestClient, told: str) -> None:
    answer = client.post(URL, json=VALID_BODY, headers={HEADER.encode(): told.encode()})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, HEADER)


def test_deadline_exceeded(client: TestClient) -> None:
    many = {"model": "tiny", "input": ["the old lamp reads " * 4] * 2_000}
    answer = client.post(URL, json=many, headers={HEADER: "1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "deadline_exceeded")
    assert int(answer.headers["retry-after"]) >= 1
