"""An inference request of the Open Inference Protocol, and its tensors: as JSON, or as bytes behind the JSON."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from models.contract.manifest import Modality
from service.errors import InvalidInput, TooManyInputs
from service.http.asked import Image, Input, TokenIds
from service.http.validation import Body

TEXT, IMAGE, IDS, MASK = "text", "image", "input_ids", "attention_mask"
EMBEDDING = "embedding"

LENGTH_BYTES = 4
"""Before each element of a BYTES tensor stands its length, little-endian."""


class TensorParameters(BaseModel):
    binary_data_size: Annotated[StrictInt, Field(ge=0)] | None = None


class RequestTensor(BaseModel):
    """One input: texts or image files as BYTES (in JSON: strings, images in base64), or token ids as INT64."""

    name: StrictStr
    shape: Annotated[list[Annotated[StrictInt, Field(ge=0)]], Field(min_length=1, max_length=8)]
    datatype: Literal["BYTES", "INT64", "FP32"]
    parameters: TensorParameters | None = None
    data: list[Any] | None = None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


class OutputParameters(BaseModel):
    binary_data: StrictBool | None = None


class RequestedOutput(BaseModel):
    name: StrictStr
    parameters: OutputParameters | None = None


class RequestParameters(BaseModel):
    binary_data_output: StrictBool = False


class InferRequest(Body):
    """`POST /v2/models/{model}/infer`"""

    LISTS: ClassVar[tuple[str, ...]] = ()

    id: StrictStr | None = None
    parameters: RequestParameters | None = None
    inputs: Annotated[list[RequestTensor], Field(min_length=1, max_length=8)]
    outputs: Annotated[list[RequestedOutput], Field(max_length=8)] | None = None

    def check_outputs(self) -> None:
        """Raises InvalidInput for another than the one there is."""
        for i, output in enumerate(self.outputs or ()):
            if output.name != EMBEDDING:
                raise InvalidInput(f"the only output is {EMBEDDING}", f"outputs[{i}].name")

    def binary(self) -> bool:
        """The answer's tensor goes behind the JSON."""
        own = self.outputs[0].parameters if self.outputs else None
        if own and own.binary_data is not None:
            return own.binary_data
        return self.parameters is not None and self.parameters.binary_data_output


def inputs_of(request: InferRequest, behind: bytes, modality: Modality, max_items: int) -> list[Input]:
    """What the request asks to embed; `behind` is what followed its JSON. Raises InvalidInput or TooManyInputs."""
    tensors = dict(_tensors(request.inputs, behind, max_items))
    match modality, tensors:
        case "text", {"text": texts}:
            return [_text(text) for text in texts]
        case "image", {"image": files}:
            return [Image(file) for file in files]
        case "text", {"input_ids": rows}:
            return _ids(rows, tensors.get(MASK))
    wanted = f"{TEXT} as BYTES, or {IDS} as INT64" if modality == "text" else f"{IMAGE} as BYTES"
    raise InvalidInput(f"this model takes {wanted}", "inputs")


def _tensors(inputs: Sequence[RequestTensor], behind: bytes, max_items: int) -> list[tuple[str, list[Any]]]:
    """Each tensor's name and its elements; token ids as rows."""
    found, at = [], 0
    for i, tensor in enumerate(inputs):
        param = f"inputs[{i}]"
        size = tensor.parameters.binary_data_size if tensor.parameters else None
        if (size is None) == (tensor.data is None):
            raise InvalidInput("a tensor has data, or the size of its data behind the JSON", f"{param}.data")
        if tensor.datatype == "BYTES" and tensor.elements > max_items:
            raise TooManyInputs(f"{tensor.elements} inputs, at most {max_items} are taken", param)
        if size is None:
            values = _flat(tensor, param)
        else:
            values = _unpacked(tensor, behind[at : at + size], param)
            at += size
        if len(values) != tensor.elements:
            raise InvalidInput(f"{len(values)} elements do not fill the shape", f"{param}.shape")
        found.append((tensor.name, _rows(tensor, values, param) if tensor.datatype == "INT64" else values))
    if at != len(behind):
        raise InvalidInput("the sizes of the tensors are not that of what follows the JSON", "inputs")
    return found


def _flat(tensor: RequestTensor, param: str) -> list[Any]:
    """Elements of nested or flat JSON, in order."""
    wanted = {"BYTES": str, "INT64": int}.get(tensor.datatype)
    if wanted is None:
        raise InvalidInput("no input is of this type", f"{param}.datatype")
    level: list[Any] = tensor.data or []
    while level and isinstance(level[0], list):
        if not all(isinstance(part, list) for part in level):
            break
        level = [element for part in level for element in part]
    if any(type(element) is not wanted for element in level):
        raise InvalidInput(f"{tensor.datatype} are {'strings' if wanted is str else 'integers'}", f"{param}.data")
    return level


def _unpacked(tensor: RequestTensor, packed: bytes, param: str) -> list[Any]:
    """Elements of the bytes behind the JSON."""
    if tensor.datatype == "INT64":
        if len(packed) != 8 * tensor.elements:
            raise InvalidInput("INT64 are 8 bytes each", f"{param}.parameters.binary_data_size")
        ids: list[Any] = np.frombuffer(packed, dtype="<i8").tolist()
        return ids
    if tensor.datatype != "BYTES":
        raise InvalidInput("no input is of this type", f"{param}.datatype")
    found: list[Any] = []
    at = 0
    while at < len(packed):
        length = int.from_bytes(packed[at : at + LENGTH_BYTES], "little")
        at += LENGTH_BYTES
        if at + length > len(packed):
            raise InvalidInput("an element is longer than its tensor", f"{param}.data")
        found.append(packed[at : at + length])
        at += length
    return found


def _rows(tensor: RequestTensor, values: list[Any], param: str) -> list[Any]:
    if len(tensor.shape) > 2:
        raise InvalidInput("token ids have one or two dimensions", f"{param}.shape")
    length = tensor.shape[-1]
    return [values[i : i + length] for i in range(0, len(values), max(1, length))]


def _ids(rows: list[list[int]], mask: list[list[int]] | None) -> list[Input]:
    """Texts of ids, without what the mask says is padding."""
    if mask is not None and list(map(len, mask)) != list(map(len, rows)):
        raise InvalidInput(f"{MASK} has another shape than {IDS}", "inputs")
    texts = rows if mask is None else [
        [id for id, kept in zip(row, told, strict=True) if kept] for row, told in zip(rows, mask, strict=True)
    ]  # fmt: skip
    if not texts or not all(texts):
        raise InvalidInput("a text has at least one token", "inputs")
    return [TokenIds(ids) for ids in texts]


def _text(element: str | bytes) -> str:
    try:
        return element if isinstance(element, str) else element.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("a text is UTF-8", "inputs") from None
