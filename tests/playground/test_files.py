"""Tests of the playground's files and their headers, and of two APIs at one path."""

import json
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr
from starlette.testclient import TestClient

from models.scenes.__main__ import write_examples
from service.app import create_app
from service.playground.endpoints import FILES, PATH, SCENE_LIST, SCENES
from service.settings import Settings
from tests.conftest import MINILM
from tests.server import Server

TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "html": "text/html"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_file_is_served_as_it_is(server: Server, name: str) -> None:
    answer = httpx.get(f"{server.url}/playground/{name}")
    assert answer.content == files("service.playground").joinpath("page", name).read_bytes()
    assert answer.headers["content-type"].startswith(TYPES[name.rpartition(".")[2]])


def test_page_is_at_the_root_and_can_load_from_nowhere_else(server: Server) -> None:
    answer = httpx.get(f"{server.url}/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    assert {"script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} < set(policy)
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    for content in FILES.values():
        assert b"https://" not in content.body
        assert b"innerHTML" not in content.body


def test_cached_file_is_not_sent_again(server: Server) -> None:
    url = f"{server.url}/playground/app.js"
    tag = httpx.get(url).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = httpx.get(url, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert httpx.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("name", ["nothing.js", "%2e%2e%2fpage_files.py", "..%2fpage_files.py", "page_files.py", "%00"])
def test_unknown_file_is_not_served(server: Server, name: str) -> None:
    for folder in ("playground", "playground/scenes"):
        assert httpx.get(f"{server.url}/{folder}/{name}").json()["error"]["code"] == "not_found"


def test_root_is_read_by_browsers_and_asked_by_clients(server: Server) -> None:
    url = f"{server.url}/"
    head = httpx.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(httpx.get(url).content)
    (vector,) = httpx.post(url, json={"inputs": "A lamp."}).json()
    assert len(vector) == 384
    assert httpx.post(url, json={"inputs": []}).json()["error_type"] == "Empty"
    refused = httpx.put(url)
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == {"GET", "POST"}


def test_each_method_has_the_errors_of_its_dialect(tiny: Path) -> None:
    with TestClient(create_app(Settings(models=(tiny,), api_keys=(SecretStr("secret"),)))) as client:
        assert client.get("/").status_code == 200, "the page itself needs no key"
        assert client.get("/playground/scenes").status_code == 200
        answer = client.post("/", json={"inputs": "A lamp."})
        assert (answer.status_code, answer.json()["error_type"]) == (401, "Validation")
        assert client.get("/playground/nothing").json()["error"]["code"] == "not_found"


def test_scenes_are_those_of_the_command(tmp_path: Path) -> None:
    """Unseen in training, and decoded by any version of the codec to nearly the same pixels."""
    write_examples(tmp_path)
    captions = json.loads((tmp_path / "scenes.json").read_text(encoding="utf-8"))
    entries = json.loads(SCENE_LIST.body)["data"]
    assert [entry["caption"] for entry in entries] == captions
    assert len(set(captions)) == 20
    for entry in entries:
        name = entry["url"].removeprefix(PATH)
        packaged, drawn = (Image.open(source) for source in (BytesIO(SCENES[name].body), tmp_path / name))
        assert packaged.size == drawn.size == (entry["width_px"], entry["height_px"])
        assert np.abs(np.asarray(packaged, int) - np.asarray(drawn, int)).mean() < 2


def test_scenes_are_served(server: Server) -> None:
    for entry in httpx.get(f"{server.url}/playground/scenes").json()["data"]:
        answer = httpx.get(f"{server.url}/{entry['url']}")
        assert answer.headers["content-type"] == "image/webp"
    assert httpx.get(f"{server.url}/playground/scenes/99.webp").status_code == 404


def test_caption_finds_its_scene(both: Server) -> None:
    listed = httpx.get(f"{both.url}/playground/scenes").json()["data"]
    said = [scene["caption"] for scene in listed]
    texts = httpx.post(f"{both.url}/v1/embeddings", json={"model": MINILM, "input": said}).json()["data"]
    seen = []
    for scene in listed:
        image = httpx.get(f"{both.url}/{scene['url']}").content
        answer = httpx.post(
            f"{both.url}/v1/embeddings?model=scenes-vit", content=image, headers={"Content-Type": "image/webp"}
        )
        seen.append(answer.json()["data"][0]["embedding"])
    for i, text in enumerate(texts):
        near = [sum(a * b for a, b in zip(text["embedding"], vector, strict=True)) for vector in seen]
        assert near.index(max(near)) == i
