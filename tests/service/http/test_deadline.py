"""Tests of a request's own deadline."""

import pytest
from starlette.testclient import TestClient

from service.http.request import DEPRECATED_HEADER, HEADER
from tests.service.conftest import URL, VALID_BODY


@pytest.mark.parametrize("value", ["60000", "99999999999999999999"])
def test_deadline_met(client: TestClient, value: str) -> None:
    assert client.post(URL, json=VALID_BODY, headers={HEADER: value}).status_code == 200


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "", "\u0661"])
def test_deadline_header_must_be_an_integer(client: TestClient, value: str) -> None:
    answer = client.post(URL, json=VALID_BODY, headers={HEADER.encode(): value.encode()})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, HEADER)


def test_deadline_exceeded(client: TestClient) -> None:
    many = {"model": "tiny", "input": ["the old lamp reads " * 4] * 2_000}
    answer = client.post(URL, json=many, headers={HEADER: "1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "deadline_exceeded")
    assert int(answer.headers["retry-after"]) >= 1


def test_deprecated_header_is_read_and_the_new_one_wins(client: TestClient) -> None:
    many = {"model": "tiny", "input": ["the old lamp reads " * 4] * 2_000}
    assert client.post(URL, json=many, headers={DEPRECATED_HEADER: "1"}).status_code == 503
    both = {HEADER: "60000", DEPRECATED_HEADER: "0"}
    assert client.post(URL, json=VALID_BODY, headers=both).status_code == 200
