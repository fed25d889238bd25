"""Tests of the OpenAPI document: complete, its examples run, and schemathesis finds no error."""

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.api import DIALECTS
from service.app import create_app
from service.ops import docs_page
from service.ops.endpoints import OPERATIONS
from service.ops.openapi import build_openapi
from tests.conftest import MINILM
from tests.server import Server

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)

EXAMPLES = [
    pytest.param(endpoint.path, example, id=f"{endpoint.path} {name}")
    for dialect in DIALECTS
    for endpoint in dialect.endpoints
    for name, example in endpoint.examples.items()
]


@pytest.fixture(scope="module")
def schema(every_task: Server) -> Any:
    return schemathesis.openapi.from_url(f"{every_task.url}/openapi.json")


OPERATIONS_SERVED = [
    pytest.param(endpoint.path, endpoint.method, id=f"{endpoint.method} {endpoint.path}")
    for dialect in (*DIALECTS, OPERATIONS)
    for endpoint in dialect.endpoints
]


def test_every_route_is_documented() -> None:
    served = {route.path for route in create_app().routes}  # type: ignore[attr-defined]
    assert build_openapi((*DIALECTS, OPERATIONS))["paths"].keys() == served


def test_every_request_has_an_example() -> None:
    for dialect in DIALECTS:
        for endpoint in dialect.endpoints:
            assert bool(endpoint.request_model) == bool(endpoint.examples), endpoint.path


@pytest.mark.parametrize(("path", "example"), EXAMPLES)
def test_examples_return_200(every_task: Server, path: str, example: dict[str, Any]) -> None:
    url = every_task.url + path.replace("{model}", example.get("model", MINILM)).replace("{version}", "1")
    answer = httpx.post(url, json=example, timeout=60)
    assert answer.status_code == 200, answer.text


def test_schema_references_resolve(every_task: Server) -> None:
    found = httpx.get(f"{every_task.url}/openapi.json").json()
    for reference in _references(found):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in found["components"][kind]


def test_requests_document_their_headers(every_task: Server) -> None:
    found = httpx.get(f"{every_task.url}/openapi.json").json()
    names = {
        found["components"]["parameters"][reference["$ref"].rpartition("/")[2]]["name"]
        for reference in found["paths"]["/v1/embeddings"]["post"]["parameters"]
        if "$ref" in reference
    }
    assert names == {"X-Queue-Timeout-Ms", "X-Request-Id"}


def test_docs_page_loads_no_other_host(every_task: Server) -> None:
    page = httpx.get(f"{every_task.url}/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy


def test_swagger_ui_is_the_published_one() -> None:
    for name, digest in docs_page.SOURCES.items():
        assert hashlib.sha256(docs_page.FILES[name].body).hexdigest() == digest


def test_docs_files_are_compressed_and_revalidated(every_task: Server) -> None:
    url = f"{every_task.url}/docs/swagger-ui-bundle.js"
    plain, packed = (httpx.get(url, headers={"Accept-Encoding": kind}) for kind in ("identity", "gzip"))
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    again = httpx.get(url, headers={"If-None-Match": packed.headers["etag"]})
    assert again.status_code == 304
    assert httpx.get(f"{every_task.url}/docs/passwd").status_code == 404


@pytest.mark.parametrize(("path", "method"), OPERATIONS_SERVED)
def test_fuzzed_requests_conform_to_schema(schema: Any, path: str, method: str) -> None:
    @given(case=schema[path][method].as_strategy())
    @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def attack(case: Any) -> None:
        case.headers.pop("X-Queue-Timeout-Ms", None)  # a short one is exceeded, which is a 503
        case.call_and_validate(checks=CHECKS, timeout=30)

    attack()


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    if isinstance(node, list):
        for value in node:
            yield from _references(value)
