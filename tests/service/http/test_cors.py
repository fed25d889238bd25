"""Tests of CORS."""

from starlette.testclient import TestClient

from tests.service.conftest import URL, VALID_BODY, ClientFactory

PREFLIGHT = {"Origin": "https://one.example", "Access-Control-Request-Method": "POST"}


def test_cors_is_off_by_default(client: TestClient) -> None:
    assert client.options(URL, headers=PREFLIGHT).status_code == 405
    answer = client.post(URL, json=VALID_BODY, headers={"Origin": "https://one.example"})
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_cors_allows_configured_origins(serving: ClientFactory) -> None:
    with serving(cors_origins=("https://one.example",)) as client:
        asked = client.options(URL, headers={**PREFLIGHT, "Access-Control-Request-Headers": "authorization"})
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, "https://one.example")
        answer = client.post(URL, json=VALID_BODY, headers={"Origin": "https://one.example"})
        assert "server-timing" in answer.headers["access-control-expose-headers"]
        other = client.options(URL, headers={**PREFLIGHT, "Origin": "https://two.example"})
        assert "access-control-allow-origin" not in other.headers
