"""Open Inference Protocol v2: health, metadata, and `POST /v2/models/{model}/infer`."""

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from models.contract.arrays import Floats
from service import VERSION as SERVER_VERSION
from service.dialects.oip.request import EMBEDDING, IDS, IMAGE, TEXT, InferRequest, inputs_of
from service.errors import InvalidInput, UnsupportedMediaType
from service.http import body, numbers, pieces, problems, responses
from service.http.asked import Asked
from service.http.described import PlainError
from service.http.embedding import embed
from service.http.endpoints import Dialect, Endpoint
from service.http.exchange import Exchange
from service.http.validation import max_items, parsed
from service.runtime.encoder import AnyEncoder

HEADER_LENGTH = "inference-header-content-length"
"""Of a body with tensors behind its JSON: how long that is."""

BINARY = "application/octet-stream"
VERSION = "1"
"""Of every model: an artifact of another name is another model."""


class ServerMetadata(BaseModel):
    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ResponseTensor(TensorMetadata):
    data: list[float] = Field(description="Row by row.")


class InferAnswer(BaseModel):
    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[ResponseTensor]


async def server(_request: Exchange) -> Response:
    """What this server is."""
    return responses.json({"name": "headlight", "version": SERVER_VERSION, "extensions": ["binary_tensor_data"]})


async def live(request: Exchange) -> Response:
    """200 while the engine is at work."""
    state = request.headlight
    state.check_alive()
    return responses.json({"live": True})


async def ready(request: Exchange) -> Response:
    """200 once warmed up and not draining."""
    state = request.headlight
    state.check_ready()
    return responses.json({"ready": True})


async def model_ready(request: Exchange) -> Response:
    """200 for a served model."""
    encoder = _encoder(request)
    state = request.headlight
    state.check_ready()
    return responses.json({"name": encoder.name, "ready": True})


async def model(request: Exchange) -> Response:
    """What a model takes and gives."""
    manifest = _encoder(request).manifest
    inputs = [(IMAGE, "BYTES", [-1])] if manifest.image else [(TEXT, "BYTES", [-1]), (IDS, "INT64", [-1, -1])]
    outputs = [(EMBEDDING, "FP32", [-1, manifest.embedding.width])]
    return responses.json(
        {
            "name": manifest.name,
            "versions": [VERSION],
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in inputs],
            "outputs": [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in outputs],
        }
    )


async def infer(request: Exchange) -> Response:
    """Embed texts, token ids or images."""
    encoder = _encoder(request)
    content, behind = await _parts(request)
    found = InferRequest.parse(parsed(request, content), max_items(request))
    found.check_outputs()
    name, inputs = inputs_of(found, behind, encoder.manifest.modality, max_items(request))
    if not inputs:
        raise InvalidInput("there is nothing to embed", "inputs")
    place = next(i for i, tensor in enumerate(found.inputs) if tensor.name == name)
    embedded = await embed(request, Asked(inputs, model=encoder.name, names=f"inputs[{place}].data[{{}}]".format))
    return await _answer(found, encoder, embedded.vectors)


async def _parts(request: Exchange) -> tuple[bytes, bytes]:
    """The JSON of a request, and the tensors behind it."""
    told = request.fields.get(HEADER_LENGTH)
    if body.media_type(request) not in (body.JSON, BINARY):
        raise UnsupportedMediaType(f"send the body as Content-Type: {body.JSON}, or {BINARY} with tensors behind it")
    content = await body.read(request)
    if told is None:
        return content, b""
    what = "the length of the JSON in bytes"
    length = numbers.of_header(told, HEADER_LENGTH, what)
    if length > len(content):
        raise InvalidInput(f"the header is {what}", HEADER_LENGTH)
    return content[:length], content[length:]


async def _answer(found: InferRequest, encoder: AnyEncoder, vectors: Floats) -> Response:
    tensor: dict[str, Any] = {"name": EMBEDDING, "datatype": "FP32", "shape": vectors.shape}
    answer = {"model_name": encoder.name, "model_version": VERSION, "outputs": [tensor]}
    if found.id is not None:
        answer["id"] = found.id
    if not found.binary():
        tensor["data"] = pieces.Numbers(vectors.reshape(-1))
        return await responses.in_pieces(answer)
    packed = vectors.astype("<f4").tobytes()
    tensor["parameters"] = {"binary_data_size": len(packed)}
    header = pieces.dump(answer)
    return Response(header + packed, headers={HEADER_LENGTH: str(len(header))}, media_type=BINARY)


def _encoder(request: Exchange) -> AnyEncoder:
    state = request.headlight
    if request.path_params.get("version", VERSION) != VERSION:
        return state.model("")
    return state.model(request.path_params["model"])


def _of_model(path: str) -> tuple[Endpoint, ...]:
    example = {"model": "all-MiniLM-L6-v2", "inputs": [
        {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["A lamp.", "The sea."]}
    ]}  # fmt: skip
    return (
        Endpoint("POST", f"{path}/infer", infer, "Embed", InferRequest, InferAnswer, {"texts": example}),
        Endpoint("GET", f"{path}/ready", model_ready, "Is it ready?", keyless=True),
        Endpoint("GET", path, model, "What a model takes and gives", answer=ModelMetadata),
    )


DIALECT = Dialect(
    "Open Inference Protocol",
    (
        *_of_model("/v2/models/{model}"),
        *_of_model("/v2/models/{model}/versions/{version}"),
        Endpoint("GET", "/v2", server, "What this server is", answer=ServerMetadata, keyless=True),
        Endpoint("GET", "/v2/health/live", live, "Is the engine at work?", keyless=True, probe=True),
        Endpoint("GET", "/v2/health/ready", ready, "Is it ready?", keyless=True, probe=True),
    ),
    PlainError,
    problems.plain,
)
