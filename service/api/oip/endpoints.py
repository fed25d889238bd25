"""Open Inference Protocol v2: health, metadata, and `POST /v2/models/{model}/infer`."""

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from models.artifact.arrays import Floats
from service import VERSION as SERVER_VERSION
from service.api.oip.request import EMBEDDING, IDS, IMAGE, TEXT, InferRequest, to_inputs
from service.errors import InvalidInput, ModelNotFound, UnsupportedMediaType
from service.http import body, error_responses, responses
from service.http.endpoints import Dialect, Endpoint
from service.http.error_responses import PlainError
from service.http.request import HttpRequest, infer_http, parse_header_int
from service.http.validation import max_inputs, parse_request_json
from service.pipeline.types import InferenceRequest
from service.runtime.encoder import AnyEncoder

HEADER_LENGTH = "inference-header-content-length"
"""Header with the length of the JSON that binary tensors follow."""

BINARY = "application/octet-stream"
VERSION = "1"
"""Version of every model: another version would be served under another name."""


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


class InferResponse(BaseModel):
    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[ResponseTensor]


async def server(_request: HttpRequest) -> Response:
    """Describe the server."""
    return responses.json_response(
        {"name": "headlight", "version": SERVER_VERSION, "extensions": ["binary_tensor_data"]}
    )


async def live(request: HttpRequest) -> Response:
    """200 while the engine is at work."""
    state = request.app_state
    state.check_alive()
    return responses.json_response({"live": True})


async def ready(request: HttpRequest) -> Response:
    """200 once warmed up and not draining."""
    state = request.app_state
    state.check_ready()
    return responses.json_response({"ready": True})


async def model_ready(request: HttpRequest) -> Response:
    """200 for a served model."""
    encoder = _encoder(request)
    state = request.app_state
    state.check_ready()
    return responses.json_response({"name": encoder.name, "ready": True})


async def model(request: HttpRequest) -> Response:
    """Describe a model's inputs and outputs."""
    manifest = _encoder(request).manifest
    inputs = [(IMAGE, "BYTES", [-1])] if manifest.image else [(TEXT, "BYTES", [-1]), (IDS, "INT64", [-1, -1])]
    outputs = [(EMBEDDING, "FP32", [-1, manifest.embedding.dim])] if "embed" in manifest.tasks else []
    return responses.json_response(
        {
            "name": manifest.name,
            "versions": [VERSION],
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in inputs],
            "outputs": [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in outputs],
        }
    )


async def infer(request: HttpRequest) -> Response:
    """Embed texts, token ids or images."""
    encoder = _encoder(request)
    content, binary_tail = await _split_body(request)
    payload = InferRequest.parse(parse_request_json(request, content), max_inputs(request))
    payload.check_outputs()
    name, inputs = to_inputs(payload, binary_tail, encoder.manifest.modality, max_inputs(request))
    if not inputs:
        raise InvalidInput("the request has no inputs to embed", "inputs")
    tensor_index = next(i for i, tensor in enumerate(payload.inputs) if tensor.name == name)
    result = await infer_http(
        request, InferenceRequest(inputs, model=encoder.name, input_path=f"inputs[{tensor_index}].data[{{}}]".format)
    )
    return await _infer_response(payload, encoder, result.embeddings)


async def _split_body(request: HttpRequest) -> tuple[bytes, bytes]:
    """Return the JSON of a request, and the tensors after it."""
    json_length = request.header_values.get(HEADER_LENGTH)
    if body.media_type(request) not in (body.JSON, BINARY):
        raise UnsupportedMediaType(f"send the body as Content-Type: {body.JSON}, or {BINARY} with binary tensors")
    content = await body.read_body(request)
    if json_length is None:
        return content, b""
    description = "the length of the JSON in bytes"
    length = parse_header_int(json_length, HEADER_LENGTH, description)
    if length > len(content):
        raise InvalidInput(f"the header must be {description}", HEADER_LENGTH)
    return content[:length], content[length:]


async def _infer_response(payload: InferRequest, encoder: AnyEncoder, vectors: Floats) -> Response:
    tensor: dict[str, Any] = {"name": EMBEDDING, "datatype": "FP32", "shape": vectors.shape}
    response = {"model_name": encoder.name, "model_version": VERSION, "outputs": [tensor]}
    if payload.id is not None:
        response["id"] = payload.id
    if not payload.wants_binary():
        tensor["data"] = responses.JsonArray(vectors.reshape(-1))
        return await responses.streaming_json(response)
    packed = vectors.astype("<f4").tobytes()
    tensor["parameters"] = {"binary_data_size": len(packed)}
    header = responses.dump(response)
    return Response(header + packed, headers={HEADER_LENGTH: str(len(header))}, media_type=BINARY)


def _encoder(request: HttpRequest) -> AnyEncoder:
    state = request.app_state
    if request.path_params.get("version", VERSION) != VERSION:
        raise ModelNotFound(f"unknown version; available: {VERSION}", "version")
    return state.models.get(request.path_params["model"])


def _model_endpoints(path: str) -> tuple[Endpoint, ...]:
    example = {"model": "all-MiniLM-L6-v2", "inputs": [
        {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["A lamp.", "The sea."]}
    ]}  # fmt: skip
    return (
        Endpoint("POST", f"{path}/infer", infer, "Embed", InferRequest, InferResponse, {"texts": example}),
        Endpoint("GET", f"{path}/ready", model_ready, "Model readiness", public=True),
        Endpoint("GET", path, model, "Model metadata", response_model=ModelMetadata),
    )


DIALECT = Dialect(
    "Open Inference Protocol",
    (
        *_model_endpoints("/v2/models/{model}"),
        *_model_endpoints("/v2/models/{model}/versions/{version}"),
        Endpoint("GET", "/v2", server, "Server metadata", response_model=ServerMetadata, public=True),
        Endpoint("GET", "/v2/health/live", live, "Liveness", public=True, is_probe=True),
        Endpoint("GET", "/v2/health/ready", ready, "Readiness", public=True, is_probe=True),
    ),
    PlainError,
    error_responses.simple_error_response,
)
