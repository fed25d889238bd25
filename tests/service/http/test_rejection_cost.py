"""Tests of the cost of refusing the largest body: none blocks the event loop for long."""

import gzip
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from service.api import DIALECTS, cohere, ollama, tei, weaviate
from service.api.oip.request import InferRequest, to_inputs
from service.errors import HeadlightError
from service.http import body
from service.http.validation import RequestModel

MAX_BODY_BYTES = 16 * 2**20
REQUESTS = [e.request_model for dialect in DIALECTS for e in dialect.endpoints if e.request_model]
MAX_CPU_S = 5.0
"""Of a processor that others may be using too: what these are to catch took ten to a thousand."""


def lists(schema: Any) -> Iterator[dict[str, Any]]:
    """Every list in a pydantic-core schema."""
    if isinstance(schema, dict):
        if schema.get("type") in ("list", "tuple"):
            yield schema
        for value in schema.values():
            yield from lists(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from lists(value)


@pytest.mark.parametrize("model", dict.fromkeys(REQUESTS))
def test_list_validation_fails_fast(model: type[BaseModel]) -> None:
    for found in lists(model.__pydantic_core_schema__):
        few = found.get("max_length") is not None and found["max_length"] <= 8
        fixed = found["type"] == "tuple" and "variadic_item_index" not in found  # more items are one error
        untyped = found.get("items_schema") in (None, {"type": "any"})
        assert found.get("fail_fast") or few or fixed or untyped, f"{model.__name__}: {found}"


def fill_body(before: bytes, part: bytes, after: bytes) -> bytes:
    return before + b",".join([part] * ((MAX_BODY_BYTES - 1_000) // (len(part) + 1))) + after


def cpu_seconds_until_rejected(run: Callable[[], object]) -> float:
    """Seconds of a processor until it is refused."""
    began = time.process_time()
    with pytest.raises(HeadlightError):
        run()
    return time.process_time() - began


@pytest.mark.parametrize(
    "content",
    [
        zlib.compress(b"") * (MAX_BODY_BYTES // 8),
        gzip.compress(b"") * (MAX_BODY_BYTES // 20),
        gzip.compress(b"0" * 2_000_000_000, compresslevel=1)[:MAX_BODY_BYTES],
    ],
    ids=["deflate", "gzip", "bomb"],
)
def test_inflation_is_bounded(content: bytes) -> None:
    assert cpu_seconds_until_rejected(lambda: body.inflate(content, MAX_BODY_BYTES)) < MAX_CPU_S


@pytest.mark.parametrize(
    ("model", "content"),
    [
        (ollama.OllamaEmbedRequest, fill_body(b'{"model":"a","input":[', b"1", b"]}")),
        (ollama.OllamaEmbedRequest, fill_body(b'{"model":1,"input":"","x":[', b"[]", b"]}")),
        (ollama.OllamaEmbedRequest, fill_body(b'{"model":1,"input":["', b'["\\"', b"]}")),
        (cohere.CohereRequest, fill_body(b'{"model":"a","texts":["a"],"embedding_types":[', b"1", b"]}")),
        (cohere.CohereRequest, fill_body(b'{"model":"a","inputs":[', b'{"content":[]}', b"]}")),
        (weaviate.VectorizeRequest, fill_body(b'{"images":[', b"{}", b"]}")),
        (tei.request.TeiEmbedRequest, fill_body(b'{"inputs":[', b"[1]", b"]}")),
        (tei.request.DecodeRequest, fill_body(b'{"ids":[[', b"1.5", b"]]}")),
        (InferRequest, fill_body(b'{"inputs":[{"name":"a","shape":[', b"1", b'],"datatype":"BYTES","data":[]}]}')),
    ],
)
def test_validation_is_bounded(model: type[RequestModel], content: bytes) -> None:
    assert cpu_seconds_until_rejected(lambda: model.parse(body.parse_json(content), max_inputs=2_048)) < MAX_CPU_S


@pytest.mark.parametrize(
    ("tensor", "behind"),
    [
        ({"name": "text", "shape": [1], "datatype": "BYTES"}, bytes(MAX_BODY_BYTES)),
        ({"name": "input_ids", "shape": [2**21, 1], "datatype": "INT64"}, bytes(MAX_BODY_BYTES)),
    ],
)
def test_binary_tensor_parsing_is_bounded(tensor: dict[str, Any], behind: bytes) -> None:
    tensor |= {"parameters": {"binary_data_size": len(behind)}}
    request = InferRequest.parse(orjson.loads(orjson.dumps({"inputs": [tensor]})), max_inputs=2_048)
    assert cpu_seconds_until_rejected(lambda: to_inputs(request, behind, "text", 2_048)) < MAX_CPU_S
