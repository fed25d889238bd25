"""Tests of the Open Inference Protocol: tensors in JSON, and binary after it."""

import base64
import json
import struct
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import MINILM
from tests.images import encode, gradient_image, to_data_url
from tests.server import Server
from tests.service.api.reference import TEXTS, is_close, post, reference_vectors

INFER = f"/v2/models/{MINILM}/infer"
IMAGE_FILE = encode(gradient_image(90, 60), "PNG")


def texts(*values: object, **more: Any) -> dict[str, Any]:
    return {"name": "text", "shape": [len(values)], "datatype": "BYTES", "data": list(values), **more}


def packed(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def behind(body: dict[str, Any], tensors: bytes) -> tuple[bytes, dict[str, str]]:
    head = json.dumps(body).encode()
    return head + tensors, {"Inference-Header-Content-Length": str(len(head))}


def embedding(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    (output,) = answer.json()["outputs"]
    assert (output["name"], output["datatype"]) == ("embedding", "FP32")
    return np.array(output["data"]).reshape(output["shape"])


@pytest.mark.parametrize("path", [INFER, f"/v2/models/{MINILM}/versions/1/infer"])
def test_texts_as_json(server: Server, path: str) -> None:
    answer = post(server, path, {"id": "7", "inputs": [texts(*TEXTS)]})
    assert is_close(embedding(answer), reference_vectors(server, TEXTS))
    assert (answer.json()["id"], answer.json()["model_name"], answer.json()["model_version"]) == ("7", MINILM, "1")


def test_texts_behind_the_json_and_the_answer_likewise(server: Server) -> None:
    data = packed(*(text.encode() for text in TEXTS))
    tensor = {"name": "text", "shape": [3, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
    wanted = [{"name": "embedding", "parameters": {"binary_data": True}}]
    content, headers = behind({"inputs": [tensor], "outputs": wanted}, data)
    answer = httpx.post(server.url + INFER, content=content, headers=headers)
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert output["parameters"]["binary_data_size"] == len(answer.content) - length
    found = np.frombuffer(answer.content[length:], dtype="<f4").reshape(output["shape"])
    assert is_close(found, reference_vectors(server, TEXTS))


def test_token_ids_with_their_mask(server: Server) -> None:
    ids = [[101, 10437, 102, 0], [101, 1037, 10437, 102]]
    mask = [[1, 1, 1, 0], [1, 1, 1, 1]]
    inputs: list[dict[str, Any]] = [
        {"name": "input_ids", "shape": [2, 4], "datatype": "INT64", "data": [*ids[0], *ids[1]]},
        {"name": "attention_mask", "shape": [2, 4], "datatype": "INT64", "data": mask},
    ]
    expected = reference_vectors(server, [ids[0][:3], ids[1]])
    assert is_close(embedding(post(server, INFER, {"inputs": inputs})), expected)
    array = np.array(ids, dtype="<i8").tobytes()
    inputs[0] = {"name": "input_ids", "shape": [2, 4], "datatype": "INT64", "parameters": {"binary_data_size": 64}}
    content, headers = behind({"inputs": inputs}, array)
    assert is_close(embedding(httpx.post(server.url + INFER, content=content, headers=headers)), expected)


def test_image_files(both: Server) -> None:
    path, expected = (
        "/v2/models/scenes-vit/infer",
        reference_vectors(both, [{"image": to_data_url(IMAGE_FILE)}], model="scenes-vit"),
    )
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES"}
    as_json = {**tensor, "data": [base64.b64encode(IMAGE_FILE).decode()]}
    assert is_close(embedding(post(both, path, {"inputs": [as_json]})), expected)
    data = packed(IMAGE_FILE)
    content, headers = behind({"inputs": [{**tensor, "parameters": {"binary_data_size": len(data)}}]}, data)
    assert is_close(embedding(httpx.post(both.url + path, content=content, headers=headers)), expected)


def test_endpoints_respond(server: Server) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", f"/v2/models/{MINILM}/ready"):
        assert httpx.get(server.url + path).status_code == 200
    assert "binary_tensor_data" in httpx.get(f"{server.url}/v2").json()["extensions"]
    model = httpx.get(f"{server.url}/v2/models/{MINILM}").json()
    assert model["outputs"] == [{"name": "embedding", "datatype": "FP32", "shape": [-1, 384]}]
    assert {tensor["name"] for tensor in model["inputs"]} == {"text", "input_ids"}
    for path in ("/v2/models/gpt", "/v2/models/gpt/ready", f"/v2/models/{MINILM}/versions/2"):
        answer = httpx.get(server.url + path)
        assert answer.status_code == 404
        assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [texts()],
        [texts("a", shape=[2])],
        [texts("a", shape=[-1])],
        [texts("a", datatype="FP32", data=[1.0])],
        [texts("a", datatype="STRING")],
        [texts(1)],
        [texts(["a", 1], shape=[2])],
        [texts("a", data=None)],
        [texts("a", parameters={"binary_data_size": 5})],
        [texts("a", name="words")],
        [{"name": "input_ids", "shape": [1, 2, 1], "datatype": "INT64", "data": [1, 2]}],
        [{"name": "input_ids", "shape": [1, 0], "datatype": "INT64", "data": []}],
        [{"name": "input_ids", "shape": [1, 1], "datatype": "INT64", "data": [-4]}],
        [{"name": "input_ids", "shape": [1, 1], "datatype": "INT64", "data": [2**40]}],
        [
            {"name": "input_ids", "shape": [1, 1], "datatype": "INT64", "data": [4]},
            {"name": "attention_mask", "shape": [1, 1], "datatype": "INT64", "data": [0]},
        ],
        [texts("a", shape=[2**62, 2**62])],
    ],
)
def test_bad_tensors(server: Server, inputs: list[Any]) -> None:
    answer = post(server, INFER, {"inputs": inputs})
    assert answer.status_code == 400, answer.text
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    ("size", "data", "length"),
    [
        (5, packed(b"a"), "9999999"),
        (5, packed(b"a"), "-1"),
        (5, packed(b"a"), "x"),
        (5, packed(b"a"), "0" * 5_000),
        (4, packed(b"a"), None),
        (6, packed(b"a"), None),
        (6, packed(b"\xff\xfe"), None),
        (5, b"\xff\xff\xff\xffa", None),
        (3, b"\x01\x00\x00", None),
    ],
)
def test_bad_bytes_behind_the_json(server: Server, size: int, data: bytes, length: str | None) -> None:
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
    content, headers = behind({"inputs": [tensor]}, data)
    if length is not None:
        headers["Inference-Header-Content-Length"] = length
    answer = httpx.post(server.url + INFER, content=content, headers=headers)
    assert answer.status_code == 400, answer.text


def test_unknown_outputs_are_refused(server: Server) -> None:
    answer = post(server, INFER, {"inputs": [texts("a")], "outputs": [{"name": "logits"}]})
    assert answer.status_code == 400
    assert "embedding" in answer.json()["error"]


@pytest.mark.parametrize("name", ["text", "image", "input_ids", "attention_mask", "words"])
@pytest.mark.parametrize(("datatype", "data"), [("BYTES", ["abc"]), ("INT64", [101, 102]), ("FP32", [0.5])])
@pytest.mark.parametrize("model", [MINILM, "scenes-vit"])
def test_names_are_held_against_types(both: Server, model: str, name: str, datatype: str, data: list[Any]) -> None:
    tensor = {"name": name, "shape": [len(data)], "datatype": datatype, "data": data}
    answer = post(both, f"/v2/models/{model}/infer", {"inputs": [tensor]})
    right = model == MINILM and (name, datatype) in {("text", "BYTES"), ("input_ids", "INT64")}
    assert answer.status_code == (200 if right else 400), answer.text


def test_datatypes_that_no_input_has_are_refused_by_name(server: Server) -> None:
    for datatype in ("FP32", "UINT8"):
        answer = post(server, INFER, {"inputs": [texts("a", datatype=datatype)]})
        assert answer.status_code == 400
        assert answer.json()["error"] == "inputs[0].datatype: must be 'BYTES' or 'INT64'"


def test_two_tensors_of_one_name_are_refused(server: Server) -> None:
    assert post(server, INFER, {"inputs": [texts("a"), texts("b")]}).status_code == 400


@pytest.mark.parametrize("shape", [[3_000_000, 1], [1, 3_000_000], [3_000_000]])
def test_tensor_over_the_limit_is_refused_by_its_shape(server: Server, shape: list[int]) -> None:
    tensor = {"name": "input_ids", "shape": shape, "datatype": "INT64", "data": [1]}
    assert post(server, INFER, {"inputs": [tensor]}).status_code == 400


def test_error_names_the_field_as_sent(both: Server) -> None:
    ids = {"name": "input_ids", "shape": [2, 2], "datatype": "INT64", "data": [101, 102, 101, 2**40]}
    mask = {"name": "attention_mask", "shape": [2, 2], "datatype": "INT64", "data": [1, 1, 1, 1]}
    image = {"name": "image", "shape": [3], "datatype": "BYTES"} | {"data": [to_data_url(IMAGE_FILE), "aGk=", ""]}
    for path, inputs, name in (
        (INFER, [mask, ids], "inputs[1].data[1]: "),
        (INFER, [texts(*["a"] * 2_049)], "inputs[0]: "),
        ("/v2/models/scenes-vit/infer", [image], "inputs[0].data[1]: "),
    ):
        error = post(both, path, {"inputs": inputs}).json()["error"]
        assert error.startswith(name), error
