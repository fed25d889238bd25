"""Tests of a session for which every run fails, as after CUDA's sticky errors."""

import pytest

from service.errors import InferenceFailed
from service.runtime.session import Session
from tests.service.conftest import URL, VALID_BODY, ClientFactory


def always_fail(*_args: object, **_kwargs: object) -> None:
    raise InferenceFailed("the model could not be run")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_livez_fails_when_a_session_is_lost(serving: ClientFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as client:
        assert client.post(URL, json=VALID_BODY).status_code == client.get("/livez").status_code == 200
        assert "headlight_engine_alive 1.0" in client.get("/metrics").text
        monkeypatch.setattr(Session, "run", always_fail)
        codes = [client.post(URL, json=VALID_BODY).json()["error"]["code"] for _ in range(4)]
        assert codes == ["inference_failed", "inference_failed", "not_ready", "not_ready"]
        assert "headlight_engine_alive 0.0" in client.get("/metrics").text
        for path in ("/livez", "/readyz"):
            assert client.get(path).status_code == 503
