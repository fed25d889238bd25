"""Tests with Triton's client of the Open Inference Protocol, which by default sends binary tensors after the JSON."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.clients.reference import NO_SUCH_MODEL, TEXTS, WIDTH, assert_same
from tests.conftest import MINILM
from tests.server import Server


@pytest.fixture
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as running:
        yield running


def tensor(texts: list[str], *, binary: bool = True, batched: bool = False) -> triton.InferInput:
    array = np.array([text.encode() for text in texts], dtype=np.object_)
    array = array[:, None] if batched else array
    made = triton.InferInput("text", array.shape, "BYTES")
    made.set_data_from_numpy(array, binary_data=binary)
    return made


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_texts_as_json_and_in_binary(
    client: triton.InferenceServerClient, expected: np.ndarray, *, binary: bool, batched: bool
) -> None:
    sent = tensor(TEXTS, binary=binary, batched=batched)
    # Without `outputs` the client requests binary outputs; with one, it requests the encoding set there.
    for asked in (None, [triton.InferRequestedOutput("embedding", binary_data=binary)]):
        result = client.infer(MINILM, [sent], outputs=asked)
        got = result.as_numpy("embedding")
        assert got.dtype == np.float32
        assert_same(got, expected)
        in_binary = "data" not in result.get_output("embedding")
        assert in_binary == (asked is None or binary)


def test_compressed_request_is_decoded(client: triton.InferenceServerClient, expected: np.ndarray) -> None:
    result = client.infer(MINILM, [tensor(TEXTS)], request_compression_algorithm="gzip")
    assert_same(result.as_numpy("embedding"), expected)


def test_request_keeps_its_id(client: triton.InferenceServerClient) -> None:
    answer = client.infer(MINILM, [tensor(TEXTS)], request_id="17").get_response()
    assert (answer["id"], answer["model_name"]) == ("17", MINILM)


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MINILM)
    assert not client.is_model_ready(NO_SUCH_MODEL)
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata(MINILM)
    assert metadata["name"] == MINILM
    assert {"name": "text", "datatype": "BYTES", "shape": [-1]} in metadata["inputs"]
    assert {"name": "embedding", "datatype": "FP32", "shape": [-1, WIDTH]} in metadata["outputs"]


def test_errors_are_its_own(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match=MINILM) as caught:
        client.infer(NO_SUCH_MODEL, [tensor(TEXTS)])
    assert caught.value.status() == "404"
    with pytest.raises(InferenceServerException, match="output") as caught:
        client.infer(MINILM, [tensor(TEXTS)], outputs=[triton.InferRequestedOutput("logits")])
    assert caught.value.status() == "400"
