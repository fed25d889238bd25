"""Tests of API keys: several, from the settings and from a file that changes while the server runs."""

import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.http import auth
from service.http.auth import ApiKeyStore
from service.ops.endpoints import OPERATIONS
from tests.service.conftest import URL, VALID_BODY, ClientFactory


def status(client: TestClient, **headers: str) -> int:
    return client.post(
        URL, json=VALID_BODY, headers={name.replace("_", "-"): key for name, key in headers.items()}
    ).status_code


def test_auth_is_disabled_without_keys(client: TestClient) -> None:
    assert status(client) == status(client, authorization="Bearer anything") == 200


def test_only_configured_keys_are_accepted(serving: ClientFactory) -> None:
    with serving(api_keys=("first", "ключ")) as client:
        for presented in (b"Bearer first", b"bearer  first", "Bearer ключ".encode()):
            assert client.post(URL, json=VALID_BODY, headers={b"Authorization": presented}).status_code == 200
        assert status(client, x_api_key="first") == status(client, api_key="first") == 200
        for wrong in ("Bearer firs", "Bearer firstt", "Bearer", "", "Basic first", "first"):
            assert status(client, authorization=wrong) == 401
        refused = client.post(URL, json=VALID_BODY)
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["error"]["code"] == "invalid_api_key"
        assert "first" not in refused.text


def test_invalid_key_error_has_the_dialects_shape(serving: ClientFactory) -> None:
    with serving(api_keys=("first",)) as client:
        assert client.post("/embed", json={"inputs": "a"}).json()["error_type"] == "Validation"
        assert client.post("/vectors", json={"text": "a"}).json() == {"error": "Unauthorized"}
        assert isinstance(client.post("/v2/embed", json={}).json()["message"], str)


def test_probes_need_no_key(serving: ClientFactory) -> None:
    with serving(api_keys=("first",)) as client:
        for endpoint in OPERATIONS.endpoints:
            file = "start.js" if endpoint.path.startswith("/docs") else "app.js"
            path = endpoint.path.format(file=file, scene="0.webp")
            assert client.get(path).status_code == 200
        for path in ("/health", "/v2/health/ready", "/.well-known/ready"):
            assert client.get(path).status_code in (200, 204)
        for path in ("/v1/models", "/info", "/api/tags", "/v2/models/tiny", "/meta"):
            assert client.get(path).status_code == 401


def test_empty_key_is_invalid() -> None:
    assert not ApiKeyStore(("a",)).is_valid(b"")
    assert not ApiKeyStore(("",)[:0], file=Path(os.devnull)).is_valid(b"")


def test_key_file_is_reloaded_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "RELOAD_INTERVAL_S", 0.0)
    file = tmp_path / "keys"
    file.write_text("# ours\nold\n\n  spaced  \n")
    keys = ApiKeyStore(("fixed",), file)
    assert [keys.is_valid(key) for key in (b"fixed", b"old", b"spaced", b"# ours", b"", b"new")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    (tmp_path / "next").write_text("new\n")
    (tmp_path / "next").replace(file)
    assert [keys.is_valid(key) for key in (b"fixed", b"old", b"new")] == [True, False, True]
    file.unlink()
    assert keys.is_valid(b"new"), "a file that is gone for a moment locks nobody out"
    file.write_text("")
    assert not keys.is_valid(b"new")


def test_missing_key_file_fails_at_startup(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ApiKeyStore(file=tmp_path / "none")
