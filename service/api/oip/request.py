"""Inference request of the Open Inference Protocol, and its inputs."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from models.artifact.manifest import Modality
from service import limits
from service.errors import InvalidInput, TooManyInputs
from service.http.validation import RequestModel
from service.pipeline.types import Image, Input, TokenIds

INT64_BYTES = 8
LENGTH_BYTES = 4
"""Little-endian length before each element of a BYTES tensor."""


class TensorParameters(BaseModel):
    binary_data_size: Annotated[StrictInt, Field(ge=0)] | None = None


class RequestTensor(BaseModel):
    """One input: texts or image files as BYTES (in JSON: strings, images in base64), or token ids as INT64."""

    name: StrictStr
    shape: Annotated[list[Annotated[StrictInt, Field(ge=0)]], Field(min_length=1, max_length=8)]
    datatype: Literal["BYTES", "INT64"]
    parameters: TensorParameters | None = None
    data: list[Any] | None = None

    @property
    def num_elements(self) -> int:
        return math.prod(self.shape)


def flatten_json(tensor: RequestTensor, param: str) -> list[Any]:
    """Elements of nested or flat JSON, in order. Raises InvalidInput unless they are as many as the shape says."""
    expected_type = str if tensor.datatype == "BYTES" else int
    level: list[Any] = tensor.data or []
    while level and all(isinstance(part, list) for part in level):
        if sum(map(len, level)) > tensor.num_elements:
            break
        level = [element for part in level for element in part]
    _check_count(tensor, len(level), param)
    if not set(map(type, level)) <= {expected_type}:
        raise InvalidInput(f"{tensor.datatype} data must be {'strings' if expected_type is str else 'integers'}", param)
    return level


def parse_binary(tensor: RequestTensor, packed: bytes, param: str) -> list[Any]:
    """Return the elements of binary data. Raises InvalidInput if their number differs from the shape's."""
    if tensor.datatype == "INT64":
        if len(packed) != INT64_BYTES * tensor.num_elements:
            raise InvalidInput("binary INT64 data must be 8 bytes each", f"{param}.parameters.binary_data_size")
        ids: list[Any] = np.frombuffer(packed, dtype="<i8").tolist()
        return ids
    elements: list[Any] = []
    offset = 0
    while offset < len(packed) and len(elements) <= tensor.num_elements:
        length = int.from_bytes(packed[offset : offset + LENGTH_BYTES], "little")
        offset += LENGTH_BYTES
        if offset + length > len(packed):
            raise InvalidInput("an element's length exceeds the tensor's data", f"{param}.data")
        elements.append(packed[offset : offset + length])
        offset += length
    _check_count(tensor, len(elements), param)
    return elements


def _check_count(tensor: RequestTensor, count: int, param: str) -> None:
    if count != tensor.num_elements:
        raise InvalidInput(f"{count} elements do not match the shape", param)


TEXT, IMAGE, IDS, MASK = "text", "image", "input_ids", "attention_mask"
EMBEDDING = "embedding"

DATATYPES = {TEXT: "BYTES", IMAGE: "BYTES", IDS: "INT64", MASK: "INT64"}


class OutputParameters(BaseModel):
    binary_data: StrictBool | None = None


class RequestedOutput(BaseModel):
    name: StrictStr
    parameters: OutputParameters | None = None


class RequestParameters(BaseModel):
    binary_data_output: StrictBool = False


class InferRequest(RequestModel):
    """`POST /v2/models/{model}/infer`"""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ()

    id: StrictStr | None = None
    parameters: RequestParameters | None = None
    inputs: Annotated[list[RequestTensor], Field(min_length=1, max_length=8)]
    outputs: Annotated[list[RequestedOutput], Field(max_length=8)] | None = None

    def check_outputs(self) -> None:
        """Raise InvalidInput for an output other than the only one."""
        for i, output in enumerate(self.outputs or ()):
            if output.name != EMBEDDING:
                raise InvalidInput(f"unknown output; the only output is {EMBEDDING}", f"outputs[{i}].name")

    def wants_binary(self) -> bool:
        """Return whether the response's tensor follows the JSON in binary."""
        parameters = self.outputs[0].parameters if self.outputs else None
        if parameters and parameters.binary_data is not None:
            return parameters.binary_data
        return self.parameters is not None and self.parameters.binary_data_output


