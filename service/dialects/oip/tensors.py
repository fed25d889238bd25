"""Tensors of a request: as JSON, or as bytes behind the JSON."""

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
    def elements(self) -> int:
        return math.prod(self.shape)


def flat(tensor: RequestTensor, param: str) -> list[Any]:
    """Elements of nested or flat JSON, in order. Raises InvalidInput unless they are as many as the shape says."""
    wanted = str if tensor.datatype == "BYTES" else int
    level: list[Any] = tensor.data or []
    while level and all(isinstance(part, list) for part in level):
        if sum(map(len, level)) > tensor.elements:
            break
        level = [element for part in level for element in part]
    _check_count(tensor, len(level), param)
    if not set(map(type, level)) <= {wanted}:
        raise InvalidInput(f"{tensor.datatype} are {'strings' if wanted is str else 'integers'}", param)
    return level


def unpacked(tensor: RequestTensor, packed: bytes, param: str) -> list[Any]:
    """Elements of the bytes behind the JSON. Raises InvalidInput unless they are as many as the shape says."""
    if tensor.datatype == "INT64":
        if len(packed) != INT64_BYTES * tensor.elements:
            raise InvalidInput("INT64 are 8 bytes each", f"{param}.parameters.binary_data_size")
        ids: list[Any] = np.frombuffer(packed, dtype="<i8").tolist()
        return ids
    found: list[Any] = []
    at = 0
    while at < len(packed) and len(found) <= tensor.elements:
        length = int.from_bytes(packed[at : at + LENGTH_BYTES], "little")
        at += LENGTH_BYTES
        if at + length > len(packed):
            raise InvalidInput("an element is longer than its tensor", f"{param}.data")
        found.append(packed[at : at + length])
        at += length
    _check_count(tensor, len(found), param)
    return found


def _check_count(tensor: RequestTensor, found: int, param: str) -> None:
    if found != tensor.elements:
        raise InvalidInput(f"{found} elements do not fill the shape", param)
