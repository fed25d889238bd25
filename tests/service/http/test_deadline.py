"""A request's own deadline."""

import pytest
from starlette.testclient import TestClient

from service.http.deadline import HEADER
from tests.service.conftest import GOOD, URL


@pytest.mark.parametrize("told", ["60000", "99999999999999999999"])
def test_a_request_in_time_is_answered(client: TestClient, told: str) -> None:
    assert client.post(URL, json=GOOD, headers={HEADER: told}).status_code == 200


@pytest.mark.parametrize("told", ["0", "-1", "1.5", "soon", "", "\u0661"])
def test_what_is_no_time_is_refused(client: TestClient, told: str) -> None:
    answer = client.post(URL, json=GOOD, headers={HEADER.encode(): told.encode()})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, HEADER)


def test_a_request_that_waits_longer_is_given_up(client: TestClient) -> None:
    many = {"model": "tiny", "input": ["the old lamp reads " * 4] * 2_000}
    answer = client.post(URL, json=many, headers={HEADER: "1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "deadline_exceeded")
    assert int(answer.headers["retry-after"]) >= 1
