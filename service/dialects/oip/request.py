"""An inference request of the Open Inference Protocol, and what it asks to embed."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field, StrictBool, StrictStr

from models.contract.manifest import Modality
from service.dialects.inputs import MOST_IDS
from service.dialects.oip.tensors import RequestTensor, flat, unpacked
from service.errors import InvalidInput, TooManyInputs
from service.http.asked import Image, Input, TokenIds
from service.http.validation import Body

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


def inputs_of(request: InferRequest, behind: bytes, modality: Modality, max_items: int) -> tuple[str, list[Input]]:
    """What the request asks to embed, and the name of its tensor; `behind` is what followed its JSON.

    Raises InvalidInput or TooManyInputs.
    """
    tensors = _tensors(request.inputs, behind, max_items)
    match modality, tensors:
        case "text", {"text": texts}:
            return TEXT, [_text(text) for text in texts]
        case "image", {"image": files}:
            return IMAGE, [Image(file) for file in files]
        case "text", {"input_ids": rows}:
            return IDS, _ids(rows, tensors.get(MASK))
    wanted = f"{TEXT} as BYTES, or {IDS} as INT64" if modality == "text" else f"{IMAGE} as BYTES"
    raise InvalidInput(f"this model takes {wanted}", "inputs")


def _tensors(inputs: Sequence[RequestTensor], behind: bytes, max_items: int) -> dict[str, list[Any]]:
    """Each tensor's elements by its name; token ids as rows."""
    found: dict[str, list[Any]] = {}
    at = 0
    for i, tensor in enumerate(inputs):
        param = f"inputs[{i}]"
        _check(tensor, param, max_items)
        if tensor.name in found:
            raise InvalidInput("there are two tensors of this name", f"{param}.name")
        size = tensor.parameters.binary_data_size if tensor.parameters else None
        if size is None:
            values = flat(tensor, f"{param}.data")
        else:
            values = unpacked(tensor, behind[at : at + size], param)
            at += size
        found[tensor.name] = _rows(tensor, values) if tensor.datatype == "INT64" else values
    if at != len(behind):
        raise InvalidInput("the sizes of the tensors are not that of what follows the JSON", "inputs")
    return found


def _check(tensor: RequestTensor, param: str, max_items: int) -> None:
    """What a tensor says of itself, before its data are looked at. Raises InvalidInput or TooManyInputs."""
    if DATATYPES.get(tensor.name) != tensor.datatype:
        known = ", ".join(f"{name} as {datatype}" for name, datatype in DATATYPES.items())
        raise InvalidInput(f"no input is of this name and type; known are {known}", f"{param}.name")
    in_json = tensor.data is not None
    if in_json == (tensor.parameters is not None and tensor.parameters.binary_data_size is not None):
        raise InvalidInput("a tensor has data, or the size of its data behind the JSON", f"{param}.data")
    length = 1
    if tensor.datatype == "INT64":
        if len(tensor.shape) > 2 or not 0 < tensor.shape[-1] <= MOST_IDS:
            raise InvalidInput(f"token ids are one text, or rows of 1 to {MOST_IDS}", f"{param}.shape")
        length = tensor.shape[-1]
    if tensor.elements // length > max_items:
        raise TooManyInputs(f"{tensor.elements // length} inputs, at most {max_items} are taken", param)


def _rows(tensor: RequestTensor, values: list[Any]) -> list[Any]:
    length = tensor.shape[-1]
    return [values[i : i + length] for i in range(0, len(values), length)]


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
