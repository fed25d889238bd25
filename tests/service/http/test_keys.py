"""API keys: several, from the settings and from a file that changes while it is served."""

import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service import keyring
from service.keyring import Keyring
from service.operations import OPERATIONS
from tests.service.conftest import GOOD, URL, Serving


def status(client: TestClient, **headers: str) -> int:
    return client.post(
        URL, json=GOOD, headers={name.replace("_", "-"): key for name, key in headers.items()}
    ).status_code


def test_without_keys_everyone_may_ask(client: TestClient) -> None:
    assert status(client) == status(client, authorization="Bearer anything") == 200


def test_each_key_opens_and_nothing_else_does(serving: Serving) -> None:
    with serving(api_keys=("first", "ключ")) as client:
        for presented in (b"Bearer first", b"bearer  first", "Bearer ключ".encode()):
            assert client.post(URL, json=GOOD, headers={b"Authorization": presented}).status_code == 200
        assert status(client, x_api_key="first") == status(client, api_key="first") == 200
        for wrong in ("Bearer firs", "Bearer firstt", "Bearer", "", "Basic first", "first"):
            assert status(client, authorization=wrong) == 401
        refused = client.post(URL, json=GOOD)
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["error"]["code"] == "invalid_api_key"
        assert "first" not in refused.text


def test_a_refused_key_comes_in_the_dialects_own_shape(serving: Serving) -> None:
    with serving(api_keys=("first",)) as client:
        assert client.post("/embed", json={"inputs": "a"}).json()["error_type"] == "Validation"
        assert isinstance(client.post("/vectors", json={"text": "a"}).json()["error"], str)
        assert isinstance(client.post("/v2/embed", json={}).json()["message"], str)


def test_what_watches_needs_no_key(serving: Serving) -> None:
    with serving(api_keys=("first",)) as client:
        for endpoint in OPERATIONS.endpoints:
            path = endpoint.path.format(file="app.js", scene="0.png")
            assert client.get(path).status_code == 200
        for path in ("/health", "/v2/health/ready", "/.well-known/ready"):
            assert client.get(path).status_code in (200, 204)
        for path in ("/v1/models", "/info", "/api/tags", "/v2/models/tiny"):
            assert client.get(path).status_code == 401


def test_an_empty_key_is_no_key() -> None:
    assert not Keyring(("a",)).admits(b"")
    assert not Keyring(("",)[:0], file=Path(os.devnull)).admits(b"")


def test_the_file_is_read_anew_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "LOOK_EVERY_S", 0.0)
    file = tmp_path / "keys"
    file.write_text("# ours\nold\n\n  spaced  \n")
    keys = Keyring(("fixed",), file)
    assert [keys.admits(key) for key in (b"fixed", b"old", b"spaced", b"# ours", b"", b"new")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    (tmp_path / "next").write_text("new\n")
    (tmp_path / "next").replace(file)
    assert [keys.admits(key) for key in (b"fixed", b"old", b"new")] == [True, False, True]
    file.unlink()
    assert keys.admits(b"new"), "a file that is gone for a moment locks nobody out"
    file.write_text("")
    assert not keys.admits(b"new")


def test_a_file_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Keyring(file=tmp_path / "none")
