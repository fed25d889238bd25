"""A session for which every run fails, as after CUDA's sticky errors, seen from outside."""

import pytest

from service.errors import InferenceFailed
from service.runtime.session import Session
from tests.service.conftest import GOOD, URL, Serving


def never(*_args: object, **_kwargs: object) -> None:
    raise InferenceFailed("the model could not be run")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_livez_fails_so_that_it_is_started_anew(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as client:
        assert client.post(URL, json=GOOD).status_code == client.get("/livez").status_code == 200
        assert "headlight_engine_alive 1.0" in client.get("/metrics").text
        monkeypatch.setattr(Session, "run", never)
        codes = [client.post(URL, json=GOOD).json()["error"]["code"] for _ in range(4)]
        assert codes == ["inference_failed", "inference_failed", "not_ready", "not_ready"]
        assert "headlight_engine_alive 0.0" in client.get("/metrics").text
        for path in ("/livez", "/readyz"):
            assert client.get(path).status_code == 503
