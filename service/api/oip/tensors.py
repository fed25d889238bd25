"""Tensors of a request: in JSON, or in binary after the JSON."""

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, StrictInt, StrictStr

from service.errors import InvalidInput

INT64_BYTES = 8
LENGTH_BYTES = 4
"""Before each element of a BYTES tensor stands its length, little-endian."""


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
    """Elements of the bytes behind the JSON. Raises InvalidInput unless they are as many as the shape says."""
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