def to_inputs(
    request: InferRequest, binary_tail: bytes, modality: Modality, max_inputs: int
) -> tuple[str, list[Input]]:
    """Return the name of the input tensor and its inputs; `binary_tail` follows the request's JSON.

    Raises InvalidInput or TooManyInputs.
    """
    tensors = _tensors(request.inputs, binary_tail, max_inputs)
    match modality, tensors:
        case "text", {"text": texts}:
            return TEXT, [_text(text) for text in texts]
        case "image", {"image": files}:
            return IMAGE, [Image(file) for file in files]
        case "text", {"input_ids": rows}:
            return IDS, _token_ids(rows, tensors.get(MASK))
    expected = f"{TEXT} as BYTES, or {IDS} as INT64" if modality == "text" else f"{IMAGE} as BYTES"
    raise InvalidInput(f"this model takes {expected}", "inputs")


def _tensors(inputs: Sequence[RequestTensor], binary_tail: bytes, max_inputs: int) -> dict[str, list[Any]]:
    """Each tensor's elements by its name; token ids as rows."""
    elements: dict[str, list[Any]] = {}
    offset = 0
    for i, tensor in enumerate(inputs):
        param = f"inputs[{i}]"
        _check_tensor(tensor, param, max_inputs)
        if tensor.name in elements:
            raise InvalidInput("duplicate tensor name", f"{param}.name")
        size = tensor.parameters.binary_data_size if tensor.parameters else None
        if size is None:
            values = flatten_json(tensor, f"{param}.data")
        else:
            values = parse_binary(tensor, binary_tail[offset : offset + size], param)
            offset += size
        elements[tensor.name] = _rows(tensor, values) if tensor.datatype == "INT64" else values
    if offset != len(binary_tail):
        raise InvalidInput("the sum of binary_data_size does not match the binary payload", "inputs")
    return elements


def _check_tensor(tensor: RequestTensor, param: str, max_inputs: int) -> None:
    """Check a tensor's declaration before its data are read. Raises InvalidInput or TooManyInputs."""
    if DATATYPES.get(tensor.name) != tensor.datatype:
        known = ", ".join(f"{name} as {datatype}" for name, datatype in DATATYPES.items())
        raise InvalidInput(f"unknown input name or datatype; known are {known}", f"{param}.name")
    in_json = tensor.data is not None
    if in_json == (tensor.parameters is not None and tensor.parameters.binary_data_size is not None):
        raise InvalidInput("a tensor needs exactly one of data and parameters.binary_data_size", f"{param}.data")
    length = 1
    if tensor.datatype == "INT64":
        if len(tensor.shape) > 2 or not 0 < tensor.shape[-1] <= limits.MAX_TOKEN_IDS:
            raise InvalidInput(
                f"input_ids must be [n] or [batch, n], n from 1 to {limits.MAX_TOKEN_IDS}", f"{param}.shape"
            )
        length = tensor.shape[-1]
    if tensor.num_elements // length > max_inputs:
        raise TooManyInputs(f"too many inputs: {tensor.num_elements // length} (maximum {max_inputs})", param)


def _rows(tensor: RequestTensor, values: list[Any]) -> list[Any]:
    length = tensor.shape[-1]
    return [values[i : i + length] for i in range(0, len(values), length)]


def _token_ids(rows: list[list[int]], mask: list[list[int]] | None) -> list[Input]:
    """Texts of ids, without what the mask says is padding."""
    if mask is not None and list(map(len, mask)) != list(map(len, rows)):
        raise InvalidInput(f"{MASK} must have the same shape as {IDS}", "inputs")
    texts = rows if mask is None else [
        [id for id, keep in zip(row, row_mask, strict=True) if keep] for row, row_mask in zip(rows, mask, strict=True)
    ]  # fmt: skip
    if not texts or not all(texts):
        raise InvalidInput("each text must have at least one token", "inputs")
    return [TokenIds(ids) for ids in texts]


def _text(element: str | bytes) -> str:
    try:
        return element if isinstance(element, str) else element.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("text elements must be valid UTF-8", "inputs") from None
